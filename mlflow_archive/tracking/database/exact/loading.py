"""Rows of the archive into the tables of the database: each table a transaction."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import sqlalchemy as sa

from mlflow_archive.tracking.database.exact.state import Loaded
from mlflow_archive.tracking.database.exact.values import Carried, Carrier, Row, added, shown, type_of
from mlflow_archive.tracking.database.exact.writing import inserter, quoted

#: From so many rows on, indexes are dropped before and made again after.
_MANY_ROWS = 50_000


def load_table(
    connection: sa.Connection, table: sa.Table, columns: Sequence[Carried], pieces: Iterable[Sequence[Row]], rows: int
) -> Loaded:
    """Fill an empty table, within a transaction, and return what was loaded.

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
    return Loaded(count, shown(total))


class Loader:
    """Adds rows to tables in many pieces, within transactions of the caller's; for rows that are made on the way."""

    def __init__(self, tables: Mapping[str, sa.Table], dialect: str) -> None:
        """Load into these tables of a database."""
        self._tables = tables
        self._dialect = dialect
        self._carriers: dict[tuple[str, tuple[str, ...]], Carrier] = {}
        self._sums: dict[str, tuple[int, int]] = {}

    def insert(self, connection: sa.Connection, table: str, names: tuple[str, ...], rows: Sequence[Row]) -> None:
        """Insert rows that have these columns."""
        if not rows:
            return
        carrier = self.carrier(table, names)
        inserter(connection, self._tables[table], names)(carrier.bound(rows))
        count, total = self._sums.get(table, (0, 0))
        self._sums[table] = (count + len(rows), added(total, carrier.digest(rows)))

    @contextmanager
    def undone_by_errors(self) -> Iterator[None]:
        """Forget what is inserted within, if its transaction does not come to its end."""
        before = dict(self._sums)
        try:
            yield
        except BaseException:
            self._sums = before
            raise

    def carrier(self, table: str, names: tuple[str, ...]) -> Carrier:
        """Return what carries rows with these columns."""
        found = self._carriers.get((table, names))
        if found is None:
            columns = [
                Carried(name, type_of(self._tables[table].c[name]), self._tables[table].c[name]) for name in names
            ]
            found = self._carriers[table, names] = Carrier(columns, self._dialect)
        return found

    @property
    def loaded(self) -> dict[str, Loaded]:
        """What was inserted so far, by table."""
        return {table: Loaded(count, shown(total)) for table, (count, total) in self._sums.items()}


def drop_indexes(connection: sa.Connection, tables: Iterable[str]) -> dict[str, str]:
    """Drop the indexes that no constraint needs, where that is quicker than to keep them up to date.

    Returns:
        What `make_indexes` makes them of again: name -> definition.
    """
    made: dict[str, str] = {}
    if connection.dialect.name in ("sqlite", "postgresql"):
        for table in tables:
            made |= _indexes(connection, table)
    for name in made:
        connection.exec_driver_sql(f"DROP INDEX {quoted(connection, name)}")
    return made


def make_indexes(connection: sa.Connection, dropped: Mapping[str, str]) -> None:
    """Make indexes again."""
    for definition in dropped.values():
        escaped = connection.dialect.name == "postgresql"
        connection.exec_driver_sql(definition.replace("%", "%%") if escaped else definition)


@contextmanager
def _without_indexes(connection: sa.Connection, table: str, *, really: bool) -> Iterator[None]:
    """Drop indexes, and make them again at the end."""
    made = drop_indexes(connection, (table,) if really else ())
    yield
    make_indexes(connection, made)


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
