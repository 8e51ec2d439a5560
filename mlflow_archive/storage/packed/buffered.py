"""Chunks of any size as a stream of bytes."""

from __future__ import annotations

from collections.abc import Iterator


class Buffered:
    """Chunks as a stream of bytes."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        """Take chunks only when their bytes are asked for."""
        self._chunks = chunks
        self._rest = b""
        self._at = 0

    def has_more(self) -> bool:
        """Tell whether another byte comes."""
        while self._at == len(self._rest):
            chunk = next(self._chunks, None)
            if chunk is None:
                return False
            self._rest, self._at = chunk, 0
        return True

    def take(self, size: int) -> bytes:
        """Return exactly so many bytes; raises `EOFError` if they do not come."""
        parts = []
        while size:
            if not self.has_more():
                raise EOFError
            part = self._rest[self._at : self._at + size]
            self._at += len(part)
            size -= len(part)
            parts.append(part)
        return b"".join(parts)

    def skip(self, size: int) -> None:
        """Pass over so many bytes; raises `EOFError` if they do not come."""
        while size:
            if not self.has_more():
                raise EOFError
            step = min(size, len(self._rest) - self._at)
            self._at += step
            size -= step
