"""`runs`, `params`, `tags`, `datasets`, `inputs`, `input_tags`, and the metrics."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mlflow_archive.spec.canonical import JSONObject, JSONValue
from mlflow_archive.spec.records.run import RunRecord
from mlflow_archive.stream import Content, ObjectKey
from mlflow_archive.tracking.database.exact.made.making import (
    Making,
    Row,
    TableRows,
    batches,
    compact,
    invented,
)
from mlflow_archive.tracking.database.exact.made.metrics import metric_rows

#: What `create_run` writes into columns that no API shows; those of old runs are known where the source was SQL.
_LEGACY = {"source_type": "UNKNOWN", "source_name": "", "entry_point_name": "", "source_version": ""}
_DELETED = (
    "When runs were deleted ({n} here) is in no answer of a server; it counts as the time when the archive was made."
)
_DELETED_NEVER = (
    "When runs were deleted ({n} here) is in no answer of a server: `mlflow gc` does not find them without being given "
    "their ids."
)


def rows(making: Making, key: ObjectKey, content: Content) -> Iterator[TableRows]:
    """Yield the rows of a run."""
    record = content.record
    if not isinstance(record, RunRecord):
        return
    experiment = making.experiment(key)
    run_id = record.info.run_id
    yield "runs", [_run(making, experiment, record)]
    yield from batches("params", ({"key": k, "value": v, "run_uuid": run_id} for k, v in record.params.items()))
    yield from batches("tags", ({"key": k, "value": v, "run_uuid": run_id} for k, v in record.tags.items()))
    yield from _datasets(making, experiment, run_id, record)
    yield from batches("inputs", _models(run_id, record))
    part = next((part for part in content.parts if part.name == "metrics"), None)
    yield from metric_rows(run_id, record, part)
    # Only now: a run whose history is damaged is none that others may name.
    making.first("runs", compact(run_id))


def _run(making: Making, experiment: int, record: RunRecord) -> Row:
    info, more = record.info, record.info.unknown_fields
    return {
        "run_uuid": info.run_id,
        "name": info.run_name if info.run_name is not None else record.tags.get("mlflow.runName"),
        **{column: more.get(column, usual) for column, usual in _LEGACY.items()},
        "user_id": info.user_id,
        "status": info.status,
        "start_time": info.start_time,
        "end_time": info.end_time,
        "lifecycle_stage": info.lifecycle_stage,
        "artifact_uri": info.artifact_uri,
        "experiment_id": experiment,
        "deleted_time": _deleted(making, record),
    }


def _deleted(making: Making, record: RunRecord) -> Any:
    if record.info.lifecycle_stage != "deleted":
        return None
    known = record.info.unknown_fields.get("deleted_time")
    if known is not None:
        return int(known)
    making.count(_DELETED_NEVER if making.deleted_ms is None else _DELETED)
    return making.deleted_ms


def _datasets(making: Making, experiment: int, run_id: str, record: RunRecord) -> Iterator[TableRows]:
    datasets: list[Row] = []
    inputs: dict[str, Row] = {}
    tags: dict[tuple[str, str], Row] = {}
    for given in record.dataset_inputs:
        dataset = given.get("dataset")
        if not isinstance(dataset, dict):
            continue
        name, digest = _text(dataset, "name"), _text(dataset, "digest")
        dataset_uuid = invented("dataset", experiment, name, digest)
        if making.first("datasets", dataset_uuid):
            datasets.append(_dataset(dataset_uuid, experiment, dataset))
        input_uuid = invented("input", "DATASET", dataset_uuid, "RUN", run_id)
        inputs[input_uuid] = _input(input_uuid, "DATASET", dataset_uuid, "RUN", run_id)
        for tag, value in _tags(given.get("tags")):
            tags[input_uuid, tag] = {"input_uuid": input_uuid, "name": tag, "value": value}
    yield from batches("datasets", datasets)
    yield from batches("inputs", inputs.values())
    yield from batches("input_tags", tags.values())


def _dataset(dataset_uuid: str, experiment: int, dataset: JSONObject) -> Row:
    return {
        "dataset_uuid": dataset_uuid,
        "experiment_id": experiment,
        "name": _text(dataset, "name"),
        "digest": _text(dataset, "digest"),
        "dataset_source_type": _text(dataset, "source_type"),
        "dataset_source": _text(dataset, "source"),
        "dataset_schema": dataset.get("schema"),
        "dataset_profile": dataset.get("profile"),
    }


def _models(run_id: str, record: RunRecord) -> Iterator[Row]:
    seen: set[tuple[str, str]] = set()
    for source, destination, models in (
        ("RUN_INPUT", "MODEL_INPUT", record.model_inputs),
        ("RUN_OUTPUT", "MODEL_OUTPUT", record.model_outputs),
    ):
        for model in models:
            model_id = _text(model, "model_id")
            if (source, model_id) in seen:
                continue
            seen.add((source, model_id))
            uuid = invented("input", source, run_id, destination, model_id)
            step = model.get("step") if source == "RUN_OUTPUT" else 0
            yield _input(uuid, source, run_id, destination, model_id, step or 0)


def _input(
    input_uuid: str, source: str, source_id: str, destination: str, destination_id: str, step: JSONValue = 0
) -> Row:
    return {
        "input_uuid": input_uuid,
        "source_type": source,
        "source_id": source_id,
        "destination_type": destination,
        "destination_id": destination_id,
        "step": step,
    }


def _tags(value: JSONValue) -> Iterator[tuple[str, str]]:
    for tag in value if isinstance(value, list) else ():
        if isinstance(tag, dict):
            yield _text(tag, "key"), _text(tag, "value")


def _text(value: JSONObject, name: str) -> str:
    found = value.get(name)
    return "" if found is None else str(found)
