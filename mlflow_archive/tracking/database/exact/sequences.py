"""The numbers that the database gives by itself: after the largest that was restored."""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa

from mlflow_archive.tracking.database.exact.writing import quoted


def set_sequences(connection: sa.Connection, tables: Iterable[sa.Table]) -> None:
    """Let every sequence go on after the largest number in its column.

    SQLite and MySQL look themselves. PostgreSQL's sequences know nothing of rows that brought their own numbers, so
    that the next experiments would fail; MSSQL's identities are set as its documentation has it.
    """
    dialect = connection.dialect.name
    if dialect == "postgresql":
        for table in tables:
            for column in table.columns:
                if isinstance(column.type, sa.Integer):
                    _set_postgresql(connection, table.name, column.name)
    elif dialect == "mssql":
        for table in tables:
            if any(column.identity is not None for column in table.columns):
                connection.exec_driver_sql(f"DBCC CHECKIDENT ('{quoted(connection, table.name)}', RESEED)")


def _set_postgresql(connection: sa.Connection, table: str, column: str) -> None:
    place, name = quoted(connection, table), quoted(connection, column)
    sequence = connection.execute(
        sa.text("SELECT pg_get_serial_sequence(:place, :column)"), {"place": place, "column": column}
    ).scalar()
    if sequence is None:
        return
    # The names come from the database itself, and are quoted.
    largest = connection.exec_driver_sql(f"SELECT MAX({name}) FROM {place}").scalar()  # noqa: S608
    if largest is not None and largest > 0:
        connection.execute(sa.text("SELECT setval(:sequence, :largest)"), {"sequence": sequence, "largest": largest})
