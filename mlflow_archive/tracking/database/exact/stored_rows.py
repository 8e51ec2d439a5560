"""Rows of an archive that has the tables themselves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path

import sqlalchemy as sa

from mlflow_archive.errors import IntegrityError
from mlflow_archive.spec.loss import Loss
from mlflow_archive.spec.records.database import DatabaseRecord, DatabaseTable
from mlflow_archive.stream import Blob, Content, ObjectKey
from mlflow_archive.tracking.database import parquet
from mlflow_archive.tracking.database.columns import column_type
from mlflow_archive.tracking.database.exact.families import OF_TRACKING_SERVER, Family
from mlflow_archive.tracking.database.exact.fitness import Fitness
from mlflow_archive.tracking.database.exact.loading import load_table
from mlflow_archive.tracking.database.exact.rows import Piece, RowSource, empty
from mlflow_archive.tracking.database.exact.state import Loaded
from mlflow_archive.tracking.database.exact.values import Carried, Carrier, Row

_NUMBERS = frozenset({"integer", "float", "boolean"})
#: Servers fail at a password that is NULL; an empty one is nobody's.
_PASSWORDS = ("users", "password_hash")
_NOBODY = (
    "No user can log in, as the archive was made without password-hashes: start the server with an admin_username in "
    "its settings (MLFLOW_AUTH_CONFIG_PATH) that is none of the users yet, who can give each of them a password."
)


class StoredRows(RowSource):
    """The tables of a database object; only columns and tables that MLflow's schema has at their revision."""

    def __init__(
        self,
        key: ObjectKey,
        content: Content,
        work_directory: Path | None = None,
        *,
        family: Family = OF_TRACKING_SERVER,
    ) -> None:
        """Take the object, of a family of tables; its files are opened when they are read.

        Raises:
            IntegrityError: It is not what it should be.
            UnsupportedError: pyarrow is not installed.
        """
        super().__init__()
        parquet.require()
        if not isinstance(content.record, DatabaseRecord):
            raise IntegrityError(f"The {key.kind} {key.id} is not the record of a database.", code="not_understood")
        self.family = family
        self.record = content.record
        self._key = key
        self._work_directory = work_directory
        blobs = (blob for blob in content.blobs() if isinstance(blob, Blob) and blob.role == "tables")
        self._blobs = {blob.name.removesuffix(".parquet"): blob for blob in blobs}
        self._described = {table.name: table for table in self.record.tables}
        self._dialect = ""

    @property
    def losses(self) -> tuple[Loss, ...]:
        """Tables and columns that MLflow's schema does not have."""
        found = []
        for table in self.record.tables:
            if table.name not in self.tables:
                if table.rows:
                    found.append(self._lost(table.name, f"The table {table.name} ({table.rows:,} rows)"))
                continue
            lacking = [column.name for column in table.columns if column.name not in self.tables[table.name].c]
            found += [self._lost(table.name, f"The column {table.name}.{name}") for name in lacking if table.rows]
        return tuple(found)

    @property
    def notes(self) -> tuple[str, ...]:
        """What was withheld from the archive."""
        return tuple(
            _NOBODY
            if (table.name, column.name) == _PASSWORDS
            else f"{table.name}.{column.name} is empty: the archive was made without {column.withheld}."
            for table in self.record.tables
            for column in table.columns
            if column.withheld and table.rows
        )

    def take_tables(self, tables: Mapping[str, sa.Table], loaded: Mapping[str, Loaded] | None = None) -> None:
        """Learn the tables of the database, and hold the archive's against them.

        Raises:
            IntegrityError: The archive has texts where MLflow has numbers, which SQLite would take without a word.
        """
        super().take_tables(tables, loaded)
        for table in self.record.tables:
            for column in table.columns if table.rows and table.name in tables else ():
                target = tables[table.name].c.get(column.name)
                if target is not None and column_type(target.type) in _NUMBERS and column.type not in _NUMBERS:
                    raise IntegrityError(
                        f"The archive has values of the type {column.type} for {table.name}.{column.name}, where "
                        "MLflow has numbers: these are no tables of an MLflow database.",
                        code="not_understood",
                    )

    def make_room(self, connection: sa.Connection) -> None:
        """Delete the rows that migrations made in tables of the archive."""
        empty(connection, (name for name in self._described if name in self.tables))

    def pieces(self, wanted: Fitness | None = None) -> Iterator[Piece]:
        """Yield all rows."""
        for table in self._known():
            if wanted is None or wanted.asks(table.name):
                names = tuple(column.name for column in self._columns(table))
                for rows in self._rows(table, names):
                    yield table.name, names, rows

    def again(self, table: str, names: tuple[str, ...]) -> Iterable[Sequence[Row]]:
        """Yield the rows of a table with only these columns."""
        described = self._described.get(table)
        if described is None or not set(names) <= {column.name for column in described.columns}:
            return iter(())
        return self._rows(described, names)

    def tables_to_load(self) -> Iterator[tuple[str, int]]:
        """Yield the tables that are not filled, those that others refer to first."""
        known = {table.name for table in self._known()}
        for name in self.tables:
            if name in known and name not in self.loaded:
                yield name, self._blobs[name].size_bytes or 0

    def load(self, connection: sa.Connection, table: str) -> None:
        """Fill a table."""
        described = self._described[table]
        columns = self._columns(described)
        pieces = self._rows(described, tuple(column.name for column in columns))
        self.loaded[table] = load_table(connection, self.tables[table], columns, pieces, described.rows)

    def carrier(self, table: str) -> Carrier:
        """Return how the rows of a table are compared."""
        return Carrier(self._columns(self._described[table]), self._dialect)

    def finish(self, connection: sa.Connection) -> None:
        """Know which database it is that rows are compared with."""
        self._dialect = connection.dialect.name
        missing = [name for name, _ in self.tables_to_load()]
        if missing:
            raise IntegrityError(
                f"The tables {', '.join(missing)} were not loaded: repeat the command.", code="not_loaded"
            )

    def _known(self) -> Iterator[DatabaseTable]:
        for table in self.record.tables:
            if table.name in self.tables:
                if table.name not in self._blobs:
                    raise IntegrityError(
                        f"The archive has no rows of the table {table.name}, which its backup could not read or "
                        "somebody took away: if it has objects, --without database makes the rows from them.",
                        code="lost_table",
                    )
                yield table

    def _columns(self, table: DatabaseTable) -> list[Carried]:
        target = self.tables[table.name]
        return [
            Carried(
                column.name,
                column.type,
                target.c[column.name],
                filled=bool(column.withheld)
                and (not target.c[column.name].nullable or (table.name, column.name) == _PASSWORDS),
            )
            for column in table.columns
            if column.name in target.c and target.c[column.name].computed is None
        ]

    def _rows(self, table: DatabaseTable, names: tuple[str, ...]) -> Iterator[Sequence[Row]]:
        places = [number for number, column in enumerate(table.columns) if column.name in names]
        order = [column.name for column in table.columns if column.name in names]
        chosen = [places[order.index(name)] for name in names]
        whole = chosen == list(range(len(table.columns)))
        with closing(parquet.read_rows(self._blobs[table.name], table, work_directory=self._work_directory)) as pieces:
            for rows in pieces:
                yield rows if whole else [tuple(row[number] for number in chosen) for row in rows]

    def _lost(self, table: str, what: str) -> Loss:
        reason = f"{what} is not one of MLflow's at revision {self.record.revision}, and has no place in the target."
        return self._key.lost("unknown_table", reason, path=f"tables/{table}.parquet")
