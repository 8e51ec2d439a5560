"""A backup of a database changes nothing in it and holds nobody up, and is of one moment while others write."""

from __future__ import annotations

import hashlib
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from mlflow import MlflowClient
from mlflow.entities import Metric, Param
from pyarrow import parquet

from mlflow_archive import api
from mlflow_archive.events import Event
from mlflow_archive.operations.ends import archive_source
from mlflow_archive.spec.kinds import Kind
from mlflow_archive.spec.loss import Loss
from mlflow_archive.spec.selection import Selection
from mlflow_archive.tracking.database.snapshot import Snapshot
from tests.databases.fixtures import KINDS
from tests.databases.rows import read_tables
from tests.servers import QuickServers, with_driver

pytestmark = [pytest.mark.server, pytest.mark.timeout(300)]

#: Whose databases are read themselves; of SQLite's a copy is.
SERVERS = ("postgresql", "mariadb")
WAL = "sqlite in WAL mode"
EXPERIMENT = "written all the while"
#: What no test of this machine's load needs to wait for a write.
LONG_SECONDS = 30.0


@pytest.fixture(scope="module")
def servers(tmp_path_factory):
    with QuickServers(tmp_path_factory.mktemp("servers")) as quick:
        yield quick


@dataclass
class Running:
    """A server on a database, and one who writes to it."""

    database: str
    artifacts: Path
    client: MlflowClient
    experiment: str
    run: str
    waits: list[float] = field(default_factory=list)
    number: int = 0

    def write(self) -> int:
        """Write the next number: a point of one run, and a run of its own with a point and a param.

        Returns:
            The number, of which everything is in the database now.
        """
        began = time.monotonic()
        number = self.number = self.number + 1
        self.client.log_batch(self.run, metrics=[Metric("number", float(number), 1, number)])
        run = self.client.create_run(self.experiment, run_name=f"run {number}").info.run_id
        self.client.log_batch(run, metrics=[Metric("m", 0.5, 1, 0)], params=[Param("number", str(number))])
        self.waits.append(time.monotonic() - began)
        return number

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Write all the while."""
        stop = threading.Event()

        def write() -> None:
            while not stop.is_set():
                self.write()

        writer = threading.Thread(target=write)
        writer.start()
        try:
            yield
        finally:
            stop.set()
            writer.join()


@pytest.fixture(scope="module", params=[*KINDS, WAL])
def running(request, servers, new_mlflow_database, tmp_path_factory):
    database = new_mlflow_database(request.param.partition(" ")[0])
    if request.param == WAL:
        with closing(sqlite3.connect(database.removeprefix("sqlite:///"))) as file:
            file.execute("PRAGMA journal_mode = WAL")
    artifacts = tmp_path_factory.mktemp("artifacts")
    with servers.serving(database, artifacts) as uri:
        client = MlflowClient(uri)
        experiment = client.create_experiment(EXPERIMENT)
        made = Running(database, artifacts, client, experiment, client.create_run(experiment).info.run_id)
        for _ in range(3):
            made.write()
        yield made


class AtFirstEvents:
    """Writes when a backup tells of its first events: after its snapshot, and before it comes to the objects."""

    def __init__(self, running: Running, times: int) -> None:
        self._running = running
        self._left = times
        self.written: list[int] = []

    def notify(self, event: Event) -> None:
        if self._left:
            self._left -= 1
            self.written.append(self._running.write())


def backup(running: Running, folder: Path, **options: object) -> str:
    roots = {"mlflow-artifacts:/": str(running.artifacts)}
    report = api.backup(running.database, str(folder), artifact_roots=roots, **options)
    assert report.losses == ()
    assert not api.verify(str(folder), level="restorable").problems
    return str(folder)


def files_of(database: str) -> dict[str, str]:
    """Return the digests of a SQLite file and of what is beside it; what processes share in memory is nobody's."""
    if not database.startswith("sqlite:"):
        return {}
    path = Path(database.removeprefix("sqlite:///"))
    return {
        file.name: "" if file.name.endswith("-shm") else hashlib.sha256(file.read_bytes()).hexdigest()
        for file in path.parent.glob(f"{path.name}*")
    }


def rows_of(archive: str, table: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = parquet.read_table(f"{archive}/database/tracking/tables/{table}.parquet").to_pylist()
    return rows


def assert_one_moment(archive: str) -> int:
    """Hold the numbers of the objects, and of the tables, against each other.

    Returns:
        The last number of which everything is there.
    """
    points: list[int] = []
    params: list[int] = []
    runs = bare = 0
    with archive_source(archive, storage_options=None) as source:
        for item in source.read(Kind.RUN, Selection()):
            assert not isinstance(item, Loss)
            content = item.load()
            record = content.record.to_json()
            runs += 1
            bare += not record["params"]
            params += [int(value) for value in record["params"].values()]
            rows = [row for part in content.parts for row in part.open()]
            points += [step for row in rows if row["key"] == "number" for step in row["steps"]]
    last = len(params)
    assert sorted(params) == [*range(1, last + 1)]
    # Of the next number the first or the second of three requests may have been through.
    assert sorted(points) in ([*range(1, last + 1)], [*range(1, last + 2)])
    assert bare - 1 in (0, 1)

    tables = {name: rows_of(archive, name) for name in ("runs", "params", "metrics", "latest_metrics", "tags")}
    assert len(tables["runs"]) == runs
    assert sorted(int(row["value"]) for row in tables["params"]) == sorted(params)
    assert sorted(row["step"] for row in tables["metrics"] if row["key"] == "number") == sorted(points)
    assert [row["step"] for row in tables["latest_metrics"] if row["key"] == "number"] == [max(points)]
    there = {row["run_uuid"] for row in tables["runs"]}
    for name, rows in tables.items():
        assert {row["run_uuid"] for row in rows} <= there, f"{name} names runs that are not there"
    return last


def test_what_is_written_after_the_snapshot_is_in_neither_section(running, tmp_path):
    before = running.number
    observer = AtFirstEvents(running, 3)
    archive = backup(running, tmp_path / "archive", observer=observer)
    assert observer.written == [before + 1, before + 2, before + 3]
    assert assert_one_moment(archive) == before


def test_who_writes_all_the_while_is_not_held_up_and_cut_at_one_moment(running, tmp_path):
    running.waits.clear()
    before = running.number
    with running.writing():
        archive = backup(running, tmp_path / "archive")
        begun = running.number
    assert before <= assert_one_moment(archive) <= begun
    assert begun > before + 1
    assert max(running.waits) < LONG_SECONDS


def test_writers_go_on_for_as_long_as_a_snapshot_is_open(running):
    snapshot = Snapshot.open(running.database, parallelism=2)
    try:
        count = snapshot.count(snapshot.tables["runs"])
        for _ in range(3):
            running.write()
        assert snapshot.count(snapshot.tables["runs"]) == count
        assert snapshot.tuples(sa.select(sa.func.max(snapshot.tables["metrics"].c.step))) == [(running.number - 3,)]
    finally:
        snapshot.close()


def test_a_backup_changes_no_row_and_makes_no_file(running, tmp_path):
    before, files = read_tables(running.database), files_of(running.database)
    assert before["alembic_version"]
    backup(running, tmp_path / "archive")
    assert files_of(running.database) == files
    assert read_tables(running.database) == before


@pytest.mark.parametrize("running", SERVERS, indirect=True)
def test_a_snapshot_cannot_write(running):
    snapshot = Snapshot.open(running.database, parallelism=3)
    try:
        for connection in snapshot._held:
            with pytest.raises(sa.exc.DBAPIError, match=r"(?i)read.only"):
                connection.exec_driver_sql("DELETE FROM tags")
            connection.invalidate()
    finally:
        snapshot.close()


@pytest.mark.parametrize("running", SERVERS, indirect=True)
def test_a_migration_waits_until_the_snapshot_is_closed(running):
    engine = sa.create_engine(with_driver(running.database))
    wait = {"postgresql": "SET lock_timeout = '500ms'", "mysql": "SET SESSION lock_wait_timeout = 1"}[
        engine.dialect.name
    ]
    change = "ALTER TABLE tags ADD COLUMN later VARCHAR(5) DEFAULT 'x' NOT NULL"
    snapshot = Snapshot.open(running.database, parallelism=2)
    try:
        count = snapshot.count(snapshot.tables["tags"])
        assert count
        with engine.connect() as other:
            other.exec_driver_sql(wait)
            with pytest.raises(sa.exc.OperationalError, match=r"(?i)lock"):
                other.exec_driver_sql(change)
        assert snapshot.count(snapshot.tables["tags"]) == count
    finally:
        snapshot.close()
    with engine.begin() as other:
        other.exec_driver_sql(change)
    with engine.begin() as other:
        other.exec_driver_sql("ALTER TABLE tags DROP COLUMN later")
    engine.dispose()
