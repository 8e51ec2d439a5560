"""Rows of the archive into the tables of the database: each table a transaction, which ends in the state."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa

from mlflow_archive.tracking.database.exact import state
from mlflow_archive.tracking.database.exact.state import Loaded
from mlflow_archive.tracking.database.exact.values import Carried, Carrier, Row, added, shown, type_of
from mlflow_archive.tracking.database.exact.writing import inserter, quoted

#: From so many rows on, indexes are dropped before and made again after.
_MANY_ROWS = 50_000


def load_table(
    connection: sa.Connection, table: sa.Table, columns: Sequence[Carried], pieces: Iterable[Sequence[Row]], rows: int
) -> Loaded:
    """Fill an empty table and remember it in the state; within a transaction.

    Args:
        connection: The database.
        table: Where the rows go.
        columns: What the rows have.
        pieces: The rows, lazily.
        rows: How many there are about.
    """
    carrier = Carrier(columns, connection.dialect.name)
    insert = inserter(connection, table, [column.name for column in columns])
    count = total = 0
    with _without_indexes(connection, table.name, really=rows >= _MANY_ROWS):
        for piece in pieces:
            insert(carrier.bound(piece))
            count += len(piece)
            total = added(total, carrier.digest(piece))
    loaded = Loaded(count, shown(total))
    state.set_loaded(connection, table.name, loaded)
    return loaded


class Loader:
    """Rows as mappings, in small pieces for many tables; for rows that are made on the way.

    Within one transaction of the caller's, which may be one of many.
    """

    def __init__(self, connection: sa.Connection, tables: Mapping[str, sa.Table]) -> None:
        """Load into these tables."""
        self._connection = connection
        self._tables = tables
        self._carriers: dict[tuple[str, tuple[str, ...]], Carrier] = {}
        self._sums: dict[str, tuple[int, int]] = {}

    def insert(self, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Insert rows that all have the same columns."""
        if not rows:
            return
        names = tuple(rows[0])
        carrier = self.carrier(table, names)
        tuples = [tuple(row.values()) if tuple(row) == names else tuple(row[name] for name in names) for row in rows]
        inserter(self._connection, self._tables[table], names)(carrier.bound(tuples))
        count, total = self._sums.get(table, (0, 0))
        self._sums[table] = (count + len(tuples), added(total, carrier.digest(tuples)))

    def carrier(self, table: str, names: tuple[str, ...]) -> Carrier:
        """Return what carries rows with these columns."""
        found = self._carriers.get((table, names))
        if found is None:
            columns = [
                Carried(name, type_of(self._tables[table].c[name]), self._tables[table].c[name]) for name in names
            ]
            found = self._carriers[table, names] = Carrier(columns, self._connection.dialect.name)
        return found

    @property
    def loaded(self) -> dict[str, Loaded]:
        """What was inserted so far, by table."""
        return {table: Loaded(count, shown(total)) for table, (count, total) in self._sums.items()}


@contextmanager
def _without_indexes(connection: sa.Connection, table: str, *, really: bool) -> Iterator[None]:
    """Drop indexes that no constraint needs, and make them again at the end: quicker than to keep them up to date."""
    dialect = connection.dialect.name
    made = _indexes(connection, table) if really and dialect in ("sqlite", "postgresql") else {}
    for name in made:
        connection.exec_driver_sql(f"DROP INDEX {quoted(connection, name)}")
    yield
    for definition in made.values():
        connection.exec_driver_sql(definition.replace("%", "%%") if dialect == "postgresql" else definition)


def _indexes(connection: sa.Connection, table: str) -> dict[str, str]:
    """Return name and definition of a table's indexes, without those of its keys."""
    if connection.dialect.name == "sqlite":
        asked = "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = :table AND sql IS NOT NULL"
    else:
        asked = (
            "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = current_schema() AND tablename = :table "
            "AND NOT EXISTS (SELECT 1 FROM pg_constraint WHERE conname = indexname)"
        )
    return {str(name): str(sql) for name, sql in connection.execute(sa.text(asked), {"table": table})}
