"""A notebook of a (played) Databricks workspace, in several forms, to a folder anywhere."""

from __future__ import annotations

import json
from pathlib import Path

import fsspec
import pytest
from click.testing import CliRunner, Result

import mlflow_archive as ma
from mlflow_archive.cli.main import cli
from tests.databricks import workspace_fake
from tests.databricks.conftest import URI, session_workspace, workspace  # noqa: F401
from tests.databricks.workspace_fake import ME, Notebook, WorkspaceFake
from tests.known.table import shows
from tests.known.world import KnownWorld

NAME = "download-notebook"
PATH = f"/Users/{ME}/train it"
OLD, NEW = b"# Databricks notebook source\nprint(1)\n", b"# Databricks notebook source\nprint(2)\n"


@pytest.fixture
def notebook(workspace: WorkspaceFake) -> str:  # noqa: F811
    workspace.notebooks[PATH] = Notebook({"1000": OLD, "2000": NEW})
    return PATH


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, [NAME, *(str(argument) for argument in arguments)])


@shows(NAME, "--output-dir", "--notebook", "--tracking-uri", "--revision")
def test_the_present_one_and_a_revision(notebook: str, tmp_path: Path) -> None:
    for name, more, expected in (("now", (), NEW), ("then", ("--revision", "1000"), OLD)):
        result = run("--output-dir", tmp_path / name, "--notebook", notebook, "--tracking-uri", URI, *more)
        assert result.exit_code == 0, result.stderr
        assert [path.name for path in (tmp_path / name).iterdir()] == ["train it.source"]
        assert (tmp_path / name / "train it.source").read_bytes() == expected


@shows(NAME, "--notebook-formats", "--json")
def test_several_forms(notebook: str, tmp_path: Path) -> None:
    asked = ("--output-dir", tmp_path, "--notebook", notebook, "--tracking-uri", URI)
    result = run(*asked, "--notebook-formats", "source, HTML,JUPYTER,DBC,html", "--json")
    report = json.loads(result.stdout)
    assert report["files"] == {
        "SOURCE": "train it.source",
        "HTML": "train it.html",
        "JUPYTER": "train it.jupyter",
        "DBC": "train it.dbc",
    }
    assert (tmp_path / "train it.dbc").read_bytes() == b"DBC of " + NEW
    assert run(*asked, "--notebook-formats", "PDF").exit_code == 2


@shows(NAME, "--storage-option")
def test_the_folder_may_be_a_url(notebook: str, tmp_path: Path) -> None:
    asked = ("--notebook", notebook, "--tracking-uri", URI)
    assert run("--output-dir", "memory://notebooks", *asked).exit_code == 0
    assert fsspec.filesystem("memory").cat_file("/notebooks/train it.source") == NEW
    refused = run("--output-dir", tmp_path, *asked, "--storage-option", "anon=true")
    assert refused.exit_code == 2
    assert "takes no storage options" in refused.stderr


def test_a_form_that_is_refused_is_told_and_the_others_come(
    notebook: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delitem(workspace_fake._ENDINGS, "DBC")
    asked = ("--output-dir", tmp_path, "--notebook", notebook, "--tracking-uri", URI)
    result = run(*asked, "--notebook-formats", "SOURCE,DBC")
    assert result.exit_code == 3
    assert "not as DBC: " in result.stdout
    assert [path.name for path in tmp_path.glob("*.*") if path.suffix in (".source", ".dbc")] == ["train it.source"]


@pytest.mark.parametrize("more", [(), ("--revision", "3000")])
def test_what_is_not_there_is_an_error(more: tuple[str, ...], notebook: str, tmp_path: Path) -> None:
    path = notebook if more else "/Users/nobody/nothing"
    result = run("--output-dir", tmp_path / "none", "--notebook", path, "--tracking-uri", URI, *more)
    assert result.exit_code == 1, result.output
    assert not (tmp_path / "none").exists()


def test_another_server_has_no_notebooks(world: KnownWorld, tmp_path: Path) -> None:
    with pytest.raises(ma.UsageError, match="is none: give databricks://profile"):
        ma.download_notebook("/Users/me/x", str(tmp_path), tracking_uri=world.uri)
    with pytest.raises(ma.UsageError, match="No form"):
        ma.download_notebook("/Users/me/x", str(tmp_path), formats=(), tracking_uri=world.uri)
