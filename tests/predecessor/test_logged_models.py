"""Logged models in both of their homes."""

from __future__ import annotations

import pytest

from mlflow_archive.spec.kinds import Kind
from mlflow_archive.spec.selection import Selection
from tests.predecessor.by_hand import files, in_experiment, read, write

ONE = "m-" + "1" * 32
RUN = "2" * 32


def model(**more):
    point = {"key": "f1", "value": 0.5, "timestamp": 5, "step": 0, "model_id": ONE, "dataset_name": None, "run_id": RUN}
    return {
        "experiment_id": "1",
        "model_id": ONE,
        "name": "model",
        "artifact_location": f"mlflow-artifacts:/1/models/{ONE}/artifacts",
        "creation_time": 1000,
        "last_updated_timestamp": 2000,
        "model_type": "",
        "source_run_id": RUN,
        "status": "READY",
        "status_message": None,
        "tags": {"mlflow.user": "ada"},
        "params": {"depth": 3},
        "metrics": [{**point, "step": 1, "value": float("nan")}, point, {**point, "key": "acc", "value": 1}],
        "model_uri": f"models:/{ONE}",
        "dataset_inputs": [{"dataset": {"name": "d"}}],
        **more,
    }


def archive(tmp_path, document):
    documents = {f"logged_models/{ONE}/logged_model.json": document, f"logged_models/{ONE}/artifacts/a b/x": "file"}
    return write(tmp_path, {**in_experiment("logged_models", ONE), **documents})


def test_a_logged_model_has_rests_own_form(tmp_path):
    contents, losses, _ = read(archive(tmp_path, model()), Kind.LOGGED_MODEL)
    assert not losses
    record = contents[ONE].record.to_json()
    assert record["info"] == {
        "model_id": ONE,
        "experiment_id": "1",
        "name": "model",
        "creation_timestamp_ms": 1000,
        "last_updated_timestamp_ms": 2000,
        "artifact_uri": f"mlflow-artifacts:/1/models/{ONE}/artifacts",
        "status": "LOGGED_MODEL_READY",
        "model_type": "",
        "source_run_id": RUN,
    }
    assert (record["tags"], record["params"]) == ({"mlflow.user": "ada"}, {"depth": "3"})
    assert [(one["key"], one["step"], one["value"]) for one in record["metrics"]] == [
        ("acc", 0, 1),
        ("f1", 0, 0.5),
        ("f1", 1, "NaN"),
    ]
    assert all("dataset_name" not in one for one in record["metrics"])
    assert files(contents[ONE]) == {"a b/x": b"file"}


@pytest.mark.parametrize(
    ("word", "status"), [("FAILED", "LOGGED_MODEL_UPLOAD_FAILED"), ("PENDING", "LOGGED_MODEL_PENDING"), ("", None)]
)
def test_the_status_is_in_the_words_of_rest(tmp_path, word, status):
    contents, _, _ = read(archive(tmp_path, model(status=word, source_run_id="")), Kind.LOGGED_MODEL)
    info = contents[ONE].record.info
    assert (info.status, info.source_run_id) == (status, None)


def test_where_a_document_was_edited_the_list_counts(tmp_path):
    contents, _, _ = read(archive(tmp_path, model(model_id="m-other")), Kind.LOGGED_MODEL)
    assert contents[ONE].record.info.model_id == ONE


def test_one_beside_a_registered_model_is_the_same_and_comes_once(tmp_path):
    root = archive(tmp_path / "experiments" / "1", model())
    version = {"name": "reg", "version": "1", "source": f"models:/{ONE}", "model_id": ONE, "run_id": RUN, "tags": {}}
    beside = {
        "experiments/experiments.json": {"experiments": [{"id": "1", "name": "main"}]},
        "models/models.json": {"models": ["reg"]},
        "models/reg/model.json": {"registered_model": {"name": "reg", "versions": [version]}},
        f"models/reg/{ONE}/logged_model.json": model(),
        f"models/reg/{ONE}/artifacts/a b/x": "file",
    }
    write(tmp_path, beside)
    contents, losses, _ = read(tmp_path, Kind.LOGGED_MODEL)
    assert (list(contents), losses) == ([ONE], [])
    (root / "experiment.json").unlink()
    alone = write(tmp_path / "alone", {name: value for name, value in beside.items() if name.startswith("models/")})
    contents, losses, _ = read(alone, Kind.LOGGED_MODEL)
    assert (list(contents), losses) == ([ONE], [])
    assert files(contents[ONE]) == {"a b/x": b"file"}


def test_an_export_of_one_logged_model(tmp_path):
    root = write(tmp_path, {"logged_model.json": model(), "artifacts/x": "file"})
    contents, losses, _ = read(root, Kind.LOGGED_MODEL)
    assert (list(contents), losses) == ([ONE], [])
    assert contents[ONE].record.info.experiment_id == "1"
    assert read(root, Kind.LOGGED_MODEL, Selection(logged_model_ids=frozenset()))[0] == {}
    assert files(read(root, Kind.LOGGED_MODEL, Selection(artifacts=False))[0][ONE]) == {}
