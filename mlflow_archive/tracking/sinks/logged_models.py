"""Logged models: made, filled, finished with their status, their metrics attributed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import cast

from mlflow_archive.errors import MlflowArchiveError
from mlflow_archive.spec import provenance
from mlflow_archive.spec.canonical import JSONObject, JSONValue
from mlflow_archive.spec.kinds import Kind
from mlflow_archive.spec.loss import Loss
from mlflow_archive.spec.records.logged_model import LoggedModelRecord
from mlflow_archive.stream import Blob, Content, Item, ObjectKey, Outcome, Scope, Status
from mlflow_archive.tracking.artifacts import ArtifactOwner
from mlflow_archive.tracking.rewriting import MODEL_VERSIONS, rewrite_model_versions
from mlflow_archive.tracking.sinks.agenda import Stage
from mlflow_archive.tracking.sinks.batches import BatchLogger
from mlflow_archive.tracking.sinks.context import (
    SinkContext,
    attempt,
    child,
    is_open,
    is_refusal,
    own_tags,
    rows,
    tag_list,
    tag_map,
    text,
)
from mlflow_archive.tracking.sinks.experiments import Experiments, TargetExperiment
from mlflow_archive.tracking.sinks.known import KnownObjects
from mlflow_archive.tracking.sinks.options import IfExists

_PARAMS_PER_CALL = 100
_POINTS_PER_PAGE = 25_000
_STATUS = {"LOGGED_MODEL_READY": 2, "LOGGED_MODEL_UPLOAD_FAILED": 3}
#: A deleted logged model is in no listing; the experiment remembers it by a tag with the model's id behind this.
_DELETED_MODEL = provenance.PREFIX + "deleted_model."


@dataclass
class _Known:
    id: str
    root: str
    incomplete: bool
    deleted: bool = False


@dataclass
class _End:
    """What is still to be done for a model when the registry is there."""

    owner: ArtifactOwner
    versions: str | None
    delete_in: TargetExperiment | None
    unfinished: bool
    """Something of it may succeed in a later restore."""


class LoggedModels:
    """Writes logged models."""

    def __init__(self, context: SinkContext, experiments: Experiments) -> None:
        """Ask nothing yet; the models of a target experiment are listed when the first one for it comes."""
        self._context = context
        self._experiments = experiments
        self._known = KnownObjects(self._list)

    def write(self, item: Item) -> Outcome:
        """Create a logged model and fill it, or take the one that is there."""
        key = item.key
        target = self._experiments.target(key)
        found = None
        if self._context.if_exists is not IfExists.DUPLICATE:
            found = self._known.find(key, target)
        if found is not None and not found.incomplete:
            return self._take(item, found)
        if self._context.options.dry_run:
            return self._context.plan(key)
        content = item.load()
        record = cast("LoggedModelRecord", content.record)
        target = self._experiments.awake(key)
        if found is None:
            owner = self._create(key, record, target)
        else:
            owner = ArtifactOwner(Kind.LOGGED_MODEL, found.id, found.root, key.workspace)
        self._context.ids.add(Kind.LOGGED_MODEL, key.id, owner.id, owner.uri)
        return self._fill(key, content, owner, target, resumed=found is not None)

    def close_scope(self, scope: Scope) -> None:
        """Forget what was at the target in this experiment."""
        self._known.forget(scope)

    def _list(self, target: TargetExperiment, workspace: str | None) -> dict[str, _Known]:
        known = {
            name.removeprefix(_DELETED_MODEL): _Known(value, "", incomplete=False, deleted=True)
            for name, value in target.tags.items()
            if name.startswith(_DELETED_MODEL)
        }
        body: JSONObject = {"experiment_ids": [target.id], "max_results": 500}
        for entry in self._context.pages("logged-models/search", body, "models", workspace=workspace):
            info, tags = child(entry, "info"), tag_map(rows(child(entry, "info"), "tags"))
            model = _Known(text(info, "model_id"), text(info, "artifact_uri"), provenance.INCOMPLETE in tags)
            known.setdefault(model.id, model)
            known[tags.get(provenance.SOURCE_ID, model.id)] = model
        return known

    def _take(self, item: Item, found: _Known) -> Outcome:
        key = item.key
        outcome = self._context.existing(key, found.id)
        self._context.ids.add(Kind.LOGGED_MODEL, key.id, found.id, found.root or None)
        if self._context.if_exists is not IfExists.UPDATE or self._context.options.dry_run or found.deleted:
            return outcome
        record = cast("LoggedModelRecord", item.load().record)
        owner = ArtifactOwner(Kind.LOGGED_MODEL, found.id, found.root, key.workspace)
        losses = [*self._set_tags(key, owner, own_tags(record.tags)), *self._finalize(key, record, owner)]
        return Outcome(key, Status.STORED, reason="updated", target_id=found.id, losses=tuple(losses))

    def _create(self, key: ObjectKey, record: LoggedModelRecord, target: TargetExperiment) -> ArtifactOwner:
        info = record.info
        source_run = self._context.ids.get(Kind.RUN, info.source_run_id)
        tags = self._context.provenance(key.id, incomplete=True)
        if info.source_run_id and source_run is None:
            tags[provenance.SOURCE_RUN_ID] = info.source_run_id
        body: JSONObject = {"experiment_id": target.id, "tags": list(tag_list(tags))}
        for name, value in (("name", info.name), ("model_type", info.model_type), ("source_run_id", source_run)):
            if value:
                body[name] = value

        def find() -> JSONObject | None:
            query: JSONObject = {
                "experiment_ids": [target.id],
                "filter": f"tags.`{provenance.SOURCE_ID}` = '{key.id}'",
                "max_results": 1,
            }
            models = rows(self._context.post("logged-models/search", query, workspace=key.workspace), "models")
            return {"model": models[0]} if models else None

        answer = self._context.create("logged-models", body, workspace=key.workspace, find=find)
        made = child(child(answer, "model"), "info")
        return ArtifactOwner(Kind.LOGGED_MODEL, text(made, "model_id"), text(made, "artifact_uri"), key.workspace)

    def _fill(
        self, key: ObjectKey, content: Content, owner: ArtifactOwner, target: TargetExperiment, *, resumed: bool
    ) -> Outcome:
        record = cast("LoggedModelRecord", content.record)
        tags = own_tags(record.tags)
        versions = tags.pop(MODEL_VERSIONS, None)
        losses = [*content.losses, *self._set_tags(key, owner, tags)]
        losses += self._log_params(key, record, owner, resumed=resumed)
        uploaded = self._context.uploader.upload(key, content, owner)
        losses += uploaded.losses
        losses += self._attribute(key, record, owner, resumed=resumed)
        losses += self._finalize(key, record, owner)
        end = _End(owner, versions, target if self._is_deleted(record) else None, is_open(losses))
        if uploaded.waiting:
            self._context.agenda.later(Stage.LINK, key, partial(self._send_again, key, uploaded.waiting, end))
        if uploaded.waiting or end.versions or end.delete_in:
            self._context.agenda.later(Stage.REMOVE, key, partial(self._complete, key, end))
        elif not end.unfinished:
            self._unmark(owner)
        return Outcome(key, Status.STORED, target_id=owner.id, size_bytes=uploaded.size_bytes, losses=tuple(losses))

    def _set_tags(self, key: ObjectKey, owner: ArtifactOwner, tags: dict[str, str]) -> Iterator[Loss]:
        if not tags:
            return
        try:
            self._patch_tags(owner, tags)
        except MlflowArchiveError as error:
            if not is_refusal(error):
                raise
            for name, value in tags.items():
                yield from attempt(key, f"tags/{name}", partial(self._patch_tags, owner, {name: value}))

    def _patch_tags(self, owner: ArtifactOwner, tags: dict[str, str]) -> None:
        body: JSONObject = {"tags": list(tag_list(tags))}
        self._call("PATCH", owner, "/tags", body)

    def _log_params(
        self, key: ObjectKey, record: LoggedModelRecord, owner: ArtifactOwner, *, resumed: bool
    ) -> Iterator[Loss]:
        params = dict(record.params)
        if resumed:
            # Logging a param twice is refused: send only those that are not there yet.
            there = tag_map(rows(child(child(self._call("GET", owner), "model"), "data"), "params"))
            params = {name: value for name, value in params.items() if name not in there}
        entries = tag_list(params)
        for start in range(0, len(entries), _PARAMS_PER_CALL):
            body: JSONObject = {"model_id": owner.id, "params": list(entries[start : start + _PARAMS_PER_CALL])}
            yield from attempt(key, "params", partial(self._call, "POST", owner, "/params", body))

    def _attribute(
        self, key: ObjectKey, record: LoggedModelRecord, owner: ArtifactOwner, *, resumed: bool
    ) -> Iterator[Loss]:
        """Log the model's metrics on the runs that measured them, which tells the server of the attribution."""
        there = self._points_there(owner) if resumed and record.metrics else set()
        loggers: dict[str, BatchLogger] = {}
        for metric in record.metrics:
            run_id = text(metric, "run_id")
            new_run = self._context.ids.get(Kind.RUN, run_id)
            if new_run is None:
                reason = f"The metric {metric.get('key')!r} of this model was measured by the run {run_id}, "
                yield key.lost("not_found", reason + "which is not at the target.", path=f"metrics/{metric.get('key')}")
                continue
            if (new_run, metric.get("key"), metric.get("step"), metric.get("timestamp")) in there:
                # Its run may be deleted by now, and would refuse the point.
                continue
            logger = loggers.setdefault(new_run, BatchLogger(self._context, key, new_run))
            value = self._value(key, metric, new_run)
            logger.add("metrics", {**metric, "value": value, "run_id": new_run, "model_id": owner.id})
        for logger in loggers.values():
            logger.flush()
            yield from logger.losses

    def _value(self, key: ObjectKey, metric: JSONObject, run_id: str) -> JSONValue:
        """Return the value of a model's metric, as its run has it.

        MLflow keeps a NaN of a model as 0, and as what it is in the run. Logged as 0 it would be one more point there.
        """
        value = metric.get("value")
        if value != 0:
            return value
        asked: JSONObject = {"run_id": run_id, "metric_key": text(metric, "key"), "max_results": _POINTS_PER_PAGE}
        points = self._context.pages("metrics/get-history", asked, "metrics", workspace=key.workspace, method="GET")
        there = [point.get("value") for point in points if _moment(point) == _moment(metric)]
        return "NaN" if "NaN" in there and value not in there else value

    def _points_there(self, owner: ArtifactOwner) -> set[tuple[str, object, object, object]]:
        """Return run, name, step and time of the metrics that the target has of this model."""
        metrics = rows(child(child(self._call("GET", owner), "model"), "data"), "metrics")
        return {(text(m, "run_id"), m.get("key"), m.get("step"), m.get("timestamp")) for m in metrics}

    def _finalize(self, key: ObjectKey, record: LoggedModelRecord, owner: ArtifactOwner) -> Iterator[Loss]:
        status = _STATUS.get(record.info.status or "")
        if status is not None:
            body: JSONObject = {"model_id": owner.id, "status": status}
            yield from attempt(key, "status", partial(self._call, "PATCH", owner, "", body))

    def _is_deleted(self, record: LoggedModelRecord) -> bool:
        return bool((record.info.model_extra or {}).get("lifecycle_stage") == "deleted") or bool(
            (record.model_extra or {}).get("lifecycle_stage") == "deleted"
        )

    def _send_again(self, key: ObjectKey, waiting: list[Blob], end: _End) -> list[Loss]:
        losses = list(self._context.uploader.send_again(key, waiting, end.owner))
        end.unfinished = end.unfinished or is_open(losses)
        return losses

    def _complete(self, key: ObjectKey, end: _End) -> list[Loss]:
        losses: list[Loss] = []
        if end.versions:
            rewritten = rewrite_model_versions(end.versions, self._context.ids)
            losses += self._set_tags(key, end.owner, {MODEL_VERSIONS: rewritten})
        if end.delete_in is not None:
            tag: JSONObject = {"experiment_id": end.delete_in.id, "value": end.owner.id}
            tag["key"] = _DELETED_MODEL + key.id
            self._context.post("experiments/set-experiment-tag", tag, workspace=key.workspace)
            # Still marked: interrupted between the two, it is begun again, and nobody sees tags of a deleted model.
            self._call("DELETE", end.owner)
        elif not end.unfinished and not is_open(losses):
            self._unmark(end.owner)
        return losses

    def _unmark(self, owner: ArtifactOwner) -> None:
        key = ObjectKey(Kind.LOGGED_MODEL, owner.id, workspace=owner.workspace)
        next(attempt(key, "tags", partial(self._call, "DELETE", owner, f"/tags/{provenance.INCOMPLETE}")), None)

    def _call(self, method: str, owner: ArtifactOwner, below: str = "", body: JSONObject | None = None) -> JSONObject:
        path = f"/api/2.0/mlflow/logged-models/{owner.id}{below}"
        return self._context.client.call(method, path, body=body, workspace=owner.workspace)


def _moment(point: JSONObject) -> tuple[int, int]:
    return int(text(point, "timestamp") or 0), int(text(point, "step") or 0)
