"""The same content as each generation wrote it is read as the same objects."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlflow_archive.spec.kinds import Kind
from mlflow_archive.spec.records.experiment import ExperimentRecord
from mlflow_archive.spec.records.registered_model import RegisteredModelRecord
from mlflow_archive.spec.records.run import RunRecord
from mlflow_archive.stream import Blob
from tests.predecessor import trees
from tests.predecessor.trees import FIRST, GENERATIONS, LOST, SECOND

EVERY = pytest.mark.parametrize("generation", GENERATIONS)


@EVERY
def test_experiments(generation: str, tmp_path: Path):
    source = trees.opened(trees.exported_all(tmp_path, generation))
    (item,) = trees.items(source, Kind.EXPERIMENT)
    record = item.load().record
    assert isinstance(record, ExperimentRecord)
    assert (item.key.id, item.key.name, record.name) == ("7", "wine", "wine")
    assert record.tags == {"mlflow.note.content": "of wine"}
    assert record.creation_time == (None if generation in ("G0", "G1", "G2") else 1590000000000)
    assert record.unknown_fields == {}


@EVERY
def test_runs(generation: str, tmp_path: Path):
    source = trees.opened(trees.exported_all(tmp_path, generation))
    first, second = trees.items(source, Kind.RUN)
    record = first.load().record
    assert isinstance(record, RunRecord)
    assert (first.key.id, first.key.experiment_id, second.key.id) == (FIRST, "7", SECOND)
    assert (record.info.run_name, record.info.user_id, record.info.status) == ("first", "ada", "FINISHED")
    assert (record.info.start_time, record.info.end_time) == (1600000000000, 1600000060000)
    assert record.params == {"lr": "0.1"}
    assert record.tags == {"team": "x", "mlflow.user": "ada"}
    assert record.info.unknown_fields == {}
    assert second.load().record.state == "FINISHED deleted"


@EVERY
def test_runs_that_could_not_be_exported_are_losses(generation: str, tmp_path: Path):
    source = trees.opened(trees.exported_all(tmp_path, generation))
    (loss,) = trees.losses(source, Kind.RUN)
    assert (loss.id, loss.experiment_id, loss.code) == (LOST, "7", "not_exported")


@EVERY
def test_metric_histories(generation: str, tmp_path: Path):
    source = trees.opened(trees.exported_all(tmp_path, generation))
    content = trees.items(source, Kind.RUN)[0].load()
    record = content.record
    assert isinstance(record, RunRecord)
    (part,) = content.parts
    (last,) = record.metrics
    if generation == "G0":
        assert list(part.open()) == [{"key": "loss", "timestamps": [1600000060000], "steps": [0], "values": [0.25]}]
        assert [(loss.code, loss.path) for loss in content.losses] == [("no_history", "metrics")]
    else:
        points = {"timestamps": [1600000010000, 1600000030000], "steps": [0, 1], "values": [0.5, 0.25]}
        assert list(part.open()) == list(part.open()) == [{"key": "loss", **points}]
        assert (last.value, last.timestamp, last.step) == (0.25, 1600000030000, 1)
        assert content.losses == ()


@EVERY
def test_files_of_runs(generation: str, tmp_path: Path):
    source = trees.opened(trees.exported_all(tmp_path, generation))
    blobs = [blob for blob in trees.items(source, Kind.RUN)[0].load().blobs() if isinstance(blob, Blob)]
    notebook = {"notebooks/notebook.source"} if generation == "G0" else set()
    assert {blob.name for blob in blobs} == {"model/MLmodel", "na me/ü #1"} | notebook
    (odd,) = [blob for blob in blobs if blob.name == "na me/ü #1"]
    with odd.open() as chunks:
        assert b"".join(chunks) == b"\x00\x01"
    assert (odd.role, odd.size_bytes) == ("artifacts", 2)


@EVERY
def test_inputs_of_runs(generation: str, tmp_path: Path):
    source = trees.opened(trees.exported_all(tmp_path, generation))
    record = trees.items(source, Kind.RUN)[0].load().record
    assert isinstance(record, RunRecord)
    if generation in ("G4", "G5"):
        dataset = {"name": "train", "digest": "1", "source_type": "http", "source": "{}"}
        tags = [{"key": "mlflow.data.context", "value": "training"}]
        assert record.dataset_inputs == ({"dataset": dataset, "tags": tags},)
    else:
        assert record.dataset_inputs == ()
    outputs = ({"model_id": trees.MODEL_ID, "step": 0},) if generation == "G5" else ()
    assert (record.model_inputs, record.model_outputs) == ((), outputs)


@EVERY
def test_registered_models(generation: str, tmp_path: Path):
    source = trees.opened(trees.exported_all(tmp_path, generation))
    (item,) = trees.items(source, Kind.REGISTERED_MODEL)
    content = item.load()
    record = content.record
    assert isinstance(record, RegisteredModelRecord)
    assert (record.name, record.description, record.tags) == ("Wine", "the wine", {"t": "1"})
    assert record.creation_timestamp == 1600000000000
    assert [version.version for version in record.versions] == [2, 9, 10]
    newest = record.versions[-1]
    assert (newest.run_id, newest.current_stage, newest.tags) == (SECOND, "Production", {"n": "10"})
    assert (newest.creation_timestamp, newest.description) == (1600000000010, "number 10")
    assert newest.source == f"mlflow-artifacts:/7/{SECOND}/artifacts/model"
    assert newest.unknown_fields == {}
    assert record.aliases == ({"best": 10} if generation in ("G4", "G5") else {})
    assert (content.losses, list(content.blobs())) == ((), [])


def test_only_the_last_generation_has_more(tmp_path: Path):
    for generation in GENERATIONS:
        source = trees.opened(trees.exported_all(tmp_path / generation, generation))
        kinds = (Kind.LOGGED_MODEL, Kind.TRACE, Kind.PROMPT, Kind.EVALUATION_DATASET)
        found = [len(trees.items(source, kind)) for kind in kinds]
        assert found == ([1, 1, 1, 1] if generation == "G5" else [0, 0, 0, 0]), generation


@EVERY
def test_origin(generation: str, tmp_path: Path):
    source = trees.opened(trees.exported_all(tmp_path, generation))
    assert source.origin.uri == trees.SERVER
    assert source.origin.type == "mlflow"
    assert source.describe().uri == str(tmp_path)
    versions = {"G0": "1.30.0", "G1": "1.30.0", "G2": "1.30.0", "G5": "3.8.1"}
    assert source.describe().mlflow_version == versions.get(generation, "2.3.2")
    assert source.tool_version == ("" if generation in ("G0", "G1", "G2") else "1.2.0")
    assert any(trees.SERVER in note for note in source.notes())
