"""An MLflow database in a SQLite file, looked at and copied without MLflow and without changing a byte of it."""

from __future__ import annotations

import shutil
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from mlflow_archive.errors import NotFoundError, UnavailableError, UsageError

_HEADER = b"SQLite format 3\x00"
#: Between so many pages a writer gets its turn.
_PAGES_PER_STEP = 2048
#: So often writers may make the copy start over; then they wait for it, once.
_PATIENCE = 5
#: So long a lock of others is waited for.
_LOCK_SECONDS = 60
#: So often a gap between writers is looked for.
_GAP_SECONDS = 0.001
#: Codes of SQLite: somebody else has a lock.
_BUSY, _LOCKED = 5, 6
#: Where in the file it says how it is written, and that it is with a log of changes beside it (WAL).
_WRITE_VERSION, _OF_WAL = 18, 2
#: What SQLite keeps beside a file until it is written for good.
_JOURNALS = ("-journal", "-wal")


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
    writers up for as long as it takes; in WAL mode, nobody is ever held up. A file that nobody has open, as a server
    that died left it, is copied with its journal, and what the journal says is done in the copy: beside the source
    nothing is made.

    Raises:
        UnavailableError: The file cannot be read, is locked for too long, or changes all the time.
        UsageError: It is damaged.
    """
    source = source.resolve()
    for _ in range(_PATIENCE):
        before = _seen(source)
        if not _waits_to_be_opened(source):
            with suppress(_NotRolledBackError):
                _copy_online(source, target)
                return
        if _copy_as_left(source, target, before):
            return
    raise UnavailableError(
        f"The database {source} changes while it is opened for the first time: try again.", code="unreadable"
    )


def _copy_online(source: Path, target: Path) -> None:
    with _reading(source) as original, closing(sqlite3.connect(target)) as copy:
        copy.execute("PRAGMA synchronous = OFF")
        # SQLite itself would look for a gap between writers ten times a second, and might never find one.
        original.execute("PRAGMA busy_timeout = 0")
        try:
            original.backup(copy, pages=_PAGES_PER_STEP, progress=_Watching(_PATIENCE), sleep=_GAP_SECONDS)
        except _OutOfPatienceError:
            original.backup(copy, progress=_Watching(sys.maxsize), sleep=_GAP_SECONDS)


class _OutOfPatienceError(Exception):
    """The stepwise copy was disturbed too often."""


class _NotRolledBackError(UnavailableError):
    """A journal says what has to be undone first, which only one who may write can do."""


class _Watching:
    """Counts how often the copy starts over, and how long it waits for a lock."""

    def __init__(self, patience: int) -> None:
        """Allow it to start over so often."""
        self._patience = patience
        self._least = sys.maxsize
        self._restarts = 0
        self._waits_since: float | None = None

    def __call__(self, status: int, remaining: int, _total: int) -> None:
        """Take what SQLite tells after each step."""
        if status in (_BUSY, _LOCKED):
            self._waits_since = self._waits_since or time.monotonic()
            if time.monotonic() - self._waits_since > _LOCK_SECONDS:
                # SQLite itself would wait for ever.
                raise sqlite3.OperationalError("database is locked")
            return
        self._waits_since = None
        if remaining >= self._least:
            # Disturbed after each step, it has as much before it as after the last one.
            self._restarts += 1
            if self._restarts > self._patience:
                raise _OutOfPatienceError
        self._least = remaining


def _waits_to_be_opened(path: Path) -> bool:
    """Tell whether the file is in WAL mode and nobody has it open: the first to open it makes files beside it."""
    with path.open("rb") as file:
        header = file.read(_WRITE_VERSION + 1)
    return header[_WRITE_VERSION] == _OF_WAL and not _beside(path, "-shm").exists()


def _copy_as_left(source: Path, target: Path, before: object) -> bool:
    """Copy the file and its journals byte by byte; False if somebody has begun to change them."""
    try:
        for end in ("", *_JOURNALS):
            _beside(target, end).unlink(missing_ok=True)
            if _beside(source, end).exists():
                shutil.copyfile(_beside(source, end), _beside(target, end))
    except FileNotFoundError:
        return False
    except OSError as error:
        raise UnavailableError(f"{source} cannot be copied: {error.strerror}.", code="unreadable") from None
    if _seen(source) != before or _beside(source, "-shm").exists():
        return False
    with _said(source), closing(sqlite3.connect(target)) as copy:
        # Opened by one who may write, it does what its journal says.
        copy.execute("PRAGMA journal_mode = DELETE").fetchall()
        copy.execute("SELECT count(*) FROM sqlite_master").fetchall()
    return True


def _seen(path: Path) -> list[tuple[int, int] | None]:
    """Return what changes when the file or a journal of it does."""
    return [_facts(_beside(path, end)) for end in ("", *_JOURNALS)]


def _facts(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns


def _beside(path: Path, end: str) -> Path:
    """Return the file that SQLite keeps beside a database."""
    return path.with_name(path.name + end) if end else path


@contextmanager
def _reading(path: Path) -> Iterator[sqlite3.Connection]:
    path = path.resolve()
    # What waits to be opened is only looked at: as if it could not change, so that nothing is made beside it.
    still = "&immutable=1" if _waits_to_be_opened(path) and not _beside(path, "-wal").exists() else ""
    address = f"file:{quote(str(path))}?mode=ro{still}"
    with _said(path), closing(sqlite3.connect(address, uri=True, timeout=_LOCK_SECONDS)) as connection:
        yield connection


@contextmanager
def _said(path: Path) -> Iterator[None]:
    """Say in a sentence what SQLite refused."""
    try:
        yield
    except sqlite3.Error as error:
        if "readonly database" in str(error) and _beside(path, "-journal").exists():
            raise _NotRolledBackError(
                f"The database {path} cannot be read: who wrote to it died, and SQLite has to undo the rest first: "
                "start the MLflow server on it.",
                code="unreadable",
            ) from error
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
