"""What cannot be done with a database is one sentence that says what to do, and nothing is written."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from mlflow_archive.cli.main import cli
from mlflow_archive.errors import ExitCode
from mlflow_archive.tracking.database.exact import state
from tests.servers import MlflowServer
from tests.spec.building import Builder
from tests.spec.worlds import database, experiment

DRIVERS = [
    ("postgresql://ann:secret@127.0.0.1:9/mlflow", "psycopg", "mlflow-archive[sql,postgresql]"),
    ("mysql://ann:secret@127.0.0.1:9/mlflow", "pymysql", "mlflow-archive[sql,mysql]"),
    ("mysql+mysqldb://ann:secret@127.0.0.1:9/mlflow", "MySQLdb", "mlflow-archive[sql,mysql]"),
    ("mssql://ann:secret@127.0.0.1:9/mlflow", "pymssql", "mlflow-archive[sql,mssql]"),
]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, which is the current one."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


@pytest.fixture
def archive(tmp_path: Path) -> str:
    folder = tmp_path / "archive"
    for path, data in Builder([database(), experiment()]).build().items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    return str(folder)


@pytest.fixture
def uri(tmp_path: Path, new_mlflow_database: Callable[[str], str]) -> str:
    return new_mlflow_database("sqlite")


def refused(place: Path, *words: str, code: ExitCode) -> str:
    """Return the sentence with which a command is refused."""
    result = CliRunner().invoke(cli, words)
    assert result.exit_code == code, result.output
    assert result.stdout == ""
    assert list(place.iterdir()) == []
    sentences = [line for line in result.stderr.splitlines() if line.startswith("Error: ")]
    assert len(sentences) == 1
    assert result.stderr.splitlines()[-1] == sentences[0]
    assert "secret@" not in result.output
    return sentences[0]


@pytest.mark.server
def test_a_server_gives_no_tables(place: Path, module_server: MlflowServer) -> None:
    for more in ([], ["--dry-run"]):
        words = ["backup", "b", "--only", "database", "--tracking-uri", module_server.uri, *more]
        sentence = refused(place, *words, code=ExitCode.UNSUPPORTED)
        assert "gives no tables" in sentence
        assert "postgresql://" in sentence


def test_tables_come_as_a_whole(place: Path, uri: str) -> None:
    for named in (["--experiment", "iris"], ["--since", "2026-01-01"], ["--no-deleted"]):
        words = ["backup", "b", "--only", "database", "--tracking-uri", uri, *named]
        assert "come as a whole" in refused(place, *words, code=ExitCode.USAGE)


def test_without_pyarrow_there_are_no_tables_but_objects(
    place: Path, uri: str, archive: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    needed = "pip install 'mlflow-archive[sql]'"
    words = ["backup", "b", "--only", "database", "--tracking-uri", uri]
    assert needed in refused(place, *words, code=ExitCode.UNSUPPORTED)
    exact = ["restore", archive, "--exact", "--tracking-uri", "sqlite:///new.db"]
    assert needed in refused(place, *exact, code=ExitCode.UNSUPPORTED)
    tables = Path(archive).with_name("tables")
    for path, data in Builder([database()]).build().items():
        (tables / path).parent.mkdir(parents=True, exist_ok=True)
        (tables / path).write_bytes(data)
    over_the_api = ["restore", str(tables), "--tracking-uri", "sqlite:///new.db"]
    assert needed in refused(place, *over_the_api, code=ExitCode.UNSUPPORTED)
    result = CliRunner().invoke(cli, ["backup", "b", "--tracking-uri", uri])
    assert result.exit_code == ExitCode.DONE
    assert f"1  databases: pyarrow is not installed ({needed})" in result.stdout


@pytest.mark.parametrize(("uri", "module", "extra"), DRIVERS, ids=[uri.partition(":")[0] for uri, _, _ in DRIVERS])
def test_a_missing_driver_names_its_extra(
    place: Path, archive: str, monkeypatch: pytest.MonkeyPatch, uri: str, module: str, extra: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    for words in (["backup", "b"], ["restore", archive], ["restore", archive, "--exact"]):
        sentence = refused(place, *words, "--tracking-uri", uri, code=ExitCode.UNSUPPORTED)
        assert f"the Python package {module} is needed: pip install '{extra}'" in sentence
    assert extra in refused(place, "diff", archive, uri, code=ExitCode.UNSUPPORTED)


@pytest.mark.parametrize("uri", ["http://127.0.0.1:9", "databricks", "./mlruns"])
@pytest.mark.parametrize("option", [["--with", "webhook-secrets"], ["--auth-database", "sqlite:///auth.db"]])
def test_what_only_a_database_has_is_asked_of_databases_alone(place: Path, option: list[str], uri: str) -> None:
    sentence = refused(place, "backup", "b", "--tracking-uri", uri, *option, code=ExitCode.USAGE)
    assert "(--with, --auth-database)" in sentence


def test_a_database_that_is_not_there(place: Path) -> None:
    words = ["backup", "b", "--tracking-uri", "sqlite:///none.db"]
    assert "none.db" in refused(place, *words, code=ExitCode.FAILED)
    (place.parent / "notes.db").write_text("not a database")
    words = ["backup", "b", "--tracking-uri", "sqlite:///../notes.db"]
    assert "not a SQLite database" in refused(place, *words, code=ExitCode.USAGE)


def test_a_database_that_is_half_restored_is_no_source(place: Path, uri: str) -> None:
    with closing(sqlite3.connect(uri.removeprefix("sqlite:///"))) as connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", (state.MARKER,))
        connection.commit()
    for words in (["backup", "b"], ["backup", "b", "--only", "experiments"]):
        assert "is half restored" in refused(place, *words, "--tracking-uri", uri, code=ExitCode.CONFLICT)


def test_hashes_of_passwords_are_asked_for_with_their_users(place: Path, uri: str) -> None:
    said = refused(place, "backup", "a", "--tracking-uri", uri, "--with", "password-hashes", code=ExitCode.USAGE)
    assert "--auth-database" in said
