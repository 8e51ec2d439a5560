"""How large the pages of a Parquet file really are, before any of them is unpacked.

The description at the end of the file states sizes for each group of rows, and a file from a stranger may state
anything. What is allocated is what the header of each page says, so all of these are read and added up; the rest of
the file is skipped. The description is read here, too: Arrow ends the whole process when it is asked for a column
that a damaged one lacks.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

#: Where a column begins and ends in the file.
Place = tuple[int, int]

#: So much is read for a header at first, and at most: it may hold the least and the greatest value.
_HEADER_BYTES = (1 << 10, 1 << 20)
#: The length of the description, and the word at the end.
_TAIL_BYTES = 8
_DEPTH = 12
#: Fields of parquet.thrift: groups of a file, columns of a group, what is known of a column ...
_GROUPS, _COLUMNS, _KNOWN = 4, 1, 3
#: ... and of that its size in the file, and where its pages begin.
_SIZE, _DATA, _DICTIONARY = 7, 9, 11
#: Of a page's header: its size when unpacked, and as it is in the file.
_UNPACKED, _PACKED = 2, 3
#: Types of Thrift's compact protocol.
_TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _LIST, _SET, _STRUCT = 1, 2, 3, 7, 8, 9, 10, 12
_INTEGERS = (4, 5, 6)


def places(file: pa.PythonFile) -> list[list[Place]]:
    """Return where the columns are, group by group, as the description says; those of a group without rows anywhere.

    Raises:
        ValueError: It is none.
    """
    size = file.size()
    file.seek(size - _TAIL_BYTES)
    length = int.from_bytes(file.read(4), "little")
    file.seek(size - _TAIL_BYTES - length)
    reader = _Compact(file.read(length))
    try:
        return [[_place(reader) for _ in _members(reader, _COLUMNS)] for _ in _members(reader, _GROUPS)]
    except IndexError:
        raise _none() from None


def unpacked_bytes(file: pa.PythonFile, columns: list[Place]) -> int:
    """Return how many bytes the pages of some columns take when they are unpacked.

    Raises:
        ValueError: A page is none, or reaches beyond its column.
    """
    return sum(_of_column(file, start, end) for start, end in columns)


def _members(reader: _Compact, wanted: int) -> Iterator[None]:
    """Stop at each member of the list that is one field of a structure; whoever iterates reads the member."""
    for field, kind in reader.fields():
        if field != wanted:
            reader.skip(kind)
        elif kind != _LIST:
            raise _none()
        else:
            count, inner = reader.head()
            if inner != _STRUCT:
                raise _none()
            for _ in range(count):
                yield


def _place(reader: _Compact) -> Place:
    known: dict[int, int] = {}
    for field, kind in reader.fields():
        if field == _KNOWN and kind == _STRUCT:
            known = reader.struct()
        else:
            reader.skip(kind)
    if not known.keys() >= {_SIZE, _DATA}:
        raise _none()
    start = min(known[_DATA], known.get(_DICTIONARY) or known[_DATA])
    return start, start + known[_SIZE]


def _of_column(file: pa.PythonFile, start: int, end: int) -> int:
    total = 0
    while start < end:
        fields, size = _header(file, start, end)
        unpacked, packed = fields.get(_UNPACKED, -1), fields.get(_PACKED, -1)
        start += size + packed
        if unpacked < 0 or packed < 0 or start > end:
            raise _none()
        total += unpacked
    return total


def _header(file: pa.PythonFile, start: int, end: int) -> tuple[dict[int, int], int]:
    """Return the numbers in the header of a page, and how long it is."""
    for most in _HEADER_BYTES:
        file.seek(start)
        reader = _Compact(file.read(min(most, end - start)))
        try:
            return reader.struct(), reader.at
        except IndexError:
            continue
    raise _none()


class _Compact:
    """Reads Thrift's compact protocol, as far as Parquet needs it; raises `IndexError` at the end of data."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.at = 0

    def fields(self) -> Iterator[tuple[int, int]]:
        """Yield number and type of each field of a structure; whoever iterates reads or skips the value."""
        field = 0
        while head := self._byte():
            field = field + (head >> 4) if head >> 4 else self.integer()
            yield field, head & 15

    def struct(self, depth: int = 0) -> dict[int, int]:
        """Return the whole numbers of a structure by their field; all else is skipped."""
        found: dict[int, int] = {}
        for field, kind in self.fields():
            if kind in _INTEGERS:
                found[field] = self.integer()
            else:
                self.skip(kind, depth)
        return found

    def head(self) -> tuple[int, int]:
        """Return how many members a list has, and of which type."""
        head = self._byte()
        return (head >> 4 if head >> 4 < 15 else self._varint()), head & 15

    def skip(self, kind: int, depth: int = 0, *, listed: bool = False) -> None:
        """Pass over a value."""
        if kind in _INTEGERS:
            self._varint()
        elif kind in (_TRUE, _FALSE, _BYTE):
            # A truth value is in the type of its field, but a byte in a list.
            self._take(1 if listed or kind == _BYTE else 0)
        elif kind == _DOUBLE:
            self._take(8)
        elif kind == _BINARY:
            self._take(self._varint())
        elif kind in (_LIST, _SET) and depth < _DEPTH:
            count, inner = self.head()
            for _ in range(count):
                self.skip(inner, depth + 1, listed=True)
        elif kind == _STRUCT and depth < _DEPTH:
            self.struct(depth + 1)
        else:
            raise _none()

    def integer(self) -> int:
        """Return a whole number with its sign."""
        number = self._varint()
        return (number >> 1) ^ -(number & 1)

    def _byte(self) -> int:
        self.at += 1
        return self._data[self.at - 1]

    def _take(self, size: int) -> None:
        self.at += size
        if self.at > len(self._data):
            raise IndexError

    def _varint(self) -> int:
        result = shift = 0
        while True:
            byte = self._byte()
            result |= (byte & 127) << shift
            if byte < 128:
                return result
            shift += 7
            if shift > 63:
                raise _none()


def _none() -> ValueError:
    return ValueError("a column or a page of it is none, or reaches beyond its place")
