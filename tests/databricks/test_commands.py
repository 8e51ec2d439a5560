"""The commands with a workspace."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from mlflow_archive.cli.main import cli
from tests.databricks.conftest import URI
from tests.databricks.filling import ask, make_experiment, runs_of
from tests.databricks.workspace_fake import ME, Notebook, WorkspaceFake
from tests.servers.server import MlflowServer

pytestmark = pytest.mark.server


def test_backup_and_restore(workspace: WorkspaceFake, tmp_path: Path) -> None:
    book = f"/Users/{ME}/command book"
    workspace.notebooks[book] = Notebook({"9": b"// Databricks notebook source\n"}, "SCALA")
    tags = {"mlflow.databricks.notebookPath": book, "mlflow.databricks.notebookRevisionID": "9"}
    made = make_experiment(workspace, f"/Users/{ME}/commanded", **tags)
    entry = {"user_name": "you@example.com", "permission_level": "CAN_EDIT"}
    acl = f"/api/2.0/permissions/experiments/{made.experiment_id}"
    ask(workspace, "PATCH", acl, access_control_list=[entry])
    archive = str(tmp_path / "a")

    wishes = ["--experiment", made.name, "--notebook-formats", "source,html", "--permissions", "--json"]
    done = CliRunner().invoke(cli, ["backup", archive, "--tracking-uri", URI, *wishes])
    assert done.exit_code == 0, done.output
    names = {path.name for path in next(tmp_path.rglob("notebooks")).iterdir()}
    assert names == {"command book.source", "command book.html", "manifest.json"}

    how = ["--experiment-prefix", "/Shared/commands", "--notebook-folder", "/Shared/commanded", "--permissions"]
    done = CliRunner().invoke(cli, ["restore", archive, "--tracking-uri", URI, *how, "--json"])
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    assert not report["losses"]
    assert "/Shared/commanded/command book-9" in workspace.notebooks
    target = report["ids"]["experiment"][made.experiment_id]
    entries = ask(workspace, "GET", f"/api/2.0/permissions/experiments/{target}")["access_control_list"]
    assert "you@example.com" in {entry.get("user_name") for entry in entries}
    assert len(runs_of(workspace, f"/Shared/commands{made.name}")) == 1


def test_another_server_has_no_notebooks(open_server: MlflowServer, tmp_path: Path) -> None:
    asked = ["backup", str(tmp_path / "a"), "--tracking-uri", open_server.uri, "--notebook-formats", "HTML"]
    done = CliRunner().invoke(cli, asked)
    assert done.exit_code == 2
    assert "Only a Databricks workspace has notebook revisions" in done.stderr


def test_a_form_that_there_is_not(tmp_path: Path) -> None:
    asked = ["backup", str(tmp_path / "a"), "--tracking-uri", URI, "--notebook-formats", "PDF"]
    done = CliRunner().invoke(cli, asked)
    assert done.exit_code == 2
    assert "'PDF' is no form of a notebook" in done.stderr


def test_the_commands_of_mlflow_export_import(workspace: WorkspaceFake, tmp_path: Path) -> None:
    book = f"/Users/{ME}/known book"
    workspace.notebooks[book] = Notebook({"4": b"# Databricks notebook source\n"})
    tags = {"mlflow.databricks.notebookPath": book, "mlflow.databricks.notebookRevisionID": "4"}
    made = make_experiment(workspace, f"/Users/{ME}/known", **tags)
    entry = {"group_name": "data", "permission_level": "CAN_READ"}
    acl = f"/api/2.0/permissions/experiments/{made.experiment_id}"
    ask(workspace, "PATCH", acl, access_control_list=[entry])
    folder, server = str(tmp_path / "a"), ["--tracking-uri", URI]

    wishes = ["--notebook-formats", "SOURCE,DBC", "--export-permissions", "True"]
    asked = ["export-experiment", "--experiment", made.name, "--output-dir", folder, *wishes, *server]
    done = CliRunner().invoke(cli, asked)
    assert done.exit_code == 0, done.output
    how = ["--dst-notebook-dir", "/Shared/known books", "--import-permissions", "True"]
    asked = ["import-experiment", "--experiment-name", "/Shared/known/too", "--input-dir", folder, *how, *server]
    done = CliRunner().invoke(cli, asked)
    assert done.exit_code == 0, done.output
    assert "mlflow.user" in done.output

    assert "/Shared/known books/known book-4" in workspace.notebooks
    found = ask(workspace, "GET", "experiments/get-by-name", experiment_name="/Shared/known/too")["experiment"]
    entries = ask(workspace, "GET", f"/api/2.0/permissions/experiments/{found['experiment_id']}")
    assert "data" in {entry.get("group_name") for entry in entries["access_control_list"]}
