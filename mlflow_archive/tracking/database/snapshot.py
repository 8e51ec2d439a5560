"""One consistent, read-only view of an MLflow database, while others write to it.

SQLite: SQLite's online backup makes a private copy, and the copy is read (MLflow's databases lock writers out while
they are read). PostgreSQL: transactions REPEATABLE READ, READ ONLY, that share one exported snapshot. MySQL and
MariaDB: one connection with a consistent snapshot. MSSQL: one connection with snapshot isolation.

Nothing of MLflow is opened on the database, so nothing in it can be migrated or made.

Whom it holds up. SQLite: whoever commits waits while a piece of 8 MiB is copied; if the copy was disturbed a few times,
once for as long as a whole copy takes (a second for some hundred MB); after that, and in WAL mode, nobody. The others:
nobody who reads or writes rows; but a migration of the schema, and who comes after it, waits until the snapshot is
closed.
"""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from queue import LifoQueue
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from mlflow_archive.errors import ConflictError, NotAuthorisedError, UnavailableError, UsageError
from mlflow_archive.tracking.database.addresses import DatabaseAddress, database_address
from mlflow_archive.tracking.database.revisions import RESTORE_UNDERWAY
from mlflow_archive.tracking.sqlite_file import check_file, copy_database

#: Rows of a piece of a walk through a table.
BATCH_ROWS = 10_000
_VERSION_TABLE = "alembic_version"
#: Tables that MLflow's migrations make while they rebuild one of SQLite's.
_REBUILT = "_alembic_tmp_"
#: So long a migration is waited for.
_LOCK_SECONDS = 60
#: Of what databases say to who meets a change of the schema: PostgreSQL, MySQL.
_OF_MIGRATIONS = ("lock timeout", "table definition has changed")


class Snapshot:
    """What a database held at one moment. Safe to use from several threads. Made by `open`.

    Every answer is complete when it is returned: no connection is held while its rows are used.

    Attributes:
        address: Where the database is.
        folder: The folder of a SQLite file; relative artifact paths in it begin there. None for other databases.
        tables: Name -> table as it is there, reflected; also those that MLflow does not know.
        revision: The schema's revision (alembic).
    """

    def __init__(self, address: DatabaseAddress, engine: sa.Engine, connections: Sequence[sa.Connection]) -> None:
        """Use `open`."""
        self.address = address
        self.folder = address.file.parent if address.file else None
        self._engine = engine
        self._held = list(connections)
        self._free: LifoQueue[sa.Connection] = LifoQueue()
        for connection in connections:
            self._free.put(connection)
        self._scratch: Path | None = None
        self._closed = threading.Event()
        self.tables: Mapping[str, sa.Table] = {}
        self.revision = ""

    @classmethod
    def open(
        cls,
        uri: str,
        *,
        parallelism: int = 8,
        work_directory: Path | None = None,
        version_table: str = _VERSION_TABLE,
        must_have: str = "experiments",
    ) -> Snapshot:
        """Take a snapshot; the caller closes it.

        Args:
            uri: ``sqlite:///file``, ``postgresql://...``, ``mysql://...`` or ``mssql://...``.
            parallelism: How many answers may be under way at once, where the database allows it.
            work_directory: Where the copy of a SQLite file is kept; by default the system's temporary folder.
            version_table: The table that holds the schema's revision.
            must_have: A table without which the database is not the one meant.

        Raises:
            UsageError: The URI is none, or the database is not MLflow's.
            ConflictError: An exact restore into it was interrupted.
            UnsupportedError: The driver is not installed.
            NotFoundError: There is no such SQLite file.
            NotAuthorisedError: The database refuses the user.
            UnavailableError: It does not answer, or is being migrated.
        """
        address = database_address(uri)
        with ExitStack() as stack:
            url, scratch = _readable(address, work_directory, stack)
            with told(address):
                engine = sa.create_engine(url, pool_size=parallelism + 1, max_overflow=0)
                stack.callback(engine.dispose)
                snapshot = cls(address, engine, _connections(engine, address.dialect, parallelism, stack))
                snapshot._scratch = scratch
                snapshot._learn(version_table, must_have)
                snapshot._keep(version_table)
            stack.pop_all()
        return snapshot

    @property
    def dialect(self) -> str:
        """``sqlite``, ``postgresql``, ``mysql`` or ``mssql``."""
        return self.address.dialect

    def has(self, table: str, column: str | None = None) -> bool:
        """Tell whether there is such a table, and in it such a column."""
        return table in self.tables and (column is None or column in self.tables[table].c)

    def rows(self, statement: sa.Select[Any]) -> list[dict[str, Any]]:
        """Return the complete answer, a mapping for each row; the caller bounds its size.

        Raises:
            UnavailableError: The connection broke; what is left of the snapshot cannot be read either.
        """
        with self._connection() as connection:
            return [dict(row) for row in connection.execute(statement).mappings().all()]

    def tuples(self, statement: sa.Select[Any]) -> list[tuple[Any, ...]]:
        """Return the complete answer, a tuple for each row; as `rows`, and faster."""
        with self._connection() as connection:
            return [*map(tuple, connection.execute(statement).all())]

    def raw(self, statement: sa.Select[Any]) -> list[tuple[Any, ...]]:
        """Return the complete answer with the values as the driver gives them; as `tuples`, and faster."""
        with self._connection() as connection:
            result = connection.execute(statement)
            # MSSQL's driver has rows of its own kind.
            found = result.all() if self.dialect == "mssql" else result.cursor.fetchall()
            result.close()
            return [*map(tuple, found)] if self.dialect == "mssql" else [*found]

    def pieces(
        self,
        statement: sa.Select[Any],
        take: Callable[[Sequence[tuple[Any, ...]]], None],
        *,
        size: int = BATCH_ROWS,
    ) -> None:
        """Hand a large answer to ``take``, so many rows at a time, with the values as the driver gives them.

        ``take`` keeps the connection waiting: it may not ask this snapshot.
        """
        columns = (sa.type_coerce(column, sa.types.NullType()) for column in statement.selected_columns)
        options = {"stream_results": self.dialect != "sqlite"}
        with self._connection() as connection:
            result = connection.execute(statement.with_only_columns(*columns), execution_options=options)
            # SQLite's own cursor reads rows as they are asked for, and makes no other object of each.
            cursor = result.cursor if self.dialect == "sqlite" else None
            while found := (cursor or result).fetchmany(size):
                take(found)

    def batches(
        self,
        table: sa.Table,
        *,
        columns: Sequence[sa.ColumnElement[Any]] | None = None,
        where: sa.ColumnElement[bool] | None = None,
        size: int = BATCH_ROWS,
    ) -> Iterator[list[tuple[Any, ...]]]:
        """Walk through a table in the order of its primary key, lazily, so many rows at a time.

        Args:
            table: One of `tables`.
            columns: Expressions over it in place of all its columns.
            where: Only these rows.
            size: Rows of a batch.
        """
        keys = [*table.primary_key.columns] or [*table.columns]
        shown = [*columns] if columns is not None else [*table.columns]
        last: tuple[Any, ...] | None = None
        while True:
            statement = sa.select(*shown, *(key.label(f"key_{i}") for i, key in enumerate(keys)))
            statement = statement.order_by(*keys).limit(size)
            if where is not None:
                statement = statement.where(where)
            if last is not None:
                statement = statement.where(after(keys, last, self.dialect))
            found = self.tuples(statement)
            if found:
                yield [row[: len(shown)] for row in found]
            if len(found) < size:
                return
            last = found[-1][len(shown) :]

    def index(self, table: str, *columns: str) -> None:
        """Make what is asked by these columns cheap, in the private copy of a SQLite file; others are not touched."""
        if self.dialect == "sqlite" and all(self.has(table, column) for column in columns):
            made = f"CREATE INDEX IF NOT EXISTS mlflow_archive_{table} ON {table} ({', '.join(columns)})"
            with self._connection() as connection:
                connection.exec_driver_sql(made)
                connection.commit()

    def count(self, table: sa.Table) -> int:
        """Return the number of rows."""
        return int(self.tuples(sa.select(sa.func.count()).select_from(table))[0][0])

    def close(self) -> None:
        """End the connections and remove the copy; may be called twice."""
        if self._closed.is_set():
            return
        self._closed.set()
        for connection in self._held:
            try:
                connection.close()
            except SQLAlchemyError:  # noqa: PERF203 - a broken connection has nothing left to give back
                connection.invalidate()
        self._engine.dispose()
        if self._scratch is not None:
            shutil.rmtree(self._scratch, ignore_errors=True)

    @contextmanager
    def _connection(self) -> Iterator[sa.Connection]:
        connection = self._free.get()
        try:
            with told(self.address):
                try:
                    yield connection
                except connection.dialect.loaded_dbapi.Error as error:
                    # As SQLAlchemy tells the errors of answers that go through it.
                    raise DBAPIError(None, None, error) from error
        finally:
            self._free.put(connection)

    def _learn(self, version_table: str, must_have: str) -> None:
        metadata = sa.MetaData()
        with self._connection() as connection:
            # A table of others may have a key to one that is gone.
            metadata.reflect(connection, resolve_fks=False)
        self.tables = dict(metadata.tables)
        for column in (column for table in self.tables.values() for column in table.columns):
            if isinstance(column.type, sa.Float):
                # MySQL's dialect else makes decimals of doubles, rounded to some digits.
                column.type.asdecimal = False
        if any(name.startswith(_REBUILT) for name in self.tables):
            raise self._being_migrated()
        if version_table not in self.tables or must_have not in self.tables:
            raise UsageError(
                f"{self.address.shown} is a database, but not one of MLflow's: it has no table "
                f"{must_have if version_table in self.tables else version_table}.",
                code="not_mlflow",
            )
        found = self.tuples(sa.select(self.tables[version_table].c.version_num))
        if len(found) != 1:
            raise UsageError(
                f"{self.address.shown} does not say of which revision its schema is: a migration of it may have been "
                "interrupted.",
                code="not_mlflow",
            )
        self.revision = str(found[0][0])
        if self.revision == RESTORE_UNDERWAY:
            raise ConflictError(
                f"{self.address.shown} is half restored: an exact restore into it was interrupted; complete it by its "
                "own command first.",
                code="half_restored",
            )

    def _keep(self, version_table: str) -> None:
        """Keep PostgreSQL's tables as they are: one that is rewritten now would look empty to an older snapshot."""
        if self.dialect != "postgresql":
            return
        quoted = self._engine.dialect.identifier_preparer.quote
        with self._connection() as connection:
            names = ", ".join(quoted(name) for name in sorted(self.tables))
            connection.exec_driver_sql(f"LOCK TABLE {names} IN ACCESS SHARE MODE")
        with told(self.address), self._engine.connect() as now:
            if now.execute(sa.select(self.tables[version_table].c.version_num)).scalar() != self.revision:
                raise self._being_migrated()

    def _being_migrated(self) -> UnavailableError:
        return UnavailableError(
            f"{self.address.shown} is being migrated to another MLflow, or that was interrupted: try again after "
            "'mlflow db upgrade' has come to its end.",
            code="being_migrated",
        )


def _readable(address: DatabaseAddress, work_directory: Path | None, stack: ExitStack) -> tuple[sa.URL, Path | None]:
    """Return what is to be read, and the folder with the copy of a SQLite file."""
    if address.file is None:
        return address.url, None
    check_file(address.file)
    try:
        scratch = Path(tempfile.mkdtemp(prefix="mlflow-archive-", dir=work_directory)).absolute()
    except OSError as error:
        where = work_directory or tempfile.gettempdir()
        raise UsageError(
            f"No private folder can be made in {where}: {error.strerror}.", code="work_directory"
        ) from None
    stack.callback(shutil.rmtree, scratch, ignore_errors=True)
    copy = scratch / "copy.db"
    copy_database(address.file, copy)
    return sa.URL.create("sqlite", database=str(copy)), scratch


def _connections(engine: sa.Engine, dialect: str, parallelism: int, stack: ExitStack) -> list[sa.Connection]:
    def connect() -> sa.Connection:
        return stack.enter_context(engine.connect())

    if dialect == "sqlite":
        return [connect() for _ in range(parallelism)]
    if dialect == "postgresql":
        waiting = (
            # While files are copied, connections have nothing to do for a long time.
            "SET LOCAL idle_in_transaction_session_timeout = 0",
            f"SET LOCAL lock_timeout = '{_LOCK_SECONDS}s'",
        )
        first = _begin(connect(), "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY", *waiting)
        exported = first.exec_driver_sql("SELECT pg_export_snapshot()").scalar_one()
        others = [
            _begin(
                connect(),
                "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY",
                f"SET TRANSACTION SNAPSHOT '{exported}'",
                *waiting,
            )
            for _ in range(parallelism - 1)
        ]
        return [first, *others]
    if dialect == "mysql":
        return [
            _begin(
                connect(),
                "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
                "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
            )
        ]
    return [_begin(connect(), "SET TRANSACTION ISOLATION LEVEL SNAPSHOT")]


def _begin(connection: sa.Connection, *statements: str) -> sa.Connection:
    for statement in statements:
        connection.exec_driver_sql(statement)
    return connection


def after(keys: Sequence[sa.ColumnElement[Any]], last: tuple[Any, ...], dialect: str) -> sa.ColumnElement[bool]:
    """Return the condition for the rows after the last one, in the order of the keys.

    MSSQL compares no rows, and MySQL and MariaDB no rows by an index: they would begin each piece at the first row.
    """
    if dialect not in ("mssql", "mysql"):
        return sa.tuple_(*keys) > sa.tuple_(
            *(sa.literal(value, key.type) for key, value in zip(keys, last, strict=True))
        )
    return sa.or_(*(sa.and_(*(keys[j] == last[j] for j in range(i)), keys[i] > last[i]) for i in range(len(keys))))


@contextmanager
def told(address: DatabaseAddress) -> Iterator[None]:
    """Say in a sentence what a database refused; its own words may hold the address with the password."""
    try:
        yield
    except DBAPIError as error:
        said = _first_line(str(error.orig), address)
        if any(word in said.lower() for word in ("password", "authentication", "access denied", "permission denied")):
            raise NotAuthorisedError(f"The database {address.shown} refuses: {said}.") from error
        if any(word in said.lower() for word in _OF_MIGRATIONS):
            said += "; its schema is being changed, perhaps by 'mlflow db upgrade': try again after that"
        raise UnavailableError(f"The database {address.shown} cannot be read: {said}.", code="database") from error


def _first_line(text: str, address: DatabaseAddress) -> str:
    secret = address.url.password
    line = " ".join(text.split())[:300].rstrip(".")
    return line.replace(str(secret), "***") if secret else line
