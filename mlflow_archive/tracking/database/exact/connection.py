"""The one connection to the database that is written, and what it says in sentences."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from mlflow_archive.errors import ConflictError, NotAuthorisedError, UnavailableError, UsageError
from mlflow_archive.tracking.database.addresses import DatabaseAddress

#: The code of an error after which the database takes nothing more, whatever the object.
BROKEN = "database_broke"
_LOCK = "mlflow_archive_restore"
_FULL = ("disk is full", "disk full", "no space left", "is full")
_REFUSED = (
    "password",
    "authentication",
    "access denied",
    "permission denied",
    "command denied",
    "readonly",
    "read-only",
)
_SECONDS = 30
#: So long the server of a database may take to see that a restore was killed.
_LETTING_GO_SECONDS = 10.0


class Target:
    """An open database, held by one restore alone. Its connection is used by one thread at a time: `transaction`.

    Attributes:
        address: Where the database is.
        dialect: ``sqlite``, ``postgresql``, ``mysql`` or ``mssql``.
        transactional: False where a change of the schema ends the transaction (MySQL).
    """

    def __init__(self, address: DatabaseAddress) -> None:
        """Connect.

        Raises:
            NotAuthorisedError: The database refuses the user.
            UnavailableError: It does not answer.
            ConflictError: Another restore is under way in it.
        """
        self.address = address
        self.dialect = address.dialect
        self.transactional = self.dialect != "mysql"
        self._lock = threading.RLock()
        # SQLite makes a file as soon as it is asked anything.
        self._made = address.file if address.file is not None and not address.file.exists() else None
        self._engine = _engine(address)
        try:
            with told(address):
                self._connection = self._engine.connect()
                self._be_alone()
        except BaseException:
            self._engine.dispose()
            self._remove_nothing()
            raise

    @contextmanager
    def transaction(self) -> Iterator[sa.Connection]:
        """Give the connection for one transaction: committed at the end, or rolled back.

        Raises:
            UnavailableError: The database failed; with the code `BROKEN`, or ``disk_full``.
        """
        with self._lock, told(self.address):
            if self._connection.in_transaction():
                yield self._connection
                return
            with self._connection.begin():
                yield self._connection

    def close(self) -> None:
        """End the connection; what is not committed is gone, with a file that it made. May be called twice."""
        try:
            self._connection.close()
        except SQLAlchemyError:
            self._connection.invalidate()
        self._engine.dispose()
        self._remove_nothing()

    def _remove_nothing(self) -> None:
        """Remove the file that we made, if nothing was written to it."""
        if self._made is not None and self._made.exists() and self._made.stat().st_size == 0:
            self._made.unlink()

    def _be_alone(self) -> None:
        """Keep other restores out for as long as the connection stands. SQLite's is exclusive by its first write."""
        asked = {
            "postgresql": f"SELECT pg_try_advisory_lock(hashtext('{_LOCK}'))",
            "mysql": f"SELECT GET_LOCK(CONCAT(LEFT(DATABASE(), 30), '.{_LOCK}'), 0)",
        }.get(self.dialect)
        deadline = time.monotonic() + _LETTING_GO_SECONDS
        while asked is not None:
            with self._connection.begin():
                if self._connection.exec_driver_sql(asked).scalar():
                    return
            if time.monotonic() > deadline:
                raise ConflictError(
                    f"Another exact restore into {self.address.shown} is under way: wait for it, or stop it.",
                    code="restore_under_way",
                )
            time.sleep(0.2)


@contextmanager
def told(address: DatabaseAddress) -> Iterator[None]:
    """Say in a sentence what the database refused; its own words may hold the address with the password.

    Raises:
        NotAuthorisedError: It refuses the user.
        UnavailableError: It fails, is full, or is locked.
    """
    try:
        yield
    except DBAPIError as error:
        said = first_line(error, address)
        low = said.lower()
        if any(word in low for word in _FULL):
            raise UnavailableError(
                f"The database {address.shown} has no space left: make some, and repeat the command, which goes on.",
                code="disk_full",
            ) from error
        if "unable to open" in low:
            raise UsageError(f"{address.shown} cannot be opened or made: {said}.", code="no_database") from error
        if any(word in low for word in _REFUSED):
            raise NotAuthorisedError(f"The database {address.shown} refuses: {said}.") from error
        if "locked" in low or "lock timeout" in low or "lock wait timeout" in low:
            raise UnavailableError(
                f"The database {address.shown} is in use by another program: stop the MLflow server on it.",
                code=BROKEN,
            ) from error
        raise UnavailableError(f"The database {address.shown} failed: {said}.", code=BROKEN) from error


def first_line(error: DBAPIError, address: DatabaseAddress) -> str:
    """Return what the database said, shortly and without its password."""
    line = " ".join(str(error.orig).split())[:300].rstrip(".")
    return line.replace(str(address.url.password), "***") if address.url.password else line


def _engine(address: DatabaseAddress) -> sa.Engine:
    settings: dict[str, Any] = {"pool_size": 1, "max_overflow": 0}
    if address.dialect == "sqlite":
        settings["connect_args"] = {"check_same_thread": False, "timeout": _SECONDS}
    engine = sa.create_engine(address.url, **settings)
    if address.dialect == "sqlite":
        sa.event.listen(engine, "connect", _prepare_sqlite)
        # Python would begin transactions itself, and only before changes of rows: those of the schema belong to them.
        sa.event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    elif address.dialect == "mysql":
        sa.event.listen(engine, "connect", _prepare_mysql)
    elif address.dialect == "postgresql":
        sa.event.listen(engine, "connect", _prepare_postgresql)
    return engine


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None
    for setting in ("locking_mode = EXCLUSIVE", "foreign_keys = OFF", "cache_size = -65536"):
        connection.execute(f"PRAGMA {setting}")


def _prepare_mysql(connection: Any, _record: object) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_AUTO_VALUE_ON_ZERO,NO_ENGINE_SUBSTITUTION', "
            f"foreign_key_checks = 0, unique_checks = 0, lock_wait_timeout = {_SECONDS}, "
            "wait_timeout = 2147483, time_zone = '+00:00'"
        )


def _prepare_postgresql(connection: Any, _record: object) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"SET lock_timeout = '{_SECONDS}s'")
        cursor.execute("SET idle_session_timeout = 0")
    connection.commit()
