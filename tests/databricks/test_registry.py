"""Which registry a model is in; and the workspace's own one, with stages and copies of files."""

from __future__ import annotations

from pathlib import Path

import pytest

import mlflow_archive as ma
from mlflow_archive.errors import UsageError
from mlflow_archive.tracking.connecting import connect
from tests.databricks.conftest import URI
from tests.databricks.filling import ask, make_experiment, make_version, tags_of
from tests.databricks.workspace_fake import ME, TOKEN, WorkspaceFake
from tests.servers.server import MlflowServer

pytestmark = pytest.mark.server
UNITY = "databricks-uc://here"


def _own_model(workspace: WorkspaceFake, name: str) -> str:
    """Make a model of the workspace's own registry with one version, in production; return its run."""
    made = make_experiment(workspace, f"/Users/{ME}/for {name}")
    ask(workspace, "POST", "registered-models/create", name=name, description="of one's own")
    run = ask(workspace, "GET", "runs/get", run_id=made.run_id)["run"]
    source = f"{run['info']['artifact_uri']}/model"
    tags = [{"key": "a.b", "value": "c"}]
    ask(workspace, "POST", "model-versions/create", name=name, source=source, run_id=made.run_id, tags=tags)
    stage = {"version": "1", "stage": "Production", "archive_existing_versions": False}
    ask(workspace, "POST", "model-versions/transition-stage", name=name, **stage)
    return made.name


def test_a_model_of_the_workspaces_own_registry(workspace: WorkspaceFake, tmp_path: Path) -> None:
    experiment = _own_model(workspace, "own")
    archived = ma.backup(URI, str(tmp_path / "a"), models=("own",))
    assert archived.status == "complete", archived.losses
    files = {path.name: path.read_bytes() for path in tmp_path.rglob("versions/1/artifacts/*")}
    assert files == {"MLmodel": b"flavors: {}\n"}

    renamed = {"rename_experiments": {experiment: "/Shared/for own"}, "rename_models": {"own": "own too"}}
    report = ma.restore(str(tmp_path / "a"), URI, **renamed)  # type: ignore[arg-type]

    assert not report.losses
    version = ask(workspace, "GET", "model-versions/get", name="own too", version="1")["model_version"]
    assert version["current_stage"] == "Production"
    assert tags_of(version)["a.b"] == "c"


def test_a_model_of_the_own_registry_moves_to_unity_catalog(workspace: WorkspaceFake, tmp_path: Path) -> None:
    experiment = _own_model(workspace, "moving")
    report = ma.copy(
        URI,
        URI,
        models=("moving",),
        rename_experiments={experiment: "/Shared/for moving"},
        rename_models={"moving": "main.ml.moving"},
    )
    codes = {loss.path: loss.code for loss in report.losses if loss.kind == "registered_model"}
    assert codes == {"versions/1/stage": "unsupported", "versions/1/tags/a.b": "renamed_tag"}
    assert workspace.unity.models["main.ml.moving"]["versions"]["1"]["status"] == "READY"
    assert workspace.unity.objects["/Models/main/ml/moving/1/MLmodel"] == b"flavors: {}\n"


def test_both_registries_are_listed_page_by_page(workspace: WorkspaceFake, tmp_path: Path) -> None:
    ask(workspace, "POST", "registered-models/create", name="listed own")
    names = [f"main.ml.listed{number}" for number in range(5)]
    for name in names:
        ask(workspace, "POST", "unity-catalog/registered-models/create", name=name)

    ma.backup(URI, str(tmp_path / "both"), only=("models",))
    with ma.open(str(tmp_path / "both")) as archive:
        both = {model.name for model in archive.models()}
    assert {"listed own", *names} <= both

    ma.backup(UNITY, str(tmp_path / "unity"), only=("models",))
    with ma.open(str(tmp_path / "unity")) as archive:
        unity = {model.name for model in archive.models()}
    assert unity == {name for name in both if name.count(".") == 2}


def test_a_workspace_without_a_registry_of_its_own(workspace: WorkspaceFake, tmp_path: Path) -> None:
    ask(workspace, "POST", "unity-catalog/registered-models/create", name="main.ml.alone")
    workspace.has_own_registry = False
    try:
        report = ma.backup(URI, str(tmp_path / "a"), only=("models",))
    finally:
        workspace.has_own_registry = True
    assert report.status == "complete"
    assert any("own registry were not read" in note for note in report.notes)
    with ma.open(str(tmp_path / "a")) as archive:
        assert "main.ml.alone" in {model.name for model in archive.models()}


def test_unity_catalog_alone_takes_no_other_names(workspace: WorkspaceFake) -> None:
    client = connect(UNITY, read_only=False)
    try:
        with pytest.raises(UsageError, match=r"catalog\.schema\.model, which 'plain' is not"):
            client.call("GET", "/api/2.0/mlflow/registered-models/get", params={"name": "plain"})
    finally:
        client.close()


def test_a_version_whose_files_are_gone(workspace: WorkspaceFake, open_server: MlflowServer, tmp_path: Path) -> None:
    made = make_experiment(workspace, f"/Users/{ME}/empty")
    name = "main.ml.empty"
    ask(workspace, "POST", "unity-catalog/registered-models/create", name=name)
    source = f"dbfs:/databricks/mlflow-tracking/{made.experiment_id}/{made.run_id}/artifacts/nothing"
    make_version(workspace, name, {}, source=source, run_id=made.run_id)
    renames = {"rename_experiments": {made.name: "/Shared/empty"}, "rename_models": {name: "other.prod.empty"}}
    report = ma.copy(URI, URI, models=(name,), **renames)  # type: ignore[arg-type]
    (loss,) = [loss for loss in report.losses if loss.kind == "registered_model"]
    assert (loss.path, loss.code) == ("versions/1/source", "source")
    assert "There are no files" in loss.reason
    assert list(workspace.unity.models["other.prod.empty"]["versions"]) == ["1"]


def test_a_plan_changes_nothing(workspace: WorkspaceFake, tmp_path: Path) -> None:
    made = make_experiment(workspace, f"/Users/{ME}/planned")
    ma.backup(URI, str(tmp_path / "a"), experiments=(made.name,), permissions=True)
    before = len(workspace.asked)
    report = ma.restore(
        str(tmp_path / "a"),
        URI,
        rename_experiments={made.name: "/Shared/planned/deep"},
        notebook_folder="/Shared/planned",
        permissions=True,
        dry_run=True,
    )
    assert report.dry_run
    assert "/Shared/planned" not in workspace.folders
    asked = [(asked.method, asked.path.rpartition("/")[2]) for asked in workspace.asked[before:]]
    assert {method for method, what in asked if what != "search"} <= {"GET"}, asked


def test_no_credential_is_in_an_archive(workspace: WorkspaceFake, tmp_path: Path) -> None:
    made = make_experiment(workspace, f"/Users/{ME}/secret")
    report = ma.backup(URI, str(tmp_path / "a"), experiments=(made.name,), notebook_formats=("SOURCE",))
    assert TOKEN not in str(report.to_json())
    for path in (tmp_path / "a").rglob("*"):
        if path.is_file():
            assert TOKEN.encode() not in path.read_bytes()
            assert b"s3cr3t" not in path.read_bytes()
