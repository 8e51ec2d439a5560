"""What all tests share: options, and real MLflow servers (tests/servers)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from mlflow.version import VERSION
from packaging.version import Version

from tests.databases.filled import NEWEST
from tests.seeding import seed_server
from tests.servers import EmptyDatabases, MlflowServer

pytest_plugins = ["tests.databases.fixtures"]
StartServer = Callable[..., MlflowServer]
#: Exact restores need an MLflow that knows every revision there is: an older one refuses what is newer than itself.
_OF_THE_NEWEST = (
    "tracking/database/exact",
    "tracking/database/made",
    "roundtrip/test_full_circle.py",
    "test_databases_guide.py",
)
collect_ignore = [] if Version(VERSION) >= Version(NEWEST) else [*_OF_THE_NEWEST]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--kills", type=int, default=3, help="how often each kill test ends a process (default: 3)")
    parser.addoption("--kill-seed", type=int, default=20240229, help="seed of the moments at which to kill")
    cuts = "cut a restore at every N-th writing request (tests/tracking/sinks/test_cuts.py; default: 11)"
    parser.addoption("--cuts", type=int, default=11, metavar="N", help=cuts)
    given = "VERSION=PYTHON: a Python that has this MLflow, for tests/roundtrip/other_servers.py; may be repeated"
    parser.addoption("--server-python", action="append", default=[], help=given)


@pytest.fixture(scope="session")
def empty_databases(tmp_path_factory: pytest.TempPathFactory) -> EmptyDatabases:
    """Empty MLflow databases, migrated once per session."""
    return EmptyDatabases(tmp_path_factory.mktemp("empty"))


def _servers(tmp_path_factory: pytest.TempPathFactory, databases: EmptyDatabases) -> Iterator[StartServer]:
    with ExitStack() as stack:

        def start(directory: Path | None = None, **options: object) -> MlflowServer:
            where = directory or tmp_path_factory.mktemp("server")
            return stack.enter_context(MlflowServer(where, databases=databases, **options))  # type: ignore[arg-type]

        yield start


@pytest.fixture
def start_server(tmp_path_factory: pytest.TempPathFactory, empty_databases: EmptyDatabases) -> Iterator[StartServer]:
    """Starts servers with the options of `MlflowServer`; all are stopped after the test."""
    yield from _servers(tmp_path_factory, empty_databases)


@pytest.fixture(scope="module")
def start_module_server(
    tmp_path_factory: pytest.TempPathFactory, empty_databases: EmptyDatabases
) -> Iterator[StartServer]:
    """Starts servers that live until the end of the test module."""
    yield from _servers(tmp_path_factory, empty_databases)


@pytest.fixture(scope="session")
def start_session_server(
    tmp_path_factory: pytest.TempPathFactory, empty_databases: EmptyDatabases
) -> Iterator[StartServer]:
    """Starts servers that live until the end of the session."""
    yield from _servers(tmp_path_factory, empty_databases)


@pytest.fixture
def fresh_server(start_server: StartServer) -> MlflowServer:
    """An empty server for one test."""
    return start_server()


@pytest.fixture(scope="module")
def module_server(start_module_server: StartServer) -> MlflowServer:
    """An empty server for one module."""
    return start_module_server()


@pytest.fixture(scope="session")
def source_server(start_session_server: StartServer) -> MlflowServer:
    """A server with everything in it that `tests.seeding` knows; only to be read."""
    server = start_session_server()
    seed_server(server)
    return server
