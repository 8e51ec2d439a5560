"""What MLflow alone does with a database: upgrade it, and make new objects beside those that are there."""

from __future__ import annotations

from mlflow import MlflowClient
from mlflow.cli import cli
from mlflow.entities import Metric, ViewType

NAME = "made after the restore"


def upgrade(uri: str, _target: str) -> None:
    """Run ``mlflow db upgrade``."""
    cli(["db", "upgrade", uri], standalone_mode=False)


def make(uri: str, _target: str) -> None:
    """Make one of each main kind; raises if the server refuses, or if ids and numbers do not go on."""
    client = MlflowClient(uri)
    before = {one.experiment_id for one in client.search_experiments(view_type=ViewType.ALL)}
    experiment = client.create_experiment(NAME)
    assert int(experiment) > max(map(int, before)), f"{experiment} after {sorted(before, key=int)}"
    run = client.create_run(experiment, run_name=NAME).info.run_id
    client.log_batch(run, metrics=[Metric("m", step / 7, 1, step) for step in range(3)])
    client.set_terminated(run)
    assert [point.step for point in client.get_metric_history(run, "m")] == [0, 1, 2]
    client.create_registered_model(NAME)
    assert str(client.create_model_version(NAME, "s3://bucket/m", run_id=run).version) == "1"
    # The newest version of it was deleted: its number is not given again.
    assert str(client.create_model_version("churn", "s3://bucket/m").version) == "13"
    span = client.start_trace(NAME, experiment_id=experiment)
    client.end_trace(span.trace_id)
    assert client.get_trace(span.trace_id).info.trace_id == span.trace_id
    found = client.search_runs([*before, experiment], run_view_type=ViewType.ALL)
    assert {run} == {one.info.run_id for one in found if one.info.experiment_id == experiment}
    assert len(found) > 1
