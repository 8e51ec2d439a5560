"""What `tests.seeding` leaves out because no restore over the API can bring it: jobs, scorers at work, a workspace.

Runs in any Python with MLflow 3.5 or later, by path: ``/other/bin/python tests/databases/further.py SERVER DATABASE``
after the seeding, and without a database on a server with workspaces, which the seeding cannot fill. Jobs alone are not
made over HTTP: a server takes them only to begin at once.
"""

from __future__ import annotations

import json
import sys
import urllib.request
from typing import Any

from mlflow import MlflowClient
from mlflow.store.jobs.sqlalchemy_store import SqlAlchemyJobStore

WORKSPACE = "blue"


class Filling:
    """The server, by its REST API."""

    def __init__(self, uri: str) -> None:
        self._uri = uri
        with urllib.request.urlopen(f"{uri}/version") as answer:
            self.version = tuple(int(number) for number in answer.read().decode().split(".")[:2])

    def __call__(self, method: str, path: str, workspace: str = "", **body: Any) -> dict[str, Any]:
        headers = {"Content-Type": "application/json", **({"X-MLFLOW-WORKSPACE": workspace} if workspace else {})}
        data = json.dumps(body).encode() if body else None
        request = urllib.request.Request(f"{self._uri}/api/{path}", data=data, method=method, headers=headers)
        with urllib.request.urlopen(request, timeout=120) as answer:
            return dict(json.loads(answer.read() or b"{}"))


def jobs(database: str) -> None:
    """One that waits, one under way, one done and one failed."""
    store = SqlAlchemyJobStore(database)
    for number, end in enumerate((None, None, store.finish_job, store.fail_job)):
        job = store.create_job("invoke_scorer", json.dumps({"ö": number}), timeout=60.5 if number else None)
        if number:
            store.start_job(job.job_id)
        if end is not None:
            end(job.job_id, f"result {number}")


def webhooks(fill: Filling) -> None:
    """A deleted webhook, which stays as a row."""
    hook = {"name": "gone", "url": "https://127.0.0.1:9/gone", "events": [{"entity": "PROMPT", "action": "CREATED"}]}
    gone = fill("POST", "2.0/mlflow/webhooks", **hook)["webhook"]["webhook_id"]
    fill("DELETE", f"2.0/mlflow/webhooks/{gone}")


def scorers_at_work(fill: Filling, uri: str) -> None:
    """A scorer that judges each tenth trace through an endpoint of the gateway, which it is bound to."""
    experiment = MlflowClient(uri).get_experiment_by_name("generative").experiment_id
    judge = {"instructions_judge_pydantic_data": {"model": "gateway:/chat-endpoint", "instructions": "{{ outputs }}?"}}
    written = json.dumps({"name": "at work", **judge})
    of = {"experiment_id": experiment, "name": "at work"}
    fill("POST", "3.0/mlflow/scorers/register", serialized_scorer=written, **of)
    fill("PUT", "3.0/mlflow/scorers/online-config", sample_rate=0.1, filter_string="trace.status = 'OK'", **of)
    endpoints = fill("GET", "3.0/mlflow/gateway/endpoints/list")["endpoints"]
    bound = {"endpoint_id": endpoints[0]["endpoint_id"], "resource_type": "scorer", "resource_id": "by hand"}
    fill("POST", "3.0/mlflow/gateway/endpoints/bindings/create", **bound)


def workspace(fill: Filling) -> None:
    """Names of the default workspace once more, in another."""
    fill("POST", "3.0/mlflow/workspaces", name=WORKSPACE, description="Ö", default_artifact_root="s3://bucket/blue")
    made = fill("POST", "2.0/mlflow/experiments/create", WORKSPACE, name="Customer churn")
    run = fill("POST", "2.0/mlflow/runs/create", WORKSPACE, experiment_id=made["experiment_id"], start_time=1)
    id = run["run"]["info"]["run_id"]
    point = {"key": "m", "value": 0.1 + 0.2, "timestamp": 1, "step": 0}
    fill("POST", "2.0/mlflow/runs/log-batch", WORKSPACE, run_id=id, metrics=[point])
    fill("POST", "2.0/mlflow/registered-models/create", WORKSPACE, name="churn")
    fill("POST", "2.0/mlflow/model-versions/create", WORKSPACE, name="churn", source="s3://bucket/blue/model")


def main() -> None:
    uri, *database = sys.argv[1:]
    fill = Filling(uri)
    if not database:
        workspace(fill)
        return
    jobs(*database)
    webhooks(fill)
    if fill.version >= (3, 15):
        scorers_at_work(fill, uri)


main()
