"""Where the rows of an exact restore come from: the tables of the archive, or its objects."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence

import sqlalchemy as sa

from mlflow_archive.spec.loss import Loss
from mlflow_archive.stream import Content, ObjectKey
from mlflow_archive.tracking.database.addresses import DatabaseAddress
from mlflow_archive.tracking.database.exact import schema
from mlflow_archive.tracking.database.exact.checking import check_rows
from mlflow_archive.tracking.database.exact.collisions import Collisions, unique_keys
from mlflow_archive.tracking.database.exact.connection import Target
from mlflow_archive.tracking.database.exact.families import OF_TRACKING_SERVER, Family
from mlflow_archive.tracking.database.exact.fitness import Fitness
from mlflow_archive.tracking.database.exact.roots import Moves
from mlflow_archive.tracking.database.exact.state import Loaded
from mlflow_archive.tracking.database.exact.values import Carrier, Row
from mlflow_archive.tracking.database.exact.writing import quoted

#: Some rows of a table: its name, the names of the rows' columns, the rows.
Piece = tuple[str, tuple[str, ...], Sequence[Row]]


class RowSource(ABC):
    """The rows of one archive, and what of them is in the database.

    Attributes:
        tables: Name -> table as the database has it at the archive's revision; set by `take_tables`.
        family: Which of MLflow's tables they are rows of.
        needs_objects: Rows are made from objects, which are to be given to `take`.
        loose: Why rows may name others that are not there.
    """

    family: Family = OF_TRACKING_SERVER
    needs_objects = False
    loose = "so it was at the source"

    def __init__(self) -> None:
        """Know no tables yet."""
        self.tables: Mapping[str, sa.Table] = {}
        self.loaded: dict[str, Loaded] = {}

    @property
    @abstractmethod
    def losses(self) -> tuple[Loss, ...]:
        """What has no place in the database."""

    @property
    @abstractmethod
    def notes(self) -> tuple[str, ...]:
        """What a person should know of the rows."""

    @abstractmethod
    def make_room(self, connection: sa.Connection) -> None:
        """Delete the rows that migrations made, and that the archive has itself."""

    @abstractmethod
    def pieces(self, wanted: Fitness | None = None) -> Iterator[Piece]:
        """Yield all rows, lazily; only of the tables that a check asks for."""

    @abstractmethod
    def again(self, table: str, names: tuple[str, ...]) -> Iterable[Sequence[Row]]:
        """Yield the rows of a table with only these columns."""

    def tables_to_load(self) -> Iterator[tuple[str, int]]:
        """Yield what is still to be loaded: name of a table, and the bytes of it; nothing where objects are needed."""
        return iter(())

    def load(self, connection: sa.Connection, table: str) -> None:
        """Fill a table, within a transaction."""

    @abstractmethod
    def carrier(self, table: str) -> Carrier:
        """Return how the rows of a table are compared."""

    def take(self, database: Target, key: ObjectKey, content: Content) -> None:
        """Take the rows of an object, where they are made of objects; safe to use from several threads."""

    def finish(self, connection: sa.Connection) -> None:
        """Write what only the end can tell."""

    def take_tables(self, tables: Mapping[str, sa.Table], loaded: Mapping[str, Loaded] | None = None) -> None:
        """Learn the tables of the database, and which of them were filled before."""
        self.tables = tables
        self.loaded = dict(loaded or {})

    def check(self, connection: sa.Connection, address: DatabaseAddress) -> None:
        """Read every table back.

        Raises:
            IntegrityError: One is not what was loaded.
        """
        for name, loaded in self.loaded.items():
            check_rows(connection, address, self.tables[name], self.carrier(name), loaded)

    def check_fitness(self, connection: sa.Connection, moves: Moves) -> None:
        """Look at all rows that the database might not hold.

        Raises:
            UnsupportedError: It cannot hold one.
        """
        self._check(self.tables, connection, sa.inspect(connection), moves)

    def check_in_scratch(self, connection: sa.Connection, revision: str, moves: Moves) -> None:
        """Do as `check_fitness`, before the database has any tables: with the schema in memory."""
        engine = sa.create_engine("sqlite://", poolclass=sa.StaticPool)
        try:
            with engine.begin() as scratch:
                schema.create(scratch, revision, self.family)
                self.take_tables(schema.reflected(scratch, self.family))
                self._check(self.tables, connection, sa.inspect(scratch), moves)
        finally:
            engine.dispose()

    def _check(
        self, tables: Mapping[str, sa.Table], connection: sa.Connection, inspector: sa.Inspector, moves: Moves
    ) -> None:
        dialect = connection.dialect.name
        fitness = Fitness(tables, dialect, moves)
        collisions = None
        if dialect in ("mysql", "mssql"):
            texts = {
                name: frozenset(column.name for column in table.columns if isinstance(column.type, sa.String))
                for name, table in tables.items()
            }
            collisions = Collisions(unique_keys(tables, inspector), texts)
        for table, names, rows in self.pieces(fitness):
            fitness.check(table, names, rows)
            if collisions is not None:
                collisions.take(table, names, rows)
        if collisions is not None:
            collisions.check(connection, self.again)


def empty(connection: sa.Connection, tables: Iterable[str]) -> None:
    """Delete all rows of tables."""
    for name in tables:
        # The names come from the database itself, and are quoted.
        connection.exec_driver_sql(f"DELETE FROM {quoted(connection, name)}")  # noqa: S608
