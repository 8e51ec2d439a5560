"""Logged models (MLflow 3): `logged-models/search` in any status, and the deleted ones that something still names.

Deleted logged models are in no search. From MLflow 3.7 on they can be read by id, and ids of them are known from the
runs that were read before: their outputs and inputs.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from urllib.parse import quote

from mlflow_archive.errors import MlflowArchiveError, NotFoundError
from mlflow_archive.spec.canonical import JSONObject, JSONValue
from mlflow_archive.spec.kinds import Kind
from mlflow_archive.spec.loss import Loss
from mlflow_archive.spec.records.logged_model import LoggedModelRecord
from mlflow_archive.spec.selection import Selection
from mlflow_archive.stream import Content, Item, ObjectKey
from mlflow_archive.tracking.artifact_contract import ArtifactOwner
from mlflow_archive.tracking.capabilities import DELETED_LOGGED_MODELS
from mlflow_archive.tracking.paging import each_once, integer, mapping, member, number, objects, pages, text, without
from mlflow_archive.tracking.sources import single
from mlflow_archive.tracking.sources.context import ExperimentRef, Reading, lost, unreadable

_SEARCH = "/api/2.0/mlflow/logged-models/search"
_PAGE = 500


def read(
    reading: Reading, workspace: str | None, experiment: ExperimentRef, selection: Selection
) -> Iterator[Item | Loss]:
    """List the wanted logged models of an experiment."""
    if selection.logged_model_ids is not None:
        yield from _asked(reading, workspace, experiment, selection, selection.logged_model_ids)
        return
    hidden = selection.deleted and not reading.shows_all
    named = reading.named_models(workspace, experiment.id) if hidden else set()
    if not named and not reading.has_logged_models(workspace):
        return
    found: set[str] = set()
    for row in _rows(reading, workspace, experiment):
        found.add(_id(row))
        yield from _item(reading, workspace, row, selection)
    for row_or_loss in _unlisted(reading, workspace, experiment, named - found):
        if isinstance(row_or_loss, Loss):
            yield row_or_loss
        else:
            yield from _item(reading, workspace, row_or_loss, selection)


def _asked(
    reading: Reading, workspace: str | None, experiment: ExperimentRef, selection: Selection, ids: frozenset[str]
) -> Iterator[Item]:
    known = reading.homes(Kind.LOGGED_MODEL, workspace)
    here = [id for id in ids if known.get(id) == experiment.id]
    for found in single.rows(reading, by_id, workspace, here):
        if len(found) == 2:
            yield unreadable(ObjectKey(Kind.LOGGED_MODEL, found[0], experiment.id, workspace), found[1])
        else:
            yield from _item(reading, workspace, found[1], selection)


def by_id(reading: Reading, workspace: str | None, model_id: str) -> tuple[JSONObject, str] | None:
    """Return a logged model as a search shows it, deleted ones as well, and its experiment; None if it is gone."""
    row = _by_id(reading, workspace, model_id)
    return (row, text(member(row, "info").get("experiment_id"))) if row else None


def logged_model_record(row: JSONObject) -> LoggedModelRecord:
    """Return the record of a logged model as the server wrote it."""
    info, data = member(row, "info"), member(row, "data")
    metrics = sorted(objects(data.get("metrics")), key=_metric_order)
    value: JSONObject = {
        "info": without(info, "tags"),
        "tags": {**mapping(info.get("tags"))},
        "params": {**mapping(data.get("params"))},
        "metrics": [_metric(metric) for metric in metrics],
    }
    return LoggedModelRecord.from_json(value, "the server's answer")


def _rows(reading: Reading, workspace: str | None, experiment: ExperimentRef) -> Iterator[JSONObject]:
    request: JSONObject = {
        "experiment_ids": [experiment.id],
        "max_results": _PAGE,
        "order_by": [{"field_name": "creation_timestamp", "ascending": True}],
    }

    def walk() -> Iterator[list[JSONObject]]:
        for page in pages(reading.client, "POST", _SEARCH, request, workspace=workspace):
            yield objects(page.get("models"))

    return each_once(walk, _id, steady=reading.steady)


def _unlisted(
    reading: Reading, workspace: str | None, experiment: ExperimentRef, model_ids: set[str]
) -> Iterator[JSONObject | Loss]:
    """Yield the logged models of the experiment that runs name and the search does not show: deleted ones."""
    for model_id in sorted(model_ids):
        try:
            row = _by_id(reading, workspace, model_id)
        except MlflowArchiveError as error:
            yield lost(ObjectKey(Kind.LOGGED_MODEL, model_id, experiment.id, workspace), error)
            continue
        home = text(member(row or {}, "info").get("experiment_id"))
        if row and home == experiment.id:
            yield row
        elif row and home:
            # An input from another experiment, which will say whether it has it.
            reading.name_models(workspace, home, [model_id])


def _by_id(reading: Reading, workspace: str | None, model_id: str) -> JSONObject | None:
    path = f"/api/2.0/mlflow/logged-models/{quote(model_id, safe='')}"
    try:
        return member(reading.client.call("GET", path, workspace=workspace), "model")
    except NotFoundError:
        pass
    if not reading.client.at_least(DELETED_LOGGED_MODELS):
        reading.note(
            f"Runs name deleted logged models, which a server before MLflow {DELETED_LOGGED_MODELS} does not show."
        )
        return None
    try:
        answer = reading.client.call("GET", path, params={"allow_deleted": "true"}, workspace=workspace)
    except NotFoundError:
        # Removed for good; only its id is left in the run.
        return None
    model = member(answer, "model")
    return {**model, "info": {**member(model, "info"), "lifecycle_stage": "deleted"}}


def _item(reading: Reading, workspace: str | None, row: JSONObject, selection: Selection) -> Iterator[Item]:
    info = member(row, "info")
    stage = text(info.get("lifecycle_stage"))
    if not selection.wants_logged_model_id(_id(row)) or not selection.wants_life_cycle(stage):
        return
    experiment_id, name = text(info.get("experiment_id")), text(info.get("name"))
    key = ObjectKey(Kind.LOGGED_MODEL, _id(row), experiment_id, workspace, name)
    try:
        in_time = selection.wants_time(integer(info.get("creation_timestamp_ms")))
    except MlflowArchiveError as error:
        yield unreadable(key, error)
        return
    if in_time:
        yield Item(key, partial(_load, reading, key, row, selection.artifacts))


def _load(reading: Reading, key: ObjectKey, row: JSONObject, artifacts: bool) -> Content:
    record = logged_model_record(row)
    uri = record.info.artifact_uri
    if not artifacts or not uri:
        return Content(record)
    owner = ArtifactOwner(Kind.LOGGED_MODEL, key.id, uri, key.workspace)
    return Content(record, blobs=partial(reading.blobs, key, owner))


def _id(row: JSONObject) -> str:
    return text(member(row, "info").get("model_id"))


def _metric(metric: JSONObject) -> JSONValue:
    return {
        **metric,
        "value": number(metric.get("value")),
        "timestamp": integer(metric.get("timestamp")) or 0,
        "step": integer(metric.get("step")) or 0,
    }


def _metric_order(metric: JSONObject) -> tuple[str, str, int, int]:
    timestamp, step = integer(metric.get("timestamp")), integer(metric.get("step"))
    return text(metric.get("key")), text(metric.get("run_id")), timestamp or 0, step or 0
