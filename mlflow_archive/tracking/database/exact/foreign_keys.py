"""PostgreSQL's foreign keys, set aside while rows come: each row would be looked up, and in an order of tables.

The other databases do not ask while we write: SQLite unless it is told to, MySQL if it is told not to.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from mlflow_archive.tracking.database.exact.writing import quoted

Key = tuple[str, str, str]


def set_aside(connection: sa.Connection, tables: Collection[str]) -> list[Key]:
    """Drop all foreign keys of these tables, where they are PostgreSQL's; return their table, name and definition."""
    if connection.dialect.name != "postgresql":
        return []
    asked = (
        "SELECT cl.relname, co.conname, pg_get_constraintdef(co.oid) FROM pg_constraint co "
        "JOIN pg_class cl ON cl.oid = co.conrelid JOIN pg_namespace ns ON ns.oid = cl.relnamespace "
        "WHERE co.contype = 'f' AND ns.nspname = current_schema() ORDER BY 1, 2"
    )
    found = connection.execute(sa.text(asked))
    keys = [(str(table), str(name), str(sql)) for table, name, sql in found if table in tables]
    for table, name, _ in keys:
        connection.exec_driver_sql(
            f"ALTER TABLE {quoted(connection, table)} DROP CONSTRAINT {quoted(connection, name)}"
        )
    return keys


def put_back(connection: sa.Connection, keys: Sequence[Key], why: str) -> tuple[str, ...]:
    """Make the keys again, which holds every row against them.

    Returns:
        Sentences about keys that rows break, each with the reason for it. Those count for new rows from now on.
    """
    notes = []
    for table, name, definition in keys:
        place = f"ALTER TABLE {quoted(connection, table)} ADD CONSTRAINT {quoted(connection, name)} {definition}"
        try:
            with connection.begin_nested():
                connection.exec_driver_sql(place.replace("%", "%%"))
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", "") != "23503":
                raise
            connection.exec_driver_sql(f"{place} NOT VALID".replace("%", "%%"))
            notes.append(
                f"Rows of {table} name others that are not there ({name}); {why}. The key counts for "
                "new rows: ALTER TABLE ... VALIDATE CONSTRAINT will make it count for all once they are gone."
            )
    return tuple(notes)
