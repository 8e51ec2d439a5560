"""Exact restores from objects: whole objects or none of them, everything checked before, and what comes is the same."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from mlflow_archive import api
from mlflow_archive.errors import IntegrityError, UnsupportedError, UsageError
from mlflow_archive.operations.report import Report
from mlflow_archive.spec.kinds import Kind
from mlflow_archive.spec.records import parse_record
from mlflow_archive.spec.selection import Selection
from mlflow_archive.stream import Content, ObjectKey, Part
from mlflow_archive.tracking.database.addresses import database_address
from mlflow_archive.tracking.database.exact import schema, state
from mlflow_archive.tracking.database.exact.connection import Target
from mlflow_archive.tracking.database.exact.made.rows import MadeRows
from mlflow_archive.tracking.database.exact.made_rows import ObjectRows
from tests.databases.filled import unpack
from tests.databases.fixtures import EXACT_KINDS, Databases
from tests.roundtrip.conftest import SURROUNDINGS
from tests.roundtrip.documents import differing_fields
from tests.tracking.database.exact.archives import rows_of

PREDECESSORS = Path(__file__).parents[3] / "predecessor" / "archives"
LARGE = 123456789012345678
OF_RUNS = ("runs", "params", "tags", "metrics", "latest_metrics")
#: What newer servers tell of the same rows of older ones.
OLDER = {
    "experiment.workspace",
    # The experiment of a trace is among its location in the form of MLflow 3.
    "trace.info.experiment_id",
}
#: What differs between the objects of MLflow 3.5 and the same of the newest, whose files were left out.
DIFFERENT = {
    # Newer servers tell the workspace of an experiment also where it is the only one.
    "experiment.workspace",
    # Spans that were in files, and are in the database where these are left out.
    "trace.spans_location",
    "trace.tags.mlflow.trace.spansLocation",
}


def objects_of(database: Path, folder: Path) -> Path:
    """Archive the objects of a database as a server would tell of them, without tables and files."""
    roots = {"mlflow-artifacts:/": str(database.parent / "artifacts")}
    api.backup(f"sqlite:///{database}", str(folder), without=["database", "artifacts"], artifact_roots=roots)
    return folder


def exactly(archive: Path, uri: str, **options: Any) -> Report:
    return api.restore(str(archive), uri, exact=True, without=["artifacts"], **options)


def query(uri: str, statement: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(uri.removeprefix("sqlite:///"))) as connection:
        return connection.execute(statement).fetchall()


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a server of MLflow 3.5.1 left."""
    return unpack("3.5.1", tmp_path_factory.mktemp("old"))


@pytest.fixture(scope="module")
def archive(old: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its objects."""
    return objects_of(old, tmp_path_factory.mktemp("archive") / "objects")


@pytest.fixture(scope="module")
def restored(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Report]:
    """A SQLite file with everything of it, and the report."""
    uri = f"sqlite:///{tmp_path_factory.mktemp('restored') / 'new.db'}"
    return uri, exactly(archive, uri, activate=True)


@pytest.fixture
def target(databases: Callable[[str], Databases]) -> Iterator[Callable[[str], str]]:
    """Makes an empty database of a kind."""
    made = []

    def new(kind: str) -> str:
        made.append((databases(kind), databases(kind).new_database()))
        return made[-1][1]

    yield new
    for place, uri in made:
        place.drop_database(uri)


@pytest.mark.parametrize("kind", EXACT_KINDS)
def test_the_objects_of_the_restored_database_are_the_same(kind, archive, old, restored, target, tmp_path):
    uri, report = restored
    if kind != "sqlite":
        uri = target(kind)
        report = exactly(archive, uri, activate=True)
    assert report.status == "complete", report.losses
    roots = {"mlflow-artifacts:/": str(old.parent / "artifacts")}
    api.backup(uri, str(tmp_path / "again"), without=["database", "artifacts"], artifact_roots=roots)
    assert differing_fields(archive, tmp_path / "again") == DIFFERENT
    if kind == "postgresql":
        assert rows_of(uri) == rows_of(restored[0])


@pytest.mark.parametrize("version", ["2.9.2", "2.22.5", "3.0.1"])
def test_objects_of_older_servers_are_the_same(version, old_database, tmp_path, monkeypatch):
    for name, value in SURROUNDINGS.items():
        monkeypatch.setenv(name, value)
    database, uri = old_database(version), f"sqlite:///{tmp_path / 'new.db'}"
    before, after = ({"mlflow-artifacts:/": str(folder / "artifacts")} for folder in (database.parent, tmp_path))
    api.backup(f"sqlite:///{database}", str(tmp_path / "first"), without=["database"], artifact_roots=before)
    report = api.restore(str(tmp_path / "first"), uri, exact=True, activate=True, artifact_roots=after)
    assert all(count.lost == 0 for count in report.counts.values()), report.counts
    api.backup(uri, str(tmp_path / "second"), without=["database"], artifact_roots=after)
    assert differing_fields(tmp_path / "first", tmp_path / "second") <= OLDER


def test_the_database_is_a_whole_one(restored):
    uri, report = restored
    assert query(uri, "SELECT version_num FROM alembic_version") == [(schema.head(),)]
    assert query(uri, "PRAGMA integrity_check") == [("ok",)]
    assert query(uri, "PRAGMA foreign_key_check") == []
    tables = {name for (name,) in query(uri, "SELECT name FROM sqlite_master WHERE type = 'table'")}
    assert not {state.TABLE, state.REVISION_TABLE} & tables
    indexed = {name for (name,) in query(uri, "SELECT tbl_name FROM sqlite_master WHERE sql LIKE 'CREATE INDEX%'")}
    assert {"metrics", "params", "tags", "trace_info", "spans"} <= indexed
    assert sum("The archive has no tables" in note for note in report.notes) == 1


def test_of_a_damaged_run_there_is_nothing_and_of_the_others_everything(archive, restored, tmp_path):
    folder, run = _damaged(archive, tmp_path / "damaged")
    uri = f"sqlite:///{tmp_path / 'b.db'}"
    report = exactly(folder, uri, activate=True)
    assert report.damaged
    assert (Kind.RUN, run) in {(loss.kind, loss.id) for loss in report.losses}
    for table in OF_RUNS:
        assert query(uri, f"SELECT count(*) FROM {table} WHERE run_uuid = '{run}'") == [(0,)]
        asked = f"SELECT * FROM {table} WHERE run_uuid != '{run}'"
        assert sorted(map(repr, query(uri, asked))) == sorted(map(repr, query(restored[0], asked)))
    asked = "SELECT name FROM datasets ORDER BY name"
    assert query(uri, asked) == query(restored[0], asked)
    assert query(uri, "PRAGMA foreign_key_check") == []


def _damaged(archive: Path, folder: Path) -> tuple[Path, str]:
    """Copy an archive, with damage in the history of a run that has a dataset."""
    shutil.copytree(archive, folder)
    for path in sorted(folder.glob("experiments/*/runs/*/metrics.jsonl")):
        document = json.loads((path.parent / "run.json").read_text(encoding="utf-8"))
        if document["record"].get("dataset_inputs"):
            data = bytearray(path.read_bytes())
            data[len(data) // 2] ^= 1
            path.write_bytes(data)
            return folder, path.parent.name
    raise AssertionError("no run has metrics and a dataset")


def _changed(restored: tuple[str, Report], folder: Path, statement: str) -> Path:
    """Archive the objects of the restored database with a change."""
    folder.mkdir()
    shutil.copyfile(restored[0].removeprefix("sqlite:///"), folder / "changed.db")
    with closing(sqlite3.connect(folder / "changed.db")) as connection, connection:
        connection.execute(statement)
    return objects_of(folder / "changed.db", folder / "objects")


@pytest.mark.parametrize(
    ("kind", "change", "said"),
    [
        (
            "postgresql",
            f"UPDATE experiments SET experiment_id = {LARGE} WHERE name = 'empty'",
            rf"an experiment with the id {LARGE}, .* restore into SQLite, or without --exact",
        ),
        ("postgresql", "UPDATE params SET value = 'a' || char(0) || 'b'", r"params.value has text .* U\+0000"),
        (
            "exact_mariadb",
            "UPDATE tags SET value = replace(hex(zeroblob(5000)), '00', 'äb')",
            r"tags.value has a value of 10,000 characters .* a column of 8,000",
        ),
        ("mariadb", "UPDATE tags SET value = ''", r"'[Cc]ustomer (churn|CHURN)' are two, and one in the target's"),
    ],
    ids=["large-id", "zero-character", "long-text", "collation"],
)
def test_what_does_not_fit_is_said_before_anything_is_written(kind, change, said, restored, target, tmp_path):
    archive, uri = _changed(restored, tmp_path / "changed", change), target(kind)
    with pytest.raises(UnsupportedError, match=said):
        exactly(archive, uri)
    engine = sa.create_engine(database_address(uri).url)
    assert sa.inspect(engine).get_table_names() == []
    engine.dispose()


def test_an_interrupted_one_begins_anew_and_says_so(archive, restored, tmp_path, monkeypatch):
    uri = f"sqlite:///{tmp_path / 'b.db'}"
    with monkeypatch.context() as patched:
        patched.setattr(ObjectRows, "finish", _interrupted)
        with pytest.raises(KeyboardInterrupt):
            exactly(archive, uri)
    assert query(uri, "SELECT version_num FROM alembic_version") == [(state.MARKER,)]
    report = exactly(archive, uri, activate=True)
    assert any("begins anew" in note for note in report.notes)
    assert rows_of(uri) == rows_of(restored[0])


def _interrupted(*_: object) -> None:
    raise KeyboardInterrupt


def test_a_part_of_an_archive_is_restored_with_what_belongs_to_it(old, tmp_path):
    archive, uri = tmp_path / "archive", f"sqlite:///{tmp_path / 'b.db'}"
    api.backup(f"sqlite:///{old}", str(archive), without=["artifacts"])
    report = exactly(archive, uri, experiments=["Customer churn"])
    assert report.counts["experiment"].stored == 1
    (experiment,) = query(uri, "SELECT experiment_id, name FROM experiments")
    assert experiment[1] == "Customer churn"
    asked = f"SELECT run_uuid, artifact_uri FROM runs WHERE experiment_id = {experiment[0]} ORDER BY 1"
    assert query(uri, asked) == query(f"sqlite:///{old}", asked) != []
    assert query(uri, "SELECT name FROM registered_models") == []
    assert any("A part of the archive was asked for" in note for note in report.notes)


def test_an_archive_of_the_predecessor_is_restored_with_its_ids(tmp_path):
    uri = f"sqlite:///{tmp_path / 'b.db'}"
    report = exactly(PREDECESSORS / "released", uri)
    assert (report.counts["run"].stored, report.counts["run"].lost) != (0, 0)
    ids = {id for (id,) in query(uri, "SELECT run_uuid FROM runs")}
    assert ids == {*report.ids["run"]} == {*report.ids["run"].values()}
    assert query(uri, "PRAGMA foreign_key_check") == []


def test_nothing_is_made_by_a_dry_run(archive, tmp_path):
    report = exactly(archive, f"sqlite:///{tmp_path / 'b.db'}", dry_run=True)
    assert report.counts["run"].stored > 0
    with pytest.raises(UsageError, match="changes no name"):
        exactly(archive, f"sqlite:///{tmp_path / 'b.db'}", rename_experiments={"a": "b"})
    assert not (tmp_path / "b.db").exists()


def test_an_mlflow_that_lacks_the_revision_is_told_what_to_install(archive, tmp_path, monkeypatch):
    monkeypatch.setattr(schema, "_knows", lambda revision: False)
    with pytest.raises(UnsupportedError, match=r"from objects, .*: pip install 'mlflow>=3.17'"):
        exactly(archive, f"sqlite:///{tmp_path / 'b.db'}")


EXPERIMENT = {"experiment_id": "1", "name": "e", "artifact_location": "s3://b/1", "lifecycle_stage": "active"}


class _Histories:
    """A source with one experiment and runs whose history is made up."""

    def kinds(self) -> tuple[Kind, ...]:
        return ()


def _run(id: str, lines: Callable[[], Iterator[dict[str, Any]]]) -> tuple[ObjectKey, Content]:
    info = {"run_id": id, "experiment_id": "1", "status": "FINISHED", "lifecycle_stage": "active", "start_time": 1}
    record = {"info": info, "params": {"p": "v"}, "dataset_inputs": [{"dataset": {"name": "d", "digest": "1"}}]}
    key = ObjectKey(Kind.RUN, id, "1")
    return key, Content(parse_record(Kind.RUN, record, "run.json"), (Part("metrics", lines),))


@pytest.fixture
def filling(tmp_path: Path) -> Iterator[tuple[ObjectRows, Target]]:
    """An empty schema, and what fills it."""
    rows = ObjectRows(_Histories(), Selection(), deleted_ms=None, parallelism=2)  # type: ignore[arg-type]
    with closing(Target(database_address(f"sqlite:///{tmp_path / 'b.db'}"))) as database:
        with database.transaction() as connection:
            state.begin(connection, state.Identity("a", "", MadeRows.REVISION, made=True), state.ROWS)
            schema.create(connection, MadeRows.REVISION)
            rows.take_tables(schema.reflected(connection))
            rows.make_room(connection)
        record = parse_record(Kind.EXPERIMENT, EXPERIMENT, "experiment.json")
        rows.take(database, ObjectKey(Kind.EXPERIMENT, "1"), Content(record))
        yield rows, database


def _points(number: int, fault: int | None = None) -> Callable[[], Iterator[dict[str, Any]]]:
    def lines() -> Iterator[dict[str, Any]]:
        for start in range(0, number, 1000):
            if start == fault:
                raise IntegrityError("damaged")
            steps = list(range(start, start + 1000))
            yield {"key": "m", "steps": steps, "timestamps": steps, "values": [0.5] * 1000}

    return lines


def test_a_large_run_is_written_at_once_and_one_that_fails_leaves_nothing(filling):
    rows, database = filling
    rows.take(database, *_run("a" * 32, _points(50_000)))
    with database.transaction() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM metrics").scalar() == 50_000
    for points, fault in ((50_000, 45_000), (3_000, 2_000)):
        with pytest.raises(IntegrityError, match="damaged"):
            rows.take(database, *_run("b" * 32, _points(points, fault)))
    rows.take(database, *_run("c" * 32, _points(2_000)))
    with database.transaction() as connection:
        rows.finish(connection)
    with database.transaction() as connection:
        rows.check(connection, database.address)
        for table, expected in (("metrics", {"a": 50_000, "c": 2_000}), ("params", {"a": 1, "c": 1})):
            found = connection.exec_driver_sql(f"SELECT run_uuid, count(*) FROM {table} GROUP BY 1 ORDER BY 1")
            assert {run[0]: count for run, count in found} == expected
        assert connection.exec_driver_sql("SELECT count(*) FROM datasets").scalar() == 1
        assert connection.exec_driver_sql("SELECT count(*) FROM inputs").scalar() == 2
        assert list(connection.exec_driver_sql("PRAGMA foreign_key_check")) == []


def test_a_row_that_changes_on_its_way_is_found(filling):
    rows, database = filling
    rows.take(database, *_run("a" * 32, _points(1_000)))
    with database.transaction() as connection:
        rows.finish(connection)
        connection.exec_driver_sql("UPDATE metrics SET value = 1 WHERE step = 7")
        with pytest.raises(IntegrityError, match=r"The table metrics of .* has rows that differ"):
            rows.check(connection, database.address)
