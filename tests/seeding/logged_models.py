"""Logged models (MLflow 3.0 and later): every status, with and without a run, and what refers to them."""

from __future__ import annotations

from mlflow.entities import LoggedModelInput, LoggedModelOutput, Metric

from tests.seeding.world import EPOCH_MS, UNICODE, World

MLMODEL = """artifact_path: {root}
flavors:
  python_function:
    env:
      conda: conda.yaml
      virtualenv: python_env.yaml
    loader_module: mlflow.sklearn
    model_path: model.pkl
    python_version: 3.11.7
mlflow_version: 3.0.1
model_id: {model_id}
model_size_bytes: 642
model_uuid: {model_id}
prompts: null
run_id: {run_id}
utc_time_created: '2024-02-29 12:00:00.000000'
"""


def seed(world: World) -> None:
    """Make logged models in the main experiment."""
    full, main = world.runs["full"], world.experiments["main"]
    tags = {"unicode": UNICODE, "stage": "candidate"}
    params = {"alpha": "0.5", "unicode": UNICODE, "long": "v" * 5000}
    _make(world, "sklearn", full, "READY", name="churn classifier", tags=tags, params=params, model_type="classifier")
    _make(world, "no run", None, "READY", name="no run", model_type="agent")
    _make(world, "failed", full, "FAILED", name="failed")
    _make(world, "pending", world.runs["RUNNING"], None, name="pending")
    _make(world, "deleted", full, "READY", name="deleted")
    _make(world, "external", None, "READY", name="external", tags={"mlflow.model.isExternal": "true"})
    for number in range(3):
        # Many checkpoints of one model may have the same name.
        _make(world, f"checkpoint {number}", world.runs["parent"], "READY", name="checkpoint")
    client, sklearn = world.client, world.models["sklearn"]
    client.log_model_params(sklearn, {f"grid.{number:03}": str(number) for number in range(90)})
    points = [
        Metric("accuracy", 0.75 + step / 100, EPOCH_MS + step, step, model_id=sklearn, run_id=full) for step in range(3)
    ]
    on_data = {"dataset_name": "churn table", "dataset_digest": "a1b2c3d4"}
    points.append(Metric("f1", 0.5, EPOCH_MS, 0, model_id=sklearn, run_id=full, **on_data))
    client.log_batch(full, metrics=points)
    parent = world.runs["parent"]
    for number in range(3):
        model_id = world.models[f"checkpoint {number}"]
        client.log_batch(parent, metrics=[Metric("loss", 1 / (number + 1), EPOCH_MS, number, model_id=model_id)])
        client.log_outputs(parent, [LoggedModelOutput(model_id, step=number * 10)])
    client.log_outputs(full, [LoggedModelOutput(sklearn, step=0)])
    client.log_inputs(world.runs["child"], models=[LoggedModelInput(sklearn), LoggedModelInput(world.models["no run"])])
    client.delete_logged_model(world.models["deleted"])
    assert client.get_logged_model(sklearn).experiment_id == main


def _make(world: World, word: str, run_id: str | None, status: str | None, **fields: object) -> None:
    model = world.client.create_logged_model(world.experiments["main"], source_run_id=run_id, **fields)  # type: ignore[arg-type]
    world.models[word] = model.model_id
    root = model.artifact_location
    mlmodel = MLMODEL.format(root=root, model_id=model.model_id, run_id=run_id or "")
    if word != "external":
        files = {"MLmodel": mlmodel.encode(), "model.pkl": bytes(range(200)), "requirements.txt": b"scikit-learn\n"}
        world.put(root, files | {"空/é.txt": b"odd name", "code/train.py": b"print()\n"})
    if status:
        world.client.finalize_logged_model(model.model_id, status)
    world.counts["logged_model"] += 1
