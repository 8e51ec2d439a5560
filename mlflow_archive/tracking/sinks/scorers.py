"""Scorers with their versions, switched off unless asked otherwise."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import cast

from mlflow_archive.errors import NotFoundError, UsageError
from mlflow_archive.spec.canonical import JSONObject
from mlflow_archive.spec.kinds import Kind
from mlflow_archive.spec.loss import Loss
from mlflow_archive.spec.records.scorer import ScorerRecord, ScorerVersion
from mlflow_archive.stream import Item, ObjectKey, Outcome, Status
from mlflow_archive.tracking.sinks.context import API3, SinkContext, attempt, rows, text
from mlflow_archive.tracking.sinks.experiments import Experiments
from mlflow_archive.tracking.sinks.options import IfExists

_SCORERS = API3 + "scorers"


@dataclass(frozen=True)
class _There:
    """A version at the target."""

    id: str
    serialized: str


class Scorers:
    """Writes scorers."""

    def __init__(self, context: SinkContext, experiments: Experiments) -> None:
        """Ask nothing yet."""
        self._context = context
        self._experiments = experiments

    def write(self, item: Item) -> Outcome:
        """Register the versions of a scorer that are not there."""
        key = item.key
        target = self._experiments.target(key)
        content = item.load()
        record = cast("ScorerRecord", content.record)
        if self._context.options.dry_run and (target.fresh or target.deleted):
            return self._context.plan(key)
        target = self._experiments.readable(key)
        there = {} if target.fresh else self._there(key, target.id, record.scorer_name)
        if there:
            self._note_id(key, record, there[max(there)].id)
            if not target.interrupted:
                self._context.refuse_existing(key, record.scorer_name)
        todo = [version for version in record.versions if version.scorer_version > max(there, default=0)]
        update = self._context.if_exists is IfExists.UPDATE
        if there and not todo and (self._context.options.dry_run or not (target.interrupted or update)):
            return self._context.existing(key, record.scorer_name)
        if self._context.options.dry_run:
            return self._context.plan(key)
        self._experiments.awake(key)
        losses = [*content.losses]
        for version in todo:
            losses += self._register(key, record, version, target.id)
        if target.interrupted:
            self._drop_fillers(key, record, target.id, there)
        if update and there and not todo:
            losses += self._renew(key, record, there, target.id)
        made = self._there(key, target.id, record.scorer_name)
        if not made:
            reason = losses[0].reason if losses else "The scorer has no version."
            return Outcome(key, Status.LOST, reason=reason, losses=tuple(losses) or (key.lost("unsupported", reason),))
        losses += self._schedule(key, record, target.id)
        self._note_id(key, record, made[max(made)].id)
        reason = "updated" if update and there else ""
        return Outcome(key, Status.STORED, reason=reason, target_id=record.scorer_name, losses=tuple(losses))

    def _there(self, key: ObjectKey, experiment_id: str, name: str) -> dict[int, _There]:
        """Return the versions at the target by their numbers."""
        params = {"experiment_id": experiment_id, "name": name}
        try:
            answer = self._context.client.call("GET", f"{_SCORERS}/versions", params=params, workspace=key.workspace)
        except NotFoundError:
            return {}
        return {
            int(text(entry, "scorer_version")): _There(text(entry, "scorer_id"), text(entry, "serialized_scorer"))
            for entry in rows(answer, "scorers")
        }

    def _drop_fillers(self, key: ObjectKey, record: ScorerRecord, experiment_id: str, there: dict[int, _There]) -> None:
        """Delete the gaps of an interrupted restore: each is a copy of the version that comes after it."""
        for number in sorted(there):
            after = [version for version in record.versions if version.scorer_version >= number]
            if after and after[0].scorer_version != number and after[0].serialized_scorer == there[number].serialized:
                self._drop(key, record, experiment_id, number)

    def _renew(
        self, key: ObjectKey, record: ScorerRecord, there: dict[int, _There], experiment_id: str
    ) -> Iterator[Loss]:
        """Register the newest version again where the target's newest says something else."""
        newest = record.versions[-1]
        if newest.serialized_scorer != there[max(there)].serialized:
            body: JSONObject = {"experiment_id": experiment_id, "name": record.scorer_name}
            body["serialized_scorer"] = newest.serialized_scorer
            post = partial(self._context.client.call, "POST", f"{_SCORERS}/register", body=body, repeatable=False)
            yield from attempt(key, f"versions/{newest.scorer_version}", partial(post, workspace=key.workspace))

    def _note_id(self, key: ObjectKey, record: ScorerRecord, scorer_id: str) -> None:
        self._context.ids.add(Kind.SCORER, key.id, record.scorer_name)
        for version in record.versions:
            if version.scorer_id and scorer_id:
                self._context.ids.add(Kind.SCORER, version.scorer_id, scorer_id)

    def _register(
        self, key: ObjectKey, record: ScorerRecord, version: ScorerVersion, experiment_id: str
    ) -> Iterator[Loss]:
        body: JSONObject = {
            "experiment_id": experiment_id,
            "name": record.scorer_name,
            "serialized_scorer": version.serialized_scorer,
        }
        post = partial(self._context.client.call, "POST", f"{_SCORERS}/register", body=body, repeatable=False)
        gaps: list[int] = []
        try:
            number = int(text(post(workspace=key.workspace), "version"))
            while number < version.scorer_version:
                # A number that was deleted at the source. It is deleted here once a higher one is there: MLflow
                # gives the number of a deleted last version again.
                gaps.append(number)
                number = int(text(post(workspace=key.workspace), "version"))
        except UsageError as error:
            yield key.lost(error.code, str(error), path=f"versions/{version.scorer_version}")
            return
        for gap in gaps:
            self._drop(key, record, experiment_id, gap)
        if number != version.scorer_version:
            reason = f"Version {version.scorer_version} of the scorer is version {number} at the target."
            yield key.lost("conflict", reason, path=f"versions/{version.scorer_version}")

    def _drop(self, key: ObjectKey, record: ScorerRecord, experiment_id: str, number: int) -> None:
        body: JSONObject = {"experiment_id": experiment_id, "name": record.scorer_name, "version": number}
        self._context.client.call("DELETE", f"{_SCORERS}/delete", body=body, workspace=key.workspace)

    def _schedule(self, key: ObjectKey, record: ScorerRecord, experiment_id: str) -> Iterator[Loss]:
        config = record.online_config
        if not config:
            return
        body: JSONObject = {
            "experiment_id": experiment_id,
            "name": record.scorer_name,
            "sample_rate": config.get("sample_rate") if self._context.options.activate else 0.0,
        }
        if config.get("filter_string"):
            body["filter_string"] = config["filter_string"]
        call = partial(self._context.client.call, "PUT", f"{_SCORERS}/online-config", body=body)
        yield from attempt(key, "online_config", partial(call, workspace=key.workspace))
