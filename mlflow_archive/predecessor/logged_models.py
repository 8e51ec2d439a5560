"""Logged models: one document each, flat where MLflow's REST API has parts; the files stand in ``artifacts`` beside it.

The last generation alone has them, in two homes: ``logged_models/`` of an experiment, and beside the registered model
or the run that was exported. The document is the same in both.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial

from mlflow_archive.predecessor.places import Place
from mlflow_archive.predecessor.tree import Tree
from mlflow_archive.predecessor.values import first, integer, objects, tags, text, without_empty
from mlflow_archive.spec.canonical import JSONObject
from mlflow_archive.spec.kinds import Kind
from mlflow_archive.spec.loss import Loss
from mlflow_archive.spec.records.logged_model import LoggedModelRecord
from mlflow_archive.spec.selection import Selection
from mlflow_archive.stream import Content, Item, ObjectKey

#: The words of MLflow's Python API, and those of REST.
_STATUS = {
    "PENDING": "LOGGED_MODEL_PENDING",
    "READY": "LOGGED_MODEL_READY",
    "FAILED": "LOGGED_MODEL_UPLOAD_FAILED",
}
#: Fields that have another name or place in the record, or are not the model's: the inputs are those of its run.
_ELSEWHERE = ("creation_time", "last_updated_timestamp", "artifact_location", "tags", "params", "metrics", "model_uri")
_OF_THE_RUN = "dataset_inputs"


def read(tree: Tree, places: Iterable[Place], selection: Selection) -> Iterator[Item | Loss]:
    """List the logged models."""
    for place in places:
        key = ObjectKey(Kind.LOGGED_MODEL, place.id, place.experiment_id)
        yield Item(key, partial(_load, tree, key, place, artifacts=selection.artifacts))


def logged_model_record(payload: JSONObject, place: Place) -> LoggedModelRecord:
    """Return the record of a logged model.

    Raises:
        IntegrityError: The document has values of the wrong type.
    """
    status = text(payload.get("status"))
    info: JSONObject = {
        **without_empty(payload, *_ELSEWHERE, _OF_THE_RUN),
        # Archives are edited by hand; where the document says otherwise, the list counts.
        "model_id": place.id,
        "experiment_id": first((place.experiment_id or "", text(payload.get("experiment_id")))),
        "creation_timestamp_ms": integer(payload.get("creation_time")),
        "last_updated_timestamp_ms": integer(payload.get("last_updated_timestamp")),
        "artifact_uri": text(payload.get("artifact_location")) or None,
        "status": _STATUS.get(status, status) or None,
        "source_run_id": text(payload.get("source_run_id")) or None,
    }
    value: JSONObject = {
        "info": without_empty(info),
        "tags": {**tags(payload.get("tags"))},
        "params": {**tags(payload.get("params"))},
        "metrics": [*sorted(map(_metric, objects(payload.get("metrics"))), key=_order)],
    }
    return LoggedModelRecord.from_json(value, place.path)


def _load(tree: Tree, key: ObjectKey, place: Place, *, artifacts: bool) -> Content:
    record = logged_model_record(tree.document(place.path).payload, place)
    return Content(record, blobs=partial(tree.blobs_beside, key, place.folder) if artifacts else lambda: iter(()))


def _metric(metric: JSONObject) -> JSONObject:
    timestamp, step = integer(metric.get("timestamp")), integer(metric.get("step"))
    return {**without_empty(metric), "timestamp": timestamp or 0, "step": step or 0}


def _order(metric: JSONObject) -> tuple[str, str, int, int]:
    timestamp, step = integer(metric.get("timestamp")), integer(metric.get("step"))
    return text(metric.get("key")), text(metric.get("run_id")), timestamp or 0, step or 0
