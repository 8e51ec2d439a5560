"""An MLflow database in a SQLite file, looked at and copied without MLflow and without changing a byte of it."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from mlflow_archive.errors import NotFoundError, UnavailableError, UsageError

_HEADER = b"SQLite format 3\x00"
#: Between so many pages a writer gets its turn.
_PAGES_PER_STEP = 2048
#: So often writers may make the copy start over; then they wait for it, once.
_PATIENCE = 5


@dataclass(frozen=True, slots=True)
class DatabaseFacts:
    """What decides how a database may be opened."""

    revision: str
    """The schema's revision (alembic)."""
    experiment_ids: frozenset[str]
    workspaces: bool
    """True if something is in a workspace other than the default one."""


def read_facts(path: Path) -> DatabaseFacts:
    """Look at a database through a read-only connection.

    Raises:
        NotFoundError: There is no file.
        UsageError: It is not a SQLite file, or not one of MLflow's.
        UnavailableError: It cannot be read, or is locked.
    """
    check_file(path)
    with _reading(path) as connection:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        row = (
            connection.execute("SELECT version_num FROM alembic_version").fetchone()
            if "alembic_version" in tables
            else None
        )
        if row is None or "experiments" not in tables:
            raise UsageError(f"{path} is a SQLite database, but not one of MLflow's.", code="not_mlflow")
        ids = frozenset(str(id) for (id,) in connection.execute("SELECT experiment_id FROM experiments"))
        return DatabaseFacts(str(row[0]), ids, _has_workspaces(connection, tables))


def read_experiment_ids(path: Path) -> frozenset[str]:
    """Return the ids of all experiments, deleted ones included."""
    with _reading(path) as connection:
        return frozenset(str(id) for (id,) in connection.execute("SELECT experiment_id FROM experiments"))


def check_file(path: Path) -> None:
    """Raise unless there is a readable SQLite file."""
    try:
        with path.open("rb") as file:
            header = file.read(len(_HEADER))
    except FileNotFoundError:
        raise NotFoundError(f"There is no file {path}.", code="no_database") from None
    except IsADirectoryError:
        raise UsageError(f"{path} is a folder, not a SQLite file.", code="not_sqlite") from None
    except OSError as error:
        raise UnavailableError(f"{path} cannot be read: {error.strerror}.", code="unreadable") from None
    if header != _HEADER:
        raise UsageError(f"{path} is not a SQLite database.", code="not_sqlite")


def copy_database(source: Path, target: Path) -> None:
    """Copy a database, consistent even while others write to it, with SQLite's online backup.

    Writers may go on between the steps. SQLite starts over when one did, so after a few times the last try holds
    writers up for as long as it takes.
    """
    with _reading(source) as original, closing(sqlite3.connect(target)) as copy:
        copy.execute("PRAGMA synchronous = OFF")
        try:
            original.backup(copy, pages=_PAGES_PER_STEP, progress=_counting_restarts(), sleep=0.001)
        except _OutOfPatienceError:
            original.backup(copy)


class _OutOfPatienceError(Exception):
    """The stepwise copy was disturbed too often."""


def _counting_restarts() -> Callable[[int, int, int], None]:
    least = sys.maxsize
    restarts = 0

    def check(_status: int, remaining: int, _total: int) -> None:
        nonlocal least, restarts
        if remaining > least:
            restarts += 1
            if restarts > _PATIENCE:
                raise _OutOfPatienceError
        least = remaining

    return check


@contextmanager
def _reading(path: Path) -> Iterator[sqlite3.Connection]:
    address = f"file:{quote(str(path.resolve()))}?mode=ro"
    try:
        with closing(sqlite3.connect(address, uri=True, timeout=60)) as connection:
            yield connection
    except sqlite3.Error as error:
        if "not a database" in str(error) or "malformed" in str(error):
            raise UsageError(f"{path} is damaged or not a SQLite database: {error}.", code="not_sqlite") from error
        raise UnavailableError(f"The database {path} cannot be read: {error}.", code="unreadable") from error


def _has_workspaces(connection: sqlite3.Connection, tables: set[str]) -> bool:
    for table, column in (("workspaces", "name"), ("experiments", "workspace"), ("registered_models", "workspace")):
        if table not in tables:
            continue
        columns = {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}
        # Table and column come from the line above.
        query = f"SELECT 1 FROM {table} WHERE {column} <> 'default' LIMIT 1"  # noqa: S608
        if column in columns and connection.execute(query).fetchone():
            return True
    return False
