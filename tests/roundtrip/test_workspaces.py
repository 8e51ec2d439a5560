"""A server with workspaces, into another one: the same names mean other things in each."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlflow_archive import api
from mlflow_archive.tracking.http_client import HttpClient
from tests.conftest import StartServer

pytestmark = [pytest.mark.server, pytest.mark.timeout(600)]
WORKSPACES = (None, "blue", "red")


def _fill(client: HttpClient, workspace: str | None) -> None:
    def post(path: str, **body: object) -> dict:
        return client.call("POST", f"/api/2.0/mlflow/{path}", body=body, workspace=workspace)  # type: ignore[arg-type]

    experiment_id = post("experiments/create", name="same", tags=[{"key": "k", "value": str(workspace)}])
    run = post("runs/create", **experiment_id, run_name=f"of {workspace}", start_time=5)["run"]["info"]
    post("runs/log-batch", run_id=run["run_id"], params=[{"key": "p", "value": str(workspace)}])
    post("runs/update", run_id=run["run_id"], status="FINISHED", end_time=9)
    root = run["artifact_uri"].removeprefix("mlflow-artifacts:/")
    path = f"/api/2.0/mlflow-artifacts/artifacts/{root.lstrip('/')}/f.txt"
    client.upload("PUT", path, f"file of {workspace}".encode(), workspace=workspace)
    post("registered-models/create", name="same")
    post("model-versions/create", name="same", source=run["artifact_uri"], run_id=run["run_id"])


def _shown(client: HttpClient, workspace: str | None) -> tuple[str, ...]:
    versions = client.call("GET", "/api/2.0/mlflow/model-versions/search", workspace=workspace)["model_versions"]
    params = {"run_id": versions[0]["run_id"]}  # type: ignore[index, call-overload]
    run = client.call("GET", "/api/2.0/mlflow/runs/get", params=params, workspace=workspace)["run"]
    assert versions[0]["source"] == run["info"]["artifact_uri"]  # type: ignore[index, call-overload]
    assert "mlflow_archive.incomplete" not in str(run)
    root = run["info"]["artifact_uri"].removeprefix("mlflow-artifacts:/")  # type: ignore[index, call-overload]
    path = f"/api/2.0/mlflow-artifacts/artifacts/{root.lstrip('/')}/f.txt"
    with client.download(path, workspace=workspace) as chunks:
        data = b"".join(chunks).decode()
    return data, run["info"]["run_name"], run["data"]["params"][0]["value"]  # type: ignore[index, call-overload]


def test_workspaces_come_back_with_what_is_in_them(start_server: StartServer, tmp_path: Path) -> None:
    source, target = (start_server(options=("--enable-workspaces",)) for _ in range(2))
    client = HttpClient.at(source.uri)
    for name in WORKSPACES[1:]:
        body = {"name": name, "description": f"The {name} one."}
        client.call("POST", "/api/3.0/mlflow/workspaces", body=body)
    for workspace in WORKSPACES:
        _fill(client, workspace)
    client.close()
    archive = str(tmp_path / "archive")
    assert api.backup(source.uri, archive).losses == ()
    assert api.restore(archive, target.uri).losses == ()
    restored = HttpClient.at(target.uri)
    for workspace in WORKSPACES:
        assert _shown(restored, workspace) == (f"file of {workspace}", f"of {workspace}", str(workspace))
    restored.close()
    assert api.diff(archive, target.uri).same
    assert api.restore(archive, target.uri).stored_count == 0
