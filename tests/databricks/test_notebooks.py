"""The notebooks of the repository, run with a stand-in for ``dbutils``, and the job that runs one of them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

import mlflow_archive as ma
from tests.databricks.conftest import URI
from tests.databricks.filling import ask, files_of_version, make_experiment, make_version, runs_of
from tests.databricks.workspace_fake import ME, Notebook, WorkspaceFake

FOLDER = Path(__file__).parents[2] / "notebooks"
NAMES = sorted(path.stem for path in FOLDER.glob("*.py"))


class ExitedError(Exception):
    """What ends a notebook: its result."""


class StandIn:
    """As much of ``dbutils`` as the notebooks use."""

    def __init__(self, given: dict[str, str]) -> None:
        self.widgets = self.library = self.notebook = self
        self.defaults: dict[str, str] = {}
        self._given = given

    def text(self, name: str, default: str, label: str) -> None:
        assert label
        self.defaults[name] = default

    def dropdown(self, name: str, default: str, choices: list[str], label: str) -> None:
        assert default in choices
        self.text(name, default, label)

    def get(self, name: str) -> str:
        return self._given.get(name, self.defaults[name])

    def restartPython(self) -> None:  # noqa: N802
        assert not self.defaults, "what was said before is forgotten"

    def exit(self, value: str) -> None:
        raise ExitedError(value)


def run(notebook: str, /, **given: str) -> dict[str, Any]:
    """Run a notebook with these values of its widgets; return what it ends with."""
    path = FOLDER / f"{notebook}.py"
    stand_in = StandIn(given)
    with pytest.raises(ExitedError) as ended:
        exec(compile(path.read_text(encoding="utf-8"), str(path), "exec"), {"dbutils": stand_in})
    assert set(given) <= set(stand_in.defaults), "a widget that the notebook has not"
    result: dict[str, Any] = json.loads(str(ended.value))
    return result


@pytest.mark.parametrize("name", NAMES)
def test_notebooks_are_in_the_form_of_databricks(name: str) -> None:
    text = (FOLDER / f"{name}.py").read_text(encoding="utf-8")
    assert text.startswith("# Databricks notebook source\n# MAGIC %md\n# MAGIC # ")
    assert '# MAGIC %pip install --quiet "mlflow-archive[databricks]"' in text
    assert f"[{name}]({name}.py)" in (FOLDER / "README.md").read_text(encoding="utf-8")
    widgets = set(re.findall(r'dbutils\.widgets\.(?:text|dropdown)\("(\w+)"', text))
    used = set(re.findall(r'(?:widgets\.get|words)\("(\w+)"\)', text))
    assert widgets == used


def test_the_job_runs_a_notebook_with_its_widgets() -> None:
    job = json.loads((FOLDER / "job.json").read_text(encoding="utf-8"))
    for task in job["tasks"]:
        notebook = FOLDER.parent / f"{task['notebook_task']['notebook_path']}.py"
        text = notebook.read_text(encoding="utf-8")
        widgets = set(re.findall(r'dbutils\.widgets\.(?:text|dropdown)\("(\w+)"', text))
        assert set(task["notebook_task"]["base_parameters"]) == widgets


@pytest.mark.server
def test_bulk(workspace: WorkspaceFake, tmp_path: Path) -> None:
    book = f"/Users/{ME}/bulk book"
    workspace.notebooks[book] = Notebook({"5": b"# Databricks notebook source\n"})
    tags = {"mlflow.databricks.notebookPath": book, "mlflow.databricks.notebookRevisionID": "5"}
    made = make_experiment(workspace, f"/Users/{ME}/bulk", **tags)
    ask(workspace, "POST", "unity-catalog/registered-models/create", name="main.ml.bulk")
    make_version(workspace, "main.ml.bulk", {"MLmodel": b"m\n"}, source="dbfs:/elsewhere", run_id=made.run_id)
    archive = str(tmp_path / "bulk")

    exported = run("bulk_export", tracking_uri=URI, archive=archive, experiments=made.name, models="main.ml.b*")
    assert exported["status"] == "complete"
    assert ma.verify(archive, digest=exported["root_digest"]).ok
    imported = run(
        "bulk_import",
        tracking_uri=URI,
        archive=archive,
        experiment_prefix="/Shared/bulk",
        rename_models="main.ml.bulk=other.prod.bulk",
        notebook_folder="/Shared/bulk books",
    )

    assert imported["status"] == "complete"
    assert len(runs_of(workspace, f"/Shared/bulk/Users/{ME}/bulk")) == 1
    assert files_of_version(workspace, "other.prod.bulk", "1") == {"MLmodel": b"m\n"}
    assert "/Shared/bulk books/bulk book-5" in workspace.notebooks


@pytest.mark.server
@pytest.mark.parametrize("kind", ["experiment", "run", "registered model"])
def test_single(kind: str, workspace: WorkspaceFake, tmp_path: Path) -> None:
    word = kind.replace(" ", "_")
    made = make_experiment(workspace, f"/Users/{ME}/single {word}")
    model = f"main.ml.single_{word}"
    ask(workspace, "POST", "unity-catalog/registered-models/create", name=model)
    source = f"dbfs:/databricks/mlflow-tracking/{made.experiment_id}/{made.run_id}/artifacts/model"
    for content in (b"1\n", b"2\n"):
        make_version(workspace, model, {"MLmodel": content}, source=source, run_id=made.run_id)
    name = {"experiment": made.name, "run": made.run_id, "registered model": model}[kind]
    versions = "2" if kind == "registered model" else ""
    archive, target = str(tmp_path / "single"), f"/Users/{ME}/new/{word}"

    exported = run("single_export", tracking_uri=URI, archive=archive, kind=kind, name=name, versions=versions)
    assert exported["status"] == "complete"
    new_name = f"other.prod.{word}" if kind == "registered model" else ""
    run("single_import", tracking_uri=URI, archive=archive, experiment=target, model=new_name)

    (copied,) = runs_of(workspace, target)
    assert copied["info"]["run_name"] == "first"
    if new_name:
        assert list(workspace.unity.models[new_name]["versions"]) == ["2"]
        assert files_of_version(workspace, new_name, "2") == {"MLmodel": b"2\n"}


@pytest.mark.server
def test_losses_end_a_notebook_if_they_are_to(workspace: WorkspaceFake, tmp_path: Path) -> None:
    tags = {"mlflow.databricks.notebookPath": f"/Users/{ME}/no book"}
    made = make_experiment(workspace, f"/Users/{ME}/losing", **tags)
    path = FOLDER / "bulk_export.py"
    given = {"tracking_uri": URI, "archive": str(tmp_path / "a"), "experiments": made.name}
    with pytest.raises(RuntimeError, match="1 things did not come along"):
        exec(compile(path.read_text(encoding="utf-8"), str(path), "exec"), {"dbutils": StandIn(given)})
