"""Makes objects in the fake workspace as a user of it would, by its API."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import requests

from tests.databricks.workspace_fake import TOKEN, WorkspaceFake


@dataclass(frozen=True)
class Made:
    name: str
    experiment_id: str
    run_id: str


def ask(workspace: WorkspaceFake, method: str, path: str, /, **body: Any) -> dict[str, Any]:
    whole = path if path.startswith("/") else f"/api/2.0/mlflow/{path}"
    given: dict[str, Any] = {"params": body} if method == "GET" else {"json": body}
    answer = requests.request(
        method, workspace.host + whole, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=60, **given
    )
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def put_file(workspace: WorkspaceFake, run_id: str, path: str, data: bytes) -> None:
    signed = ask(workspace, "POST", "artifacts/credentials-for-write", run_id=run_id, path=[path])
    requests.put(signed["credential_infos"][0]["signed_uri"], data=data, timeout=60).raise_for_status()


def get_file(workspace: WorkspaceFake, run_id: str, path: str) -> bytes:
    signed = ask(workspace, "POST", "artifacts/credentials-for-read", run_id=run_id, path=[path])
    answer = requests.get(signed["credential_infos"][0]["signed_uri"], timeout=60)
    answer.raise_for_status()
    return answer.content


def make_experiment(workspace: WorkspaceFake, name: str, **tags: str) -> Made:
    """Make an experiment with one finished run that has params, metrics, tags and files."""
    id = ask(workspace, "POST", "experiments/create", name=name)["experiment_id"]
    wanted = [{"key": key, "value": value} for key, value in {"team": "blue", **tags}.items()]
    run = ask(workspace, "POST", "runs/create", experiment_id=id, run_name="first", start_time=1000, tags=wanted)
    run_id = run["run"]["info"]["run_id"]
    points = [{"key": "loss", "value": 1.0 / step, "timestamp": 1000 + step, "step": step} for step in (1, 2, 3)]
    ask(workspace, "POST", "runs/log-batch", run_id=run_id, metrics=points, params=[{"key": "lr", "value": "0.1"}])
    put_file(workspace, run_id, "notes.txt", b"some notes")
    put_file(workspace, run_id, "model/MLmodel", b"flavors: {}\n")
    ask(workspace, "POST", "runs/update", run_id=run_id, status="FINISHED", end_time=2000)
    return Made(name, id, run_id)


def make_version(workspace: WorkspaceFake, model: str, files: dict[str, bytes], **about: Any) -> str:
    """Make a version of a model of Unity Catalog as MLflow's client does: create, upload, finalize."""
    made = ask(workspace, "POST", "unity-catalog/model-versions/create", name=model, **about)["model_version"]
    version = str(made["version"])
    for path, data in files.items():
        requests.put(
            f"{workspace.host}/api/2.0/fs/files/Models/{model.replace('.', '/')}/{version}/{path}",
            data=data,
            headers={"Authorization": f"Bearer {TOKEN}"},
            timeout=60,
        ).raise_for_status()
    ask(workspace, "POST", "unity-catalog/model-versions/finalize", name=model, version=version)
    return version


def files_of_version(workspace: WorkspaceFake, model: str, version: str) -> dict[str, bytes]:
    root = f"/Models/{model.replace('.', '/')}/{version}/"
    return {name.removeprefix(root): data for name, data in workspace.unity.objects.items() if name.startswith(root)}


def runs_of(workspace: WorkspaceFake, experiment: str) -> list[dict[str, Any]]:
    found = ask(workspace, "GET", "experiments/get-by-name", experiment_name=experiment)["experiment"]
    runs: list[dict[str, Any]] = ask(workspace, "POST", "runs/search", experiment_ids=[found["experiment_id"]])["runs"]
    return runs


def tags_of(row: dict[str, Any]) -> dict[str, str]:
    return {tag["key"]: tag["value"] for tag in row.get("tags", ())}
