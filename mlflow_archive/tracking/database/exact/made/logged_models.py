"""`logged_models` with tags, params and metrics."""

from __future__ import annotations

from collections.abc import Iterator

from mlflow_archive.spec.records.logged_model import LoggedModelRecord
from mlflow_archive.stream import Content, ObjectKey
from mlflow_archive.tracking.database.exact.made.making import (
    Making,
    Row,
    TableRows,
    batches,
    compact,
)
from mlflow_archive.tracking.database.exact.made.metrics import stored_value
from mlflow_archive.tracking.paging import integer, number, text

_STATUSES = {"LOGGED_MODEL_PENDING": 1, "LOGGED_MODEL_READY": 2, "LOGGED_MODEL_UPLOAD_FAILED": 3}
_NO_RUN = (
    "Points of logged models that were logged in runs which are not in the archive: {n}; a database cannot hold them."
)


def rows(making: Making, key: ObjectKey, content: Content) -> Iterator[TableRows]:
    """Yield the rows of a logged model."""
    record = content.record
    if not isinstance(record, LoggedModelRecord):
        return
    experiment = making.experiment(key)
    model_id = record.info.model_id
    yield "logged_models", [_model(experiment, record)]
    yield from batches(
        "logged_model_params",
        (
            {"model_id": model_id, "experiment_id": experiment, "param_key": name, "param_value": value}
            for name, value in record.params.items()
        ),
    )
    yield from batches(
        "logged_model_tags",
        (
            {"model_id": model_id, "experiment_id": experiment, "tag_key": name, "tag_value": value}
            for name, value in record.tags.items()
        ),
    )
    yield from batches("logged_model_metrics", _metrics(making, experiment, record))


def _model(experiment: int, record: LoggedModelRecord) -> Row:
    info, more = record.info, record.info.unknown_fields
    created = info.creation_timestamp_ms or 0
    return {
        "model_id": info.model_id,
        "experiment_id": experiment,
        "name": info.name or "",
        "artifact_location": info.artifact_uri or "",
        "creation_timestamp_ms": created,
        "last_updated_timestamp_ms": info.last_updated_timestamp_ms or created,
        "status": _STATUSES.get(info.status or "", 0),
        "lifecycle_stage": more.get("lifecycle_stage", "active"),
        "model_type": info.model_type,
        "source_run_id": info.source_run_id,
        "status_message": info.status_message,
    }


def _metrics(making: Making, experiment: int, record: LoggedModelRecord) -> Iterator[Row]:
    seen: set[tuple[object, ...]] = set()
    for metric in record.metrics:
        run_id = text(metric.get("run_id"))
        if not making.has("runs", compact(run_id)):
            making.count(_NO_RUN)
            continue
        found = number(metric.get("value"))
        value, _ = stored_value(found if isinstance(found, (int, float, str)) else 0.0)
        row: Row = {
            "model_id": record.info.model_id,
            "metric_name": text(metric.get("key")),
            "metric_timestamp_ms": integer(metric.get("timestamp")) or 0,
            "metric_step": integer(metric.get("step")) or 0,
            "metric_value": value,
            "experiment_id": experiment,
            "run_id": run_id,
            "dataset_uuid": None,
            "dataset_name": text(metric.get("dataset_name")) or None,
            "dataset_digest": text(metric.get("dataset_digest")) or None,
        }
        point = (row["metric_name"], row["metric_timestamp_ms"], row["metric_step"], run_id)
        if point not in seen:
            seen.add(point)
            yield row
