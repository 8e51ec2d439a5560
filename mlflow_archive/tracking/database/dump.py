"""The tables of a database as one object: a record, and a Parquet file for each table, streamed.

The id is ``tracking``, or ``auth`` for the database of MLflow's basic authentication. Both may be in one database:
`leaving_out.AUTH_TABLES` tells them apart.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import sqlalchemy as sa

from mlflow_archive.spec.kinds import Kind
from mlflow_archive.spec.records.database import TABLE_NAME, DatabaseRecord, DatabaseTable, LeftOutTable
from mlflow_archive.stream import Blob, Content, Item, ObjectKey
from mlflow_archive.tracking.database.columns import ReadColumn, json_texts, read_columns
from mlflow_archive.tracking.database.leaving_out import (
    AUTH_TABLES,
    AUTH_VERSION_TABLE,
    VERSION_TABLE,
    reason_to_leave_out,
)
from mlflow_archive.tracking.database.parquet import NEEDED, is_installed, write_columns
from mlflow_archive.tracking.database.revisions import RELEASES, release_of
from mlflow_archive.tracking.database.secrets import PLAIN, TableWishes, secret_notes, withheld_note
from mlflow_archive.tracking.database.snapshot import Snapshot
from mlflow_archive.tracking.database.walking import walk

#: Ids of the two databases, and the role of their files.
TRACKING, AUTH = "tracking", "auth"
TABLES = "tables"
_ASKED_APART = "users and permissions, which --auth-database stores"
_STORED_APART = "stored as the database auth"


@dataclass(frozen=True, slots=True)
class _Dumped:
    """A table on its way."""

    table: sa.Table
    told: DatabaseTable
    columns: tuple[ReadColumn, ...]


class DatabaseDump:
    """The tables of a database, and of the basic-auth one if that is asked for.

    Safe to use from several threads. Closes nothing: the snapshots are their owner's.
    """

    def __init__(self, snapshot: Snapshot, auth: Snapshot | None = None, wishes: TableWishes = PLAIN) -> None:
        """Ask nothing yet.

        Args:
            snapshot: The tracking database.
            auth: The basic-auth database; the same snapshot if it is in the same database.
            wishes: Which secrets come along.
        """
        self._snapshot = snapshot
        self._auth = auth
        self._wishes = wishes

    def items(self, note: Callable[[str], None]) -> Iterator[Item]:
        """Yield the databases, ``auth`` first, as ids are sorted; ``note`` hears what to tell of them when loaded."""
        if self._auth is not None:
            yield self._item(AUTH, self._auth, note)
        yield self._item(TRACKING, self._snapshot, note)

    def _item(self, id: str, snapshot: Snapshot, note: Callable[[str], None]) -> Item:
        database = _Database(id, snapshot, self._wishes, shared=self._auth is self._snapshot)

        def load() -> Content:
            for sentence in database.notes():
                note(sentence)
            return Content(database.record(), blobs=database.blobs)

        missing = "" if is_installed() else f"pyarrow is not installed ({NEEDED})"
        return Item(ObjectKey(Kind.DATABASE, id), load, skipped=missing)


class _Database:
    """One of the two; its tables are looked at once."""

    def __init__(self, id: str, snapshot: Snapshot, wishes: TableWishes, *, shared: bool) -> None:
        self._id = id
        self._snapshot = snapshot
        self._wishes = wishes
        self._shared = shared
        self._known: tuple[_Dumped, ...] | None = None
        self._lock = threading.Lock()

    def record(self) -> DatabaseRecord:
        revision = self._revision()
        fields: dict[str, Any] = {
            "dialect": self._snapshot.dialect,
            "revision": revision,
            "mlflow_version": release_of(revision),
            "tables": tuple(dumped.told for dumped in self._tables()),
        }
        left_out = tuple(
            LeftOutTable(name=name, reason=reason) for name, reason in sorted(self._reasons().items()) if reason
        )
        if left_out:
            fields["left_out"] = left_out
        return DatabaseRecord(**fields)

    def blobs(self) -> Iterator[Blob]:
        for dumped in self._tables():
            yield Blob(TABLES, f"{dumped.told.name}.parquet", None, partial(self._opened, dumped))

    def notes(self) -> tuple[str, ...]:
        """Say which secrets there are, and what became of them; and whether the schema is one that is known."""
        there: set[str] = set()
        withheld: set[str] = set()
        for dumped in self._tables():
            if dumped.told.rows:
                withheld.update(column.withheld for column in dumped.told.columns if column.withheld)
                there.update(self._wishes.stored(dumped.told.name))
        return (*self._unknown(), *self._unsafe(), *secret_notes(there), *withheld_note(withheld))

    def _unsafe(self) -> tuple[str, ...]:
        """Name the tables with rows that no file is named after."""
        tables = [self._snapshot.tables[name] for name in sorted(self._reasons()) if not TABLE_NAME.fullmatch(name)]
        counted = [f"{table.name!r} ({rows:,} rows)" for table in tables if (rows := self._snapshot.count(table))]
        if not counted:
            return ()
        return (f"Not in the archive, as the names of these tables are not safe everywhere: {', '.join(counted)}.",)

    def _unknown(self) -> tuple[str, ...]:
        if self._id != TRACKING or self._snapshot.revision in RELEASES:
            return ()
        sentence = (
            f"The database's revision {self._snapshot.revision} is that of no MLflow release from 2.9 to "
            f"{release_of(self._snapshot.revision)}: its tables are stored as they are, its objects as far as they are "
            "like those of these releases."
        )
        return (sentence,)

    @contextmanager
    def _opened(self, dumped: _Dumped) -> Iterator[Iterator[bytes]]:
        with closing(self._chunks(dumped)) as chunks:
            yield chunks

    def _chunks(self, dumped: _Dumped) -> Generator[bytes, None, None]:
        yield from write_columns(dumped.told, walk(self._snapshot, dumped.table, dumped.columns))

    def _tables(self) -> tuple[_Dumped, ...]:
        with self._lock:
            if self._known is None:
                json = json_texts(self._snapshot)
                kept = sorted(name for name, reason in self._reasons().items() if reason is None)
                self._known = tuple(self._look_at(self._snapshot.tables[name], json) for name in kept)
            return self._known

    def _look_at(self, table: sa.Table, json: frozenset[tuple[str, str]]) -> _Dumped:
        columns = read_columns(self._snapshot, table, withheld=partial(self._wishes.withheld, table.name), json=json)
        fields: dict[str, Any] = {
            "name": table.name,
            "rows": self._snapshot.count(table),
            "columns": tuple(column.column for column in columns),
        }
        if table.primary_key.columns:
            fields["primary_key"] = tuple(key.name for key in table.primary_key.columns)
        return _Dumped(table, DatabaseTable(**fields), columns)

    def _reasons(self) -> Mapping[str, str | None]:
        """Return why each table is left out; None for those that are stored."""
        tables: Collection[str] = self._snapshot.tables
        if self._both and self._id == AUTH:
            tables = [name for name in tables if name in AUTH_TABLES or name == AUTH_VERSION_TABLE]
        return {name: self._reason(name) for name in tables}

    def _reason(self, table: str) -> str | None:
        if self._both and self._id == TRACKING and table in AUTH_TABLES:
            return _STORED_APART if self._shared else _ASKED_APART
        return reason_to_leave_out(table)

    @property
    def _both(self) -> bool:
        """True if the tables of both are in one database, which then has both revisions."""
        return {AUTH_VERSION_TABLE, VERSION_TABLE}.issubset(self._snapshot.tables)

    def _revision(self) -> str:
        if not (self._both and self._id == AUTH):
            return self._snapshot.revision
        return str(self._snapshot.tuples(sa.select(self._snapshot.tables[AUTH_VERSION_TABLE].c.version_num))[0][0])
