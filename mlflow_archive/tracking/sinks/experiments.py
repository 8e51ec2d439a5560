"""Experiments at the target: found by name, made, woken and put back to sleep."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from threading import RLock
from typing import cast

from mlflow_archive.errors import ConflictError, MlflowArchiveError, NotFoundError
from mlflow_archive.spec import provenance
from mlflow_archive.spec.canonical import JSONObject
from mlflow_archive.spec.kinds import Kind
from mlflow_archive.spec.loss import Loss
from mlflow_archive.spec.records.experiment import ExperimentRecord
from mlflow_archive.stream import Item, ObjectKey, Outcome, Status
from mlflow_archive.tracking.sinks.agenda import Stage
from mlflow_archive.tracking.sinks.context import (
    SinkContext,
    attempt,
    is_refusal,
    own_tags,
    rows,
    tag_list,
    tag_map,
    text,
)
from mlflow_archive.tracking.sinks.naming import free_name
from mlflow_archive.tracking.sinks.options import IfExists

_DEFAULT_ID = "0"
#: The source's id of an experiment that stands for several: none of a source is like it.
_OF_SEVERAL = "*"
_UNDER_WAY = "true"
#: What the mark says where a server has no call to take it off.
_OVER = "false"


@dataclass
class TargetExperiment:
    """An experiment of the target that stands for one of the source."""

    id: str
    name: str
    root: str = ""
    shared: bool = False
    """It stands for all experiments of the source."""
    fresh: bool = False
    """Made by this restore: nothing can be in it yet."""
    deleted: bool = False
    """Deleted at the target right now."""
    delete_at_end: bool = False
    interrupted: bool = False
    """An earlier restore wrote here and did not come to its end: what bears no mark of its own may be half-done."""
    settling: bool = False
    """What is to be done with it at the end is on the agenda."""
    tags: dict[str, str] = field(default_factory=dict)
    lock: RLock = field(default_factory=RLock, repr=False)


@dataclass
class JoinedExperiment:
    """The one experiment of the target for all of the source, and what is to be told of those there."""

    target: TargetExperiment
    records: dict[str, ExperimentRecord] = field(default_factory=dict)


class Experiments:
    """Writes experiments, and tells the sinks of what is in them where to write.

    An experiment bears the mark `provenance.INCOMPLETE` from the first write into it until the end of the restore,
    for what cannot bear one: scorers, review queues, issues, and deletions. One that is deleted at the end keeps the
    mark, as nothing can be changed any more: deleted and marked is whole.
    """

    def __init__(self, context: SinkContext) -> None:
        """Ask nothing yet; the target's experiments are listed at the first need, once for each workspace."""
        self._context = context
        self._targets: dict[str, TargetExperiment] = {}
        self._names: dict[str | None, dict[str, TargetExperiment]] = {}
        self._joined: dict[str | None, JoinedExperiment] = {}
        self._lock = RLock()

    def write(self, item: Item) -> Outcome:
        """Create an experiment, or take the one of that name."""
        key = item.key
        record = cast("ExperimentRecord", item.load().record)
        options = self._context.options
        wanted = options.experiment_prefix + options.rename_experiment.rename(record.name)
        with self._lock:
            if options.into_experiment is not None:
                return self._join(key, record, options.into_experiment)
            known = self._known(key.workspace)
            found = known.get(wanted)
            if found is not None and self._context.if_exists is IfExists.DUPLICATE and found.id != _DEFAULT_ID:
                wanted, found = free_name(wanted, lambda name: name in known), None
            if found is not None:
                return self._take(key, record, found)
            return self._create(key, record, wanted)

    def target(self, key: ObjectKey) -> TargetExperiment:
        """Return the experiment of the target that an object belongs to.

        Raises:
            NotFoundError: It is not at the target, and not part of this restore.
        """
        source_id = key.experiment_id or ""
        found = self._targets.get(source_id)
        if found is not None:
            return found
        with self._lock:
            if self._context.options.into_experiment is not None:
                return self._joint(key, source_id, self._context.options.into_experiment).target
            for candidate in self._known(key.workspace).values():
                if candidate.tags.get(provenance.SOURCE_ID) == source_id:
                    self._register(source_id, candidate)
                    return candidate
        raise NotFoundError(
            f"The experiment {source_id} of this {str(key.kind).replace('_', ' ')} is not at the target; "
            "restore the experiment with it."
        )

    def readable(self, key: ObjectKey) -> TargetExperiment:
        """Return the target experiment, active: a deleted one is restored until the end of this transfer."""
        target = self.target(key)
        with target.lock:
            if target.deleted and not self._context.options.dry_run:
                self._context.post("experiments/restore", {"experiment_id": target.id}, workspace=key.workspace)
                target.deleted = False
                target.delete_at_end = True
                self._settle_later(key, target)
        return target

    def awake(self, key: ObjectKey) -> TargetExperiment:
        """Return the target experiment, active and marked, to write into it."""
        target = self.readable(key)
        with target.lock:
            if target.tags.get(provenance.INCOMPLETE) != _UNDER_WAY and not self._context.options.dry_run:
                self._mark(key, target, _UNDER_WAY)
            self._settle_later(key, target)
        return target

    def all_ids(self, workspace: str | None) -> list[str]:
        """Return the ids of all experiments of the target."""
        with self._lock:
            return [target.id for target in self._known(workspace).values()]

    def _known(self, workspace: str | None) -> dict[str, TargetExperiment]:
        if workspace not in self._names:
            body: JSONObject = {"view_type": "ALL", "max_results": 1000}
            listed = self._context.pages("experiments/search", body, "experiments", workspace=workspace)
            self._names[workspace] = {target.name: target for target in map(_target, listed)}
        return self._names[workspace]

    def _register(self, source_id: str, target: TargetExperiment) -> None:
        self._targets[source_id] = target
        self._context.ids.add(Kind.EXPERIMENT, source_id, target.id, target.root)

    def _take(self, key: ObjectKey, record: ExperimentRecord, found: TargetExperiment) -> Outcome:
        ours = provenance.SOURCE_ID in found.tags
        if found.deleted and not ours:
            raise _is_deleted(found.name)
        if found.id != _DEFAULT_ID and not (ours and found.interrupted):
            self._context.refuse_existing(key, found.name)
        self._register(record.experiment_id, found)
        if found.deleted and record.lifecycle_stage != "deleted":
            self.awake(ObjectKey(Kind.EXPERIMENT, key.id, record.experiment_id, key.workspace))
            found.delete_at_end = False
        if found.interrupted and not self._context.options.dry_run:
            return self._resume(key, record, found, ours=ours)
        if self._context.options.dry_run:
            return Outcome(key, Status.SKIPPED, reason="would skip (exists)", target_id=found.id)
        if self._context.if_exists is not IfExists.UPDATE:
            losses = self._complete_default(key, record, found)
            return Outcome(key, Status.SKIPPED, reason="exists", target_id=found.id, losses=losses)
        self.awake(ObjectKey(Kind.EXPERIMENT, key.id, record.experiment_id, key.workspace))
        losses = tuple(self._set_tags(key, found.id, self._tags(record)))
        return Outcome(key, Status.STORED, reason="updated", target_id=found.id, losses=losses)

    def _resume(self, key: ObjectKey, record: ExperimentRecord, found: TargetExperiment, *, ours: bool) -> Outcome:
        """Go on with an experiment that an interrupted restore made or wrote into."""
        found.delete_at_end = ours and record.lifecycle_stage == "deleted"
        self._settle_later(key, found)
        wanted = self._tags(record)
        if not ours and self._context.if_exists is not IfExists.UPDATE:
            wanted = {}
        missing = {name: value for name, value in wanted.items() if found.tags.get(name) != value}
        losses = (*self._set_tags(key, found.id, missing), *self._complete_default(key, record, found))
        return Outcome(
            key,
            Status.STORED if missing else Status.SKIPPED,
            reason="completed" if missing else "exists",
            target_id=found.id,
            losses=losses,
        )

    def _complete_default(self, key: ObjectKey, record: ExperimentRecord, found: TargetExperiment) -> tuple[Loss, ...]:
        """Add tags to the Default experiment, which every server makes bare; what it has stays."""
        if found.id != _DEFAULT_ID or found.deleted:
            return ()
        missing = {name: value for name, value in self._tags(record).items() if name not in found.tags}
        found.tags.update(missing)
        return tuple(self._set_tags(key, found.id, missing))

    def _create(self, key: ObjectKey, record: ExperimentRecord, name: str) -> Outcome:
        renamed = name if name != record.name else None
        target = TargetExperiment("", name, fresh=True, delete_at_end=record.lifecycle_stage == "deleted")
        if self._context.options.dry_run:
            self._register(record.experiment_id, target)
            return self._context.plan(key, renamed=renamed)
        target.tags = self._context.provenance(record.experiment_id, incomplete=True)
        tags = self._tags(record)
        losses: tuple[Loss, ...] = ()
        try:
            target.id = self._send(key, name, {**tags, **target.tags})
        except MlflowArchiveError as error:
            if not is_refusal(error):
                raise
            # One bad tag refuses them all; then they go one by one and only the bad one is lost.
            target.id = self._send(key, name, target.tags)
            losses = tuple(self._set_tags(key, target.id, tags))
        self._made(key, target)
        self._register(record.experiment_id, target)
        self._settle_later(key, target)
        reason = f"renamed to {renamed!r}" if renamed else ""
        return Outcome(key, Status.STORED, reason=reason, target_id=target.id, losses=losses)

    def _made(self, key: ObjectKey, target: TargetExperiment) -> None:
        """Ask where the files of a new experiment are, and know it by its name."""
        answer = self._context.client.call(
            "GET", "/api/2.0/mlflow/experiments/get", params={"experiment_id": target.id}, workspace=key.workspace
        )
        target.root = text(cast("JSONObject", answer["experiment"]), "artifact_location")
        self._known(key.workspace)[target.name] = target

    def _tags(self, record: ExperimentRecord) -> dict[str, str]:
        tags = own_tags(record.tags) if self._context.options.experiment_tags else {}
        return tags | self._context.source_tags.of_experiment(record)

    def _join(self, key: ObjectKey, record: ExperimentRecord, name: str) -> Outcome:
        """Let what is in an experiment of the source go into the one of the target that is for all."""
        joint = self._joint(key, record.experiment_id, name)
        joint.records[record.experiment_id] = record
        target, update = joint.target, self._context.if_exists is IfExists.UPDATE
        if not target.fresh and not update:
            reason = "would skip (exists)" if self._context.options.dry_run else "exists"
            return Outcome(key, Status.SKIPPED, reason=reason, target_id=target.id)
        reason = f"would go into {name!r}" if self._context.options.dry_run else f"goes into {name!r}"
        return Outcome(key, Status.STORED, reason=reason, target_id=target.id)

    def _joint(self, key: ObjectKey, source_id: str, name: str) -> JoinedExperiment:
        """Return the one experiment for all, made if it is not there; a source's experiment is known by it."""
        joint = self._joined.get(key.workspace)
        if joint is None:
            found = self._known(key.workspace).get(name)
            if found is not None and found.deleted:
                raise _is_deleted(name)
            joint = self._joined[key.workspace] = JoinedExperiment(found or self._make_joint(key, name))
            joint.target.shared = True
            ours = joint.target.fresh or (joint.target.interrupted and self._is_joint(joint.target))
            if (ours or self._context.if_exists is IfExists.UPDATE) and not self._context.options.dry_run:
                own_key = ObjectKey(Kind.EXPERIMENT, source_id, workspace=key.workspace)
                self._context.agenda.later(Stage.LINK, own_key, partial(self._tag_joint, own_key, joint))
                self._settle_later(own_key, joint.target)
        self._register(source_id, joint.target)
        return joint

    def _make_joint(self, key: ObjectKey, name: str) -> TargetExperiment:
        target = TargetExperiment("", name, fresh=True)
        if not self._context.options.dry_run:
            target.tags = self._context.provenance(_OF_SEVERAL, incomplete=True)
            target.id = self._send(key, name, target.tags)
            self._made(key, target)
        return target

    def _is_joint(self, target: TargetExperiment) -> bool:
        return target.tags.get(provenance.SOURCE_ID) == _OF_SEVERAL

    def _tag_joint(self, key: ObjectKey, joint: JoinedExperiment) -> Iterator[Loss]:
        records = [joint.records[source_id] for source_id in sorted(joint.records)]
        wanted: dict[str, str] = {}
        for record in reversed(records):
            wanted |= self._tags(record)
        if len(records) > 1:
            # It has no one origin; each run tells its own.
            wanted = {name: value for name, value in wanted.items() if not provenance.is_source_tag(name)}
        missing = {name: value for name, value in wanted.items() if joint.target.tags.get(name) != value}
        return self._set_tags(key, joint.target.id, missing)

    def _send(self, key: ObjectKey, name: str, tags: dict[str, str]) -> str:
        def find() -> JSONObject | None:
            body: JSONObject = {"view_type": "ACTIVE_ONLY", "max_results": 1000}
            listed = self._context.pages("experiments/search", body, "experiments", workspace=key.workspace)
            return next((entry for entry in listed if entry.get("name") == name), None)

        body: JSONObject = {"name": name, "tags": list(tag_list(tags))}
        answer = self._context.create("experiments/create", body, workspace=key.workspace, find=find)
        return text(answer, "experiment_id")

    def _set_tags(self, key: ObjectKey, target_id: str, tags: dict[str, str]) -> Iterator[Loss]:
        for name, value in tags.items():
            body: JSONObject = {"experiment_id": target_id, "key": name, "value": value}
            yield from attempt(
                key,
                f"tags/{name}",
                lambda body=body: self._context.post(  # type: ignore[misc]
                    "experiments/set-experiment-tag", body, workspace=key.workspace
                ),
            )

    def _mark(self, key: ObjectKey, target: TargetExperiment, value: str) -> None:
        body: JSONObject = {"experiment_id": target.id, "key": provenance.INCOMPLETE, "value": value}
        self._context.post("experiments/set-experiment-tag", body, workspace=key.workspace)
        target.tags[provenance.INCOMPLETE] = value

    def _settle_later(self, key: ObjectKey, target: TargetExperiment) -> None:
        """Put the end of a restore on the agenda: delete the experiment, or take the mark off."""
        with target.lock:
            if not target.settling and not self._context.options.dry_run:
                target.settling = True
                self._context.agenda.later(Stage.CLOSE, key, partial(self._settle, key, target))

    def _settle(self, key: ObjectKey, target: TargetExperiment) -> tuple[Loss, ...]:
        with target.lock:
            if target.delete_at_end:
                self._context.post("experiments/delete", {"experiment_id": target.id}, workspace=key.workspace)
                target.deleted = True
            elif target.tags.get(provenance.INCOMPLETE) == _UNDER_WAY:
                body: JSONObject = {"experiment_id": target.id, "key": provenance.INCOMPLETE}
                try:
                    self._context.post("experiments/delete-experiment-tag", body, workspace=key.workspace)
                except NotFoundError:
                    self._mark(key, target, _OVER)
        return ()


def _is_deleted(name: str) -> ConflictError:
    return ConflictError(
        f"An experiment named {name!r} is deleted at the target, which keeps its name taken; restore it "
        "or remove it for good there, or rename this one."
    )


def _target(entry: JSONObject) -> TargetExperiment:
    tags = tag_map(rows(entry, "tags"))
    deleted = entry.get("lifecycle_stage") == "deleted"
    return TargetExperiment(
        id=text(entry, "experiment_id"),
        name=text(entry, "name"),
        root=text(entry, "artifact_location"),
        deleted=deleted,
        interrupted=not deleted and tags.get(provenance.INCOMPLETE) == _UNDER_WAY,
        tags=tags,
    )
