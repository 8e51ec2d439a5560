"""Makes a tarball's table anew by reading all of it (spec/v1/containers.md, "A lost table")."""

from __future__ import annotations

import re
import tarfile
from collections.abc import Callable, Generator, Iterator

from mlflow_archive.errors import IntegrityError, NotAnArchiveError, Problem
from mlflow_archive.spec.paths import check_path
from mlflow_archive.storage.packed.codec import bad_frame, codec_for
from mlflow_archive.storage.packed.headers import BLOCK_BYTES
from mlflow_archive.storage.packed.toc import Table, TableBuilder
from mlflow_archive.storage.store import Store

#: An extended header says a path and a size; longer ones are not of an archive.
_MAX_EXTENDED_BYTES = 64 << 10
#: More than any store holds.
_MOST_BYTES = 1 << 60
_RECORD = re.compile(rb"(\d{1,5}) ([^=]+)=")


def scan(store: Store, key: str, url: str) -> tuple[str, Table]:
    """Return the compression and the table of a tarball.

    Raises:
        NotAnArchiveError: It is no tarball, or cut off.
        IntegrityError: A frame is damaged (E060), or a member is none that an archive may have (E062, E020).
    """
    name = _compression(store, key)
    builder = TableBuilder()
    tar = TarScanner(builder.add)
    _read_through(store, key, url, name, tar, builder.add_frame)
    return name, builder.build(tar.tar_bytes, frames=name != "none")


def differences(store: Store, key: str, url: str, table: Table) -> Iterator[str]:
    """Read a whole tarball and yield the members of its table that do not stand so in the tar.

    Raises:
        NotAnArchiveError: It is no tarball, or cut off.
        IntegrityError: As `scan`.
    """
    seen = bytearray(len(table))

    def found(member: str, tar_offset: int, size_bytes: int) -> None:
        row = table.row(member)
        if row is not None and table.find(member) == (tar_offset, size_bytes):
            seen[row] = 1

    frames = table.frames()

    def same(stored_bytes: int, tar_bytes: int) -> None:
        """Require the frame that the table has here; what follows the tar is none."""
        stated = next(frames, None)
        if stated is None or (stated.size_bytes, stated.tar_bytes) != (stored_bytes, tar_bytes):
            raise bad_frame("is another than the table gives")

    frame = same if table.has_frames else _ignore
    _read_through(store, key, url, _compression(store, key), TarScanner(found), frame)
    yield from (member for row, (member, _) in enumerate(table.members()) if not seen[row])


def _ignore(stored_bytes: int, tar_bytes: int) -> None:
    """Take a piece of a tar that is not compressed."""


def _read_through(
    store: Store, key: str, url: str, name: str, tar: TarScanner, frame: Callable[[int, int], None]
) -> None:
    try:
        for stored, data in codec_for(name).frames(store.read(key)):
            frame(stored, len(data))
            tar.feed(data)
            if tar.ended:
                return
    except EOFError:
        pass
    raise NotAnArchiveError(f"The tarball at {url} is cut off, so it is no archive.", code="truncated")


def _compression(store: Store, key: str) -> str:
    beginning = b"".join(store.read(key, size_bytes=4))
    if beginning[:2] == b"\x1f\x8b":
        return "gzip"
    if beginning == b"\x28\xb5\x2f\xfd" or (beginning[1:] == b"\x2a\x4d\x18" and beginning[0] & 0xF0 == 0x50):
        return "zstd"
    return "none"


class TarScanner:
    """Finds the members in the bytes of a tar, which come in any pieces."""

    def __init__(self, found: Callable[[str, int, int], None]) -> None:
        """Tell ``found`` of each member: its key, where its bytes begin, how many they are."""
        self._found = found
        self.ended = False
        """True after the two empty blocks."""
        self.tar_bytes = 0
        """How many bytes of the tar were seen."""
        self._rest = b""
        self._at = 0
        self._skip = 0
        self._steps = self._walk()
        self._wanted = next(self._steps)

    def feed(self, data: bytes) -> None:
        """Take the next bytes.

        Raises:
            IntegrityError: A member is none that an archive may have (E062), or its path is none (E020).
        """
        self.tar_bytes += len(data)
        at = 0
        while at < len(data) and not self.ended:
            if self._skip:
                step = min(self._skip, len(data) - at)
                self._skip -= step
                at += step
                continue
            part = data[at : at + self._wanted - len(self._rest)]
            at += len(part)
            self._rest += part
            if len(self._rest) == self._wanted:
                block, self._rest = self._rest, b""
                self._at = self.tar_bytes - len(data) + at
                self._wanted = self._steps.send(block)
        if self.ended:
            self.tar_bytes -= len(data) - at

    def _walk(self) -> Generator[int, bytes, None]:
        """Ask for blocks and note members; a coroutine that yields how many bytes it wants next."""
        extended: dict[str, str] = {}
        while True:
            block = yield BLOCK_BYTES
            if not any(block):
                second = yield BLOCK_BYTES
                self.ended = not any(second)
                if not self.ended:
                    raise _bad_member("", "has a header in the middle of the tar's end")
                continue
            info = _parse(block)
            if info.type == tarfile.XHDTYPE:
                if info.size > _MAX_EXTENDED_BYTES:
                    raise _bad_member("", "has an extended header that is too long")
                data = yield info.size + -info.size % BLOCK_BYTES
                extended = _records(data[: info.size])
                continue
            name, size = extended.get("path", info.name), int(extended.get("size", info.size))
            extended = {}
            if info.type not in (tarfile.REGTYPE, tarfile.AREGTYPE) or info.sparse:
                raise _bad_member(name, "is a link, a folder or a device and not a regular file")
            self._found(check_path(name), self._at, size)
            self._skip = size + -size % BLOCK_BYTES


def _parse(block: bytes) -> tarfile.TarInfo:
    try:
        info = tarfile.TarInfo.frombuf(block, "utf-8", "strict")
    except (tarfile.HeaderError, UnicodeDecodeError) as error:
        raise _bad_member("", "has a damaged header") from error
    if not 0 <= info.size < _MOST_BYTES:
        raise _bad_member(info.name, "has a size that cannot be")
    return info


def _records(data: bytes) -> dict[str, str]:
    """Return path and size of an extended header; more is not of an archive, but harmless."""
    found: dict[str, str] = {}
    at = 0
    while at < len(data):
        match = _RECORD.match(data, at)
        length = int(match[1]) if match else 0
        if match is None or length < match.end() - at + 1 or data[at + length - 1 : at + length] != b"\n":
            raise _bad_member("", "has a damaged extended header")
        word = match[2].decode("ascii", "replace")
        if word.startswith("GNU.sparse"):
            raise _bad_member("", "is a sparse file")
        if word in ("path", "size"):
            found[word] = _text(data[match.end() : at + length - 1])
        at += length
    size = found.get("size", "0")
    if not (size.isascii() and size.isdecimal()) or len(size) > 18:
        raise _bad_member("", "has a damaged extended header")
    return found


def _text(value: bytes) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _bad_member("", "has a damaged extended header") from error


def _bad_member(name: str, message: str) -> IntegrityError:
    shown = name[:200] or "a member of the tarball"
    return IntegrityError(f"{shown} {message} (E062).", problems=(Problem("E062", shown, message),))
