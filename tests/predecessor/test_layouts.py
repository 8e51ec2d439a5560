"""Every layout that a command of mlflow-export-import writes, and what its lists get wrong."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from mlflow_archive.errors import NotAnArchiveError
from mlflow_archive.predecessor.detecting import looks_like
from mlflow_archive.spec.kinds import Kind
from mlflow_archive.spec.records.experiment import ExperimentRecord
from mlflow_archive.spec.records.registered_model import RegisteredModelRecord
from mlflow_archive.spec.selection import Selection
from mlflow_archive.storage.containers import open_foreign
from mlflow_archive.stream import Blob, Item
from tests.predecessor import trees
from tests.predecessor.trees import FIRST, MODEL_ID, SECOND, TRACE_ID

LOGGED = trees.document("G5", {"experiment_id": "7", "model_id": MODEL_ID, "name": "m", "status": "READY"})
TRACE = trees.document("G5", {"info": {"trace_id": TRACE_ID, "request_time": 1, "state": "OK"}, "data": []})


def ids(place: Path) -> dict[str, list[str]]:
    """Return kind word -> ids, for kinds that are there."""
    source = trees.opened(place)
    found = {kind.value: [item.key.id for item in trees.items(source, kind)] for kind in source.kinds()}
    return {kind: names for kind, names in found.items() if names}


def names(place: Path) -> list[str]:
    return [item.key.name for item in trees.items(trees.opened(place), Kind.EXPERIMENT)]


@pytest.mark.parametrize("generation", trees.GENERATIONS)
def test_parts_of_an_export_are_exports(generation: str, tmp_path: Path):
    root = trees.exported_all(tmp_path, generation)
    assert ids(root / "experiments")["run"] == [FIRST, SECOND]
    assert ids(root / "experiments/7")["experiment"] == ["7"]
    assert ids(root / "experiments/7")["run"] == [FIRST, SECOND]
    assert ids(root / "models")["registered_model"] == ["Wine"]


@pytest.mark.parametrize("generation", trees.GENERATIONS)
def test_one_run(generation: str, tmp_path: Path):
    root = trees.write(tmp_path, {"run.json": trees.run(generation, FIRST), "artifacts/a.txt": "a"})
    assert ids(root) == {"experiment": ["7"], "run": [FIRST]}
    (item,) = trees.items(trees.opened(root), Kind.RUN)
    assert [blob.name for blob in item.load().blobs() if isinstance(blob, Blob)] == ["a.txt"]
    source = trees.opened(root)
    (experiment,) = trees.items(source, Kind.EXPERIMENT)
    assert isinstance(experiment.load().record, ExperimentRecord)
    assert "no document of the experiment '7'" in " ".join(source.notes())
    assert [item.key.id for item in trees.items(source, Kind.RUN, Selection(experiments=(experiment.key.name,)))] == [
        FIRST
    ]


def test_one_run_with_its_logged_model(tmp_path: Path):
    files = {"run.json": trees.run("G5", FIRST), f"{MODEL_ID}/logged_model.json": LOGGED}
    root = trees.write(tmp_path, {**files, f"{MODEL_ID}/artifacts/MLmodel": "x"})
    assert ids(root) == {"experiment": ["7"], "run": [FIRST], "logged_model": [MODEL_ID]}


@pytest.mark.parametrize("generation", trees.GENERATIONS)
def test_one_model_brings_its_runs_and_the_name_of_their_experiment(generation: str, tmp_path: Path):
    root = trees.write(
        tmp_path,
        {
            "model.json": trees.model(generation),
            f"{FIRST}/run.json": trees.run(generation, FIRST),
            f"{FIRST}/artifacts/model/MLmodel": "x",
            f"{SECOND}/run.json": trees.run(generation, SECOND),
        },
    )
    assert ids(root) == {"experiment": ["7"], "run": [SECOND, FIRST], "registered_model": ["Wine"]}
    assert names(root) == ["wine"]


def test_a_version_whose_run_is_gone_keeps_its_number_and_the_registrys_copy(tmp_path: Path):
    root = trees.write(
        tmp_path,
        {
            "model.json": trees.model("G4"),
            f"{FIRST}/run.json": trees.run("G4", FIRST),
            "version_models/10/MLmodel": "ten",
            "version_models/9/MLmodel": "nine",
        },
    )
    (item,) = trees.items(trees.opened(root), Kind.REGISTERED_MODEL)
    content = item.load()
    assert isinstance(content.record, RegisteredModelRecord)
    assert [version.version for version in content.record.versions] == [2, 9, 10]
    assert [(loss.code, loss.path) for loss in content.losses] == [("not_found", "versions/10/run")]
    blobs = [blob for blob in content.blobs() if isinstance(blob, Blob)]
    assert [(blob.role, blob.name) for blob in blobs] == [("versions/10/artifacts", "MLmodel")]


def test_one_model_version(tmp_path: Path):
    about = trees.version("G5", 9, FIRST)
    whole: dict[str, Any] = {"name": "Wine", "description": "the wine", "creation_timestamp": 5}
    root = trees.write(
        tmp_path,
        {
            "version.json": trees.document("G5", {"model_version": about}),
            "model.json": trees.document("G5", {"registered_model": whole}),
            "experiment.json": trees.document(
                "G5", {"experiment": {"experiment_id": "7", "name": "wine", "tags": [{"key": "k", "value": "v"}]}}
            ),
            "run/run.json": trees.run("G5", FIRST),
            "run/artifacts/model/MLmodel": "x",
        },
    )
    assert ids(root) == {"experiment": ["7"], "run": [FIRST], "registered_model": ["Wine"]}
    source = trees.opened(root)
    record = trees.items(source, Kind.REGISTERED_MODEL)[0].load().record
    assert isinstance(record, RegisteredModelRecord)
    assert (record.description, [version.version for version in record.versions]) == ("the wine", [9])
    experiment = trees.items(source, Kind.EXPERIMENT)[0].load().record
    assert isinstance(experiment, ExperimentRecord)
    assert experiment.tags == {"k": "v"}
    assert "left out" not in " ".join(source.notes())


def test_logged_models_and_traces_alone(tmp_path: Path):
    listed = {"experiments": [{"id": "7", "name": "wine", "logged_models": [MODEL_ID, MODEL_ID]}]}
    root = trees.write(
        tmp_path / "models",
        {"logged_models.json": trees.document("G5", listed), f"{MODEL_ID}/logged_model.json": LOGGED},
    )
    assert (ids(root), names(root)) == ({"experiment": ["7"], "logged_model": [MODEL_ID]}, ["wine"])
    listed = {"experiments": [{"id": "7", "name": "wine", "traces": [TRACE_ID]}]}
    root = trees.write(
        tmp_path / "traces", {"traces.json": trees.document("G5", listed), f"{TRACE_ID}/trace.json": TRACE}
    )
    assert (ids(root), names(root)) == ({"experiment": ["7"], "trace": [TRACE_ID]}, ["wine"])


def test_single_objects(tmp_path: Path):
    root = trees.write(tmp_path / "model", {"logged_model.json": LOGGED})
    assert ids(root) == {"experiment": ["7"], "logged_model": [MODEL_ID]}
    root = trees.write(tmp_path / "trace", {"trace.json": TRACE})
    assert ids(root) == {"experiment": ["unknown"], "trace": [TRACE_ID]}
    prompt = {"name": "greet", "version": 1, "template": "Hi", "tags": {}}
    root = trees.write(tmp_path / "prompt", {"prompt.json": trees.document("G5", {"prompt": prompt})})
    assert ids(root) == {"prompt": ["greet"]}


def test_a_collection_of_exports(tmp_path: Path):
    """An export of models in the folder ``models``, one of experiments beside it: objects of both come once."""
    trees.exported_all(tmp_path / "models", "G2")
    trees.exported_all(tmp_path / "single", "G2")
    (tmp_path / "single/experiments").rename(tmp_path / "experiments")
    found = ids(tmp_path)
    assert (found["experiment"], found["run"], found["registered_model"]) == (["7"], [FIRST, SECOND], ["Wine"])


def test_a_run_that_only_a_model_has_comes_with_its_experiment(tmp_path: Path):
    root = trees.exported_all(tmp_path, "G4")
    (root / f"experiments/7/{FIRST}/run.json").unlink()
    source = trees.opened(root)
    assert {item.key.id for item in trees.items(source, Kind.RUN)} == {FIRST, SECOND}
    assert [loss.code for loss in trees.losses(source, Kind.RUN)] == ["not_exported"]


def test_a_listed_run_that_is_not_there_is_a_loss(tmp_path: Path):
    root = trees.exported_all(tmp_path, "G5")
    (root / f"experiments/7/runs/{SECOND}/run.json").unlink()
    source = trees.opened(root)
    found = {(loss.id, loss.code) for loss in trees.losses(source, Kind.RUN)}
    assert found == {(SECOND, "not_found"), (trees.LOST, "not_exported")}
    (model,) = trees.items(source, Kind.REGISTERED_MODEL)
    assert model.load().losses == ()


@pytest.mark.parametrize("generation", ["G2", "G5"])
def test_of_an_experiment_without_its_document_the_runs_are_read(generation: str, tmp_path: Path):
    """An export writes it last, so that an interrupted one lacks it."""
    root = trees.exported_all(tmp_path, generation)
    (root / "experiments/7/experiment.json").unlink()
    source = trees.opened(root)
    (loss,) = trees.losses(source, Kind.EXPERIMENT)
    assert (loss.id, loss.code, loss.path) == ("7", "not_found", "experiment.json")
    (experiment,) = trees.items(source, Kind.EXPERIMENT)
    assert (experiment.key.id, experiment.key.name) == ("7", "wine")
    assert [item.key.id for item in trees.items(source, Kind.RUN)] == [FIRST, SECOND]
    assert len(trees.items(source, Kind.LOGGED_MODEL)) == (generation == "G5")


@pytest.mark.parametrize("generation", ["G2", "G3", "G4", "G5"])
def test_without_lists_the_folders_tell(generation: str, tmp_path: Path):
    """A bulk export writes its lists last."""
    root = trees.exported_all(tmp_path, generation)
    for name in ("manifest.json", "experiments/experiments.json", "models/models.json"):
        (root / name).unlink()
    shutil.rmtree(root / "prompts", ignore_errors=True)
    shutil.rmtree(root / "evaluation_datasets", ignore_errors=True)
    found = ids(root)
    assert (found["experiment"], found["run"], found["registered_model"]) == (["7"], [FIRST, SECOND], ["Wine"])
    source = trees.opened(root)
    for kind, path in (
        (Kind.EXPERIMENT, "experiments/experiments.json"),
        (Kind.REGISTERED_MODEL, "models/models.json"),
    ):
        assert [(loss.code, loss.path) for loss in trees.losses(source, kind)] == [("not_found", path)]
    assert ids(root / "experiments")["experiment"] == ["7"]


@pytest.mark.parametrize("generation", ["G2", "G4", "G5"])
@pytest.mark.parametrize(
    ("kind", "path"),
    [(Kind.EXPERIMENT, "experiments/experiments.json"), (Kind.REGISTERED_MODEL, "models/models.json")],
)
def test_where_one_list_is_missing_its_folders_tell(generation: str, kind: Kind, path: str, tmp_path: Path):
    root = trees.exported_all(tmp_path, generation)
    before = ids(root)
    (root / path).unlink()
    assert ids(root) == before
    assert [(loss.code, loss.path) for loss in trees.losses(trees.opened(root), kind)] == [("not_found", path)]


def test_without_summaries_the_folders_tell(tmp_path: Path):
    root = trees.exported_all(tmp_path, "G5")
    before = ids(root)
    for name in ("prompts/prompts_summary.json", "evaluation_datasets/evaluation_datasets_summary.json"):
        (root / name).unlink()
    assert ids(root) == before
    for kind in (Kind.PROMPT, Kind.EVALUATION_DATASET):
        assert [loss.code for loss in trees.losses(trees.opened(root), kind)] == ["not_found"]


@pytest.mark.parametrize("generation", ["G2", "G4", "G5"])
def test_what_no_list_names_is_told(generation: str, tmp_path: Path):
    """Of two exports into one folder the later one's lists count, as they do for mlflow-export-import."""
    root = trees.exported_all(tmp_path, generation)
    before = ids(root)
    runs = root / "experiments/7" / ("runs" if generation == "G5" else "")
    shutil.copytree(runs / FIRST, runs / ("9" * 32))
    shutil.copytree(root / "experiments/7", root / "experiments/8")
    shutil.copytree(root / "models/Wine", root / "models/Beer")
    assert ids(root) == before
    source = trees.opened(root)
    for kind in source.kinds():
        trees.items(source, kind)
    told = [note for note in source.notes() if "does not list" in note]
    assert sorted(told) == [
        "The archive holds one experiment, left out because experiments/experiments.json does not list it: 8.",
        "The archive holds one registered model, left out because models/models.json does not list it: Beer.",
        "The archive holds one run, left out because experiments/7/experiment.json does not list it: " + "9" * 32 + ".",
    ]


def test_an_object_alone_that_cannot_be_read_is_a_loss(tmp_path: Path):
    root = trees.write(tmp_path, {"run.json": "{"})
    source = trees.opened(root)
    assert ids(root) == {}
    assert [loss.code for loss in trees.losses(source, Kind.RUN)] == ["integrity"]


def test_an_experiment_of_which_nothing_is_there_is_a_loss(tmp_path: Path):
    listed = {"experiments": [{"id": "7", "name": "wine"}]}
    root = trees.write(tmp_path, {"experiments.json": trees.document("G4", listed)})
    source = trees.opened(root)
    (loss,) = trees.losses(source, Kind.EXPERIMENT)
    assert (loss.id, loss.code, loss.path) == ("7", "not_found", None)
    assert trees.items(source, Kind.EXPERIMENT) == []


def test_versions_that_could_not_be_exported_are_losses(tmp_path: Path):
    failed = [{"version": {"version": "3"}, "message": "no such run"}, {"version": "4", "message": "gone"}]
    about = trees.model("G5")
    about["info"] = {"failed_versions": failed}
    models = trees.document("G5", {"models": ["Wine"]}, {"failed_models": ["Beer"]})
    root = trees.write(tmp_path, {"models.json": models, "Wine/model.json": about})
    entries = list(trees.opened(root).read(Kind.REGISTERED_MODEL, Selection()))
    (item,) = [entry for entry in entries if isinstance(entry, Item)]
    paths = [loss.path for loss in item.load().losses if loss.code == "not_exported"]
    assert paths == ["versions/3", "versions/4"]
    assert [entry.id for entry in entries if not isinstance(entry, Item)] == ["Beer"]


def test_what_is_not_one(tmp_path: Path):
    assert not looks_like(open_foreign(str(tmp_path)))
    trees.write(tmp_path, {"manifest.json": {"format": "something"}, "experiments/1/experiment.json": {}})
    assert not looks_like(open_foreign(str(tmp_path)))
    with pytest.raises(NotAnArchiveError):
        trees.opened(tmp_path)


def test_direct_permissions_come_with_their_objects(tmp_path: Path):
    inherited = [{"permission_level": "CAN_MANAGE", "inherited": True}]
    own = [{"permission_level": "CAN_EDIT", "inherited": False}]
    listed = [{"user_name": "ada", "all_permissions": own}, {"group_name": "admins", "all_permissions": inherited}]
    payload = trees.experiment("G4")
    payload["mlflow"]["permissions"] = {"permission_levels": [], "permissions": {"access_control_list": listed}}
    model = trees.model("G4")
    assigned = [{"principal": "team", "privileges": ["EXECUTE"]}]
    model["mlflow"]["registered_model"]["permissions"] = {
        "permissions": {"privilege_assignments": assigned},
        "effective_permissions": {"privilege_assignments": [{"principal": "all", "privileges": ["EXECUTE"]}]},
    }
    root = trees.exported_all(tmp_path, "G4")
    trees.write(root, {"experiments/7/experiment.json": payload, "models/Wine/model.json": model})
    source = trees.opened(root)
    experiment = trees.items(source, Kind.EXPERIMENT)[0].load().record.to_json()
    assert experiment["permissions"] == [{"principal": "ada", "principal_type": "user", "privileges": ["CAN_EDIT"]}]
    registered = trees.items(source, Kind.REGISTERED_MODEL)[0].load().record.to_json()
    assert registered["permissions"] == assigned
