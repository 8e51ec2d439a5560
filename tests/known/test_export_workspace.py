"""What an export stores of a Databricks workspace besides, on a workspace that is played."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.databricks.conftest import URI, session_workspace, workspace
from tests.databricks.filling import Made, make_experiment
from tests.databricks.workspace_fake import ME, Notebook, WorkspaceFake
from tests.known.table import shows
from tests.known.taking import run

__all__ = ["session_workspace", "workspace"]

SOURCE = b"# Databricks notebook source\nprint('known')\n"


@pytest.fixture
def made(workspace: WorkspaceFake, request: pytest.FixtureRequest) -> Made:
    """An experiment with a run in a notebook."""
    path = f"/Users/{ME}/known"
    workspace.notebooks[path] = Notebook({"7": SOURCE})
    tags = {"notebookPath": path, "notebookRevisionID": "7", "notebookID": "1"}
    name = f"/Users/{ME}/{request.node.name}"
    return make_experiment(workspace, name, **{f"mlflow.databricks.{key}": value for key, value in tags.items()})


@shows(["export-experiment", "export-run"], "--notebook-formats")
@pytest.mark.parametrize("command", ["export-experiment", "export-run"])
def test_the_notebook_of_a_run(made: Made, tmp_path: Path, command: str) -> None:
    named = ["--run-id", made.run_id] if command == "export-run" else ["--experiment", made.name]
    here = ["--output-dir", tmp_path / "out", "--tracking-uri", URI]

    result = run(command, *named, "--notebook-formats", "source,HTML", *here)

    assert result.exit_code == 0, result.output + result.stderr
    (folder,) = (tmp_path / "out").rglob("notebooks")
    assert {path.suffix for path in folder.iterdir()} == {".source", ".html", ".json"}
    assert (folder / "known.source").read_bytes() == SOURCE


@shows("export-experiments", "--export-permissions")
@pytest.mark.parametrize("value", ["True", "False"])
def test_the_permissions_of_experiments(made: Made, tmp_path: Path, value: str) -> None:
    here = ["--output-dir", tmp_path / "out", "--tracking-uri", URI]

    result = run("export-experiments", "--experiments", made.name, "--export-permissions", value, *here)

    assert result.exit_code == 0, result.output + result.stderr
    (document,) = (tmp_path / "out").rglob("experiment.json")
    assert ("permissions" in json.loads(document.read_text())["record"]) == (value == "True")
