"""Many rows into a table at once, by the fastest way that a database has; and all of them back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from mlflow_archive.tracking.database.exact.values import Row

#: Rows of a piece that is read back.
_PIECE = 10_000
Insert = Callable[[Sequence[Row]], None]


def inserter(connection: sa.Connection, table: sa.Table, columns: Sequence[str]) -> Insert:
    """Return what inserts rows; to be used within the connection's transaction.

    SQLite: one statement for many rows. PostgreSQL: COPY. MySQL: statements of many rows. MSSQL: by SQLAlchemy.
    """
    names = ", ".join(quoted(connection, name) for name in columns)
    place = quoted(connection, table.name)
    if connection.dialect.name == "postgresql" and connection.dialect.driver == "psycopg":
        return _copying(connection, f"COPY {place} ({names}) FROM STDIN")
    if connection.dialect.name == "mssql":
        return _by_statement(connection, table, columns)
    sign = "?" if connection.dialect.paramstyle == "qmark" else "%s"
    names = names.replace("%", "%%") if sign == "%s" else names
    # The names come from the database itself, and are quoted.
    statement = f"INSERT INTO {place} ({names}) VALUES ({', '.join(sign for _ in columns)})"  # noqa: S608

    def insert(rows: Sequence[Row]) -> None:
        # SQLAlchemy tells its errors as its own, and hands the rest to the driver.
        connection.exec_driver_sql(statement, list(rows))

    return insert


def all_rows(connection: sa.Connection, table: sa.Table, columns: Sequence[str]) -> Iterator[list[Row]]:
    """Yield all rows of a table in the driver's own values, in any order, lazily; JSON as its text."""
    text = connection.dialect.name == "postgresql"
    shown = ", ".join(
        f"CAST({quoted(connection, name)} AS TEXT)"
        if text and isinstance(table.c[name].type, sa.JSON)
        else quoted(connection, name)
        for name in columns
    )
    # The names come from the database itself, and are quoted.
    statement = f"SELECT {shown} FROM {quoted(connection, table.name)}"  # noqa: S608
    result = connection.exec_driver_sql(statement, execution_options={"stream_results": True})
    # SQLite's own cursor has tuples, and makes no other object of each row.
    cursor = result.cursor if connection.dialect.name == "sqlite" else None
    try:
        while piece := (cursor or result).fetchmany(_PIECE):
            yield piece if cursor else [*map(tuple, piece)]
    except connection.dialect.loaded_dbapi.Error as error:
        # As SQLAlchemy tells the errors of answers that go through it.
        raise DBAPIError(statement, None, error) from error
    finally:
        result.close()


def quoted(connection: sa.Connection, name: str) -> str:
    """Return a name as it stands in a statement."""
    return str(connection.dialect.identifier_preparer.quote(name))


def _copying(connection: sa.Connection, statement: str) -> Insert:
    from psycopg import Error

    def insert(rows: Sequence[Row]) -> None:
        raw: Any = connection.connection.driver_connection
        try:
            with raw.cursor() as cursor, cursor.copy(statement) as copy:
                for row in rows:
                    copy.write_row(row)
        except Error as error:
            # As SQLAlchemy tells the errors of statements that go through it.
            raise DBAPIError(statement, None, error) from error

    return insert


def _by_statement(connection: sa.Connection, table: sa.Table, columns: Sequence[str]) -> Insert:
    statement = sa.insert(sa.table(table.name, *(sa.column(name) for name in columns)))
    identity = any(table.c[name].identity is not None or table.c[name].autoincrement is True for name in columns)

    def insert(rows: Sequence[Row]) -> None:
        if identity:
            connection.exec_driver_sql(f"SET IDENTITY_INSERT {quoted(connection, table.name)} ON")
        connection.execute(statement, [dict(zip(columns, row, strict=True)) for row in rows])
        if identity:
            connection.exec_driver_sql(f"SET IDENTITY_INSERT {quoted(connection, table.name)} OFF")

    return insert
