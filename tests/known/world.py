"""A small server that is known in every detail: what each export has to take, and to leave."""

from __future__ import annotations

import json
import urllib.parse
import urllib.request
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any


def milliseconds(text: str) -> int:
    """Return a time in UTC as MLflow counts it."""
    return int(datetime.fromisoformat(text).replace(tzinfo=timezone.utc).timestamp() * 1000)


@dataclass
class KnownWorld:
    """What is on the server: words -> ids."""

    uri: str
    experiments: dict[str, str] = field(default_factory=dict)
    runs: dict[str, str] = field(default_factory=dict)
    logged: dict[str, str] = field(default_factory=dict)
    traces: dict[str, str] = field(default_factory=dict)
    datasets: dict[str, str] = field(default_factory=dict)

    def rest(self, path: str, body: dict[str, Any], method: str = "POST") -> dict[str, Any]:
        """Send one request below ``/api`` and return the answer."""
        return json.loads(self.send(f"/api/{path}", json.dumps(body).encode(), method, "application/json") or b"{}")

    def send(self, path: str, data: bytes, method: str, content_type: str) -> bytes:
        """Send one request."""
        request = urllib.request.Request(
            self.uri + path, data=data, method=method, headers={"Content-Type": content_type}
        )
        with urllib.request.urlopen(request, timeout=120) as answer:
            return bytes(answer.read())

    def add_experiment(self, name: str) -> None:
        """Make an experiment."""
        self.experiments[name] = self.rest("2.0/mlflow/experiments/create", {"name": name})["experiment_id"]

    def add_run(self, word: str, experiment: str, began: str, parent: str | None = None, files: int = 1) -> None:
        """Make a run with a metric and a file."""
        tags = [{"key": "mlflow.parentRunId", "value": self.runs[parent]}] if parent else []
        body = {"experiment_id": self.experiments[experiment], "run_name": word, "start_time": milliseconds(began)}
        run = self.rest("2.0/mlflow/runs/create", {**body, "tags": tags})["run"]["info"]
        self.runs[word] = run["run_id"]
        end = {"run_id": run["run_id"], "status": "FINISHED", "end_time": milliseconds(began) + 1000}
        self.rest("2.0/mlflow/runs/update", end)
        for number in range(files):
            self.put(run["artifact_uri"], f"model/{word}-{number}.txt", word.encode())

    def put(self, root: str, name: str, data: bytes) -> None:
        """Store a file below an artifact root."""
        path = f"{root[len('mlflow-artifacts:') :].lstrip('/')}/{name}"
        self.send(
            "/api/2.0/mlflow-artifacts/artifacts/" + urllib.parse.quote(path), data, "PUT", "application/octet-stream"
        )

    def add_logged_model(self, word: str, experiment: str, run: str) -> None:
        """Make a logged model that a run made."""
        body = {"experiment_id": self.experiments[experiment], "name": word, "source_run_id": self.runs[run]}
        model = self.rest("2.0/mlflow/logged-models", body)["model"]["info"]
        self.logged[word] = model["model_id"]
        self.put(model["artifact_uri"], "MLmodel", b"flavors: {}\n")
        self.rest(
            f"2.0/mlflow/logged-models/{model['model_id']}",
            {"model_id": model["model_id"], "status": "LOGGED_MODEL_READY"},
            "PATCH",
        )
        outputs = [{"model_id": model["model_id"], "step": "0"}]
        self.rest("2.0/mlflow/runs/outputs", {"run_id": self.runs[run], "models": outputs})

    def add_trace(self, word: str, experiment: str, began: str) -> None:
        """Make a trace without spans."""
        info = {
            "trace_id": f"tr-{word}",
            "trace_location": {
                "type": "MLFLOW_EXPERIMENT",
                "mlflow_experiment": {"experiment_id": self.experiments[experiment]},
            },
            "request_time": f"{began}Z",
            "state": "OK",
            "execution_duration": "1s",
        }
        made = self.rest("3.0/mlflow/traces", {"trace": {"trace_info": info}})["trace"]["trace_info"]
        self.traces[word] = made["trace_id"]

    def add_version(self, model: str, run: str, stage: str | None = None, logged: str | None = None) -> None:
        """Make a version of a registered model, and the model with the first."""
        if model not in self._models():
            self.rest("2.0/mlflow/registered-models/create", {"name": model})
        source = f"models:/{self.logged[logged]}" if logged else f"{self._artifacts(run)}/model"
        body = {"name": model, "source": source, "run_id": self.runs[run]}
        if logged:
            body["model_id"] = self.logged[logged]
        made = self.rest("2.0/mlflow/model-versions/create", body)["model_version"]
        if stage:
            move = {"name": model, "version": made["version"], "stage": stage}
            self.rest("2.0/mlflow/model-versions/transition-stage", move)

    def _models(self) -> set[str]:
        answer = self.send("/api/2.0/mlflow/registered-models/search", b"", "GET", "application/json")
        return {model["name"] for model in json.loads(answer).get("registered_models", ())}

    def _artifacts(self, run: str) -> str:
        path = f"/api/2.0/mlflow/runs/get?run_id={self.runs[run]}"
        return str(json.loads(self.send(path, b"", "GET", "application/json"))["run"]["info"]["artifact_uri"])

    def add_prompt(self, name: str, *texts: str) -> None:
        """Make a prompt with a version for each text."""
        is_prompt = {"key": "mlflow.prompt.is_prompt", "value": "true"}
        self.rest("2.0/mlflow/registered-models/create", {"name": name, "tags": [is_prompt]})
        for text in texts:
            tags = [is_prompt, {"key": "mlflow.prompt.text", "value": text}]
            body = {"name": name, "source": "dummy-source", "tags": tags}
            self.rest("2.0/mlflow/model-versions/create", body)

    def add_dataset(self, name: str, *experiments: str) -> None:
        """Make an evaluation dataset with a record."""
        ids = [self.experiments[experiment] for experiment in experiments]
        made = self.rest("3.0/mlflow/datasets/create", {"name": name, "experiment_ids": ids})["dataset"]
        self.datasets[name] = made["dataset_id"]
        records = json.dumps([{"inputs": {"question": name}}])
        self.rest(f"3.0/mlflow/datasets/{made['dataset_id']}/records", {"records": records})


def fill(uri: str) -> KnownWorld:
    """Make everything."""
    world = KnownWorld(uri)
    for name in ("iris", "iris-2", "wine", "a, b", "gone"):
        world.add_experiment(name)
    world.add_run("early", "iris", "2024-01-31 23:59:59.999")
    world.add_run("first", "iris", "2024-02-01 00:00:00")
    world.add_run("child", "iris", "2024-02-01 01:00:00", parent="first")
    world.add_run("grandchild", "iris", "2024-02-01 02:00:00", parent="child")
    world.add_run("late", "iris", "2024-03-01 00:00:00")
    world.add_run("deleted", "iris", "2024-02-02 00:00:00")
    world.add_run("wine", "wine", "2024-02-01 00:00:00", files=2)
    world.add_run("other wine", "wine", "2024-02-05 00:00:00")
    world.add_run("comma", "a, b", "2024-02-01 00:00:00")
    world.add_run("in gone", "gone", "2024-02-01 00:00:00")
    world.add_logged_model("flower", "iris", "first")
    world.add_logged_model("grape", "wine", "wine")
    world.add_trace("iris", "iris", "2024-02-01T00:00:00")
    world.add_trace("wine", "wine", "2024-02-01T00:00:00")
    world.add_version("flowers", "early", "Production")
    world.add_version("flowers", "first", "Staging", logged="flower")
    world.add_version("flowers", "late", "Production")
    world.add_version("flowers", "deleted")
    world.add_version("flower-pots", "child")
    world.add_version("wines, red", "wine", "Staging")
    world.add_prompt("greet", "Hello {{name}}", "Hi {{name}}")
    world.add_prompt("greet-more", "Dear {{name}}")
    world.add_prompt("part", "Bye")
    world.add_dataset("facts", "iris")
    world.add_dataset("jokes", "wine")
    world.rest("2.0/mlflow/runs/delete", {"run_id": world.runs["deleted"]})
    world.rest("2.0/mlflow/experiments/delete", {"experiment_id": world.experiments["gone"]})
    return world
