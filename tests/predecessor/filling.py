"""Fills a server with what archives of mlflow-export-import are known to lose or to mix up, and with little else.

Runs by `tests.predecessor.fill` under any MLflow from 2.4 on. Times are given where MLflow takes them, so that an
archive that kept them can be told from one that did not.
"""

from __future__ import annotations

import json
from typing import Any

from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag

from tests.seeding.world import EPOCH_MS, World

#: Numbers that versions get and lose again: fourteen are made, twelve stay.
DELETED_VERSIONS = (3, 7)
MLMODEL = "artifact_path: model\nflavors:\n  python_function:\n    loader_module: own\nrun_id: {run_id}\n"


def fill(uri: str) -> dict[str, Any]:
    """Fill an empty server; return the ids of what is in it, by word."""
    world = World(uri, small=True)
    experiments(world)
    runs(world)
    registry(world)
    if world.version >= (3, 4):
        from tests.predecessor import filling_three

        filling_three.fill(world)
    return {"runs": world.runs, "models": world.models, "traces": world.traces, **world.experiments}


def experiments(world: World) -> None:
    """Make three experiments, of which one is deleted at the end, with the runs that are in it."""
    client = world.client
    for word, name in (("main", "churn, and more"), ("nested", "nested"), ("deleted", "given up")):
        world.experiments[word] = client.create_experiment(
            name, tags={"team": "blue", "mlflow.note.content": "A note."}
        )


def runs(world: World) -> None:
    """Make runs of every state, with odd files, a NaN, nested three deep, one deleted."""
    client, main, nested = world.client, world.experiments["main"], world.experiments["nested"]
    full = _run(world, "full", main, EPOCH_MS, "FINISHED")
    loss = [Metric("loss", 1 / (step + 1), EPOCH_MS + 10 * step, step) for step in range(40)]
    odd = [Metric("odd", value, EPOCH_MS + step, step) for step, value in enumerate((1.0, float("nan"), 3.0))]
    last = [Metric("last is nan", float("nan"), EPOCH_MS, 0), Metric("too large", float("inf"), EPOCH_MS, 0)]
    params = [Param("lr", "0.1"), Param("long", "v" * 400), Param("empty", "")]
    client.log_batch(full, loss + odd + last, params, [RunTag("owner", "ada")])
    _inputs(world, full)
    files = {"plain.txt": b"text\n", "empty.bin": b"", "deep/er/still/x.json": b"{}\n"}
    # A server of MLflow 2.4 cannot give out a file whose name is not Latin-1.
    letters = "\u00fc\u4e16.txt" if world.version >= (3, 0) else "\u00fc.txt"
    odd_names = {"we ird/na me  .txt": b"spaces\n", "plus+and&equals=.txt": b"signs\n", letters: b"letters\n"}
    world.put(client.get_run(full).info.artifact_uri, {**files, **odd_names})
    for number, status in enumerate(("FAILED", "KILLED")):
        _run(world, status, main, EPOCH_MS + 100_000 * number, status)
    world.runs["RUNNING"] = client.create_run(main, start_time=EPOCH_MS, tags={"mlflow.runName": "RUNNING"}).info.run_id
    parent = _run(world, "parent", nested, EPOCH_MS, "FINISHED")
    child = _run(world, "child", nested, EPOCH_MS + 1000, "FINISHED", parent)
    _run(world, "grandchild", nested, EPOCH_MS + 2000, "FINISHED", child)
    client.delete_run(_run(world, "deleted run", main, EPOCH_MS, "FINISHED"))
    _run(world, "in deleted", world.experiments["deleted"], EPOCH_MS, "FINISHED")
    client.delete_experiment(world.experiments["deleted"])


def registry(world: World) -> None:
    """Make a model of twelve versions with two gaps, stages and aliases, one of one version, and an empty one."""
    client = world.client
    client.create_registered_model("churn", {"owner": "ada"}, "Predicts who leaves.")
    sources = [world.runs[word] for word in ("full", "FAILED", "parent")]
    for run_id in sources:
        files = {"model/MLmodel": MLMODEL.format(run_id=run_id).encode(), "model/weights.bin": run_id[:8].encode()}
        world.put(client.get_run(run_id).info.artifact_uri, files)
    for number in range(1, 15):
        run = client.get_run(sources[number % 3])
        source = f"{run.info.artifact_uri}/model"
        client.create_model_version(
            "churn", source, run.info.run_id, {"number": str(number)}, description=f"no. {number}"
        )
    for number in DELETED_VERSIONS:
        client.delete_model_version("churn", str(number))
    for number, stage in ((1, "Archived"), (5, "Production"), (11, "Staging")):
        client.transition_model_version_stage("churn", str(number), stage)
    for alias, number in (("champion", 11), ("challenger", 2), ("newest", 14)):
        client.set_registered_model_alias("churn", alias, str(number))
    client.create_registered_model("one version")
    source = f"{client.get_run(sources[0]).info.artifact_uri}/model"
    client.create_model_version("one version", source, sources[0])
    client.create_registered_model("no versions", {"empty": "yes"})


def _run(world: World, name: str, experiment: str, start_ms: int, status: str, parent: str | None = None) -> str:
    tags = {"mlflow.runName": name, "mlflow.user": "ada", **({"mlflow.parentRunId": parent} if parent else {})}
    run_id = str(world.client.create_run(experiment, start_time=start_ms, tags=tags).info.run_id)
    world.client.log_param(run_id, "name", name)
    world.client.set_terminated(run_id, status, end_time=start_ms + 12_345)
    world.runs[name] = run_id
    return run_id


def _inputs(world: World, run_id: str) -> None:
    schema: dict[str, Any] = {"mlflow_colspec": [{"type": "double", "name": "a"}]}
    source = json.dumps({"url": "https://example.org/churn.csv"})
    dataset = Dataset("churn table", "a1b2c3d4", "http", source, json.dumps(schema), json.dumps({"num_rows": 2}))
    # 2.x has no public call for it.
    tracking = world.client._tracking_client
    tracking.log_inputs(run_id, datasets=[DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])])
