"""Rows of objects that no single server has: old, cut, large, or naming what is not there."""

from __future__ import annotations

import json
import sys
import tracemalloc
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from mlflow_archive.errors import IntegrityError, UnsupportedError
from mlflow_archive.operations.ends import stored_source
from mlflow_archive.spec.kinds import Kind
from mlflow_archive.spec.records import parse_record
from mlflow_archive.stream import Blob, Content, ObjectKey, Part
from mlflow_archive.tracking.database.exact.made.making import BATCH_ROWS, Row
from mlflow_archive.tracking.database.exact.made.rows import MadeRows
from tests.servers import EmptyDatabases
from tests.tracking.database.made.filling import emptied, fill

PREDECESSORS = Path(__file__).parents[3] / "predecessor" / "archives"
RUN = "0a1b2c3d4e5f60718293a4b5c6d7e8f9"
TRACE = "tr-0123456789abcdef0123456789abcdef"


def content(kind: Kind, record: dict[str, Any], part: tuple[str, list[Any]] | None = None) -> Content:
    parts = (Part(part[0], lambda: iter(part[1])),) if part else ()
    return Content(parse_record(kind, record, "here"), parts)


def made(rows: MadeRows, key: ObjectKey, given: Content) -> dict[str, list[Row]]:
    result: dict[str, list[Row]] = {}
    for table, batch in rows.rows_of(key, given):
        result.setdefault(table, []).extend(batch)
    return result


def finished(rows: MadeRows) -> dict[str, list[Row]]:
    return dict(rows.finish())


@pytest.fixture
def rows() -> MadeRows:
    """One experiment was seen."""
    rows = MadeRows()
    made(rows, ObjectKey(Kind.EXPERIMENT, "1"), experiment())
    return rows


def experiment() -> Content:
    record = {"experiment_id": "1", "name": "e", "artifact_location": "x:/1", "lifecycle_stage": "active"}
    return content(Kind.EXPERIMENT, record)


def run(lines: list[Any] = [], **fields: Any) -> tuple[ObjectKey, Content]:  # noqa: B006 - only read
    info = {"run_id": RUN, "experiment_id": "1", "status": "FINISHED", "lifecycle_stage": "active"}
    record = {"info": {**info, **fields.pop("info", {})}, **fields}
    return ObjectKey(Kind.RUN, RUN, "1"), content(Kind.RUN, record, ("metrics", lines))


def line(key: str, *points: tuple[int, int, Any]) -> dict[str, Any]:
    times, steps, values = zip(*points, strict=True)
    return {"key": key, "timestamps": [*times], "steps": [*steps], "values": [*values]}


def test_a_point_comes_once_and_the_latest_is_the_one_of_the_greatest_step(rows):
    lines = [
        line("m", (5, 9, 1.0), (10, 1, "NaN"), (10, 1, "NaN"), (10, 1, 0.0)),
        line("m", (10, 1, "Infinity"), (10, 1, 1.7976931348623157e308)),
    ]
    found = made(rows, *run(lines))
    assert [(row["value"], row["is_nan"]) for row in found["metrics"]] == [
        (1.0, False), (0.0, True), (0.0, False), (1.7976931348623157e308, False),
    ]  # fmt: skip
    assert [(row["step"], row["value"]) for row in found["latest_metrics"]] == [(9, 1.0)]


def test_a_metric_without_a_history_keeps_the_latest_point(rows):
    last = {"key": "m", "value": "-Infinity", "timestamp": 7, "step": 3}
    found = made(rows, *run(metrics=[last]))
    assert found["metrics"] == found["latest_metrics"]
    assert found["metrics"][0]["value"] == -1.7976931348623157e308


def test_a_history_that_is_not_in_order_is_refused(rows):
    with pytest.raises(IntegrityError, match="not in order"):
        made(rows, *run([line("m", (5, 0, 1.0), (4, 0, 1.0))]))


def test_a_long_history_comes_in_batches_that_take_no_memory(rows):
    def lines() -> Iterator[Any]:
        for first in range(0, 300_000, BATCH_ROWS):
            steps = [*range(first, first + BATCH_ROWS)]
            yield {"key": "m", "timestamps": steps, "steps": steps, "values": [0.5] * BATCH_ROWS}

    key, given = run()
    given = Content(given.record, (Part("metrics", lines),))
    tracemalloc.start()
    sizes = [len(batch) for table, batch in rows.rows_of(key, given) if table == "metrics"]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert sum(sizes) == 300_000
    assert max(sizes) <= BATCH_ROWS
    assert peak < 40 << 20


def test_the_same_archive_gives_the_same_rows(rows):
    dataset = {"name": "d", "digest": "1", "source_type": "http", "source": "{}"}
    fields = {"dataset_inputs": [{"dataset": dataset, "tags": [{"key": "k", "value": "v"}]}]}
    again = MadeRows()
    made(again, ObjectKey(Kind.EXPERIMENT, "1"), experiment())
    first = made(rows, *run(**fields))
    assert first == made(again, *run(**fields))
    assert first["datasets"][0]["dataset_uuid"] == first["inputs"][0]["source_id"]
    assert "datasets" not in made(rows, *run(**fields)), "a dataset is one row, of however many runs"


def test_what_only_sql_tells_is_taken_where_it_is_told(rows):
    told = {"lifecycle_stage": "deleted", "deleted_time": 5, "source_name": "train.py", "source_type": "LOCAL"}
    (row,) = made(rows, *run(info=told))["runs"]
    assert (row["deleted_time"], row["source_name"], row["source_type"]) == (5, "train.py", "LOCAL")
    assert rows.notes == ()


@pytest.mark.parametrize("id", ["7", "abc"])
def test_an_object_of_an_experiment_that_is_not_there_is_refused_before_its_first_row(id):
    rows = MadeRows()
    given = run()[1]
    with pytest.raises(UnsupportedError, match=id):
        next(rows.rows_of(ObjectKey(Kind.RUN, RUN, id), given))


def test_points_of_models_in_runs_that_are_not_there_are_left_out_and_counted(rows):
    metric = {"key": "m", "value": 1.0, "timestamp": 1, "run_id": "f" * 32, "model_id": "m-1"}
    record = {"info": {"model_id": "m-1", "experiment_id": "1"}, "metrics": [metric]}
    found = made(rows, ObjectKey(Kind.LOGGED_MODEL, "m-1", "1"), content(Kind.LOGGED_MODEL, record))
    assert found.keys() == {"logged_models"}
    assert any(note.startswith("Points of logged models") and ": 1;" in note for note in rows.notes)


def test_missing_versions_are_marked_as_deleted(rows):
    record = {"name": "m", "versions": [{"version": 2, "source": "s"}, {"version": 5, "source": "s"}]}
    found = made(rows, ObjectKey(Kind.REGISTERED_MODEL, "m"), content(Kind.REGISTERED_MODEL, record))
    stages = {row["version"]: row["current_stage"] for row in found["model_versions"]}
    assert stages == {1: "Deleted_Internal", 2: "None", 3: "Deleted_Internal", 4: "Deleted_Internal", 5: "None"}


def test_a_number_out_of_all_proportion_makes_no_versions(rows):
    record = {"name": "m", "versions": [{"version": 2**31 - 1, "source": "s"}]}
    found = made(rows, ObjectKey(Kind.REGISTERED_MODEL, "m"), content(Kind.REGISTERED_MODEL, record))
    assert len(found["model_versions"]) == 1


def trace(spans: list[Any], location: str, **fields: Any) -> Content:
    info = {"trace_id": TRACE, "request_time": "2026-01-01T00:00:00.5Z", "execution_duration": "0.250s"}
    metadata = fields.pop("metadata", {})
    record = {"info": {**info, "trace_metadata": metadata}, "experiment_id": "1", "spans_location": location, **fields}
    return content(Kind.TRACE, record, ("spans", spans))


KEY = ObjectKey(Kind.TRACE, TRACE, "1")
OLD_SPAN = {
    "name": "old",
    "context": {"span_id": "0x1b2", "trace_id": "0x3"},
    "parent_id": "0x00000000000000ff",
    "start_time": 5,
    "end_time": 9,
    "status_code": "ERROR",
    "attributes": {"mlflow.spanType": '"TOOL"', "mlflow.llm.cost": '{"total_cost": 0.5}', "mlflow.llm.model": '"gpt"'},
}


def test_a_span_of_mlflow_2_has_the_columns_of_a_new_one(rows):
    (row,) = made(rows, KEY, trace([OLD_SPAN], "TRACKING_STORE"))["spans"]
    assert (row["span_id"], row["parent_span_id"]) == ("00000000000001b2", "00000000000000ff")
    assert (row["start_time_unix_nano"], row["end_time_unix_nano"]) == (5, 9)
    assert (row["status"], row["type"], row["total_cost"], row["model_name"]) == ("ERROR", "TOOL", 0.5, "gpt")


def test_spans_that_nobody_would_find_are_in_the_database(rows):
    tags = {"mlflow.trace.spansLocation": "ARCHIVE_REPO", "mlflow.trace.archiveLocation": "s3://gone", "own": "1"}
    found = made(rows, KEY, trace([OLD_SPAN], "ARCHIVE_REPO", tags=tags))
    assert len(found["spans"]) == 1
    assert {row["key"]: row["value"] for row in found["trace_tags"]} == {
        "mlflow.trace.spansLocation": "TRACKING_STORE",
        "own": "1",
    }
    assert any(note.startswith("Traces whose spans") and ": 1;" in note for note in rows.notes)


def test_spans_among_the_files_stay_there(rows):
    given = trace([OLD_SPAN], "ARTIFACT_REPO")
    blob = Blob("artifacts", "traces.json", 1, lambda: closing(iter([b"{}"])))  # type: ignore[arg-type, return-value]
    given = Content(given.record, given.parts, lambda: iter([blob]))
    assert "spans" not in made(rows, KEY, given)


def test_a_span_without_an_id_is_refused(rows):
    with pytest.raises(IntegrityError, match="none"):
        made(rows, KEY, trace([{**OLD_SPAN, "context": {"span_id": "?"}}], "TRACKING_STORE"))


def test_analytics_are_taken_out_of_the_metadata(rows):
    tokens = {"input_tokens": 3, "output_tokens": "4", "total_tokens": 7.5}
    metadata = {
        "mlflow.trace.tokenUsage": json.dumps(tokens),
        "mlflow.trace.cost": '{"total_cost": 1e999}',
        "mlflow.trace.session": "s",
        "own": "x",
    }
    found = made(rows, KEY, trace([], "TRACKING_STORE", metadata=metadata, tags={"mlflow.traceName": "n"}))
    (info,) = found["trace_info"]
    assert (info["input_tokens"], info["output_tokens"], info["total_tokens"]) == (3, 4, None)
    assert (info["total_cost"], info["session_id"], info["trace_name"]) == (None, "s", "n")
    assert (info["timestamp_ms"], info["execution_time_ms"]) == (1767225600500, 250)
    assert [row["key"] for row in found["trace_request_metadata"]] == ["own"]
    assert "trace_tags" not in found


def test_a_judge_behind_the_gateway_asks_its_endpoint_by_id(rows):
    judge = {"instructions_judge_pydantic_data": {"model": "gateway:/chat", "instructions": "?"}}
    version = {"scorer_version": 1, "scorer_id": "s-1", "serialized_scorer": json.dumps(judge)}
    record = {"experiment_id": "1", "scorer_name": "j", "versions": [version]}
    found = made(rows, ObjectKey(Kind.SCORER, "j", "1"), content(Kind.SCORER, record))
    assert found.keys() == {"scorers"}
    endpoint = {"name": "chat", "payload": {"endpoint_id": "e-1", "name": "chat"}}
    made(rows, ObjectKey(Kind.GATEWAY_ENDPOINT, "e-1"), content(Kind.GATEWAY_ENDPOINT, endpoint))
    (row,) = finished(rows)["scorer_versions"]
    assert json.loads(str(row["serialized_scorer"]))["instructions_judge_pydantic_data"]["model"] == "gateway:/e-1"


def test_a_guardrail_without_its_scorer_is_refused(rows):
    payload = {"guardrail_id": "g", "name": "g", "scorer": {"scorer_id": "s", "scorer_version": 1}}
    given = content(Kind.GUARDRAIL, {"name": "g", "payload": payload})
    with pytest.raises(UnsupportedError, match="the scorer s"):
        made(rows, ObjectKey(Kind.GUARDRAIL, "g"), given)


def test_an_issue_forgets_a_run_that_is_not_there(rows):
    payload = {"issue_id": "iss-1", "name": "i", "source_run_id": RUN}
    found = made(rows, ObjectKey(Kind.ISSUE, "iss-1", "1"), content(Kind.ISSUE, {"name": "i", "payload": payload}))
    assert found["issues"][0]["source_run_id"] is None
    assert [loss.path for loss in rows.losses] == [f"runs/{RUN}"]


def test_workspaces_are_kept_and_the_default_one_is_always_there():
    rows = MadeRows()
    record = {"name": "team", "trace_archival_config": {"location": "s3://x", "retention": "30d"}}
    (row,) = made(rows, ObjectKey(Kind.WORKSPACE, "team"), content(Kind.WORKSPACE, record))["workspaces"]
    assert (row["trace_archival_location"], row["trace_archival_retention"]) == ("s3://x", "30d")
    (table,) = made(rows, ObjectKey(Kind.EXPERIMENT, "1", workspace="team"), experiment())["experiments"]
    assert table["workspace"] == "team"
    assert [row["name"] for row in finished(rows)["workspaces"]] == ["default"]
    assert "--enable-workspaces" in rows.notes[0]


@pytest.mark.parametrize(
    ("name", "tables"),
    [("newest", ("model_versions", "model_version_tags")), ("released", ("experiments", "runs", "metrics", "params"))],
)
def test_archives_of_the_predecessor_fill_a_database(name, tables, empty_databases: EmptyDatabases, tmp_path):
    path = tmp_path / "mlflow.db"
    empty_databases.copy_to(path, sys.executable, "mlflow-artifacts:/")
    with stored_source(str(PREDECESSORS / name), storage_options=None) as source, closing(emptied(path)) as database:
        assert fill(database, MadeRows(), source) == []
        assert database.execute("PRAGMA foreign_key_check").fetchall() == []
        counts = [database.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables]
    assert all(counts)
