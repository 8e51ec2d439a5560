"""SQLite stores without a server: what is opened, what is left alone, what is cleaned up."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest
import requests

from mlflow_archive.errors import NotAuthorisedError, NotFoundError, UnavailableError, UnsupportedError, UsageError
from mlflow_archive.tracking.connecting import connect
from mlflow_archive.tracking.embedded import EmbeddedClient
from mlflow_archive.tracking.sqlite_file import copy_database, read_facts
from tests.servers import EmptyDatabases

EXPERIMENTS = "/api/2.0/mlflow/experiments"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with one experiment and one run, made by a target."""
    path = tmp_path_factory.mktemp("store") / "mlflow.db"
    with closing(connect(f"sqlite:///{path}", read_only=False)) as client:
        made = client.call("POST", f"{EXPERIMENTS}/create", body={"name": "mine"}, repeatable=False)
        body = {"experiment_id": made["experiment_id"], "start_time": 1}
        client.call("POST", "/api/2.0/mlflow/runs/create", body=body, repeatable=False)
    return path


def _state(path: Path) -> tuple[str, int, list[str]]:
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return digest, path.stat().st_mtime_ns, sorted(entry.name for entry in path.parent.iterdir())


def _names(client: object) -> list[str]:
    answer = client.call("POST", f"{EXPERIMENTS}/search", body={"max_results": 100})  # type: ignore[attr-defined]
    return sorted(experiment["name"] for experiment in answer["experiments"])


def test_a_target_is_made_and_opened_itself(store: Path) -> None:
    facts = read_facts(store)
    assert facts.experiment_ids == {"0", "1"}
    assert not facts.workspaces
    with closing(sqlite3.connect(store)) as database:
        (location,) = database.execute("SELECT artifact_location FROM experiments WHERE name = 'mine'").fetchone()
    assert location == str(store.parent / "mlruns" / "1")


def test_a_source_is_left_alone_and_cleaned_up_after(store: Path, tmp_path: Path) -> None:
    before = _state(store)
    client = connect(f"sqlite:///{store}", read_only=True, work_directory=tmp_path)
    (folder,) = tmp_path.iterdir()
    try:
        assert folder.stat().st_mode & 0o777 == 0o700
        assert (client.uri, client.local) == (f"sqlite:///{store}", True)
        assert _names(client) == ["Default", "mine"]
        assert client.invented_experiment_ids == frozenset()
        client.call("POST", f"{EXPERIMENTS}/create", body={"name": "stray"}, repeatable=False)
    finally:
        client.close()
    client.close()
    assert _state(store) == before
    assert list(tmp_path.iterdir()) == []


def test_the_server_answers_only_with_the_token(store: Path, tmp_path: Path) -> None:
    with closing(EmbeddedClient(store, read_only=True, work_directory=tmp_path)) as client:
        address = client._transport._sender._uri  # type: ignore[attr-defined]
        assert address.startswith("http://127.0.0.1:")
        for headers in ({}, {"Authorization": "Bearer guess"}):
            for path in ("/version", "/health", f"{EXPERIMENTS}/search", "/api/3.0/mlflow/server-info"):
                assert requests.get(address + path, headers=headers, timeout=30).status_code == 401
        process = client._child.pid
        shown = Path(f"/proc/{process}/cmdline").read_text() + Path(f"/proc/{process}/environ").read_text()
        token = client._transport._sender._session.headers["Authorization"]  # type: ignore[attr-defined]
        assert str(token).removeprefix("Bearer ") not in shown


def test_what_mlflow_invents_is_told(store: Path, tmp_path: Path) -> None:
    path = tmp_path / "none.db"
    shutil.copy(store, path)
    with closing(sqlite3.connect(path)) as database:
        database.execute("DELETE FROM runs")
        database.execute("DELETE FROM experiments")
        database.commit()
    with closing(connect(f"sqlite:///{path}", read_only=True)) as client:
        assert _names(client) == ["Default"]
        assert client.invented_experiment_ids == {"0"}
    assert read_facts(path).experiment_ids == frozenset()


def test_the_child_ends_with_its_parent(store: Path, tmp_path: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path; from mlflow_archive.tracking.connecting import connect;"
        f"c = connect('sqlite:///{store}', read_only=True, work_directory=Path({str(tmp_path)!r}));"
        "print(c._child.pid, flush=True); time.sleep(600)"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    os.kill(child, 0)
    parent.send_signal(signal.SIGKILL)
    parent.wait(10)
    parent.stdout.close()
    _until(lambda: not Path(f"/proc/{child}").exists() or "Z" in _process_state(child))
    _until(lambda: not list(tmp_path.iterdir()))
    assert list(tmp_path.iterdir()) == []


def test_a_dead_child_is_a_sentence(store: Path) -> None:
    with closing(EmbeddedClient(store, read_only=True)) as client:
        client._child.kill()
        client._child.wait()
        with pytest.raises(UnavailableError, match="No MLflow server answers"):
            client.call("GET", f"{EXPERIMENTS}/get", params={"experiment_id": "0"})


def test_an_older_store_is_read_and_not_written(old_store: Path, tmp_path: Path) -> None:
    before = _state(old_store)
    with closing(connect(f"sqlite:///{old_store}", read_only=True, work_directory=tmp_path)) as client:
        assert _names(client) == ["Default", "old"]
    with pytest.raises(UnsupportedError, match="mlflow db upgrade") as refused:
        connect(f"sqlite:///{old_store}", read_only=False)
    assert refused.value.code == "older_schema"
    assert _state(old_store) == before


def test_a_newer_store_is_refused(store: Path, tmp_path: Path) -> None:
    path = tmp_path / "newer.db"
    shutil.copy(store, path)
    with closing(sqlite3.connect(path)) as database:
        database.execute("UPDATE alembic_version SET version_num = 'feedc0ffee00'")
        database.commit()
    for read_only in (True, False):
        with pytest.raises(UnsupportedError, match="newer MLflow") as refused:
            connect(f"sqlite:///{path}", read_only=read_only)
        assert refused.value.code == "newer_schema"


@pytest.mark.parametrize("read_only", [True, False])
def test_what_is_not_a_store_is_refused(tmp_path: Path, read_only: bool) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("hello, this is no database at all")
    with pytest.raises(UsageError, match="is not a SQLite database"):
        connect(f"sqlite:///{text}", read_only=read_only)
    other = tmp_path / "other.db"
    with closing(sqlite3.connect(other)) as database:
        database.execute("CREATE TABLE recipes (name TEXT)")
    with pytest.raises(UsageError, match="not one of MLflow's"):
        connect(f"sqlite:///{other}", read_only=read_only)
    with pytest.raises(UsageError, match="is a folder"):
        connect(f"sqlite:///{tmp_path}", read_only=read_only)
    damaged = tmp_path / "damaged.db"
    damaged.write_bytes(b"SQLite format 3\x00" + b"\xff" * 5000)
    with pytest.raises(UsageError, match="damaged or not a SQLite database"):
        connect(f"sqlite:///{damaged}", read_only=read_only)


def test_what_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="There is no file"):
        connect(f"sqlite:///{tmp_path}/absent.db", read_only=True)
    with pytest.raises(UsageError, match="There is no folder"):
        connect(f"sqlite:///{tmp_path}/no/folder.db", read_only=False)
    assert list(tmp_path.iterdir()) == []


def test_a_writer_goes_on_while_the_store_is_copied(store: Path, tmp_path: Path) -> None:
    path = tmp_path / "busy.db"
    shutil.copy(store, path)
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE filler (data BLOB)")
        database.executemany("INSERT INTO filler VALUES (?)", ((os.urandom(1 << 20),) for _ in range(64)))
        database.commit()
    stop = threading.Event()
    pauses: list[float] = []

    def write() -> None:
        with closing(sqlite3.connect(path, timeout=30)) as database:
            while not stop.is_set():
                began = time.monotonic()
                database.execute("INSERT INTO filler VALUES ('x')")
                database.commit()
                pauses.append(time.monotonic() - began)
                stop.wait(0.02)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        copy_database(path, tmp_path / "copy.db")
    finally:
        stop.set()
        writer.join()
    with closing(sqlite3.connect(tmp_path / "copy.db")) as copy:
        assert copy.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert copy.execute("SELECT count(*) FROM filler").fetchone()[0] >= 64
    assert pauses


def test_a_store_in_wal_mode_is_copied_with_its_log(store: Path, tmp_path: Path) -> None:
    path = tmp_path / "wal.db"
    shutil.copy(store, path)
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("UPDATE experiments SET name = 'logged' WHERE name = 'mine'")
        database.commit()
        copy_database(path, tmp_path / "copy.db")
    with closing(sqlite3.connect(tmp_path / "copy.db")) as copy:
        assert copy.execute("SELECT count(*) FROM experiments WHERE name = 'logged'").fetchone() == (1,)


def test_the_environment_of_other_servers_does_not_reach_the_child(
    store: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, value in (
        ("MLFLOW_TRACKING_URI", "http://127.0.0.1:9"),
        ("MLFLOW_TRACKING_TOKEN", "secret"),
        ("MLFLOW_SERVER_ALLOWED_HOSTS", "example.org"),
        ("_MLFLOW_STATIC_PREFIX", "/prefix"),
        ("HTTP_PROXY", "http://127.0.0.1:9"),
        ("http_proxy", "http://127.0.0.1:9"),
    ):
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mlflow.py").write_text("raise SystemExit('the wrong mlflow')")
    with closing(connect(f"sqlite:///{store}", read_only=True)) as client:
        assert _names(client) == ["Default", "mine"]


@pytest.fixture(scope="module")
def old_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store at the revision of MLflow 2.9, made by MLflow's own migrations, with one experiment."""
    path = tmp_path_factory.mktemp("old") / "old.db"
    script = f"""
import sqlalchemy, mlflow.store.db.utils as u
from alembic import command
from mlflow.store.tracking.dbmodels.initial_models import Base
engine = sqlalchemy.create_engine('sqlite:///{path}')
Base.metadata.create_all(engine)
config = u._get_alembic_config('sqlite:///{path}')
with engine.begin() as connection:
    config.attributes['connection'] = connection
    command.upgrade(config, 'acf3f17fdcc7')
with engine.begin() as connection:
    for id, name in ((0, 'Default'), (1, 'old')):
        connection.exec_driver_sql(
            "INSERT INTO experiments (experiment_id, name, artifact_location, lifecycle_stage)"
            f" VALUES ({{id}}, '{{name}}', '/nowhere/{{id}}', 'active')")
"""
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, env={**os.environ})
    return path


def _until(condition: object, seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:  # type: ignore[operator]
        time.sleep(0.05)


def _process_state(process: int) -> str:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return "Z"


def test_two_stores_at_once(store: Path, tmp_path: Path, empty_databases: EmptyDatabases) -> None:
    target = tmp_path / "target.db"
    empty_databases.copy_to(target, sys.executable, str(tmp_path))
    with (
        closing(connect(f"sqlite:///{store}", read_only=True)) as source,
        closing(connect(f"sqlite:///{target}", read_only=False)) as sink,
    ):
        assert _names(source) == ["Default", "mine"]
        assert _names(sink) == ["Default"]


def test_a_target_that_cannot_be_written_is_refused_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)

    with pytest.raises(NotAuthorisedError, match="no permission to write"):
        connect(f"sqlite:///{tmp_path / 'new.db'}", read_only=False)
