"""What the import commands do beyond MLflow at a Databricks workspace: permissions and notebooks, on a fake of one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

import mlflow_archive as ma
from mlflow_archive.cli.main import cli
from tests.databricks.conftest import URI, session_workspace, workspace
from tests.databricks.filling import Made, ask, make_experiment
from tests.databricks.workspace_fake import ME, Notebook, WorkspaceFake
from tests.known.imports.conftest import New, write_archive
from tests.known.table import shows
from tests.tracking.sinks.making import experiment, run

__all__ = ["session_workspace", "workspace"]

pytestmark = pytest.mark.server

SOURCE = b"# Databricks notebook source\nprint('the one')\n"


def allow(workspace: WorkspaceFake, kind: str, id: str) -> None:
    entry = {"user_name": "you@example.com", "permission_level": "CAN_EDIT"}
    ask(workspace, "PATCH", f"/api/2.0/permissions/{kind}/{id}", access_control_list=[entry])


def allowed(workspace: WorkspaceFake, kind: str, id: str) -> bool:
    return "you@example.com" in json.dumps(ask(workspace, "GET", f"/api/2.0/permissions/{kind}/{id}"))


def id_of(workspace: WorkspaceFake, experiment: str) -> str:
    found = ask(workspace, "GET", "experiments/get-by-name", experiment_name=experiment)["experiment"]
    return str(found["experiment_id"])


def done(command: str, place: Path, *words: str) -> dict:
    """Run a command, which loses nothing."""
    result = CliRunner().invoke(cli, [command, "--input-dir", str(place), "--tracking-uri", URI, "--json", *words])
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert not report["losses"]
    return report


@pytest.fixture
def made(workspace: WorkspaceFake, new: New) -> Made:
    """An experiment that another user may edit, with a run in a notebook."""
    path = f"/Users/{ME}/{new('notebook-')}"
    workspace.notebooks[path] = Notebook({"111": SOURCE})
    named = {"notebookPath": path, "notebookRevisionID": "111", "notebookID": "42"}
    there = make_experiment(
        workspace, f"/Users/{ME}/{new('iris-')}", **{f"mlflow.databricks.{key}": value for key, value in named.items()}
    )
    allow(workspace, "experiments", there.experiment_id)
    return there


@shows(["import-experiments", "import-experiment", "import-all"], "--import-permissions")
@pytest.mark.parametrize("command", ["import-experiments", "import-experiment", "import-all"])
@pytest.mark.parametrize("wanted", [True, False])
def test_permissions_of_experiments(
    workspace: WorkspaceFake, made: Made, new: New, tmp_path: Path, command: str, wanted: bool
) -> None:
    target = f"/Shared/{new()}"
    ma.backup(URI, str(tmp_path / "a"), experiments=[made.name], permissions=True)
    (tmp_path / "renames.csv").write_text(f"{made.name},{target}\n", encoding="utf-8")
    renamed = ("--experiment-rename-file", str(tmp_path / "renames.csv"))
    words = ("--experiment-name", target) if command == "import-experiment" else renamed

    done(command, tmp_path / "a", *words, "--import-permissions", str(wanted))

    assert allowed(workspace, "experiments", id_of(workspace, target)) is wanted


@shows(["import-models", "import-model", "import-model-version"], "--import-permissions")
@pytest.mark.parametrize("command", ["import-models", "import-model", "import-model-version"])
def test_permissions_of_models(workspace: WorkspaceFake, made: Made, new: New, tmp_path: Path, command: str) -> None:
    name, target = new("model-"), new("promoted-")
    ask(workspace, "POST", "registered-models/create", name=name)
    source = f"dbfs:/databricks/mlflow-tracking/{made.experiment_id}/{made.run_id}/artifacts/model"
    ask(workspace, "POST", "model-versions/create", name=name, source=source, run_id=made.run_id)
    allow(workspace, "registered-models", f"id-of-{name}")
    ma.backup(URI, str(tmp_path / "a"), models=[name], permissions=True)
    (tmp_path / "renames.csv").write_text(f"{name},{target}\n", encoding="utf-8")
    named = ("--model", target, "--experiment-name", f"/Shared/{new()}")
    more = ("--create-model",) if command == "import-model-version" else ()
    words = ("--model-rename-file", str(tmp_path / "renames.csv")) if command == "import-models" else (*named, *more)

    done(command, tmp_path / "a", *words, "--import-permissions", "True")

    assert allowed(workspace, "registered-models", f"id-of-{target}")


@shows(["import-experiment", "import-run"], "--dst-notebook-dir")
@pytest.mark.parametrize("command", ["import-experiment", "import-run"])
def test_notebooks(workspace: WorkspaceFake, made: Made, new: New, tmp_path: Path, command: str) -> None:
    folder = f"/Shared/{new('books-')}"
    ma.backup(URI, str(tmp_path / "a"), experiments=[made.name], notebook_formats=("SOURCE",))

    done(command, tmp_path / "a", "--experiment-name", f"/Shared/{new()}", "--dst-notebook-dir", folder)

    (brought,) = (book for path, book in workspace.notebooks.items() if path.startswith(f"{folder}/"))
    assert [*brought.revisions.values()] == [SOURCE]


@shows(["import-experiment", "import-run"], "--use-src-user-id")
@pytest.mark.parametrize("command", ["import-experiment", "import-run"])
def test_a_workspace_takes_no_other_user(workspace: WorkspaceFake, new: New, tmp_path: Path, command: str) -> None:
    place = write_archive(
        str(tmp_path / "a"), experiment("1", new("iris-")), run(new(), "1", tags={"mlflow.user": "ada"})
    )
    target = f"/Shared/{new()}"

    report = done(command, Path(place), "--experiment-name", target, "--use-src-user-id", "True")

    assert any("sets the tag mlflow.user itself" in note for note in report["notes"])
