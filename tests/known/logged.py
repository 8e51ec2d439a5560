"""Logged models of a server by its REST API: an MLflow 2.x beside the tests has no calls for them."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import requests
from mlflow import MlflowClient

from tests.servers import MlflowServer


def logged_model(uri: str, model_id: str) -> dict:
    return ask("GET", uri, f"logged-models/{model_id}")["model"]


def files_of(uri: str, model_id: str) -> list[str]:
    """Return the names of its files at the top."""
    listed = ask("GET", uri, f"logged-models/{model_id}/artifacts/directories")
    return [file["path"] for file in listed["files"]]


def log_model(server: MlflowServer, experiment_id: str, name: str, run_id: str, mlmodel: str) -> str:
    """Make a logged model of one file, the output of a run, and return its id."""
    body = {"experiment_id": experiment_id, "name": name, "source_run_id": run_id}
    info = ask("POST", server.uri, "logged-models", body)["model"]["info"]
    model_id = str(info["model_id"])
    put_mlmodel(server, model_id, mlmodel)
    ask("PATCH", server.uri, f"logged-models/{model_id}", {"model_id": model_id, "status": "LOGGED_MODEL_READY"})
    ask("POST", server.uri, "runs/outputs", {"run_id": run_id, "models": [{"model_id": model_id, "step": 0}]})
    return model_id


def put_mlmodel(server: MlflowServer, model_id: str, mlmodel: str) -> None:
    """Write the one file of such a model."""
    place = str(logged_model(server.uri, model_id)["info"]["artifact_uri"])
    if place.startswith("mlflow-artifacts:"):
        path = urlsplit(place).path.strip("/")
        url = f"{server.uri}/api/2.0/mlflow-artifacts/artifacts/{path}/MLmodel"
        requests.put(url, data=mlmodel.encode(), timeout=60).raise_for_status()
    else:
        folder = Path(urlsplit(place).path)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "MLmodel").write_text(mlmodel)


def version_of_logged_model(client: MlflowClient, name: str, model_id: str) -> None:
    """Make a version of a registered model whose files are those of a logged one."""
    body = {"name": name, "source": f"models:/{model_id}", "model_id": model_id}
    ask("POST", client.tracking_uri, "model-versions/create", body)


def ask(method: str, uri: str, path: str, body: dict | None = None) -> dict:
    answer = requests.request(method, f"{uri}/api/2.0/mlflow/{path}", json=body, timeout=60)
    answer.raise_for_status()
    return answer.json()
