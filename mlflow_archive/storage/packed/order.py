"""Which write of a key counts, where several tarballs are written at the same time: the one that was completed last."""

from __future__ import annotations

import threading

from mlflow_archive.storage.packed.toc import TableBuilder

#: 1 MiB for each tarball that is being written: of a million keys, one in twenty is taken for one that is there.
_BITS = 1 << 23


class Order:
    """Keeps each key in at most one of the tables that are still open.

    A table that is closed later counts more, so a key that is in a closed one may stand in an open one again.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: dict[TableBuilder, _Perhaps] = {}
        self._closed = 0

    def begin(self, table: TableBuilder) -> None:
        """Open a table."""
        with self._lock:
            self._open[table] = _Perhaps()

    def note(self, table: TableBuilder, key: str, tar_offset: int, size_bytes: int) -> None:
        """Note a member that is complete; what other open tables have under its key counts no longer."""
        with self._lock:
            for other, perhaps in self._open.items():
                if other is not table and perhaps.has(key):
                    other.drop(key)
            table.add(key, tar_offset, size_bytes)
            self._open[table].add(key)

    def drop(self, table: TableBuilder, key: str) -> None:
        """Leave a member out."""
        with self._lock:
            if table in self._open and self._open[table].has(key):
                table.drop(key)

    def find(self, table: TableBuilder, key: str) -> int | None:
        """Return the size of a member; looks through all of them."""
        with self._lock:
            return table.find(key) if table in self._open and self._open[table].has(key) else None

    def members(self, table: TableBuilder) -> list[tuple[str, int]]:
        """Return keys and sizes of a table."""
        with self._lock:
            return list(table.members())

    def end(self, table: TableBuilder) -> int:
        """Close a table, to which nothing is added any more; return how many were closed with it."""
        with self._lock:
            self._open.pop(table, None)
            self._closed += 1
            return self._closed


class _Perhaps:
    """Tells of a key that it was never added, or that it may have been."""

    def __init__(self) -> None:
        self._bits = bytearray(_BITS >> 3)

    def add(self, key: str) -> None:
        for bit in _places(key):
            self._bits[bit >> 3] |= 1 << (bit & 7)

    def has(self, key: str) -> bool:
        return all(self._bits[bit >> 3] >> (bit & 7) & 1 for bit in _places(key))


def _places(key: str) -> tuple[int, int]:
    number = hash(key)
    return number % _BITS, (number >> 32) % _BITS
