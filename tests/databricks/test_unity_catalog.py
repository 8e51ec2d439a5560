"""Models called catalog.schema.model."""

from __future__ import annotations

from pathlib import Path

import pytest

import mlflow_archive as ma
from tests.databricks.conftest import URI
from tests.databricks.filling import ask, files_of_version, make_experiment, make_version, tags_of
from tests.databricks.workspace_fake import ME, WorkspaceFake

pytestmark = pytest.mark.server
FILES = {"MLmodel": b"flavors: {}\n", "data/weights.bin": bytes(range(256)) * 40}


def _model(workspace: WorkspaceFake, name: str, run_id: str) -> None:
    ask(
        workspace,
        "POST",
        "unity-catalog/registered-models/create",
        name=name,
        description="of flowers",
        tags=[{"key": "team", "value": "blue"}],
    )
    source = f"dbfs:/databricks/mlflow-tracking/1/{run_id}/artifacts/model"
    make_version(workspace, name, FILES, source=source, run_id=run_id, tags=[{"key": "v", "value": "one"}])
    gap = make_version(workspace, name, FILES, source=source, run_id=run_id)
    ask(workspace, "DELETE", "unity-catalog/model-versions/delete", name=name, version=gap)
    make_version(workspace, name, {"MLmodel": b"third\n"}, source=source, run_id=run_id, description="the best")
    ask(workspace, "POST", "unity-catalog/registered-models/alias", name=name, alias="champion", version="3")


def test_a_model_goes_to_an_archive_and_to_another_catalog(workspace: WorkspaceFake, tmp_path: Path) -> None:
    made = make_experiment(workspace, f"/Users/{ME}/flowers")
    name, target = "main.ml.flowers", "other.prod.flowers"
    _model(workspace, name, made.run_id)
    ask(
        workspace,
        "PATCH",
        f"/api/2.1/unity-catalog/permissions/function/{name}",
        changes=[{"principal": "data", "add": ["EXECUTE", "APPLY_TAG"]}],
    )

    archived = ma.backup(URI, str(tmp_path / "a"), models=(name,), permissions=True)
    assert archived.status == "complete", archived.losses
    report = ma.restore(
        str(tmp_path / "a"),
        URI,
        rename_models={name: target},
        rename_experiments={made.name: "/Shared/flowers"},
        permissions=True,
    )

    assert not report.losses
    model = ask(workspace, "GET", "unity-catalog/registered-models/get", name=target)["registered_model"]
    assert model["description"] == "of flowers"
    assert tags_of(model)["team"] == "blue"
    assert tags_of(model)["mlflow_archive_source_id"] == name
    assert "mlflow_archive_incomplete" not in tags_of(model)
    assert model["aliases"] == [{"alias": "champion", "version": "3"}]
    assert list(workspace.unity.models[target]["versions"]) == ["1", "3"]
    first, third = (workspace.unity.models[target]["versions"][number] for number in ("1", "3"))
    assert (first["status"], third["status"], third["description"]) == ("READY", "READY", "the best")
    assert tags_of(first)["v"] == "one"
    assert files_of_version(workspace, target, "1") == FILES
    assert files_of_version(workspace, target, "3") == {"MLmodel": b"third\n"}
    assert workspace.unity.grants[target] == {"data": {"EXECUTE", "APPLY_TAG"}}

    again = ma.restore(
        str(tmp_path / "a"), URI, rename_models={name: target}, rename_experiments={made.name: "/Shared/flowers"}
    )
    assert not again.losses
    assert list(workspace.unity.models[target]["versions"]) == ["1", "3"]
