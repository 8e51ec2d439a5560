"""Archives that mlflow-export-import itself wrote (`tests.predecessor.made`), restored to a real server.

``released`` is version 1.2.0 with MLflow 2.4, ``newest`` its last commit with MLflow 3.17. What was on the servers is
written in `tests.predecessor.filling`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from mlflow_archive.api import restore
from mlflow_archive.operations.report import Report
from tests.comparison.compare import Row, dump
from tests.predecessor.by_hand import ARCHIVES
from tests.predecessor.filling import DELETED_VERSIONS
from tests.seeding.world import EPOCH_MS

pytestmark = pytest.mark.server
VERSIONS = [number for number in range(1, 15) if number not in DELETED_VERSIONS]
PROMPT_VERSIONS = [number for number in range(1, 13) if number != 4]


@dataclass(frozen=True)
class Restored:
    """A server that one archive was restored to."""

    rows: list[Row]
    report: Report

    def of(self, kind: str) -> dict[str, dict[str, Any]]:
        """Return the fields of all objects of a kind by key; runs and logged models by name."""
        rows = [row for row in self.rows if row["kind"] == kind]
        if kind in ("run", "logged_model"):
            return {row["key"][1]: row["fields"] for row in rows}
        return {" / ".join(row["key"]): row["fields"] for row in rows}


@pytest.fixture(scope="module", params=["released", "newest"])
def restored(request, start_module_server, tmp_path_factory):
    server = start_module_server()
    report = restore(str(ARCHIVES / request.param / "all"), server.uri)
    rows = dump(server.uri, tmp_path_factory.mktemp("rows") / "rows", server.python)
    server.stop()
    return Restored(rows, report)


def test_experiments_and_runs_have_their_names_states_and_times(restored):
    assert restored.of("experiment").keys() == {"Default", "churn, and more", "nested"}
    tags = restored.of("experiment")["nested"]["tags"]
    assert (tags["team"], tags["mlflow.note.content"]) == ("blue", "A note.")
    runs = restored.of("run")
    start = {"full": 0, "FAILED": 0, "KILLED": 100_000, "parent": 0, "child": 1000, "grandchild": 2000}
    assert runs.keys() == {*start, "RUNNING"}
    for name, after in start.items():
        info = runs[name]["info"]
        assert (info["start_time"], info["end_time"]) == (EPOCH_MS + after, EPOCH_MS + after + 12_345), name
        assert info["status"] == (name if name.isupper() else "FINISHED")
    assert (runs["RUNNING"]["info"]["start_time"], runs["RUNNING"]["info"]["end_time"]) == (EPOCH_MS, None)
    assert restored.report.counts["run"].stored == 7


def test_nested_runs_name_the_runs_that_were_made_of_their_parents(restored):
    ids = {row["key"][1]: row["id"] for row in restored.rows if row["kind"] == "run"}
    parents = {name: fields["data"]["tags"].get("mlflow.parentRunId") for name, fields in restored.of("run").items()}
    assert (parents["parent"], parents["child"], parents["grandchild"]) == (None, ids["parent"], ids["child"])


def test_metrics_params_and_files_of_a_run_are_whole(restored):
    full = restored.of("run")["full"]
    assert full["data"]["params"] == {"name": "full", "lr": "0.1", "long": "v" * 400, "empty": ""}
    assert [(point[0], point[2]) for point in sorted(full["history"]["loss"], key=lambda point: point[1])] == [
        (EPOCH_MS + 10 * step, 1 / (step + 1)) for step in range(40)
    ]
    assert sorted(point[2] for point in full["history"]["odd"] if point[2] != "nan") == [1.0, 3.0]
    assert [point[2] for point in full["history"]["last is nan"]] == ["nan"]
    # Of a logged model's NaN the server, and so the archive, says 0; the run has it right.
    assert [point[2] for point in full["history"].get("odd f1", [])] in ([], ["nan"])
    assert {"we ird/na me  .txt", "plus+and&equals=.txt", "empty.bin", "deep/er/still/x.json"} < full[
        "artifacts"
    ].keys()
    run_id = next(row["id"] for row in restored.rows if row["kind"] == "run" and row["key"][1] == "full")
    assert f"run_id: {run_id}" in full["artifacts"]["model/MLmodel"]


def test_versions_have_their_numbers_stages_and_aliases(restored):
    versions = {
        int(key.rpartition(" / ")[2]): fields
        for key, fields in restored.of("model_version").items()
        if key.startswith("churn /")
    }
    assert sorted(versions) == VERSIONS
    stages = {1: "Archived", 5: "Production", 11: "Staging"}
    assert {number: one["current_stage"] for number, one in versions.items()} == {
        number: stages.get(number, "None") for number in VERSIONS
    }
    runs = {row["key"][1]: row["id"] for row in restored.rows if row["kind"] == "run"}
    for number, version in versions.items():
        run_id = runs[("full", "FAILED", "parent")[number % 3]]
        assert version["tags"]["number"] == str(number)
        assert version["description"] == f"no. {number}"
        assert version["run_id"] == run_id
        assert version["source"].endswith(f"/{run_id}/artifacts/model")
    aliases = {key.rpartition(" / ")[2]: int(one["got"]) for key, one in restored.of("alias").items()}
    assert aliases == {"champion": 11, "challenger": 2, "newest": 14}
    assert {"churn", "one version", "no versions"} <= restored.of("registered_model").keys()


def test_logged_models_are_linked_to_their_runs_and_versions(restored):
    models = restored.of("logged_model")
    if not models:
        assert "logged_model" not in restored.report.counts
        return
    ids = {row["key"][1]: row["id"] for row in restored.rows if row["kind"] in ("run", "logged_model")}
    assert {name: one["status"] for name, one in models.items()} == {
        "of a run": "READY",
        "of no run": "READY",
        "failed": "FAILED",
    }
    assert models["of a run"]["source_run_id"] == ids["full"]
    assert models["of a run"]["params"] == {"depth": "3"}
    assert {one["key"] for one in models["of a run"]["metrics"]} == {"f1", "odd f1"}
    assert models["of a run"]["artifacts"].keys() == {"MLmodel", "we ird/na me.bin"}
    assert f"model_id: {ids['of a run']}" in models["of a run"]["artifacts"]["MLmodel"]
    outputs = restored.of("run")["full"]["outputs"]["model_outputs"]
    assert {(one["model_id"], one["step"]) for one in outputs} == {(ids["of a run"], 2), (ids["failed"], 0)}
    assert restored.of("model_version")["of a logged model / 1"]["source"] == f"models:/{ids['of a run']}"


def test_traces_keep_ids_times_and_assessments_and_spans_are_lost_only_where_they_were(restored):
    traces = {row["key"][1]: row["fields"] for row in restored.rows if row["kind"] == "trace"}
    lost = [loss for loss in restored.report.losses if loss.path == "spans"]
    if not traces:
        assert lost == []
        return
    by_name: dict[str, list[dict[str, Any]]] = {}
    for one in traces.values():
        by_name.setdefault(one["tags"]["mlflow.traceName"], []).append(one)
    assert {name: len(found) for name, found in by_name.items()} == {
        "full": 1,
        "second": 1,
        "error": 1,
        "in a run": 1,
        "in artifacts": 2,
    }
    (full,), (error,) = by_name["full"], by_name["error"]
    assert (full["request_time"], full["execution_duration_ms"]) == ("2024-02-29T12:00:00Z", 7)
    assert (error["request_time"], error["state"]) == ("2024-02-29T12:00:02Z", "ERROR")
    said = {one["assessment_name"]: one for one in full["assessments_by_id"].values()}
    assert said["expected"]["expectation"]["serialized_value"]["value"] == '{"a": [1, null]}'
    assert said["right"]["feedback"] == {"value": True}
    assert sorted(
        one["feedback"]["value"] for one in full["assessments_by_id"].values() if one["assessment_name"] == "overridden"
    ) == ["bad", "good"]
    assert {loss.id for loss in lost} == {id for id, one in traces.items() if isinstance(one["spans"], str)}
    assert {one["reason"] for one in (loss.to_json() for loss in lost)} <= {
        "The export kept only the name of one span.",
        "The export kept only the names of 2 spans.",
    }


def test_prompts_and_datasets_come_back_with_what_was_exported(restored):
    numbers = [int(key.rpartition(" / ")[2]) for key in restored.of("prompt_version") if key.startswith("summary /")]
    records = [one["inputs"] for one in restored.of("dataset_record").values()]
    if "prompt" not in restored.report.counts:
        assert (numbers, records) == ([], [])
        return
    assert sorted(numbers) == PROMPT_VERSIONS
    eleven = restored.of("prompt_version")["summary / 11"]
    assert (eleven["template"], eleven["commit_message"]) == ("Summarise {{text}} in 11 words.", "no. 11")
    assert any("aliases" in note for note in restored.report.notes)
    assert sorted(one["q"] for one in records) == ["one", "three", "two"]
    experiments = {row["id"]: row["key"][0] for row in restored.rows if row["kind"] == "experiment"}
    linked = restored.of("evaluation_dataset")["questions"]["experiment_ids"]
    assert {experiments.get(id, id) for id in linked} == {"churn, and more", "nested"}


def test_exports_of_single_objects_are_restored_as_well(fresh_server, tmp_path):
    stored = {
        "released/run": {"experiment": 1, "run": 1},
        "newest/model-version": {"experiment": 1, "run": 1, "registered_model": 1},
        # Nothing in it tells the name of its experiment, as in the run's: both go into the one that stands for it.
        "newest/trace": {"trace": 1},
        "newest/prompt": {"prompt": 1},
        "newest/evaluation-datasets": {"evaluation_dataset": 2},
    }
    for archive, expected in stored.items():
        report = restore(str(ARCHIVES / archive), fresh_server.uri)
        counts = {kind: count.stored for kind, count in report.counts.items() if count.stored}
        assert counts == expected, archive
        # An export of datasets alone does not have their experiments, and one of a version not those of all aliases.
        missing = {"experiments/1", "experiments/2", "aliases/newest", "aliases/challenger"}
        assert {loss.path for loss in report.losses} <= missing, archive
    rows = {(row["kind"], *row["key"]): row for row in dump(fresh_server.uri, tmp_path / "rows", fresh_server.python)}
    version = rows["model_version", "churn", "11"]["fields"]
    assert version["current_stage"] == "Staging"
    assert version["run_id"] in version["source"]
    assert rows["prompt_version", "summary", "11"]["fields"]["template"] == "Summarise {{text}} in 11 words."
    assert {key[1] for key in rows if key[0] == "evaluation_dataset"} == {"questions", "no records"}
