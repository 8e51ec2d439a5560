"""Traces: what their documents say of them, and their spans where an export came by them.

A document has the trace's info in the words of MLflow's Python API (of 2.14 or later, or of 3), and of the spans the
names only. The spans themselves are in ``artifacts/traces.json`` if the server kept them as a file; those that it kept
in its database were not exported, which is a loss. Nothing is made up from the names.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial

from mlflow_archive.errors import IntegrityError, MlflowArchiveError
from mlflow_archive.predecessor.assessments import assessments_of, moment
from mlflow_archive.predecessor.documents import LIMIT_BYTES, parse
from mlflow_archive.predecessor.places import Place, below
from mlflow_archive.predecessor.tree import ARTIFACTS, Tree
from mlflow_archive.predecessor.values import first, integer, member, objects, tags, text, without_empty
from mlflow_archive.spec.canonical import JSONObject, JSONValue
from mlflow_archive.spec.kinds import Kind
from mlflow_archive.spec.loss import Loss
from mlflow_archive.spec.records.trace import TraceRecord
from mlflow_archive.spec.selection import Selection
from mlflow_archive.stream import Content, Item, ObjectKey, Part

SPANS = "spans"
_FILE = "traces.json"
_LOCATION = "mlflow.trace.spansLocation"
_IN_ARTIFACTS = "ARTIFACT_REPO"
_LEFT_OUT = "Exports of traces have no links to runs, beyond the run that a trace was made in."
#: Fields with another name or place in the record: of the last form, and of that before MLflow 3.
_ELSEWHERE = ("tags", "assessments", "request_id", "timestamp_ms", "execution_time_ms", "status", "request_metadata")


def read(tree: Tree, places: Iterable[Place], selection: Selection) -> Iterator[Item | Loss]:
    """List the traces."""
    for place in places:
        tree.note(_LEFT_OUT)
        key = ObjectKey(Kind.TRACE, place.id, place.experiment_id)
        yield Item(key, partial(_load, tree, key, place, artifacts=selection.artifacts))


def trace_record(payload: JSONObject, place: Place, spans_location: str | None) -> TraceRecord:
    """Return the record of a trace.

    Raises:
        IntegrityError: The document has values of the wrong type.
    """
    info = member(payload, "info")
    experiment_id = first((place.experiment_id or "", _home(info)))
    metadata = tags(info.get("trace_metadata") or info.get("request_metadata"))
    value: JSONObject = {
        "info": {
            **without_empty(info, *_ELSEWHERE, "experiment_id", "request_time", "execution_duration"),
            **_times(info),
            # Archives are edited by hand; where the document says otherwise, the list counts.
            "trace_id": place.id,
            "trace_location": _location(info, experiment_id),
            "state": first((text(info.get("state")), text(info.get("status")), "STATE_UNSPECIFIED")),
            "trace_metadata": {**metadata},
            **_previews(info, metadata),
        },
        "experiment_id": experiment_id,
        "tags": {**tags(info.get("tags"))},
        "assessments": [*assessments_of(info, place.id)],
        "spans_location": spans_location,
    }
    return TraceRecord.from_json(value, place.path)


def _load(tree: Tree, key: ObjectKey, place: Place, *, artifacts: bool) -> Content:
    payload = tree.document(place.path).payload
    parts, losses = _spans(tree, key, payload, place)
    location = tags(member(payload, "info").get("tags")).get(_LOCATION) or _IN_ARTIFACTS
    record = trace_record(payload, place, location if parts else None)
    blobs = partial(tree.blobs_beside, key, place.folder) if artifacts else lambda: iter(())
    return Content(record, parts, blobs, losses)


def _spans(tree: Tree, key: ObjectKey, payload: JSONObject, place: Place) -> tuple[tuple[Part, ...], tuple[Loss, ...]]:
    """Return the part of the spans, or what is lost of them."""
    named = len(objects(payload.get("data")))
    path = below(below(place.folder, ARTIFACTS), _FILE)
    if not tree.has(path):
        if not named:
            # A trace may be made of its info alone.
            return (), ()
        number = "one span" if named == 1 else f"{named} spans"
        reason = f"The export kept only the name{'' if named == 1 else 's'} of {number}."
        return (), (key.lost("not_exported", reason, path=SPANS),)
    try:
        value = parse(tree.store.read_all(path, limit_bytes=LIMIT_BYTES), path)
        spans = value.get("spans") if isinstance(value, dict) else None
        if not isinstance(spans, list):
            raise IntegrityError(f"{path} has no list of spans.")
    except MlflowArchiveError as error:
        return (), (key.lost(error.code, str(error), path=SPANS, retryable=error.retryable),)
    found = objects(spans)
    return (Part(SPANS, lambda: iter(found)),), ()


def _home(info: JSONObject) -> str:
    location = member(member(info, "trace_location"), "mlflow_experiment")
    return first((text(location.get("experiment_id")), text(info.get("experiment_id"))))


def _location(info: JSONObject, experiment_id: str) -> JSONValue:
    named = without_empty(member(info, "trace_location"))
    return named or {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": experiment_id}}


def _times(info: JSONObject) -> JSONObject:
    """Return the time of the request and the duration as REST writes them."""
    time_ms = integer(info.get("request_time", info.get("timestamp_ms")))
    duration_ms = integer(info.get("execution_duration", info.get("execution_time_ms")))
    times: JSONObject = {}
    if time_ms is not None:
        times["request_time"] = moment(time_ms)
    if duration_ms is not None and "IN_PROGRESS" not in (info.get("state"), info.get("status")):
        times["execution_duration"] = f"{duration_ms // 1000}.{duration_ms % 1000:03d}s"
    return times


def _previews(info: JSONObject, metadata: dict[str, str]) -> JSONObject:
    """Return what stands for previews in traces from before MLflow 3."""
    if "trace_id" in info:
        return {}
    named = (("request_preview", "mlflow.traceInputs"), ("response_preview", "mlflow.traceOutputs"))
    return {name: metadata[tag] for name, tag in named if tag in metadata}
