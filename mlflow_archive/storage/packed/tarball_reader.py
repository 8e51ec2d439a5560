"""An archive that is one tarball."""

from __future__ import annotations

from collections.abc import Iterator

from mlflow_archive.errors import IntegrityError, NotAnArchiveError, NotFoundError, Problem
from mlflow_archive.spec.paths import check_path
from mlflow_archive.storage.faults import too_large
from mlflow_archive.storage.packed.codec import codec_for
from mlflow_archive.storage.packed.finished import FinishedStore
from mlflow_archive.storage.packed.frames import KeptFrames, TarReader
from mlflow_archive.storage.packed.scan import differences, scan
from mlflow_archive.storage.packed.tail import MAX_FRAMED_BYTES, Footer, find_footer, parse_table
from mlflow_archive.storage.packed.toc import Table
from mlflow_archive.storage.store import Store, StoredObject

#: So much of a tarball's end is read at first; most tables are in it. 256 KiB.
_END_BYTES = 256 << 10
#: Not more, whatever a list of volumes says of the table. 16 MiB.
_MOST_END_BYTES = 16 << 20
#: The footer is in it.
_LEAST_END_BYTES = 1 << 10


class TarballReader(FinishedStore):
    """The members of a tarball. Nothing can be written."""

    _finished = "is a finished tarball"

    def __init__(
        self, outer: Store, key: str, compression: str, table: Table, *, url: str, rebuilt: str, kept: KeptFrames | None
    ) -> None:
        """Use `open`."""
        super().__init__(outer, url)
        self.table = table
        """Where the members are."""
        self.rebuilt = rebuilt
        """Why the table had to be made anew, empty if it had not."""
        self._key = key
        self._tar = TarReader(outer, key, codec_for(compression), table, kept or KeptFrames())

    @classmethod
    def open(
        cls,
        outer: Store,
        key: str,
        *,
        url: str,
        end: tuple[int, int] | None = None,
        kept: KeptFrames | None = None,
    ) -> TarballReader:
        """Open a tarball by its table, or where that is lost by reading all of it.

        Args:
            outer: Where it is; is closed with this.
            key: Under which key.
            url: What people are told.
            end: The tarball's size and where its table begins, if known.
            kept: Frames that are kept, of this tarball and others.

        Raises:
            NotAnArchiveError: There is none, or it is cut off.
            IntegrityError: Its table breaks a rule, or it has members that no archive may have.
        """
        size = outer.size_bytes(key) if end is None else end[0]
        if size is None:
            raise NotAnArchiveError(f"There is nothing at {url}: check the path or URL.")
        start = _beginning_of_end(size, None if end is None else end[1])
        data = b"".join(outer.read(key, start=start, size_bytes=size - start))
        footer = find_footer(data, size)
        rebuilt = "has no footer"
        if footer is not None:
            if end is not None and footer.offset != end[1]:
                message = "has its table at another place than the list of volumes says"
                raise IntegrityError(f"{key} {message} (E064).", problems=(Problem("E064", key, message),))
            table = _table(outer, key, footer, data, start)
            if table is not None:
                return cls(outer, key, footer.compression, table, url=url, rebuilt="", kept=kept)
            rebuilt = "has a table of contents with damaged bytes"
        compression, table = scan(outer, key, url)
        return cls(outer, key, compression, table, url=url, rebuilt=rebuilt, kept=kept)

    def problems(self, *, every_byte: bool) -> Iterator[Problem]:
        """Yield what is wrong with the tarball as such.

        Args:
            every_byte: Read all of it and hold the table against the tar.
        """
        if self.rebuilt:
            yield Problem("W060", self._key, f"{self.rebuilt}; a reader must read all of it to find anything")
        elif every_byte:
            try:
                for key in differences(self._outer, self._key, self.url, self.table):
                    yield Problem("E063", key, "stands otherwise in the tar than in the table of contents")
            except IntegrityError as error:
                yield from (Problem(p.rule, p.path or self._key, p.message) for p in error.problems)
            except NotAnArchiveError:
                yield Problem("E060", self._key, "the tar has no end")

    def read(self, key: str, *, start: int = 0, size_bytes: int | None = None) -> Iterator[bytes]:
        """Yield a member's bytes, or a range of them."""
        offset, size = self._find(key)
        start = min(start, size)
        wanted = size - start if size_bytes is None else min(size_bytes, size - start)
        yield from self._tar.read(offset + start, wanted)

    def read_all(self, key: str, *, limit_bytes: int) -> bytes:
        """Return a whole small member."""
        _, size = self._find(key)
        if size > limit_bytes:
            raise too_large(key, limit_bytes)
        return b"".join(self.read(key))

    def size_bytes(self, key: str) -> int | None:
        """Return the size of a member."""
        found = self.table.find(check_path(key))
        return found[1] if found else None

    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        """Yield the members."""
        for key, size in self.table.members(prefix):
            yield StoredObject(key, size)

    def _find(self, key: str) -> tuple[int, int]:
        found = self.table.find(check_path(key))
        if found is None:
            raise NotFoundError(f"There is no {key} in {self.url}.")
        return found


def _beginning_of_end(size_bytes: int, table_offset: int | None) -> int:
    """Return from where a tarball's end is read: its table if that is where a list says, but never too much."""
    start = size_bytes - _END_BYTES
    if table_offset is not None and size_bytes - table_offset <= _MOST_END_BYTES:
        start = min(table_offset, size_bytes - _LEAST_END_BYTES)
    return max(0, start)


def _table(outer: Store, key: str, footer: Footer, end: bytes, start: int) -> Table | None:
    """Read the table; None if its bytes are damaged."""
    if footer.framed_bytes > MAX_FRAMED_BYTES:
        message = "the table is larger than any table may be"
        raise IntegrityError(f"{key}: {message} (E061).", problems=(Problem("E061", key, message),))
    if footer.offset >= start:
        framed = end[footer.offset - start :][: footer.framed_bytes]
    else:
        framed = b"".join(outer.read(key, start=footer.offset, size_bytes=footer.framed_bytes))
    return parse_table(framed, footer)
