"""What only a workspace has: notebooks and permissions."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import mlflow_archive as ma
from mlflow_archive.errors import UsageError
from mlflow_archive.tracking.databricks.notebook_formats import NOTEBOOK_FORMATS
from tests.databricks.conftest import URI
from tests.databricks.filling import ask, make_experiment
from tests.databricks.workspace_fake import ME, Notebook, WorkspaceFake
from tests.servers.server import MlflowServer

pytestmark = pytest.mark.server
SOURCE = b"# Databricks notebook source\nprint('the one')\n"


def _in_notebook(path: str, revision: str = "111") -> dict[str, str]:
    keys = ("notebookPath", "notebookRevisionID", "notebookID")
    return {f"mlflow.databricks.{key}": value for key, value in zip(keys, (path, revision, "42"), strict=True)}


@pytest.fixture
def noted(workspace: WorkspaceFake) -> str:
    """A notebook of two revisions, of which runs name the older one."""
    path = f"/Users/{ME}/train it"
    workspace.notebooks[path] = Notebook({"111": SOURCE, "222": b"# Databricks notebook source\nprint('newer')\n"})
    return path


def test_the_notebook_revision_of_a_run_is_stored_in_every_form(
    workspace: WorkspaceFake, noted: str, tmp_path: Path
) -> None:
    made = make_experiment(workspace, f"/Users/{ME}/noted", **_in_notebook(noted))

    report = ma.backup(URI, str(tmp_path / "a"), experiments=(made.name,), notebook_formats=NOTEBOOK_FORMATS)

    assert report.status == "complete", report.losses
    with ma.open(str(tmp_path / "a")) as archive:
        (run,) = archive.runs(experiment=made.name)
    folder = next((tmp_path / "a").rglob("notebooks"))
    assert (folder / "train it.source").read_bytes() == SOURCE
    assert (folder / "train it.html").read_bytes() == b"HTML of " + SOURCE
    assert (folder / "train it.jupyter").read_bytes() == b"JUPYTER of " + SOURCE
    assert (folder / "train it.dbc").read_bytes() == b"DBC of " + SOURCE
    about = json.loads((folder / "manifest.json").read_text())
    assert about["path"] == noted
    assert (about["notebook_id"], about["revision_id"], about["language"]) == ("42", "111", "PYTHON")
    assert run.info.run_id == made.run_id


def test_a_revision_that_is_gone_is_told_of(workspace: WorkspaceFake, noted: str, tmp_path: Path) -> None:
    made = make_experiment(workspace, f"/Users/{ME}/gone", **_in_notebook(noted, "999"))
    report = ma.backup(URI, str(tmp_path / "a"), experiments=(made.name,), notebook_formats=("SOURCE",))
    assert [(loss.path, loss.code) for loss in report.losses] == [
        ("notebooks/train it.source", "resource_does_not_exist")
    ]


def test_a_notebook_is_imported_into_a_folder(workspace: WorkspaceFake, noted: str, tmp_path: Path) -> None:
    made = make_experiment(workspace, f"/Users/{ME}/brought", **_in_notebook(noted))
    ma.backup(URI, str(tmp_path / "a"), experiments=(made.name,), notebook_formats=("source", "HTML"))

    report = ma.restore(
        str(tmp_path / "a"), URI, rename_experiments={made.name: "/Shared/brought"}, notebook_folder="/Shared/books/of"
    )

    assert not report.losses
    brought = workspace.notebooks["/Shared/books/of/train it-111"]
    assert brought.revisions == {"1": SOURCE}
    assert brought.language == "PYTHON"
    id = ask(workspace, "GET", "experiments/get-by-name", experiment_name="/Shared/brought")["experiment"]
    (run,) = ask(workspace, "POST", "runs/search", experiment_ids=[id["experiment_id"]])["runs"]
    tags = {tag["key"]: tag["value"] for tag in run["data"]["tags"]}
    assert tags["mlflow_archive.notebook"] == "/Shared/books/of/train it-111"


def test_a_notebook_without_its_source_is_not_imported(workspace: WorkspaceFake, noted: str, tmp_path: Path) -> None:
    made = make_experiment(workspace, f"/Users/{ME}/html", **_in_notebook(noted))
    ma.backup(URI, str(tmp_path / "a"), experiments=(made.name,), notebook_formats=("HTML",))
    report = ma.restore(
        str(tmp_path / "a"), URI, rename_experiments={made.name: "/Shared/html"}, notebook_folder="/Shared/none"
    )
    (loss,) = report.losses
    assert (loss.path, loss.code) == ("notebooks", "unsupported")
    assert "SOURCE" in loss.reason
    assert not any(path.startswith("/Shared/none/") for path in workspace.notebooks)


def test_direct_permissions_are_stored_and_set(workspace: WorkspaceFake, tmp_path: Path) -> None:
    made = make_experiment(workspace, f"/Users/{ME}/shared")
    model = "permitted model"
    ask(workspace, "POST", "registered-models/create", name=model)
    _allow(workspace, "experiments", made.experiment_id, user_name="you@example.com", permission_level="CAN_EDIT")
    _allow(workspace, "experiments", made.experiment_id, group_name="data", permission_level="CAN_READ")
    _allow(
        workspace,
        "registered-models",
        "id-of-permitted-model",
        service_principal_name="robot",
        permission_level="CAN_MANAGE_PRODUCTION_VERSIONS",
    )

    ma.backup(URI, str(tmp_path / "a"), experiments=(made.name,), models=(model,), permissions=True)
    report = ma.restore(
        str(tmp_path / "a"),
        URI,
        rename_experiments={made.name: "/Shared/permitted"},
        rename_models={model: "permitted too"},
        permissions=True,
    )

    assert not report.losses
    id = ask(workspace, "GET", "experiments/get-by-name", experiment_name="/Shared/permitted")["experiment"]
    assert _direct(workspace, "experiments", id["experiment_id"]) == {
        "you@example.com": ["CAN_EDIT"],
        "data": ["CAN_READ"],
    }
    assert _direct(workspace, "registered-models", "id-of-permitted-too") == {
        "robot": ["CAN_MANAGE_PRODUCTION_VERSIONS"]
    }
    document = json.loads(next((tmp_path / "a").rglob("experiment.json")).read_text())
    assert document["record"]["permissions"] == [
        {"principal": "you@example.com", "principal_type": "user", "privileges": ["CAN_EDIT"]},
        {"principal": "data", "principal_type": "group", "privileges": ["CAN_READ"]},
    ]


def test_permissions_can_be_set_later_on_what_a_restore_made(workspace: WorkspaceFake, tmp_path: Path) -> None:
    made = make_experiment(workspace, f"/Users/{ME}/later")
    _allow(workspace, "experiments", made.experiment_id, user_name="you@example.com", permission_level="CAN_EDIT")
    archive, renames = str(tmp_path / "a"), {made.name: "/Shared/later"}
    ma.backup(URI, archive, experiments=(made.name,), permissions=True)
    assert ma.diff(archive, URI, experiments=(made.name,)).same

    ma.restore(archive, URI, rename_experiments=renames)
    id = ask(workspace, "GET", "experiments/get-by-name", experiment_name="/Shared/later")["experiment"]
    assert _direct(workspace, "experiments", id["experiment_id"]) == {}
    ma.restore(archive, URI, rename_experiments=renames, permissions=True)
    assert _direct(workspace, "experiments", id["experiment_id"]) == {"you@example.com": ["CAN_EDIT"]}


def test_permissions_of_what_others_made_stay(workspace: WorkspaceFake, tmp_path: Path) -> None:
    made = make_experiment(workspace, f"/Users/{ME}/mine")
    others = make_experiment(workspace, f"/Users/{ME}/theirs")
    _allow(workspace, "experiments", made.experiment_id, user_name="you@example.com", permission_level="CAN_EDIT")
    ma.backup(URI, str(tmp_path / "a"), experiments=(made.name,), permissions=True)
    ma.restore(str(tmp_path / "a"), URI, rename_experiments={made.name: others.name}, permissions=True)
    assert _direct(workspace, "experiments", others.experiment_id) == {}


def test_permissions_stay_where_they_are_unless_they_are_asked_for(workspace: WorkspaceFake, tmp_path: Path) -> None:
    made = make_experiment(workspace, f"/Users/{ME}/unasked")
    _allow(workspace, "experiments", made.experiment_id, user_name="you@example.com", permission_level="CAN_EDIT")
    ma.backup(URI, str(tmp_path / "a"), experiments=(made.name,), permissions=True)
    ma.restore(str(tmp_path / "a"), URI, rename_experiments={made.name: "/Shared/unasked"})
    id = ask(workspace, "GET", "experiments/get-by-name", experiment_name="/Shared/unasked")["experiment"]
    assert _direct(workspace, "experiments", id["experiment_id"]) == {}


@pytest.mark.parametrize("wish", [{"permissions": True}, {"notebook_formats": ("SOURCE",)}])
def test_other_servers_have_no_such_thing_to_give(
    wish: dict[str, object], open_server: MlflowServer, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="Only a Databricks workspace has"):
        ma.backup(open_server.uri, str(tmp_path / "a"), **wish)  # type: ignore[arg-type]
    assert not (tmp_path / "a" / "manifest.json").exists()


@pytest.mark.parametrize("wish", [{"permissions": True}, {"notebook_folder": "/Shared"}])
def test_other_servers_take_no_such_thing(
    wish: dict[str, object], workspace: WorkspaceFake, open_server: MlflowServer, tmp_path: Path
) -> None:
    made = make_experiment(workspace, f"/Users/{ME}/not there {len(wish)}{next(iter(wish))}")
    ma.backup(URI, str(tmp_path / "a"), experiments=(made.name,))
    with pytest.raises(UsageError, match="Only a Databricks workspace has"):
        ma.restore(str(tmp_path / "a"), open_server.uri, **wish)  # type: ignore[arg-type]


def test_a_form_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="'PDF' is no form of a notebook"):
        ma.backup("databricks", str(tmp_path / "a"), notebook_formats=("pdf",))
    with pytest.raises(UsageError, match="tuple of words"):
        ma.backup("databricks", str(tmp_path / "a"), notebook_formats="SOURCE")  # type: ignore[arg-type]


def _allow(workspace: WorkspaceFake, kind: str, id: str, **entry: str) -> None:
    ask(workspace, "PATCH", f"/api/2.0/permissions/{kind}/{id}", access_control_list=[entry])


def _direct(workspace: WorkspaceFake, kind: str, id: str) -> dict[str, list[str]]:
    entries = ask(workspace, "GET", f"/api/2.0/permissions/{kind}/{id}")["access_control_list"]
    names = ("user_name", "group_name", "service_principal_name")
    direct = {
        next(entry[name] for name in names if name in entry): [
            level["permission_level"] for level in entry["all_permissions"] if not level["inherited"]
        ]
        for entry in entries
    }
    return {who: levels for who, levels in direct.items() if levels}
