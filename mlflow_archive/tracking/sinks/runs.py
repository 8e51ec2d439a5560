"""Runs: made with their start, filled, linked when the models are there, deleted when nothing needs them any more."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import cast

from mlflow_archive.errors import MlflowArchiveError
from mlflow_archive.spec import provenance
from mlflow_archive.spec.canonical import JSONObject
from mlflow_archive.spec.kinds import Kind
from mlflow_archive.spec.loss import Loss
from mlflow_archive.spec.records.run import RunRecord
from mlflow_archive.stream import Blob, Content, Item, ObjectKey, Outcome, Scope, Status
from mlflow_archive.tracking.artifacts import ArtifactOwner
from mlflow_archive.tracking.rewriting import RUN_POINTERS, RUN_TAGS_WITH_IDS, replace_ids, unknown_model_ids
from mlflow_archive.tracking.sinks.agenda import Stage
from mlflow_archive.tracking.sinks.batches import BatchLogger
from mlflow_archive.tracking.sinks.context import (
    SinkContext,
    attempt,
    child,
    is_open,
    is_refusal,
    rows,
    tag_list,
    tag_map,
    text,
)
from mlflow_archive.tracking.sinks.experiments import Experiments, TargetExperiment
from mlflow_archive.tracking.sinks.known import KnownObjects
from mlflow_archive.tracking.sinks.options import IfExists
from mlflow_archive.tracking.sinks.run_tags import run_tags, run_user

#: Values up to here were never shortened by any server; longer ones are read back.
_SAFE_CHARS = 5000
_DATASETS_PER_CALL = 50
#: How often datasets are sent that other runs may bring at the same moment.
_ATTEMPTS = 4
_TAGS_AT_CREATION = 90


@dataclass
class _Known:
    """A run that was at the target before this restore."""

    id: str
    root: str
    incomplete: bool
    deleted: bool
    ours: bool = False
    """An earlier restore made it."""


@dataclass
class _Open:
    """What is still to be done for a run: kept small, there may be very many."""

    key: ObjectKey
    owner: ArtifactOwner
    pointers: dict[str, str] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    inputs: tuple[str, ...] = ()
    outputs: tuple[tuple[str, int], ...] = ()
    waiting: tuple[Blob, ...] = ()
    resumed: bool = False
    deleted: bool = False
    unfinished: bool = False
    """Something of it may succeed in a later restore."""

    @property
    def linked(self) -> bool:
        """True if nothing has to wait for other runs or models."""
        return not (self.pointers or self.texts or self.inputs or self.outputs or self.waiting)


class Runs:
    """Writes runs."""

    def __init__(self, context: SinkContext, experiments: Experiments) -> None:
        """Ask nothing yet; the runs of a target experiment are listed when the first one for it comes."""
        self._context = context
        self._experiments = experiments
        self._known = KnownObjects(self._list)

    def write(self, item: Item) -> Outcome:
        """Create a run and fill it, or take the one that is there."""
        key = item.key
        target = self._experiments.target(key)
        found = None
        if self._context.if_exists is not IfExists.DUPLICATE:
            found = self._known.find(key, target)
        if found is not None and not found.incomplete:
            return self._take(item, found)
        if self._context.options.dry_run:
            self._context.ids.add(Kind.RUN, key.id, "")
            return self._context.plan(key)
        content = item.load()
        record = cast("RunRecord", content.record)
        target = self._experiments.awake(key)
        sent: frozenset[str] = frozenset()
        if found is None:
            owner, sent = self._create(key, record, target)
        else:
            owner = ArtifactOwner(Kind.RUN, found.id, found.root, key.workspace)
            if found.deleted:
                self._context.post("runs/restore", {"run_id": found.id}, workspace=key.workspace)
        self._context.ids.add(Kind.RUN, key.id, owner.id, owner.uri)
        return self._fill(content, _Open(key, owner, resumed=found is not None), sent)

    def close_scope(self, scope: Scope) -> None:
        """Forget what was at the target in this experiment."""
        self._known.forget(scope)

    def _list(self, target: TargetExperiment, workspace: str | None) -> dict[str, _Known]:
        body: JSONObject = {"experiment_ids": [target.id], "run_view_type": "ALL", "max_results": 1000}
        known: dict[str, _Known] = {}
        for entry in self._context.pages("runs/search", body, "runs", workspace=workspace):
            info, tags = child(entry, "info"), tag_map(rows(child(entry, "data"), "tags"))
            run = _Known(
                text(info, "run_id"),
                text(info, "artifact_uri"),
                provenance.INCOMPLETE in tags,
                info.get("lifecycle_stage") == "deleted",
                provenance.SOURCE_ID in tags,
            )
            known.setdefault(run.id, run)
            known[tags.get(provenance.SOURCE_ID, run.id)] = run
        return known

    def _take(self, item: Item, found: _Known) -> Outcome:
        key = item.key
        outcome = self._context.existing(key, found.id)
        self._context.ids.add(Kind.RUN, key.id, found.id, found.root)
        if self._context.options.dry_run:
            return outcome
        owner = ArtifactOwner(Kind.RUN, found.id, found.root, key.workspace)
        if self._context.if_exists is not IfExists.UPDATE:
            # An interruption may have come between the end of the run's mark and its deletion.
            open_end = found.ours and not found.deleted and self._experiments.target(key).interrupted
            if open_end and cast("RunRecord", item.load().record).info.lifecycle_stage == "deleted":
                self._context.agenda.later(Stage.REMOVE, key, partial(self._delete, _Open(key, owner)))
            return outcome
        record = cast("RunRecord", item.load().record)
        self._experiments.awake(key)
        if found.deleted:
            self._context.post("runs/restore", {"run_id": found.id}, workspace=key.workspace)
        state = _Open(key, owner)
        state.deleted = record.info.lifecycle_stage == "deleted"
        logger = BatchLogger(self._context, key, found.id)
        self._add_tags(record, logger, state)
        logger.flush()
        self._end(record, state.owner)
        self._agree(state)
        return Outcome(key, Status.STORED, reason="updated", target_id=found.id, losses=tuple(logger.losses))

    def _create(
        self, key: ObjectKey, record: RunRecord, target: TargetExperiment
    ) -> tuple[ArtifactOwner, frozenset[str]]:
        """Create the run; return it and the tags it was created with."""
        plain = {name: value for name, value in run_tags(self._context, record).items() if not _refers(name)}
        first = dict(list(plain.items())[:_TAGS_AT_CREATION])
        try:
            return self._send(key, record, target, first), frozenset(first)
        except MlflowArchiveError as error:
            if not is_refusal(error):
                raise
            # One bad tag refuses the run; in batches only the bad one is lost.
            return self._send(key, record, target, {}), frozenset()

    def _send(self, key: ObjectKey, record: RunRecord, target: TargetExperiment, tags: dict[str, str]) -> ArtifactOwner:
        info = record.info
        tags = tags | self._context.provenance(key.id, incomplete=True)
        if info.run_name:
            tags.pop("mlflow.runName", None)
        body: JSONObject = {"experiment_id": target.id, "tags": list(tag_list(tags))}
        for name, value in (
            ("start_time", info.start_time),
            ("user_id", run_user(self._context, record)),
            ("run_name", info.run_name),
        ):
            if value:
                body[name] = value

        def find() -> JSONObject | None:
            query: JSONObject = {
                "experiment_ids": [target.id],
                "filter": f"tags.`{provenance.SOURCE_ID}` = '{key.id}'",
                "max_results": 1,
            }
            runs = rows(self._context.post("runs/search", query, workspace=key.workspace), "runs")
            return {"run": runs[0]} if runs else None

        answer = self._context.create("runs/create", body, workspace=key.workspace, find=find)
        made = child(child(answer, "run"), "info")
        return ArtifactOwner(Kind.RUN, text(made, "run_id"), text(made, "artifact_uri"), key.workspace)

    def _fill(self, content: Content, state: _Open, sent: frozenset[str]) -> Outcome:
        record = cast("RunRecord", content.record)
        key, owner = state.key, state.owner
        state.deleted = record.info.lifecycle_stage == "deleted"
        logger = BatchLogger(self._context, key, owner.id)
        self._add_tags(record, logger, state, sent)
        for name, value in record.params.items():
            logger.add("params", {"key": name, "value": value})
        for point in _points(content):
            logger.add("metrics", point)
        logger.flush()
        losses = [*content.losses, *logger.losses, *self._shortened(record, owner)]
        losses += self._log_datasets(key, record, owner)
        uploaded = self._context.uploader.upload(key, content, owner)
        losses += uploaded.losses
        state.inputs = tuple(text(entry, "model_id") for entry in record.model_inputs)
        state.outputs = tuple((text(e, "model_id"), int(cast("int", e.get("step") or 0))) for e in record.model_outputs)
        state.waiting = tuple(uploaded.waiting)
        state.unfinished = is_open(losses)
        self._end(record, owner)
        self._agree(state)
        return Outcome(key, Status.STORED, target_id=owner.id, size_bytes=uploaded.size_bytes, losses=tuple(losses))

    def _add_tags(
        self, record: RunRecord, logger: BatchLogger, state: _Open, sent: frozenset[str] = frozenset()
    ) -> None:
        ids = self._context.ids
        for name, value in run_tags(self._context, record).items():
            if name in RUN_POINTERS:
                pointed = ids.get(Kind.RUN, value)
                if pointed is None:
                    state.pointers[name] = value
                    continue
                logger.add("tags", {"key": name, "value": pointed})
            elif name in RUN_TAGS_WITH_IDS:
                rewritten = replace_ids(value, ids)
                logger.add("tags", {"key": name, "value": rewritten})
                if unknown_model_ids(value, ids):
                    state.texts[name] = value
            elif name not in sent and (name != "mlflow.runName" or not record.info.run_name):
                logger.add("tags", {"key": name, "value": value})

    def _shortened(self, record: RunRecord, owner: ArtifactOwner) -> Iterator[Loss]:
        long = {("params", k): v for k, v in record.params.items() if len(v) > _SAFE_CHARS}
        long |= {
            ("tags", k): v
            for k, v in run_tags(self._context, record).items()
            if len(v) > _SAFE_CHARS and not _refers(k)
        }
        if not long:
            return
        key = ObjectKey(Kind.RUN, record.info.run_id, record.info.experiment_id, owner.workspace)
        answer = self._context.client.call(
            "GET", "/api/2.0/mlflow/runs/get", params={"run_id": owner.id}, workspace=owner.workspace
        )
        data = child(child(answer, "run"), "data")
        there = {field: tag_map(rows(data, field)) for field in ("params", "tags")}
        for (field_name, name), value in long.items():
            kept = there[field_name].get(name)
            if kept is not None and kept != value:
                reason = f"The target keeps only {len(kept)} of the {len(value)} characters of {name!r}."
                yield key.lost("limit", reason, path=f"{field_name}/{name}")

    def _log_datasets(self, key: ObjectKey, record: RunRecord, owner: ArtifactOwner) -> Iterator[Loss]:
        for start in range(0, len(record.dataset_inputs), _DATASETS_PER_CALL):
            chosen = list(record.dataset_inputs[start : start + _DATASETS_PER_CALL])
            body: JSONObject = {"run_id": owner.id, "datasets": list(chosen)}
            yield from attempt(key, "dataset_inputs", partial(self._log_inputs, body, key.workspace))

    def _log_inputs(self, body: JSONObject, workspace: str | None, *, again: int = _ATTEMPTS - 1) -> None:
        # The server looks for a dataset and then makes it, so of two runs with one new dataset it refuses one as a
        # bad request (the constraint of its table). Asked again, it finds the other's.
        try:
            self._context.post("runs/log-inputs", body, workspace=workspace)
        except MlflowArchiveError as error:
            if error.code != "bad_request" or not again:
                raise
            self._log_inputs(body, workspace, again=again - 1)

    def _end(self, record: RunRecord, owner: ArtifactOwner) -> None:
        info = record.info
        if info.status == "RUNNING" and info.end_time is None:
            return
        body: JSONObject = {"run_id": owner.id, "status": info.status}
        if info.end_time is not None:
            body["end_time"] = info.end_time
        self._context.post("runs/update", body, workspace=owner.workspace)

    def _agree(self, state: _Open) -> None:
        """Finish the run now if nothing has to wait, else put the rest on the agenda."""
        if state.linked:
            self._complete(state)
        else:
            self._context.agenda.later(Stage.LINK, state.key, partial(self._link, state))
        if state.deleted:
            self._context.agenda.later(Stage.REMOVE, state.key, partial(self._delete, state))

    def _complete(self, state: _Open) -> None:
        if state.deleted or state.unfinished:
            return
        delete_tag(self._context, state.owner)

    def _link(self, state: _Open) -> list[Loss]:
        logger = BatchLogger(self._context, state.key, state.owner.id)
        for name, value in state.pointers.items():
            pointed = self._context.ids.get(Kind.RUN, value)
            if pointed is not None:
                logger.add("tags", {"key": name, "value": pointed})
            elif name == RUN_POINTERS[0]:
                logger.add("tags", {"key": provenance.SOURCE_PARENT_RUN_ID, "value": value})
        for name, value in state.texts.items():
            logger.add("tags", {"key": name, "value": replace_ids(value, self._context.ids)})
        logger.flush()
        losses = [*logger.losses, *self._link_models(state)]
        losses += self._context.uploader.send_again(state.key, state.waiting, state.owner)
        state.unfinished = state.unfinished or is_open(losses)
        self._complete(state)
        return losses

    def _link_models(self, state: _Open) -> Iterator[Loss]:
        ids, post = self._context.ids, self._context.post
        if (state.inputs or state.outputs) and not self._context.client.at_least("3.0.0"):
            version = self._context.client.version
            reason = f"MLflow {version} has no logged models, so the run's links to them are left out."
            yield state.key.lost("unsupported", reason, path="model_outputs")
            return
        for model_id in {*state.inputs, *(name for name, _ in state.outputs)}:
            if ids.get(Kind.LOGGED_MODEL, model_id) is None:
                reason = f"The logged model {model_id} is not at the target, so the run's link to it is left out."
                yield state.key.lost("not_found", reason, path=f"models/{model_id}")
        run_id, workspace = state.owner.id, state.owner.workspace
        there = self._links_there(state) if state.resumed else {"model_inputs": set(), "model_outputs": set()}
        present = [new for old in state.inputs if (new := ids.get(Kind.LOGGED_MODEL, old))]
        present = [new for new in present if new not in there["model_inputs"]]
        inputs: list[JSONObject] = [{"model_id": new} for new in present]
        if inputs:
            body: JSONObject = {"run_id": run_id, "models": list(inputs)}
            yield from attempt(state.key, "model_inputs", partial(post, "runs/log-inputs", body, workspace=workspace))
        outputs: list[JSONObject] = [
            {"model_id": new, "step": step}
            for old, step in state.outputs
            if (new := ids.get(Kind.LOGGED_MODEL, old)) and new not in there["model_outputs"]
        ]
        if outputs:
            body = {"run_id": run_id, "models": list(outputs)}
            yield from attempt(state.key, "model_outputs", partial(post, "runs/outputs", body, workspace=workspace))

    def _links_there(self, state: _Open) -> dict[str, set[str]]:
        answer = self._context.client.call(
            "GET", "/api/2.0/mlflow/runs/get", params={"run_id": state.owner.id}, workspace=state.owner.workspace
        )
        run = child(answer, "run")
        listed = {
            "model_inputs": rows(child(run, "inputs"), "model_inputs"),
            "model_outputs": rows(child(run, "outputs"), "model_outputs"),
        }
        return {name: {text(entry, "model_id") for entry in entries} for name, entries in listed.items()}

    def _delete(self, state: _Open) -> Iterator[Loss]:
        owner = state.owner
        if not state.unfinished:
            delete_tag(self._context, owner)
        self._context.post("runs/delete", {"run_id": owner.id}, workspace=owner.workspace)
        return iter(())


def delete_tag(context: SinkContext, owner: ArtifactOwner) -> None:
    """Take the mark of an unfinished restore off a run; it may be off already."""
    body: JSONObject = {"run_id": owner.id, "key": provenance.INCOMPLETE}
    post = partial(context.post, "runs/delete-tag", body, workspace=owner.workspace)
    next(attempt(ObjectKey(Kind.RUN, owner.id), "tags", post), None)


def _refers(tag: str) -> bool:
    return tag in RUN_POINTERS or tag in RUN_TAGS_WITH_IDS


def _points(content: Content) -> Iterator[JSONObject]:
    history = next((part for part in content.parts if part.name == "metrics"), None)
    if history is None:
        for last in cast("RunRecord", content.record).metrics:
            yield {"key": last.key, "value": last.value, "timestamp": last.timestamp, "step": last.step}
        return
    for line in history.open():
        columns = (cast("list[int]", line[name]) for name in ("timestamps", "steps", "values"))
        for timestamp, step, value in zip(*columns, strict=True):
            yield {"key": line["key"], "value": value, "timestamp": timestamp, "step": step}
