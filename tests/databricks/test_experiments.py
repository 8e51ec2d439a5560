"""Experiments and runs of a workspace, there and back."""

from __future__ import annotations

from pathlib import Path

import pytest

import mlflow_archive as ma
from tests.databricks.conftest import URI
from tests.databricks.filling import ask, get_file, make_experiment
from tests.databricks.workspace_fake import ME, WorkspaceFake

pytestmark = pytest.mark.server


def test_an_experiment_goes_to_an_archive_and_back(workspace: WorkspaceFake, tmp_path: Path) -> None:
    made = make_experiment(workspace, f"/Users/{ME}/iris")
    archived = ma.backup(URI, str(tmp_path / "a"), experiments=(made.name,))
    assert archived.status == "complete", archived.losses

    target = "/Shared/restored/deep/iris"
    report = ma.restore(str(tmp_path / "a"), URI, rename_experiments={made.name: target})

    assert "/Shared/restored/deep" in workspace.folders
    experiment = ask(workspace, "GET", "experiments/get-by-name", experiment_name=target)["experiment"]
    (run,) = ask(workspace, "POST", "runs/search", experiment_ids=[experiment["experiment_id"]])["runs"]
    listed = ask(workspace, "GET", "artifacts/list", run_id=run["info"]["run_id"])
    assert get_file(workspace, run["info"]["run_id"], "notes.txt") == b"some notes"
    assert {param["key"]: param["value"] for param in run["data"]["params"]} == {"lr": "0.1"}
    assert {tag["key"]: tag["value"] for tag in run["data"]["tags"]}["team"] == "blue"
    assert {file["path"] for file in listed["files"]} == {"model", "notes.txt"}
    assert any("the tag mlflow.user itself" in text and "one object came" in text for text in report.notes)
    assert any("the tag mlflow.experiment.sourceType itself" in text for text in report.notes)
    assert not report.losses
