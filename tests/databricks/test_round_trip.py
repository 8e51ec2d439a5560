"""An experiment with notebooks, permissions and a model of Unity Catalog: to an open-source server, and back."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
import requests

import mlflow_archive as ma
from tests.databricks.conftest import URI
from tests.databricks.filling import (
    Made,
    ask,
    files_of_version,
    get_file,
    make_experiment,
    make_version,
    runs_of,
    tags_of,
)
from tests.databricks.workspace_fake import ME, Notebook, WorkspaceFake
from tests.servers.server import MlflowServer

pytestmark = pytest.mark.server
SOURCE = b"-- Databricks notebook source\nSELECT 1\n"
WEIGHTS = hashlib.sha256(b"weights").digest() * 1000
MODEL = "main.ml.iris"


@pytest.fixture
def made(workspace: WorkspaceFake) -> Made:
    """An experiment with a notebook, permissions, and a model of Unity Catalog made of its run."""
    path = f"/Users/{ME}/train"
    workspace.notebooks[path] = Notebook({"7": SOURCE}, "SQL")
    tags = {"mlflow.databricks.notebookPath": path, "mlflow.databricks.notebookRevisionID": "7"}
    made = make_experiment(workspace, f"/Users/{ME}/round", **tags)
    entry = {"user_name": "you@example.com", "permission_level": "CAN_READ"}
    ask(workspace, "PATCH", f"/api/2.0/permissions/experiments/{made.experiment_id}", access_control_list=[entry])
    ask(workspace, "POST", "unity-catalog/registered-models/create", name=MODEL, tags=[{"key": "k", "value": "v"}])
    source = f"dbfs:/databricks/mlflow-tracking/{made.experiment_id}/{made.run_id}/artifacts/model"
    make_version(workspace, MODEL, {"MLmodel": b"flavors: {}\n", "w.bin": WEIGHTS}, source=source, run_id=made.run_id)
    ask(workspace, "POST", "unity-catalog/registered-models/alias", name=MODEL, alias="champion", version="1")
    change = {"principal": "data", "add": ["EXECUTE"]}
    ask(workspace, "PATCH", f"/api/2.1/unity-catalog/permissions/function/{MODEL}", changes=[change])
    return made


def test_there_and_back(workspace: WorkspaceFake, open_server: MlflowServer, made: Made, tmp_path: Path) -> None:
    first, second = str(tmp_path / "first"), str(tmp_path / "second")
    wishes: dict[str, Any] = {"experiments": (made.name,), "models": (MODEL,)}
    archived = ma.backup(URI, first, notebook_formats=("SOURCE", "HTML"), permissions=True, **wishes)
    assert archived.status == "complete", archived.losses

    # Databricks -> open source
    there = ma.restore(first, open_server.uri, rename_experiments={made.name: "iris"}, rename_models={MODEL: "iris"})
    assert there.status == "complete", there.losses
    _check_open_server(open_server)

    # open source -> Databricks
    moved = {"experiments": ("iris",), "models": ("iris",)}
    assert ma.backup(open_server.uri, second, **moved).status == "complete"  # type: ignore[arg-type]
    back = ma.restore(
        second,
        URI,
        rename_experiments={"iris": "/Shared/back/iris"},
        rename_models={"iris": "other.prod.iris"},
        notebook_folder="/Shared/back",
    )
    assert not back.losses
    _check_workspace(workspace, "/Shared/back/iris", "other.prod.iris")
    notebook = workspace.notebooks["/Shared/back/train-7"]
    assert (notebook.revisions, notebook.language) == ({"1": SOURCE}, "SQL")

    # Permissions are in the archive of the workspace, and go where there are some.
    again = ma.restore(
        first,
        URI,
        rename_experiments={made.name: "/Shared/again"},
        rename_models={MODEL: "other.prod.again"},
        permissions=True,
    )
    assert not again.losses
    _check_workspace(workspace, "/Shared/again", "other.prod.again")
    assert workspace.unity.grants["other.prod.again"] == {"data": {"EXECUTE"}}
    found = ask(workspace, "GET", "experiments/get-by-name", experiment_name="/Shared/again")["experiment"]
    entries = ask(workspace, "GET", f"/api/2.0/permissions/experiments/{found['experiment_id']}")
    assert "you@example.com" in {entry.get("user_name") for entry in entries["access_control_list"]}


def test_without_an_archive_in_between(workspace: WorkspaceFake, open_server: MlflowServer, tmp_path: Path) -> None:
    made = make_experiment(workspace, f"/Users/{ME}/copied")
    there = ma.copy(URI, open_server.uri, experiments=(made.name,), rename_experiments={made.name: "copied"})
    assert there.status == "complete", there.losses
    back = ma.copy(open_server.uri, URI, experiments=("copied",), rename_experiments={"copied": "/Shared/copied/twice"})
    assert not back.losses
    (run,) = runs_of(workspace, "/Shared/copied/twice")
    assert get_file(workspace, run["info"]["run_id"], "notes.txt") == b"some notes"
    assert run["info"]["start_time"] == 1000


def test_a_logged_model_becomes_one_of_unity_catalog(
    workspace: WorkspaceFake, open_server: MlflowServer, tmp_path: Path
) -> None:
    experiment_id = _open(open_server, "POST", "experiments/create", name="logged")["experiment_id"]
    run = _open(open_server, "POST", "runs/create", experiment_id=experiment_id, start_time=1)["run"]
    body = {"experiment_id": experiment_id, "name": "m", "source_run_id": run["info"]["run_id"]}
    model = _open(open_server, "POST", "logged-models", **body)["model"]
    place = model["info"]["artifact_uri"].removeprefix("mlflow-artifacts:/")
    upload = f"{open_server.uri}/api/2.0/mlflow-artifacts/artifacts/{place}/MLmodel"
    id = model["info"]["model_id"]
    requests.put(upload, data=f"model_id: {id}\n".encode(), timeout=60).raise_for_status()
    _open(open_server, "PATCH", f"logged-models/{id}", model_id=id, status=2)
    _open(open_server, "POST", "registered-models/create", name="logged")
    tags = [{"key": "team.name", "value": "blue"}]
    source = {"source": f"models:/{id}", "model_id": id, "run_id": run["info"]["run_id"]}
    _open(open_server, "POST", "model-versions/create", name="logged", tags=tags, **source)
    stage = {"version": "1", "stage": "Production", "archive_existing_versions": False}
    _open(open_server, "POST", "model-versions/transition-stage", name="logged", **stage)

    report = ma.copy(
        open_server.uri,
        URI,
        models=("logged",),
        rename_experiments={"logged": "/Shared/logged"},
        rename_models={"logged": "main.ml.logged"},
    )

    assert ("registered_model", "versions/1/tags/team.name", "renamed_tag") in _losses(report)
    assert ("registered_model", "versions/1/stage", "unsupported") in _losses(report)
    version = workspace.unity.models["main.ml.logged"]["versions"]["1"]
    assert version["status"] == "READY"
    assert tags_of(version)["team_name"] == "blue"
    new_id = version["model_id"]
    assert new_id != id
    assert files_of_version(workspace, "main.ml.logged", "1") == {"MLmodel": f"model_id: {new_id}\n".encode()}


def test_names_that_a_workspace_does_not_take(
    workspace: WorkspaceFake, open_server: MlflowServer, tmp_path: Path
) -> None:
    _open(open_server, "POST", "experiments/create", name="no path")
    report = ma.copy(open_server.uri, URI, experiments=("no path",))
    (loss,) = report.losses
    assert loss.code == "experiment_name"
    assert "--experiment-prefix" in loss.reason

    prefixed = ma.copy(open_server.uri, URI, experiments=("no path",), experiment_prefix="/Shared/of others/")
    assert prefixed.status == "complete", prefixed.losses
    assert ask(workspace, "GET", "experiments/get-by-name", experiment_name="/Shared/of others/no path")


def _losses(report: Any) -> set[tuple[str, str | None, str]]:
    return {(str(loss.kind), loss.path, loss.code) for loss in report.losses}


def _open(server: MlflowServer, method: str, path: str, /, **body: Any) -> dict[str, Any]:
    given: dict[str, Any] = {"params": body} if method == "GET" else {"json": body}
    answer = requests.request(method, f"{server.uri}/api/2.0/mlflow/{path}", timeout=60, **given)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def _check_open_server(server: MlflowServer) -> None:
    experiment = _open(server, "GET", "experiments/get-by-name", experiment_name="iris")["experiment"]
    (run,) = _open(server, "POST", "runs/search", experiment_ids=[experiment["experiment_id"]])["runs"]
    assert {param["key"]: param["value"] for param in run["data"]["params"]} == {"lr": "0.1"}
    assert tags_of(run["data"])["mlflow.databricks.notebookRevisionID"] == "7"
    assert run["info"]["user_id"] == ME
    history = _open(server, "GET", "metrics/get-history", run_id=run["info"]["run_id"], metric_key="loss")
    assert [point["value"] for point in history["metrics"]] == [1.0, 0.5, pytest.approx(1 / 3)]
    root = server.artifacts / experiment["experiment_id"] / run["info"]["run_id"] / "artifacts"
    assert (root / "notes.txt").read_bytes() == b"some notes"
    assert (root / "notebooks" / "train.source").read_bytes() == SOURCE
    assert (root / "notebooks" / "train.html").read_bytes() == b"HTML of " + SOURCE
    model = _open(server, "GET", "registered-models/get", name="iris")["registered_model"]
    assert tags_of(model)["k"] == "v"
    assert [(entry["alias"], entry["version"]) for entry in model["aliases"]] == [("champion", "1")]
    uri = _open(server, "GET", "model-versions/get-download-uri", name="iris", version="1")["artifact_uri"]
    folder = server.artifacts / uri.removeprefix("mlflow-artifacts:/")
    assert (folder / "w.bin").read_bytes() == WEIGHTS


def _check_workspace(workspace: WorkspaceFake, experiment: str, model: str) -> None:
    (run,) = runs_of(workspace, experiment)
    assert {param["key"]: param["value"] for param in run["data"]["params"]} == {"lr": "0.1"}
    assert tags_of(run["data"])["team"] == "blue"
    assert (run["info"]["start_time"], run["info"]["end_time"], run["info"]["status"]) == (1000, 2000, "FINISHED")
    run_id = run["info"]["run_id"]
    assert get_file(workspace, run_id, "notes.txt") == b"some notes"
    assert get_file(workspace, run_id, "notebooks/train.source") == SOURCE
    history = ask(workspace, "GET", "metrics/get-history", run_id=run_id, metric_key="loss")["metrics"]
    assert [point["value"] for point in history] == [1.0, 0.5, pytest.approx(1 / 3)]
    assert workspace.unity.models[model]["aliases"] == [{"alias": "champion", "version": "1"}]
    version = workspace.unity.models[model]["versions"]["1"]
    assert version["status"] == "READY"
    assert files_of_version(workspace, model, "1")["w.bin"] == WEIGHTS
