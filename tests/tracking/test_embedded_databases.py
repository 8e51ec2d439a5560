"""MLflow's own store on a database without a server: what is made, what is left alone, what is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import sqlalchemy as sa

from mlflow_archive.errors import MlflowArchiveError, NotAuthorisedError, UnsupportedError, UsageError
from mlflow_archive.tracking.connecting import connect
from mlflow_archive.tracking.database.addresses import database_address
from mlflow_archive.tracking.database.looking import look
from tests.databases.fixtures import Databases

EXPERIMENTS = "/api/2.0/mlflow/experiments"


@pytest.fixture(scope="module", params=["postgresql", "mariadb"])
def target(request: pytest.FixtureRequest, databases: Callable[[str], Databases]) -> Iterator[str]:
    """A database that was empty, and that the first test in it makes MLflow's."""
    kind = databases(request.param)
    uri = kind.new_database()
    yield uri
    kind.drop_database(uri)


def _names(client: object) -> list[str]:
    answer = client.call("POST", f"{EXPERIMENTS}/search", body={"max_results": 100})  # type: ignore[attr-defined]
    return sorted(experiment["name"] for experiment in answer["experiments"])


def _state(uri: str) -> dict[str, list[tuple[object, ...]]]:
    engine = sa.create_engine(database_address(uri).url)
    tables = sa.MetaData()
    with engine.connect() as connection:
        tables.reflect(connection)
        found = {
            name: sorted(map(tuple, connection.execute(sa.select(table))), key=repr)
            for name, table in tables.tables.items()
        }
    engine.dispose()
    return found


def test_an_empty_database_is_looked_at_and_stays_empty(target: str, tmp_path: Path) -> None:
    with closing(connect(target, read_only=True, work_directory=tmp_path)) as client:
        assert _names(client) == ["Default"]
        assert client.uri == database_address(target).shown
        client.call("POST", f"{EXPERIMENTS}/create", body={"name": "stray"}, repeatable=False)
    assert _state(target) == {}
    assert list(tmp_path.iterdir()) == []


def test_an_empty_database_is_made_mlflows(target: str) -> None:
    with closing(connect(target, read_only=False)) as client:
        client.call("POST", f"{EXPERIMENTS}/create", body={"name": "mine"}, repeatable=False)
        answer = client.call("GET", f"{EXPERIMENTS}/get-by-name", params={"experiment_name": "mine"})
        place = answer["experiment"]["artifact_location"]  # type: ignore[index, call-overload]
        assert str(place).startswith("mlflow-artifacts:/")
        assert client.needs_destination  # type: ignore[attr-defined]
        process = client._child.pid  # type: ignore[attr-defined]
        shown = Path(f"/proc/{process}/cmdline").read_text() + Path(f"/proc/{process}/environ").read_text()
        assert str(urlsplit(target).password) not in shown + client.uri
    facts = look(database_address(target))
    assert facts is not None
    assert (len(facts.experiment_ids), facts.workspaces) == (2, False)


def test_what_is_only_read_is_not_changed(target: str) -> None:
    before = _state(target)
    with closing(connect(target, read_only=True)) as client:
        assert _names(client) == ["Default", "mine"]
        with pytest.raises(MlflowArchiveError):
            client.call("POST", f"{EXPERIMENTS}/create", body={"name": "stray"}, repeatable=False)
    assert _state(target) == before


def test_a_wrong_password_is_a_sentence_without_it(target: str) -> None:
    wrong = target.replace(str(urlsplit(target).password), "guessed-wrong")
    with pytest.raises(NotAuthorisedError, match="refuses") as refused:
        connect(wrong, read_only=False)
    assert "guessed-wrong" not in str(refused.value)


@pytest.mark.parametrize(("revision", "code"), [("acf3f17fdcc7", "older_schema"), ("feedc0ffee00", "newer_schema")])
def test_the_schema_of_another_mlflow_is_refused(target: str, revision: str, code: str) -> None:
    engine = sa.create_engine(database_address(target).url)
    with engine.begin() as connection:
        (head,) = connection.exec_driver_sql("SELECT version_num FROM alembic_version").one()
        connection.exec_driver_sql(f"UPDATE alembic_version SET version_num = '{revision}'")
    try:
        before = _state(target)
        with pytest.raises(UnsupportedError, match="MLflow") as refused:
            connect(target, read_only=False)
        assert refused.value.code == code
        assert str(urlsplit(target).password) not in str(refused.value)
        assert _state(target) == before
    finally:
        with engine.begin() as connection:
            connection.exec_driver_sql(f"UPDATE alembic_version SET version_num = '{head}'")
        engine.dispose()


def test_a_database_of_something_else_is_refused(target: str, databases: Callable[[str], Databases]) -> None:
    kind = databases("postgresql" if target.startswith("postgresql") else "mariadb")
    uri = kind.new_database()
    engine = sa.create_engine(database_address(uri).url)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)")
    engine.dispose()
    with pytest.raises(UsageError, match="not one of MLflow's"):
        connect(uri, read_only=False)
    kind.drop_database(uri)
