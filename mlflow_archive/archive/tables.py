"""Checks of the tables of a database: their names, a file for each of them, and rows that are what the record says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any

from mlflow_archive.archive.checking import Checker, Streamed
from mlflow_archive.errors import IntegrityError, NotFoundError
from mlflow_archive.spec.kinds import Kind
from mlflow_archive.spec.object import BlobEntry, ObjectDocument
from mlflow_archive.spec.records.database import TABLE_NAME, TABLES, DatabaseRecord, DatabaseTable
from mlflow_archive.storage.hashing import Digest, hashed
from mlflow_archive.stream import Blob

#: Yields the rows of a table's file in pieces, or raises `IntegrityError` with one of the codes below.
ReadRows = Callable[[Blob, DatabaseTable], Generator[list[tuple[Any, ...]], None, None]]

#: Code of an error -> rule that is broken; any other one says that the file is not a whole Parquet file.
_RULES = {"columns": "E058", "rows": "E059"}
_UNREADABLE = "E057"
#: What a verification says where nothing here can read Parquet.
NOT_READ = (
    "The files of the tables of a database were hashed and not understood, as pyarrow is not installed: "
    "pip install 'mlflow-archive[sql]'."
)


@dataclass(slots=True)
class TableChecks:
    """Checks database objects. Safe to use from several threads.

    Attributes:
        checker: Has the store, and takes the findings.
        read: Reads the rows of a file; None where nothing can.
        unread: Whether there were files that could not be read for want of a reader.
    """

    checker: Checker
    read: ReadRows | None
    unread: bool = field(default=False, init=False)

    def files(self, document: ObjectDocument, path: str, *, understood: bool) -> Mapping[str, DatabaseTable]:
        """Check the names of a database's tables and that each has its file (E055, E056); nothing of other objects.

        Args:
            document: The object.
            path: Where it stands.
            understood: Whether the rows are to be understood.

        Returns:
            Name of a file -> its table, for those whose rows `rows` is to check.
        """
        if document.kind is not Kind.DATABASE:
            return {}
        try:
            record = DatabaseRecord.from_json(document.record, path, strict=True)
        except IntegrityError:  # which level restorable tells of
            return {}
        tables = {f"{table.name}.parquet": table for table in record.tables}
        for fault in _name_faults(record.tables):
            self.checker.findings.add("E056", path, fault)
        for fault in _file_faults(document, tables):
            self.checker.findings.add("E055", path, fault)
        if understood and self.read is None:
            self.unread = True
        return tables if understood and self.read is not None else {}

    def rows(self, entry: BlobEntry, table: DatabaseTable) -> None:
        """Read a table's file to its end: digest (E042), form (E057), columns (E058) and rows (E059)."""
        digest = Digest()
        fault: tuple[str, str] | None = None
        try:
            fault = self._read_all(self._blob(entry, digest), table)
        except NotFoundError:
            self.checker.findings.add("E040", entry.descriptor.path, "this file is missing")
            return
        except IntegrityError as error:
            if error.problems:
                self.checker.findings.add_all(error.problems)
                return
            fault = (_RULES.get(error.code, _UNREADABLE), str(error).rstrip("."))
        found = Streamed(digest.sha256, digest.size_bytes)
        if not self.checker.abandoned.is_set() and self.checker.bytes_match(entry.descriptor, found) and fault:
            self.checker.findings.add(fault[0], entry.descriptor.path, fault[1])

    def _read_all(self, blob: Blob, table: DatabaseTable) -> tuple[str, str] | None:
        withheld = [(number, column.name) for number, column in enumerate(table.columns) if column.withheld]
        if self.read is None:
            return None
        with closing(self.read(blob, table)) as pieces:
            for rows in pieces:
                for number, name in withheld:
                    if any(row[number] is not None for row in rows):
                        return "E058", f"the column {name} is withheld by the record, and has values"
                if self.checker.abandoned.is_set():
                    break
        return None

    def _blob(self, entry: BlobEntry, digest: Digest) -> Blob:
        descriptor = entry.descriptor

        @contextmanager
        def opened() -> Iterator[Iterator[bytes]]:
            yield hashed(self.checker.store.read(descriptor.path), digest)

        return Blob(entry.role, entry.name, descriptor.size_bytes, opened, descriptor)


def _name_faults(tables: Sequence[DatabaseTable]) -> Iterator[str]:
    last = ""
    for table in tables:
        shown = repr(table.name[:80])
        if not TABLE_NAME.fullmatch(table.name):
            yield f"{shown} is not a name that a table may have"
        if last and table.name <= last:
            yield f"the table {shown} comes after {last[:80]!r}"
        last = table.name
        names = Counter(column.name for column in table.columns)
        if not names or "" in names or max(names.values()) > 1:
            yield f"the columns of {shown} have not each a name of its own"
        if not names.keys() >= set(table.primary_key):
            yield f"the primary key of {shown} names a column that is not there"


def _file_faults(document: ObjectDocument, tables: Mapping[str, DatabaseTable]) -> Iterator[str]:
    there = {blob.name for blob in document.blobs if blob.role == TABLES}
    for blob in document.blobs:
        if blob.role != TABLES or blob.name not in tables:
            yield f"the file {blob.name[:80]!r} of {blob.role[:80]!r} is not that of a table of the record"
    lost = {loss.path for loss in document.losses}
    for name, table in tables.items():
        if name not in there and name not in lost:
            yield f"the table {table.name[:80]!r} has neither a file nor a loss"
