"""Fixtures for databases, for tests in any folder.

Each process of the suite (pytest-xdist) has its own servers, started by the first test that asks for one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.databases.filled import NEWEST, OLD_VERSIONS, unpack
from tests.databases.mariadb import ExactMariaDB, MariaDB
from tests.databases.postgresql import PostgreSQL
from tests.databases.private import PrivateServer
from tests.databases.sqlite import SqliteFiles
from tests.servers import SERVER_PYTHON, EmptyDatabases

Databases = PrivateServer | SqliteFiles | ExactMariaDB
#: Fixtures that give out databases, by the name of what runs them.
KINDS = ("sqlite", "postgresql", "mariadb")
#: The same, for what has names that differ only in what MariaDB's databases do not tell apart by default.
EXACT_KINDS = ("sqlite", "postgresql", "exact_mariadb")


@pytest.fixture(scope="session")
def sqlite(tmp_path_factory: pytest.TempPathFactory) -> SqliteFiles:
    """SQLite files: `new_database` names one that is not there yet."""
    return SqliteFiles(tmp_path_factory.mktemp("sqlite"))


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PrivateServer]:
    """A PostgreSQL server: ``postgresql.new_database()`` is ``postgresql://user:password@127.0.0.1:port/name``."""
    with PostgreSQL() as server:
        yield server


@pytest.fixture(scope="session")
def mariadb() -> Iterator[MariaDB]:
    """A MariaDB server: ``mariadb.new_database()`` is ``mysql+pymysql://user:password@127.0.0.1:port/name``.

    As by default, its databases hold «Customer» and «customer» to be the same.
    """
    with MariaDB() as server:
        yield server


@pytest.fixture(scope="session")
def exact_mariadb(mariadb: MariaDB) -> ExactMariaDB:
    """Databases of `mariadb` that tell every text from every other."""
    return ExactMariaDB(mariadb)


@pytest.fixture(scope="session")
def databases(request: pytest.FixtureRequest) -> Callable[[str], Databases]:
    """Gives what makes databases of one of `KINDS` or `EXACT_KINDS`."""

    def of(kind: str) -> Databases:
        assert kind in {*KINDS, *EXACT_KINDS}
        made: Databases = request.getfixturevalue(kind)
        return made

    return of


@pytest.fixture(params=KINDS)
def empty_database(request: pytest.FixtureRequest, databases: Callable[[str], Databases]) -> Iterator[str]:
    """The URI of a new and empty database, of each of `KINDS` in turn; dropped after the test."""
    kind = databases(request.param)
    uri = kind.new_database()
    yield uri
    kind.drop_database(uri)


@pytest.fixture(scope="session")
def new_mlflow_database(databases: Callable[[str], Databases], empty_databases: EmptyDatabases) -> Callable[[str], str]:
    """Makes a database that has MLflow's tables and no objects in one of `KINDS` or `EXACT_KINDS`, and gives its URI.

    Migrated once in each process of the suite by the MLflow of `SERVER_PYTHON`, then copied. A server starts on it with
    ``start_server(backend_uri=new_mlflow_database("postgresql"))``.
    """

    def of(kind: str) -> str:
        return empty_databases.new_in(databases(kind), SERVER_PYTHON)

    return of


@pytest.fixture
def old_database(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Gives what the server of one of `OLD_VERSIONS`, or of `NEWEST`, left.

    It is the SQLite file, with the folder ``artifacts`` beside it.
    """

    def of(version: str) -> Path:
        assert version in {*OLD_VERSIONS, NEWEST}
        return unpack(version, tmp_path_factory.mktemp(f"mlflow-{version}"))

    return of
