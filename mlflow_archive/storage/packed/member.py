"""One object on its way into a tarball, whose header must say its size before its bytes come."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from typing import Protocol

from mlflow_archive.errors import UnavailableError
from mlflow_archive.storage.partial import waiting_name
from mlflow_archive.storage.store import ByteWriter, Store


class Target(Protocol):
    """Where members go."""

    def add(self, key: str, chunks: list[bytes], size_bytes: int) -> None:
        """Add a whole member out of memory."""
        ...

    def stream(self, key: str, size_bytes: int) -> AbstractContextManager[ByteWriter]:
        """Add a member of known size as it comes."""
        ...


@contextmanager
def write_member(
    target: Target, outer: Store, folder: str, key: str, *, size_bytes: int | None, hold_bytes: int
) -> Iterator[ByteWriter]:
    """Write one member.

    Bytes up to a limit are held in memory. A larger one of known size goes straight through; one of unknown size is
    put aside as an object of its own and copied from there, so that neither memory nor local disk has to hold it.

    Args:
        target: Takes it.
        outer: Holds what is put aside.
        folder: Where, with a slash at its end unless it is the root.
        key: The member's name.
        size_bytes: What the caller expects.
        hold_bytes: How much is held in memory.
    """
    with ExitStack() as stack:
        member = _Member(target, outer, f"{folder}{waiting_name()}", key, size_bytes, hold_bytes, stack)
        yield member
        finish = member.finish
        del member
    finish()


class _Member:
    def __init__(
        self,
        target: Target,
        outer: Store,
        aside: str,
        key: str,
        expected: int | None,
        hold_bytes: int,
        stack: ExitStack,
    ) -> None:
        self._target = target
        self._outer = outer
        self._aside = aside
        self._key = key
        self._expected = expected
        self._hold_bytes = hold_bytes
        self._stack = stack
        self._held: list[bytes] = []
        self._size = 0
        self._sink: ByteWriter | None = None
        self.finish: Callable[[], None] = self._add

    def write(self, data: bytes) -> None:
        """Append."""
        self._size += len(data)
        if self._sink is not None:
            self._sink.write(data)
            return
        self._held.append(bytes(data))
        if self._size > self._hold_bytes:
            self._spill()

    def _spill(self) -> None:
        if self._expected is not None and self._expected >= self._size:
            self._sink = self._stack.enter_context(self._target.stream(self._key, self._expected))
            self.finish = _nothing
        else:
            self._sink = _Summed(self._stack.enter_context(self._outer.write(self._aside)))
            self.finish = partial(self._copy, self._sink)
        held, self._held = self._held, []
        for chunk in held:
            self._sink.write(chunk)

    def _add(self) -> None:
        self._target.add(self._key, self._held, self._size)

    def _copy(self, written: _Summed) -> None:
        try:
            with self._target.stream(self._key, self._size) as sink:
                copied = _Summed(sink)
                for chunk in self._outer.read(self._aside):
                    copied.write(chunk)
                if copied.sum != written.sum:
                    raise UnavailableError(
                        f"{self._key} waited at {self._outer.url} and came back with other bytes than were written: "
                        "check that place with doctor.",
                        code="changed",
                    )
        finally:
            self._outer.delete(self._aside)


class _Summed:
    """Notes how many bytes pass, and their CRC-32."""

    def __init__(self, sink: ByteWriter) -> None:
        self.sum = (0, 0)
        self._sink = sink

    def write(self, data: bytes) -> None:
        """Pass on."""
        size, crc = self.sum
        self.sum = (size + len(data), zlib.crc32(data, crc))
        self._sink.write(data)


def _nothing() -> None:
    """Do nothing: the member is in already."""
