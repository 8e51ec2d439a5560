"""Runs: one document each with everything but the files, which stand in ``artifacts`` beside it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial

from mlflow_archive.errors import IntegrityError
from mlflow_archive.predecessor.documents import Document
from mlflow_archive.predecessor.lineage import own_tags
from mlflow_archive.predecessor.metrics import Series, histories
from mlflow_archive.predecessor.places import Place
from mlflow_archive.predecessor.tree import ARTIFACTS, Tree
from mlflow_archive.predecessor.values import first, integer, member, objects, tags, text, without_empty
from mlflow_archive.spec.canonical import JSONObject, JSONValue
from mlflow_archive.spec.kinds import Kind
from mlflow_archive.spec.loss import Loss
from mlflow_archive.spec.records.run import RunRecord
from mlflow_archive.spec.selection import Selection
from mlflow_archive.stream import Blob, Content, Item, ObjectKey, Part

METRICS = "metrics"
_NO_HISTORY = (
    "The archive has only the last value of {} of its metrics, without time and step; the end of the run stands for "
    "their time."
)
_NO_INPUTS = (
    "This export is from before October 2023, when exports of runs left out the datasets that were their inputs."
)


def read(tree: Tree, places: Iterable[Place], selection: Selection) -> Iterator[Item | Loss]:
    """List the runs."""
    for place in places:
        key = ObjectKey(Kind.RUN, place.id, place.experiment_id)
        yield Item(key, partial(_load, tree, key, place, artifacts=selection.artifacts))


def run_record(document: Document, place: Place) -> tuple[RunRecord, list[Series], list[str]]:
    """Return the record of a run, its metric histories, and the metrics of which only the last value is there.

    Raises:
        IntegrityError: The document is no run's, or has values of the wrong type.
    """
    payload = document.payload
    info = member(payload, "info")
    run_id = first((text(info.get("run_id")), text(info.get("run_uuid"))))
    if not run_id:
        raise IntegrityError(f"{place.path} is not the document of a run: it has no run_id.")
    start, end = integer(info.get("start_time")), integer(info.get("end_time"))
    series, bare = histories(member(payload, "metrics"), end or start or 0)
    given = tags(payload.get("tags"))
    inputs = payload.get("inputs")
    by_kind = inputs if isinstance(inputs, dict) else {"dataset_inputs": inputs}
    value: JSONObject = {
        "info": {
            **without_empty(info, "run_uuid", "start_time", "end_time"),
            # Archives are edited by hand; where the document says otherwise, the list counts.
            "run_id": place.id,
            "experiment_id": place.experiment_id or "",
            "status": text(info.get("status")) or "UNKNOWN",
            "lifecycle_stage": text(info.get("lifecycle_stage")) or "active",
            **({} if start is None else {"start_time": start}),
            **({} if end is None else {"end_time": end}),
        },
        "params": {**tags(payload.get("params"))},
        "tags": {**(own_tags(given, run_id) if document.flat else given)},
        "metrics": [one.last() for one in series],
        "dataset_inputs": [_dataset_input(entry) for entry in objects(by_kind.get("dataset_inputs"))],
        "model_inputs": [without_empty(entry) for entry in objects(by_kind.get("model_inputs"))],
        "model_outputs": [_output(entry) for entry in objects(member(payload, "outputs").get("model_outputs"))],
    }
    return RunRecord.from_json(value, place.path), series, bare


def _load(tree: Tree, key: ObjectKey, place: Place, *, artifacts: bool) -> Content:
    document = tree.document(place.path)
    if "inputs" not in document.payload:
        tree.note(_NO_INPUTS)
    record, series, bare = run_record(document, place)
    losses = (key.lost("no_history", _NO_HISTORY.format(len(bare)), path=METRICS),) if bare else ()
    parts = (Part(METRICS, lambda: (line for one in series for line in one.lines())),) if series else ()
    blobs = partial(_blobs, tree, key, place, notebooks=document.flat) if artifacts else lambda: iter(())
    return Content(record, parts, blobs, losses)


def _blobs(tree: Tree, key: ObjectKey, place: Place, *, notebooks: bool) -> Iterator[Blob | Loss]:
    """Yield the files of a run. The first generation kept its notebook beside the document, later ones among them."""
    yield from tree.blobs_beside(key, place.folder)
    if notebooks:
        yield from tree.notebooks_beside(key, place.folder, ARTIFACTS)


def _dataset_input(entry: JSONObject) -> JSONValue:
    return {**without_empty(entry), "dataset": without_empty(member(entry, "dataset"))}


def _output(entry: JSONObject) -> JSONValue:
    return {**without_empty(entry), "step": integer(entry.get("step")) or 0}
