"""Puts made rows into an empty database of MLflow's, strictly: foreign keys on, each column given, nothing twice."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from pathlib import Path

from mlflow_archive.errors import MlflowArchiveError
from mlflow_archive.spec.kinds import KIND_ORDER
from mlflow_archive.spec.loss import Loss
from mlflow_archive.spec.selection import Selection
from mlflow_archive.stream import Source
from mlflow_archive.tracking.database.exact.made.making import BATCH_ROWS, TableRows
from mlflow_archive.tracking.database.exact.made.rows import MadeRows

#: Computed by the database.
GENERATED = {("spans", "duration_ns")}


def emptied(path: Path) -> sqlite3.Connection:
    """Open a fresh database without the rows that MLflow makes itself; the caller closes it."""
    database = sqlite3.connect(path)
    database.execute("DELETE FROM experiments")
    database.execute("DELETE FROM workspaces")
    database.commit()
    database.execute("PRAGMA foreign_keys = ON")
    return database


def fill(database: sqlite3.Connection, made: MadeRows, source: Source) -> list[str]:
    """Insert the rows of everything a source has; return what could not be made, as sentences."""
    refused: list[str] = []
    for kind in KIND_ORDER:
        for item in source.read(kind, Selection()) if kind in source.kinds() else ():
            assert not isinstance(item, Loss), item
            try:
                insert(database, made.rows_of(item.key, item.load()))
            except MlflowArchiveError as error:
                refused.append(str(error))
    insert(database, made.finish())
    database.commit()
    return refused


def insert(database: sqlite3.Connection, rows: Iterable[TableRows]) -> None:
    """Insert rows as they come."""
    for table, batch in rows:
        assert 0 < len(batch) <= BATCH_ROWS
        columns = [row[1] for row in database.execute(f"PRAGMA table_info({table})")]
        for row in batch:
            assert row.keys() == {*columns}, table
        database.executemany(
            f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})",
            [tuple(row[column] for column in columns) for row in batch],
        )


def tables(database: sqlite3.Connection) -> list[str]:
    """Return the names of MLflow's tables."""
    found = database.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
    return sorted(name for (name,) in found)
