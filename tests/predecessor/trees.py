"""Small archives of mlflow-export-import by hand: the same server's content as each generation wrote it.

What each generation looked like is from its code in the history of the tool, and from its samples.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlflow_archive.predecessor.source import PredecessorSource
from mlflow_archive.spec.kinds import Kind
from mlflow_archive.spec.loss import Loss
from mlflow_archive.spec.selection import Selection
from mlflow_archive.storage.containers import open_foreign
from mlflow_archive.stream import Item

GENERATIONS = ("G0", "G1", "G2", "G3", "G4", "G5")
SERVER = "http://mlflow.example.com"
FIRST, SECOND, LOST = "a" * 32, "b" * 32, "c" * 32
MODEL_ID, TRACE_ID, DATASET_ID = "m-" + "d" * 32, "tr-" + "e" * 32, "d-" + "f" * 32

Files = Mapping[str, Any]


def write(root: Path, files: Files) -> Path:
    """Write files: objects as JSON in Python's dialect, texts and bytes as they are."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            path.write_text(content if isinstance(content, str) else json.dumps(content, indent=2) + "\n")
    return root


def opened(place: Path | str) -> PredecessorSource:
    return PredecessorSource.open(open_foreign(str(place)))


def items(source: PredecessorSource, kind: Kind, selection: Selection | None = None) -> list[Item]:
    return [entry for entry in source.read(kind, selection or Selection()) if isinstance(entry, Item)]


def losses(source: PredecessorSource, kind: Kind, selection: Selection | None = None) -> list[Loss]:
    return [entry for entry in source.read(kind, selection or Selection()) if isinstance(entry, Loss)]


def document(generation: str, payload: Mapping[str, Any], info: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return a document in the envelope of its generation."""
    if generation in ("G0", "G1", "G2"):
        said: dict[str, Any] = {} if generation == "G0" else {"mlflow_version": "1.30.0", "mlflow_tracking_uri": SERVER}
        account = {**said, "export_time": "2022-06-12 03:34:53", **(info or {})}
        if generation == "G2":
            account["export_time"] = {"seconds": 1670303442, "local_time": "", "utc_time": ""}
        return {"export_info": account, **payload}
    system = {"package_version": "1.2.0", "export_time": 1685000000, "mlflow_tracking_uri": SERVER}
    system["mlflow_version"] = "3.8.1" if generation == "G5" else "2.3.2"
    if generation in ("G4", "G5"):
        system["export_file_version"] = "2"
    return {"system": system, **({"info": dict(info)} if info else {}), "mlflow": dict(payload)}


def run(generation: str, run_id: str, **info: Any) -> dict[str, Any]:
    """Return a run's document with a metric, a param, a tag and a dataset, as far as its generation had them."""
    about: dict[str, Any] = {"run_id": run_id, "experiment_id": "7", "user_id": "ada", "status": "FINISHED"}
    about |= {"start_time": 1600000000000, "end_time": 1600000060000, "lifecycle_stage": "active", "run_name": "first"}
    about |= {"artifact_uri": f"mlflow-artifacts:/7/{run_id}/artifacts", **info}
    points = [
        {"value": 0.25, "timestamp": 1600000030000, "step": 1},
        {"value": 0.5, "timestamp": 1600000010000, "step": 0},
    ]
    payload: dict[str, Any] = {"info": about, "params": {"lr": "0.1"}, "tags": {"team": "x", "mlflow.user": "ada"}}
    payload["metrics"] = {"loss": 0.25 if generation == "G0" else points}
    if generation in ("G0", "G1", "G2"):
        about["run_uuid"] = run_id
        prefix = "mlflow_export_import."
        payload["tags"] |= {f"{prefix}metadata.tracking_uri": SERVER, f"{prefix}run_info.run_id": run_id}
        payload["tags"] |= {f"{prefix}mlflow.user": "ada"}
    else:
        about["_start_time"] = "2020-09-13 12:26:40"
    if generation in ("G4", "G5"):
        dataset = {"name": "train", "digest": "1", "source_type": "http", "source": "{}", "schema": None}
        given = [{"dataset": dataset, "tags": [{"key": "mlflow.data.context", "value": "training"}]}]
        payload["inputs"] = {"dataset_inputs": given, "model_inputs": []} if generation == "G5" else given
    if generation == "G5":
        payload["outputs"] = {"model_outputs": [{"model_id": MODEL_ID, "step": 0}]}
    return document(generation, payload)


def experiment(generation: str) -> dict[str, Any]:
    """Return an experiment's document: two runs, one of them listed twice, and one that could not be exported."""
    about: dict[str, Any] = {"experiment_id": "7", "name": "wine", "artifact_location": "mlflow-artifacts:/7"}
    about |= {"lifecycle_stage": "active", "tags": {"mlflow.note.content": "of wine"}}
    listed = [FIRST, SECOND, FIRST]
    if generation == "G0":
        return {"experiment": about, "export_info": {"export_time": ""}, "run_ids": listed, "failed_run_ids": [LOST]}
    if generation in ("G1", "G2"):
        return document(generation, {"experiment": about}, {"ok_runs": listed, "failed_runs": [LOST]})
    about |= {"creation_time": 1590000000000, "last_update_time": 1590000000001, "_creation_time": "2020-05-20"}
    payload = {"experiment": about, "runs": listed}
    if generation == "G5":
        payload |= {"logged_models": [MODEL_ID], "traces": [TRACE_ID]}
    return document(generation, payload, {"num_total_runs": 3, "failed_runs": [LOST]})


def version(generation: str, number: int, run_id: str) -> dict[str, Any]:
    return {
        "name": "Wine",
        "version": str(number),
        "creation_timestamp": str(1600000000000 + number) if generation in ("G0", "G1") else 1600000000000 + number,
        "current_stage": "Production" if number == 10 else "None",
        "description": f"number {number}",
        "source": f"mlflow-artifacts:/7/{run_id}/artifacts/model",
        "run_id": run_id,
        "status": "READY",
        "tags": {"n": str(number)} if number == 10 else {},
        "aliases": ["best"] if number == 10 and generation in ("G4", "G5") else [],
        "_run_artifact_uri": f"mlflow-artifacts:/7/{run_id}/artifacts",
        "_experiment_name": "wine",
    }


def model(generation: str) -> dict[str, Any]:
    """Return a registered model's document: versions 10, 2 and 9 in the order of texts, the others deleted."""
    about: dict[str, Any] = {"name": "Wine", "description": "the wine", "tags": [{"key": "t", "value": "1"}]}
    created = 1600000000000
    about["creation_timestamp"] = str(created) if generation in ("G0", "G1") else created
    versions = [version(generation, 10, SECOND), version(generation, 2, FIRST), version(generation, 9, FIRST)]
    about["versions" if generation in ("G4", "G5") else "latest_versions"] = versions
    if generation in ("G4", "G5"):
        about["aliases"] = [{"alias": "best", "version": "10"}]
    return document(generation, {"registered_model": about})


def exported_all(root: Path, generation: str) -> Path:
    """Write an export of everything, as a generation laid it out."""
    old = generation in ("G0", "G1")
    home = "experiments/7/runs" if generation == "G5" else "experiments/7"
    names = {"id": "7", "name": "wine"}
    files: dict[str, Any] = {
        "manifest.json": document(generation, {}),
        f"experiments/{'manifest' if old else 'experiments'}.json": _listed(generation, "experiments", [names, names]),
        f"experiments/7/{'manifest' if old else 'experiment'}.json": experiment(generation),
        f"{home}/{FIRST}/run.json": run(generation, FIRST),
        f"{home}/{FIRST}/artifacts/model/MLmodel": "run_id: x\n",
        f"{home}/{FIRST}/artifacts/na me/ü #1": b"\x00\x01",
        f"{home}/{SECOND}/run.json": run(generation, SECOND, run_name="second", lifecycle_stage="deleted"),
        f"models/{'manifest' if old else 'models'}.json": _listed(generation, "models", ["Wine"]),
        "models/Wine/model.json": model(generation),
        f"models/Wine/{FIRST}/run.json": run(generation, FIRST),
        f"models/Wine/{FIRST}/artifacts/model/MLmodel": "run_id: x\n",
    }
    if generation == "G0":
        files[f"{home}/{FIRST}/notebook.source"] = "print()\n"
    if generation == "G5":
        files |= _newest()
    return write(root, files)


def _listed(generation: str, name: str, entries: list[Any]) -> dict[str, Any]:
    if generation in ("G0", "G1", "G2"):
        key = "ok_models" if name == "models" and generation == "G2" else name
        return {"info": {"mlflow_version": "1.30.0", "mlflow_tracking_uri": SERVER}, key: entries}
    return document(generation, {name: entries}, {"duration": 0.1})


def _newest() -> dict[str, Any]:
    """Return what only the last generation has."""
    logged = {"experiment_id": "7", "model_id": MODEL_ID, "name": "model", "status": "READY", "source_run_id": FIRST}
    info = {"trace_id": TRACE_ID, "request_time": 1600000000000, "state": "OK", "trace_metadata": {}, "tags": {}}
    info["trace_location"] = {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": "7"}}
    prompt = {"name": "greet", "version": 1, "template": "Hi {{name}}", "tags": {}, "commit_message": "new"}
    dataset = {"dataset_id": DATASET_ID, "name": "set", "tags": {}, "experiment_ids": ["7"], "records": []}
    below = "experiments/7"
    return {
        f"{below}/logged_models/{MODEL_ID}/logged_model.json": document("G5", {**logged, "tags": {}, "params": {}}),
        f"{below}/logged_models/{MODEL_ID}/artifacts/MLmodel": "model_id: x\n",
        f"{below}/traces/{TRACE_ID}/trace.json": document("G5", {"info": info, "data": []}),
        "prompts/prompts_summary.json": document("G5", {"total_prompts": 1}),
        "prompts/greet_v1/prompt.json": document("G5", {"prompt": prompt}),
        "evaluation_datasets/evaluation_datasets_summary.json": document("G5", {"total_datasets": 1}),
        f"evaluation_datasets/set_{DATASET_ID}/evaluation_dataset.json": document(
            "G5", {"evaluation_dataset": dataset}
        ),
    }
