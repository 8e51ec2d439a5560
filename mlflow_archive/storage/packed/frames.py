"""The tar within a tarball, read by ranges: frames are found by the table and decompressed, the small ones kept."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator

from mlflow_archive.storage.packed.codec import Codec, bad_frame
from mlflow_archive.storage.packed.toc import Frame, Table
from mlflow_archive.storage.store import CHUNK_BYTES, Store

#: So much of decompressed frames is kept. 32 MiB.
_KEPT_BYTES = 32 << 20
#: Frames up to this size are kept. 2 MiB.
_SMALL_BYTES = 2 << 20


class TarReader:
    """Ranges of a tar that is kept in frames under one key of a store."""

    def __init__(self, store: Store, key: str, codec: Codec, table: Table, kept: KeptFrames) -> None:
        """Read by the frames of a table; several tarballs may keep frames together."""
        self._store = store
        self._key = key
        self._codec = codec
        self._table = table
        self._kept = kept

    def read(self, tar_offset: int, size_bytes: int) -> Iterator[bytes]:
        """Yield a range of the tar, in chunks of at most `CHUNK_BYTES`.

        Raises:
            IntegrityError: A frame is damaged (E060).
        """
        if not self._table.has_frames:
            yield from self._read_plain(tar_offset, size_bytes)
            return
        for frame, data in self._contents(list(self._table.frames_of(tar_offset, size_bytes))):
            start = max(0, tar_offset - frame.tar_offset)
            end = min(frame.tar_bytes, tar_offset + size_bytes - frame.tar_offset)
            for at in range(start, end, CHUNK_BYTES):
                yield data[at : min(end, at + CHUNK_BYTES)]

    def _contents(self, frames: list[Frame]) -> Iterator[tuple[Frame, bytes]]:
        if len(frames) == 1 and frames[0].tar_bytes <= _SMALL_BYTES:
            frame = frames[0]
            yield frame, self._kept.get((self._key, frame.offset), lambda: next(self._fetch(frames))[1])
        elif frames:
            yield from self._fetch(frames)

    def _fetch(self, frames: list[Frame]) -> Iterator[tuple[Frame, bytes]]:
        """Read frames that follow one another in one go."""
        start = frames[0].offset
        size = frames[-1].offset + frames[-1].size_bytes - start
        chunks = self._store.read(self._key, start=start, size_bytes=size)
        rest = b""
        at = start
        for frame in frames:
            rest = _passed(chunks, rest, frame.offset - at)
            at = frame.offset + frame.size_bytes
            parts, length = [rest], len(rest)
            while length < frame.size_bytes:
                chunk = next(chunks, b"")
                if not chunk:
                    raise bad_frame("is cut off")
                parts.append(chunk)
                length += len(chunk)
            stored = b"".join(parts)
            rest = stored[frame.size_bytes :]
            yield frame, self._codec.unframe(stored[: frame.size_bytes] if rest else stored, frame.tar_bytes)

    def _read_plain(self, tar_offset: int, size_bytes: int) -> Iterator[bytes]:
        """Read a tar that is not compressed; small ranges come out of pieces that are kept."""
        end = tar_offset + size_bytes
        number = tar_offset // CHUNK_BYTES
        if size_bytes and (end - 1) // CHUNK_BYTES == number:
            start = number * CHUNK_BYTES
            piece = self._kept.get((self._key, start), lambda: self._piece(start))
            data = piece[tar_offset - start : end - start]
            if len(data) != size_bytes:
                raise bad_frame("is cut off")
            yield data
        elif size_bytes:
            for chunk in self._store.read(self._key, start=tar_offset, size_bytes=size_bytes):
                yield chunk
                size_bytes -= len(chunk)
            if size_bytes:
                raise bad_frame("is cut off")

    def _piece(self, start: int) -> bytes:
        size = min(CHUNK_BYTES, self._table.tar_bytes - start)
        return b"".join(self._store.read(self._key, start=start, size_bytes=size))


def _passed(chunks: Iterator[bytes], rest: bytes, size_bytes: int) -> bytes:
    """Pass over what lies between two frames; return what was read beyond it."""
    while len(rest) < size_bytes:
        size_bytes -= len(rest)
        rest = next(chunks, b"")
        if not rest:
            raise bad_frame("is cut off")
    return rest[size_bytes:]


#: The tarball's key and the frame's offset in it.
_Place = tuple[str, int]


class KeptFrames:
    """The contents of the frames used last. Several threads that want one wait for the first to bring it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._contents: OrderedDict[_Place, bytes] = OrderedDict()
        self._coming: dict[_Place, threading.Lock] = {}
        self._size = 0

    def get(self, place: _Place, fetch: Callable[[], bytes]) -> bytes:
        """Return the content of the frame at an offset of a tarball."""
        with self._lock:
            found = self._find(place)
            if found is not None:
                return found
            coming = self._coming.setdefault(place, threading.Lock())
        with coming:
            with self._lock:
                found = self._find(place)
            if found is not None:
                return found
            try:
                content = fetch()
            finally:
                with self._lock:
                    self._coming.pop(place, None)
            with self._lock:
                self._keep(place, content)
            return content

    def _find(self, place: _Place) -> bytes | None:
        found = self._contents.get(place)
        if found is not None:
            self._contents.move_to_end(place)
        return found

    def _keep(self, place: _Place, content: bytes) -> None:
        if place in self._contents:
            return
        self._contents[place] = content
        self._size += len(content)
        while self._size > _KEPT_BYTES:
            _, dropped = self._contents.popitem(last=False)
            self._size -= len(dropped)
