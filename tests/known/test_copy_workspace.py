"""Copies between a (played) Databricks workspace and an open-source server."""

from __future__ import annotations

import json

from click.testing import CliRunner
from mlflow import MlflowClient

import mlflow_archive as ma
from mlflow_archive.cli.main import cli
from tests.databricks.conftest import URI, session_workspace, workspace  # noqa: F401
from tests.databricks.filling import ask, get_file, make_experiment, tags_of
from tests.databricks.workspace_fake import ME, WorkspaceFake
from tests.known.world import KnownWorld
from tests.servers import MlflowServer


def test_a_run_goes_both_ways(workspace: WorkspaceFake, fresh_server: MlflowServer) -> None:  # noqa: F811
    made = make_experiment(workspace, f"/Users/{ME}/copied from")
    there = MlflowClient(fresh_server.uri)
    out = ma.copy_run(made.run_id, URI, fresh_server.uri, experiment_name="from a workspace")
    run_id = out.ids["run"][made.run_id]
    assert there.get_run(run_id).data.params == {"lr": "0.1"}
    assert sorted(file.path for file in there.list_artifacts(run_id)) == ["model", "notes.txt"]
    folder = f"/Users/{ME}/copied to"
    back = ma.copy_run(run_id, fresh_server.uri, URI, experiment_name=folder)
    assert get_file(workspace, back.ids["run"][run_id], "notes.txt") == b"some notes"


def test_a_version_goes_into_unity_catalog_with_its_lineage(
    workspace: WorkspaceFake,  # noqa: F811
    world: KnownWorld,
) -> None:
    asked = ("copy-model-version", "--src-model", "flowers", "--src-version", "3", "--dst-model", "main.ml.copied")
    into = ("--dst-experiment-name", f"/Users/{ME}/flowers", "--copy-lineage-tags", "--json")
    command = [*asked, *into, "--src-registry-uri", world.uri, "--dst-registry-uri", URI]
    result = CliRunner().invoke(cli, command)
    assert result.exit_code in (0, 3), result.output + result.stderr
    report = json.loads(result.stdout)
    assert report["ids"]["model_version"] == {"flowers/3": "main.ml.copied/1"}, report["losses"]
    about = {"name": "main.ml.copied", "version": "1"}
    made = ask(workspace, "GET", "/api/2.0/mlflow/unity-catalog/model-versions/get", **about)["model_version"]
    tags = tags_of(made)
    assert tags["mlflow_archive_source_src_version_name"] == "flowers"
    assert tags["mlflow_archive_source_src_client_tracking_uri"] == world.uri
    again = CliRunner().invoke(cli, command)
    assert json.loads(again.stdout)["ids"]["model_version"] == {"flowers/3": "main.ml.copied/1"}
