"""The table of contents of a tarball (spec/v1/containers.md, "Table").

Kept as sorted bytes and arrays of numbers: a million members take about a hundred bytes each, where objects would
take several times that.
"""

from __future__ import annotations

import json
import re
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from mlflow_archive.errors import IntegrityError, Problem
from mlflow_archive.spec.canonical import parse_object
from mlflow_archive.spec.paths import MAX_PATH_BYTES, check_path
from mlflow_archive.storage.packed.codec import MAX_FRAME_BYTES, MAX_STORED_BYTES
from mlflow_archive.storage.packed.headers import BLOCK_BYTES

#: The first line of a table says so.
TABLE_FORMAT = "mlflow-archive-table"
#: No table has more text than this. 512 MiB.
MAX_TEXT_BYTES = 512 << 20
_MAX_LINE_BYTES = 6 * MAX_PATH_BYTES + 100
_MAX_NUMBER = 1 << 62

#: Paths that need no closer look; reserved names are looked for apart.
_PLAIN = re.compile(r"(?:[A-Za-z0-9_\-.+=@~%,()\[\] ]{0,198}[A-Za-z0-9_\-+=@~%,()\[\]]/)*"
                    r"[A-Za-z0-9_\-.+=@~%,()\[\] ]{0,198}[A-Za-z0-9_\-+=@~%,()\[\]]")  # fmt: skip
_RESERVED = re.compile(r"(?i)(?:^|/)(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\.|/|$)")


@dataclass(frozen=True, slots=True)
class Frame:
    """A piece of the tar as it is stored.

    Attributes:
        offset: Where it begins in the object.
        size_bytes: How many bytes of the object it is.
        tar_offset: Where its content begins in the tar.
        tar_bytes: How many bytes of the tar it holds.
    """

    offset: int
    size_bytes: int
    tar_offset: int
    tar_bytes: int


class TableBuilder:
    """Notes frames and members while a tarball is written or scanned. Of two members of one name the later counts."""

    def __init__(self) -> None:
        self._frames: list[array[int]] = [array("Q") for _ in range(4)]
        self._stored_bytes = 0
        self._keys = bytearray()
        self._ends = array("Q")
        self._offsets = array("Q")
        self._sizes = array("q")

    def __len__(self) -> int:
        """Return how many members were noted."""
        return len(self._ends)

    def add_frame(self, size_bytes: int, tar_bytes: int) -> None:
        """Note the next frame; one that holds nothing is passed over."""
        offset = self._stored_bytes
        self._stored_bytes += size_bytes
        if not tar_bytes:
            return
        offsets, sizes, tar_offsets, tar_sizes = self._frames
        last = len(offsets) - 1
        offsets.append(offset)
        sizes.append(size_bytes)
        tar_offsets.append(tar_offsets[last] + tar_sizes[last] if tar_offsets else 0)
        tar_sizes.append(tar_bytes)

    def add(self, key: str, tar_offset: int, size_bytes: int) -> None:
        """Note a member whose bytes begin at ``tar_offset``."""
        self._keys += key.encode("utf-8")
        self._ends.append(len(self._keys))
        self._offsets.append(tar_offset)
        self._sizes.append(size_bytes)

    def drop(self, key: str) -> None:
        """Note that a member does not count any longer."""
        self.add(key, 0, -1)

    def find(self, key: str) -> int | None:
        """Return the size of a member, None if there is none; looks through all."""
        wanted = key.encode("utf-8")
        for row in range(len(self._ends) - 1, -1, -1):
            if self._key(row) == wanted:
                return self._sizes[row] if self._sizes[row] >= 0 else None
        return None

    def members(self) -> Iterator[tuple[str, int]]:
        """Yield keys and sizes, sorted by key."""
        for row in self._sorted():
            yield self._key(row).decode("utf-8"), self._sizes[row]

    def build(self, tar_bytes: int, *, frames: bool = True) -> Table:
        """Return the table; without compression frames are of no use and left out."""
        keys = bytearray()
        ends, offsets, sizes = array("Q"), array("Q"), array("Q")
        for row in self._sorted():
            keys += self._key(row)
            ends.append(len(keys))
            offsets.append(self._offsets[row])
            sizes.append(self._sizes[row])
        kept = tuple(self._frames) if frames else tuple(array("Q") for _ in range(4))
        return Table(tar_bytes, kept, bytes(keys), ends, offsets, sizes)

    def _key(self, row: int) -> bytes:
        return bytes(self._keys[self._ends[row - 1] if row else 0 : self._ends[row]])

    def _sorted(self) -> list[int]:
        rows = sorted(range(len(self._ends)), key=self._key)
        last = [row for row, after in pairwise(rows) if self._key(row) != self._key(after)]
        return [row for row in (*last, *rows[-1:]) if self._sizes[row] >= 0]


class Table:
    """Where each member of a tarball is. Made by `TableBuilder.build` or `parse`."""

    def __init__(
        self,
        tar_bytes: int,
        frames: tuple[array[int], ...],
        keys: bytes,
        ends: array[int],
        offsets: array[int],
        sizes: array[int],
    ) -> None:
        self.tar_bytes = tar_bytes
        """Size of the tar with its end."""
        self._frames = frames
        self._keys = keys
        self._ends = ends
        self._offsets = offsets
        self._sizes = sizes

    def __len__(self) -> int:
        """Return the number of members."""
        return len(self._ends)

    @property
    def stored_bytes(self) -> int:
        """Size of all frames as they are stored."""
        offsets, sizes, _, _ = self._frames
        return offsets[-1] + sizes[-1] if offsets else self.tar_bytes

    @property
    def has_frames(self) -> bool:
        """True if the tar is compressed."""
        return len(self._frames[0]) > 0

    def find(self, key: str) -> tuple[int, int] | None:
        """Return the offset in the tar and the size of a member; None if there is none."""
        row = self.row(key)
        return None if row is None else (self._offsets[row], self._sizes[row])

    def row(self, key: str) -> int | None:
        """Return how many members come before this one; None if there is none."""
        wanted = key.encode("utf-8")
        row = self._lower_bound(wanted)
        return row if row < len(self._ends) and self._key(row) == wanted else None

    def members(self, folder: str = "") -> Iterator[tuple[str, int]]:
        """Yield keys and sizes of all members, or of those below a folder, sorted by key."""
        prefix = f"{folder.rstrip('/')}/".encode() if folder else b""
        for row in range(self._lower_bound(prefix), len(self._ends)):
            key = self._key(row)
            if not key.startswith(prefix):
                return
            yield key.decode("utf-8"), self._sizes[row]

    def placed(self) -> Iterator[tuple[str, int, int]]:
        """Yield key, offset in the tar and size of all members, sorted by key."""
        for row in range(len(self._ends)):
            yield self._key(row).decode("utf-8"), self._offsets[row], self._sizes[row]

    def frames(self) -> Iterator[Frame]:
        """Yield all frames, in order."""
        for row in zip(*self._frames, strict=True):
            yield Frame(*row)

    def frames_of(self, tar_offset: int, size_bytes: int) -> Iterator[Frame]:
        """Yield the frames that hold a range of the tar, in order."""
        if not size_bytes:
            return
        starts = self._frames[2]
        at = bisect_right(starts, tar_offset) - 1
        while at < len(starts) and starts[at] < tar_offset + size_bytes:
            yield Frame(*(column[at] for column in self._frames))
            at += 1

    def lines(self) -> Iterator[bytes]:
        """Yield the lines of the table's text."""
        yield _line({"format": TABLE_FORMAT, "version": 1, "tar_bytes": self.tar_bytes,
                     "frames": len(self._frames[0]), "members": len(self._ends)})  # fmt: skip
        for frame in zip(*self._frames, strict=True):
            yield _line(frame)
        for placed in self.placed():
            yield _line(placed)

    def _key(self, row: int) -> bytes:
        return self._keys[self._ends[row - 1] if row else 0 : self._ends[row]]

    def _lower_bound(self, wanted: bytes) -> int:
        low, high = 0, len(self._ends)
        while low < high:
            middle = (low + high) // 2
            if self._key(middle) < wanted:
                low = middle + 1
            else:
                high = middle
        return low


def parse(pieces: Iterable[bytes]) -> Table:
    """Return the table of a text that comes in pieces; what it claims is checked before it is believed.

    Raises:
        IntegrityError: A line is not as it must be, or frames or members are out of range, overlap, are not in
            order or are there twice (E061), or a key is no path of an archive (E020).
    """
    lines = _split(pieces)
    tar_bytes, frame_count, member_count = _head(next(lines, b""))
    frames = _parse_frames(lines, frame_count, tar_bytes)
    keys = bytearray()
    ends, offsets, sizes = array("Q"), array("Q"), array("Q")
    last = b""
    for _ in range(member_count):
        key, offset, size = _row(next(lines, b""), 3)
        encoded = _checked(key)
        if encoded <= last:
            raise bad_table("has members that are not in order, or twice")
        last = encoded
        keys += encoded
        ends.append(len(keys))
        offsets.append(_number(offset))
        sizes.append(_number(size))
    if next(lines, None) is not None:
        raise bad_table("has more lines than it says")
    _require_apart(offsets, sizes, tar_bytes)
    return Table(tar_bytes, frames, bytes(keys), ends, offsets, sizes)


def _head(line: bytes) -> tuple[int, int, int]:
    """Return the size of the tar and how many frames and members there are, which must have room in it."""
    if len(line) > _MAX_LINE_BYTES:
        raise bad_table("has a line that is too long")
    try:
        head = parse_object(line, "the table of contents")
    except IntegrityError as error:
        raise bad_table("does not begin with an object of JSON") from error
    if head.get("format") != TABLE_FORMAT:
        raise bad_table("does not begin as one")
    version = head.get("version")
    if type(version) is not int or version != 1:
        raise bad_table("is of a version that this reader does not know")
    tar_bytes, frames, members = (_number(head.get(name)) for name in ("tar_bytes", "frames", "members"))
    if frames > tar_bytes or members * BLOCK_BYTES > tar_bytes or (frames and frames * MAX_FRAME_BYTES < tar_bytes):
        raise bad_table("has more frames or members than have room in the tar, or too few frames")
    return tar_bytes, frames, members


def bad_table(message: str) -> IntegrityError:
    """Return the refusal of a table."""
    return IntegrityError(
        f"The tarball's table of contents {message} (E061).", problems=(Problem("E061", "", f"the table {message}"),)
    )


def _parse_frames(lines: Iterator[bytes], count: int, tar_bytes: int) -> tuple[array[int], ...]:
    columns = tuple(array("Q") for _ in range(4))
    offset = tar_offset = 0
    for _ in range(count):
        row = [_number(value) for value in _row(next(lines, b""), 4)]
        if row[0] != offset or row[2] != tar_offset or not _possible(row[1], row[3]):
            raise bad_table("has frames that do not follow one another, or are too large")
        offset += row[1]
        tar_offset += row[3]
        for column, value in zip(columns, row, strict=True):
            column.append(value)
    if count and tar_offset != tar_bytes:
        raise bad_table("has frames that are not the whole tar")
    return columns


def _possible(size_bytes: int, tar_bytes: int) -> bool:
    return 0 < size_bytes <= MAX_STORED_BYTES and 0 < tar_bytes <= MAX_FRAME_BYTES


def _require_apart(offsets: array[int], sizes: array[int], tar_bytes: int) -> None:
    """Require that members have a block for their header before them and do not overlap.

    It suffices to compare the sorted beginnings with the sorted ends: were two members to overlap, one of the ends
    would come too late.
    """
    end = 0
    starts = sorted(offsets)
    ends = sorted(offset + size for offset, size in zip(offsets, sizes, strict=True))
    for start, after in zip(starts, ends, strict=True):
        if start % BLOCK_BYTES or start < end + BLOCK_BYTES or after > tar_bytes:
            raise bad_table("has members that overlap or are outside of the tar")
        end = after + -after % BLOCK_BYTES


def _checked(key: object) -> bytes:
    if not isinstance(key, str):
        raise bad_table("has a member without a name")
    if not _PLAIN.fullmatch(key) or _RESERVED.search(key) or len(key) > MAX_PATH_BYTES:
        check_path(key)
    return key.encode("utf-8")


def _row(line: bytes, length: int) -> list[object]:
    value = _json(line)
    if not isinstance(value, list) or len(value) != length:
        raise bad_table("has a line that it must not have, or too few")
    return value


def _json(line: bytes) -> object:
    if len(line) > _MAX_LINE_BYTES:
        raise bad_table("has a line that is too long")
    try:
        value: object = json.loads(line.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise bad_table("has a line that is not JSON, or too few") from error
    return value


def _number(value: object) -> int:
    if type(value) is not int or not 0 <= value < _MAX_NUMBER:
        raise bad_table("has a number that is none")
    return value


def _line(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8") + b"\n"


def _split(pieces: Iterable[bytes]) -> Iterator[bytes]:
    rest = b""
    size = 0
    for piece in pieces:
        size += len(piece)
        if size > MAX_TEXT_BYTES:
            raise bad_table("is larger than any table may be")
        first, *others = piece.split(b"\n")
        rest += first
        if others:
            yield rest
            yield from others[:-1]
            rest = others[-1]
        if len(rest) > _MAX_LINE_BYTES:
            raise bad_table("has a line that is too long")
    if rest:
        raise bad_table("does not end with a whole line")
