"""Runs, metrics and logged models straight from rows: paged, in batches, long series in pieces, on every database."""

from __future__ import annotations

import math
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from mlflow_archive.spec.kinds import Kind
from mlflow_archive.spec.selection import Selection
from mlflow_archive.tracking.artifacts import open_artifacts
from mlflow_archive.tracking.connecting import connect
from mlflow_archive.tracking.database.addresses import database_address
from mlflow_archive.tracking.database.answers import metrics
from mlflow_archive.tracking.database.client import DatabaseClient
from mlflow_archive.tracking.database.snapshot import Snapshot
from mlflow_archive.tracking.sources import budget, histories
from mlflow_archive.tracking.sources.source import MlflowSource
from tests.benchmarks.filling import Filling
from tests.databases.filled import OLD_VERSIONS
from tests.databases.fixtures import EXACT_KINDS
from tests.tracking.database.test_same_as_api import assert_same, read

KINDS_HERE = (Kind.EXPERIMENT, Kind.RUN, Kind.LOGGED_MODEL)
#: Parents first.
TABLES = (
    *("experiments", "experiment_tags", "runs", "params", "tags", "metrics", "latest_metrics"),
    *("datasets", "inputs", "input_tags"),
    *("logged_models", "logged_model_params", "logged_model_tags", "logged_model_metrics"),
)
#: Runs, and how many of them have logged models as inputs or outputs.
LEFT_BY = {"2.9.2": (21, 0), "2.22.5": (21, 0), "3.0.1": (21, 3), "3.5.1": (21, 3)}


@pytest.fixture
def database(tmp_path, empty_databases):
    path = tmp_path / "mlflow.db"
    empty_databases.copy_to(path, sys.executable, "mlflow-artifacts:/")
    return path


def by_sql(uri: str, folder: Path | None = None) -> MlflowSource:
    client = DatabaseClient(Snapshot.open(uri, parallelism=2))
    return MlflowSource(client, open_artifacts(client, roots={"mlflow-artifacts:/": str(folder)} if folder else {}))


def points_of(source: MlflowSource) -> dict[tuple[str, str], list[tuple]]:
    """Read the metrics of all runs: (run id, key) -> points."""
    found: dict[tuple[str, str], list[tuple]] = {}
    for key, seen in read(source, Kind.RUN, Selection(artifacts=False)).items():
        assert not seen.losses
        for line in seen.parts.get("metrics", []):
            rows = zip(line["timestamps"], line["steps"], line["values"], strict=True)
            found.setdefault((key.id, line["key"]), []).extend(rows)
    return found


def test_pages_have_every_run_once_and_are_asked_for_once(database):
    filling = Filling(database, database.parent)
    for number in (1, 2):
        filling.experiment(number, f"e{number}")
    expected = {*filling.runs(1, 250, params=2, tags=2), *filling.runs(2, 100)}
    with closing(by_sql(f"sqlite:///{database}")) as source:
        found = [key.id for key in read(source, Kind.RUN, Selection(artifacts=False))]
        calls = source._reading.client.request_count
    assert sorted(found) == sorted(expected)
    # One for the experiments, three pages, one, and one for the experiment of every database.
    assert calls <= 8


@pytest.mark.parametrize(("most_points", "chunk_points"), [(10**6, 10**6), (500, 10**6), (7, 10), (1, 1)])
def test_series_are_whole_whatever_memory_allows(database, monkeypatch, most_points, chunk_points):
    filling = Filling(database, database.parent)
    filling.experiment(1, "e")
    filling.metrics(filling.runs(1, 5), keys=3, steps=40)
    monkeypatch.setattr(budget, "BATCH_POINTS", most_points)
    monkeypatch.setattr(histories, "BATCH_POINTS", most_points)
    monkeypatch.setattr(metrics, "CHUNK_POINTS", chunk_points)
    with closing(by_sql(f"sqlite:///{database}")) as source:
        found = points_of(source)
    with closing(sqlite3.connect(database)) as connection:
        rows = connection.execute(
            "SELECT run_uuid, key, timestamp, step, value FROM metrics ORDER BY timestamp, step, value"
        ).fetchall()
    expected: dict[tuple[str, str], list[tuple]] = {}
    for run_id, key, *point in rows:
        expected.setdefault((run_id, key), []).append(tuple(point))
    assert len(expected) == 15
    assert found == expected


@pytest.mark.parametrize("chunk_points", [10**6, 1, 2])
def test_points_that_differ_in_one_thing_only_are_all_read_in_order(database, monkeypatch, chunk_points):
    """The same time and step twice, and 0 beside what is not a number, which is stored as 0."""
    filling = Filling(database, database.parent)
    filling.experiment(1, "e")
    (run_id,) = filling.runs(1, 1)
    rows = [(0.0, 5, 1, 0), (0.0, 5, 1, 1), (0.1 + 0.2, 5, 1, 0), (-1.5, 5, 2, 0), (1e308, 6, -1, 0), (2.0, 4, 9, 0)]
    with closing(sqlite3.connect(database)) as connection, connection:
        columns = "metrics (value, timestamp, step, is_nan, key, run_uuid)"
        connection.executemany(f"INSERT INTO {columns} VALUES (?, ?, ?, ?, 'm', ?)", [(*row, run_id) for row in rows])
        connection.execute(f"INSERT INTO latest_{columns} VALUES (2.0, 4, 9, 0, 'm', ?)", (run_id,))
    monkeypatch.setattr(metrics, "CHUNK_POINTS", chunk_points)
    monkeypatch.setattr(histories, "BATCH_POINTS", 0 if chunk_points < 10 else 10**6)
    with closing(by_sql(f"sqlite:///{database}")) as source:
        found = points_of(source)
    assert found == {
        (run_id, "m"): [(4, 9, 2.0), (5, 1, 0.0), (5, 1, "NaN"), (5, 1, 0.1 + 0.2), (5, 2, -1.5), (6, -1, 1e308)]
    }


def test_a_latest_value_without_its_history_is_a_loss(database):
    filling = Filling(database, database.parent)
    filling.experiment(1, "e")
    (run_id,) = filling.runs(1, 1)
    filling.metrics([run_id], keys=2, steps=2)
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("DELETE FROM metrics WHERE key = 'metric_01'")
    with closing(by_sql(f"sqlite:///{database}")) as source:
        (seen,) = read(source, Kind.RUN, Selection(artifacts=False)).values()
    assert [loss.code for loss in seen.losses] == ["incomplete"]
    assert [line["key"] for line in seen.parts["metrics"] if line["values"]] == ["metric_00"]


def test_columns_that_no_answer_has_are_kept_where_they_say_something(database):
    filling = Filling(database, database.parent)
    filling.experiment(1, "e")
    first, second = filling.runs(1, 2)
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute(
            "UPDATE runs SET source_type = 'PROJECT', source_name = 'here', source_version = 'abc', entry_point_name ="
            " 'main', lifecycle_stage = 'deleted', deleted_time = 5 WHERE run_uuid = ?",
            (first,),
        )
        connection.execute("UPDATE runs SET name = NULL, user_id = NULL, end_time = NULL WHERE run_uuid = ?", (second,))
        connection.execute("INSERT INTO tags (key, value, run_uuid) VALUES ('mlflow.runName', 'by tag', ?)", (second,))
    with closing(by_sql(f"sqlite:///{database}")) as source:
        found = {key.id: seen.record for key, seen in read(source, Kind.RUN, Selection(artifacts=False)).items()}
    told = {"source_type": "PROJECT", "source_name": "here", "source_version": "abc", "entry_point_name": "main"}
    assert found[first]["info"].items() >= {**told, "deleted_time": 5, "lifecycle_stage": "deleted"}.items()
    assert found[second]["info"].items() >= {"run_name": "by tag", "source_type": "UNKNOWN"}.items()
    assert not found[second]["info"].keys() & {"user_id", "end_time", "source_name", "deleted_time"}


def test_a_metric_of_a_model_that_is_not_a_number_is_one(database):
    with closing(sqlite3.connect(database)) as connection, connection:
        model = "(model_id, experiment_id, name, artifact_location, creation_timestamp_ms, last_updated_timestamp_ms"
        connection.execute(f"INSERT INTO logged_models {model}, status) VALUES ('m-1', 0, 'n', 'a', 1, 2, 2)")
        filling = Filling(database, database.parent)
        columns = "model_id, metric_name, metric_timestamp_ms, metric_step, metric_value, experiment_id, run_id"
        connection.commit()
        (run_id,) = filling.runs(0, 1)
        connection.execute(
            f"INSERT INTO logged_model_metrics ({columns}) VALUES ('m-1', 'k', 5, 6, NULL, 0, ?)", (run_id,)
        )
    with closing(by_sql(f"sqlite:///{database}")) as source:
        (seen,) = read(source, Kind.LOGGED_MODEL, Selection(artifacts=False)).values()
    (metric,) = seen.record["metrics"]
    assert metric["value"] == "NaN"
    assert math.isfinite(metric["timestamp"])
    assert seen.record["info"]["status"] == "LOGGED_MODEL_READY"


def copied(origin: str, target: str) -> None:
    """Copy the rows of `TABLES`, whichever databases these are."""
    engines = [sa.create_engine(database_address(uri).url) for uri in (origin, target)]
    tables = sa.MetaData()
    tables.reflect(engines[0], only=TABLES)
    theirs = sa.MetaData()
    theirs.reflect(engines[1], only=TABLES)
    with engines[0].connect() as reading, engines[1].begin() as writing:
        for name in reversed(TABLES):
            writing.execute(sa.delete(theirs.tables[name]))
        if engines[1].dialect.name == "mysql":
            writing.exec_driver_sql("SET SESSION sql_mode = 'NO_AUTO_VALUE_ON_ZERO'")
        for name in TABLES:
            rows = [dict(row) for row in reading.execute(sa.select(tables.tables[name])).mappings()]
            if rows:
                writing.execute(sa.insert(theirs.tables[name]), rows)
    for engine in engines:
        engine.dispose()


@pytest.mark.server
@pytest.mark.parametrize("kind", EXACT_KINDS)
def test_every_database_gives_the_same(source_server, new_mlflow_database: Callable[[str], str], kind):
    origin, target = f"sqlite:///{source_server.database}", new_mlflow_database(kind)
    copied(origin, target)
    with (
        closing(by_sql(origin, source_server.artifacts)) as expected,
        closing(by_sql(target, source_server.artifacts)) as found,
    ):
        for one in KINDS_HERE:
            assert_same(one, read(expected, one), read(found, one))


@pytest.mark.server
@pytest.mark.parametrize("version", OLD_VERSIONS)
def test_what_an_old_server_left_is_read_as_the_newest_tells_it(old_database, version):
    path = old_database(version)
    roots = {"mlflow-artifacts:/": str(path.parent / "artifacts")}
    client = connect(f"sqlite:///{path}", read_only=True)
    with (
        closing(MlflowSource(client, open_artifacts(client, roots=roots))) as api,
        closing(by_sql(f"sqlite:///{path}", path.parent / "artifacts")) as sql,
    ):
        for kind in KINDS_HERE:
            if kind in sql.kinds():
                told = read(api, kind)
                for seen in told.values():
                    # The newest MLflow puts what is older than workspaces into the default one.
                    assert kind is not Kind.EXPERIMENT or seen.record.pop("workspace") == "default"
                assert_same(kind, told, read(sql, kind))
        runs = read(sql, Kind.RUN, Selection(artifacts=False))
    with_models = [seen for seen in runs.values() if seen.record["model_inputs"] or seen.record["model_outputs"]]
    assert (len(runs), len(with_models)) == LEFT_BY[version]


def test_rows_that_mlflow_shows_nowhere_are_told(database):
    filling = Filling(database, database.parent)
    for number in (1, 2):
        filling.experiment(number, f"e{number}")
        filling.runs(number, number)
    with closing(by_sql(f"sqlite:///{database}")) as source:
        assert source.notes() == ()
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("DELETE FROM experiments WHERE experiment_id = 2")
    with closing(by_sql(f"sqlite:///{database}")) as source:
        assert len(read(source, Kind.RUN, Selection(artifacts=False))) == 1
        (note,) = source.notes()
    assert note.startswith("Rows of runs whose row of experiments is not there: 2.")
