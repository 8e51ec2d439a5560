"""Registered models and prompts: two kinds to a reader, one registry to MLflow."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from threading import Lock
from typing import cast

from mlflow_archive.errors import ConflictError, NotFoundError
from mlflow_archive.spec import provenance
from mlflow_archive.spec.canonical import JSONObject
from mlflow_archive.spec.kinds import Kind
from mlflow_archive.spec.loss import Loss
from mlflow_archive.spec.records.registered_model import ModelVersion, RegisteredModelRecord
from mlflow_archive.stream import Content, Item, ObjectKey, Outcome, Status
from mlflow_archive.tracking.rewriting import PROMPT_EXPERIMENTS, rewrite_experiment_list
from mlflow_archive.tracking.sinks.adapting import Names, adapted
from mlflow_archive.tracking.sinks.agenda import Stage
from mlflow_archive.tracking.sinks.context import (
    SinkContext,
    attempt,
    child,
    is_open,
    own_tags,
    rows,
    tag_list,
    tag_map,
)
from mlflow_archive.tracking.sinks.naming import free_name
from mlflow_archive.tracking.sinks.options import IfExists
from mlflow_archive.tracking.sinks.replacing import Replacements, read_through
from mlflow_archive.tracking.sinks.versions import Versions

#: The highest number a restore gave, so that a version deleted at the target later is not made again.
_LAST_VERSION = provenance.PREFIX + "last_version"
_COPY_OF = re.compile(r"models:/(?!m-[0-9a-f]{32})([^/@]+)/(\d+)")


@dataclass
class _Model:
    """A registered model on its way."""

    key: ObjectKey
    name: str
    record: RegisteredModelRecord
    versions: Versions
    fresh: bool
    todo: list[ModelVersion] = field(default_factory=list)
    last: int | None = None
    incomplete: bool = False
    aliases: dict[str, int] = field(default_factory=dict)
    losses: list[Loss] = field(default_factory=list)


class RegisteredModels:
    """Writes registered models and prompts with their versions."""

    def __init__(self, context: SinkContext) -> None:
        """Ask nothing yet."""
        self._context = context
        self._names = Names(context)
        self._replacements = Replacements(context)
        self._done: set[tuple[str | None, str, int]] = set()
        self._blocked: list[_Model] = []
        self._lock = Lock()

    def write(self, item: Item) -> Outcome:
        """Create a model and its versions, or add the versions that are missing."""
        key = item.key
        content = item.load()
        record = adapted(self._context, key, cast("RegisteredModelRecord", content.record))
        with self._lock:
            name = self._names.at_target(key, record.name)
        found, replaces = self._find(key, name)
        if replaces and self._context.options.dry_run:
            return self._replacements.plan(key, name)
        if replaces:
            self._clear(key, name, content)
            found = None
        if found is not None and self._context.if_exists is IfExists.DUPLICATE:
            mark = "-restored{}" if key.kind is Kind.PROMPT else " (restored{})"
            name = free_name(name, lambda other: self._get(key, other) is not None, mark)
            found = None
        if name != record.name:
            self._context.ids.model_names[record.name] = name
        model = _Model(key, name, record, Versions(self._context, key, name, content), found is None)
        model.versions.appends = found is not None and self._context.options.append_versions
        if self._context.options.dry_run:
            return self._plan(model, found or {})
        if found is None:
            self._create(model)
            model.last, model.todo, model.aliases = 0, list(record.versions), dict(record.aliases)
        else:
            self._compare(model, found)
            if not model.todo and not model.aliases and self._context.if_exists is not IfExists.UPDATE:
                if model.incomplete:
                    self._finish(model)
                    return Outcome(key, Status.STORED, reason="completed", target_id=name, losses=tuple(model.losses))
                return Outcome(key, Status.SKIPPED, reason="exists", target_id=name, losses=tuple(model.losses))
        model.losses += (*content.losses, *model.versions.losses)
        added = len(model.todo)
        if added and not model.fresh and not model.incomplete:
            self._mark(model)
        self._proceed(model)
        return Outcome(
            key,
            Status.STORED,
            reason=_reason(model, added),
            target_id=name,
            size_bytes=model.versions.size_bytes,
            losses=tuple(model.losses),
        )

    def _find(self, key: ObjectKey, name: str) -> tuple[JSONObject | None, bool]:
        """Return what the target has of this name, and whether that is to be deleted first.

        Raises:
            NotFoundError: It has none, and none is to be made.
        """
        found = self._get(key, name)
        if found is None and not self._context.options.create_models and key.kind is Kind.REGISTERED_MODEL:
            raise NotFoundError(
                f"The target has no registered model named {name!r}, and none is to be made: make it first, or have it "
                "made (--create-model, create_models=True)."
            )
        with self._lock:
            due = self._replacements.is_due(key, name)
        return found, due and found is not None

    def _get(self, key: ObjectKey, name: str) -> JSONObject | None:
        path = "/api/2.0/mlflow/registered-models/get"
        try:
            answer = self._context.client.call("GET", path, params={"name": name}, workspace=key.workspace)
        except NotFoundError:
            return None
        found = child(answer, "registered_model")
        is_prompt = "mlflow.prompt.is_prompt" in tag_map(rows(found, "tags"))
        if is_prompt != (key.kind is Kind.PROMPT):
            what = "prompt" if is_prompt else "registered model"
            raise ConflictError(f"The target has a {what} named {name!r}; rename this {key.kind} to bring it there.")
        return found

    def _clear(self, key: ObjectKey, name: str, content: Content) -> None:
        """Delete the target's model, if ours can take its place."""
        read_through(content)
        self._replacements.registered_model(key, name, Versions(self._context, key, name, content).listed())

    def _plan(self, model: _Model, found: JSONObject) -> Outcome:
        if model.fresh:
            renamed = model.name if model.name != model.record.name else None
            return self._context.plan(model.key, renamed=renamed)
        self._context.refuse_existing(model.key, model.name)
        if model.versions.appends:
            model.versions.recognise(*self._lineage(model, found))
            missing = [version for version in model.record.versions if version.version not in model.versions.numbers]
        else:
            there = model.versions.existing()
            missing = [version for version in model.record.versions if version.version > max(there, default=0)]
        if missing:
            reason = f"would add {len(missing)} version{'' if len(missing) == 1 else 's'}"
            return Outcome(model.key, Status.STORED, reason=reason, target_id=model.name)
        return self._context.existing(model.key, model.name)

    def _create(self, model: _Model) -> None:
        key, record = model.key, model.record
        tags = self._tags(record.tags) | self._context.provenance(key.id, incomplete=True)
        body: JSONObject = {"name": model.name, "tags": list(tag_list(tags))}
        if record.description:
            body["description"] = record.description

        def find() -> JSONObject | None:
            return self._get(key, model.name)

        self._context.create("registered-models/create", body, workspace=key.workspace, find=find)

    def _mark(self, model: _Model) -> None:
        """Mark a model that is whole as incomplete from its first new version on."""
        tag: JSONObject = {"name": model.name, "key": provenance.INCOMPLETE, "value": str(model.todo[0].version)}
        self._context.post("registered-models/set-tag", tag, workspace=model.key.workspace)

    def _tags(self, tags: dict[str, str]) -> dict[str, str]:
        kept = own_tags(tags)
        if PROMPT_EXPERIMENTS in kept:
            kept[PROMPT_EXPERIMENTS] = rewrite_experiment_list(kept[PROMPT_EXPERIMENTS], self._context.ids)
        return kept

    def _compare(self, model: _Model, found: JSONObject) -> None:
        """Find out what of a model that is there is missing, and overwrite what is to be overwritten."""
        tags = tag_map(rows(found, "tags"))
        model.incomplete = provenance.INCOMPLETE in tags
        if not model.incomplete:
            self._context.refuse_existing(model.key, model.name)
        else:
            mark = tags[provenance.INCOMPLETE]
            model.losses += model.versions.repair(model.record.versions, int(mark) if mark.isdigit() else 0)
        if model.versions.appends:
            model.versions.recognise(*self._lineage(model, found))
            model.todo = [version for version in model.record.versions if version.version not in model.versions.numbers]
        else:
            self._compare_numbers(model, int(tags.get(_LAST_VERSION) or 0))
        aliases = {str(entry.get("alias")) for entry in rows(found, "aliases")}
        update = self._context.if_exists is IfExists.UPDATE
        model.aliases = {a: v for a, v in model.record.aliases.items() if update or a not in aliases}
        with self._lock:
            self._done.update((model.key.workspace, model.name, number) for number in model.versions.numbers)
        if update:
            model.losses += self._update(model)

    def _lineage(self, model: _Model, found: JSONObject) -> tuple[str, int]:
        """Return the id that tags of versions name, and up to which number those of the target are ours without one."""
        tags = tag_map(rows(found, "tags"))
        ours = tags.get(provenance.SOURCE_ID) == model.key.id and self._context.same_source(tags)
        return model.key.id, int(tags.get(_LAST_VERSION) or 0) if ours else 0

    def _compare_numbers(self, model: _Model, last: int) -> None:
        there = model.versions.existing()
        model.versions.numbers = {number: number for number in there}
        used = max((*there, last), default=0)
        for version in model.record.versions:
            if version.version > used:
                model.todo.append(version)
            elif version.version not in there:
                reason = (
                    f"Version {version.version} of {model.name!r} was deleted at the target; its number is used up."
                )
                model.losses.append(model.key.lost("conflict", reason, path=f"versions/{version.version}"))

    def _update(self, model: _Model) -> Iterator[Loss]:
        key, record = model.key, model.record
        body: JSONObject = {"name": model.name, "description": record.description or ""}
        call = partial(self._context.client.call, "PATCH", "/api/2.0/mlflow/registered-models/update")
        if self._context.options.registry_metadata:
            yield from attempt(key, "description", partial(call, body=body, workspace=key.workspace))
        for name, value in self._tags(record.tags).items():
            tag: JSONObject = {"name": model.name, "key": name, "value": value}
            post = partial(self._context.post, "registered-models/set-tag", tag, workspace=key.workspace)
            yield from attempt(key, f"tags/{name}", post)
        for version in record.versions:
            if version.version in model.versions.numbers:
                yield from model.versions.update(version)

    def _proceed(self, model: _Model, *, force: bool = False) -> bool:
        """Create versions until one is a copy of a version that is not there yet; return False if nothing was done.

        Args:
            model: The model; its ``todo`` gets shorter.
            force: Do not wait for the first one: its original will never come.
        """
        progress = False
        while model.todo:
            version = model.todo[0]
            if not force and self._waits(model, version):
                break
            force = False
            model.losses += model.versions.create(version, model.last)
            model.last = version.version
            model.todo.pop(0)
            progress = True
            with self._lock:
                self._done.add((model.key.workspace, model.name, version.version))
        if not model.todo:
            self._finish(model)
        elif model not in self._blocked:
            with self._lock:
                self._blocked.append(model)
                if len(self._blocked) == 1:
                    self._context.agenda.later(Stage.REGISTER, model.key, self._unblock)
        return progress

    def _waits(self, model: _Model, version: ModelVersion) -> bool:
        copied = _COPY_OF.fullmatch(version.source or "")
        if copied is None:
            return False
        original = self._context.options.rename_model.rename(copied[1])
        original = self._context.ids.model_names.get(copied[1], original)
        return (model.key.workspace, original, int(copied[2])) not in self._done

    def _unblock(self) -> Iterator[Loss]:
        """Bring the models to an end that had to wait for versions of each other."""
        reported = {id(model): len(model.losses) for model in self._blocked}
        while waiting := [model for model in self._blocked if model.todo]:
            if not any(self._proceed(model) for model in waiting):
                # Their originals are not part of this restore: perhaps they are at the target all the same.
                self._proceed(waiting[0], force=True)
        for model in self._blocked:
            yield from model.losses[reported[id(model)] :]

    def _finish(self, model: _Model) -> None:
        workspace = model.key.workspace
        for alias, number in model.aliases.items():
            made = model.versions.numbers.get(number, number)
            body: JSONObject = {"name": model.name, "alias": alias, "version": str(made)}
            post = partial(self._context.post, "registered-models/alias", body, workspace=workspace)
            model.losses += attempt(model.key, f"aliases/{alias}", post)
        if not model.versions.appends:
            last = max((version.version for version in model.record.versions), default=0)
            mark: JSONObject = {"name": model.name, "key": _LAST_VERSION, "value": str(last)}
            self._context.post("registered-models/set-tag", mark, workspace=workspace)
        if is_open(model.losses):
            return
        tag: JSONObject = {"name": model.name, "key": provenance.INCOMPLETE}
        path = "/api/2.0/mlflow/registered-models/delete-tag"
        call = partial(self._context.client.call, "DELETE", path, body=tag, workspace=workspace)
        next(attempt(model.key, "tags", call), None)


def _reason(model: _Model, added: int) -> str:
    if not model.fresh:
        return f"{added} version{'' if added == 1 else 's'} added" if added else "updated"
    return f"renamed to {model.name!r}" if model.name != model.record.name else ""
