"""Evaluation datasets with their records and the experiments they belong to."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from threading import Lock
from typing import cast

from mlflow_archive.spec import provenance
from mlflow_archive.spec.canonical import JSONObject, JSONValue
from mlflow_archive.spec.kinds import Kind
from mlflow_archive.spec.loss import Loss
from mlflow_archive.spec.records.evaluation_dataset import EvaluationDatasetRecord
from mlflow_archive.stream import Content, Item, ObjectKey, Outcome, Status
from mlflow_archive.tracking.rewriting import rewrite_record_source
from mlflow_archive.tracking.sinks.adapting import Names
from mlflow_archive.tracking.sinks.context import API3, SinkContext, attempt, child, is_open, own_tags, text
from mlflow_archive.tracking.sinks.naming import free_name
from mlflow_archive.tracking.sinks.options import IfExists
from mlflow_archive.tracking.sinks.replacing import Replacements, read_through

_DATASETS = API3 + "datasets"
_RECORDS_PER_CALL = 200
#: MLflow keeps no more of a record than this over REST; the rest (times, ids) is the server's.
_RECORD_FIELDS = ("inputs", "outputs", "expectations", "tags", "source")


class EvaluationDatasets:
    """Writes evaluation datasets."""

    def __init__(self, context: SinkContext) -> None:
        """Ask nothing yet; the target's datasets are listed at the first need, once for each workspace."""
        self._context = context
        self._known: dict[str | None, dict[str, JSONObject]] = {}
        self._names = Names(context)
        self._replacements = Replacements(context)
        self._lock = Lock()

    def write(self, item: Item) -> Outcome:
        """Create a dataset with its records, or take the one of that name."""
        key = item.key
        content = item.load()
        record = cast("EvaluationDatasetRecord", content.record)
        with self._lock:
            known = self._list(key.workspace)
            name = self._names.at_target(key, record.name)
            found = self._of_source(known, key, name) or known.get(name)
            replaced = known.get(name) if self._replacements.is_due(key, name) else None
            if replaced:
                found, known[name] = None, {}
            elif found is not None and self._context.if_exists is IfExists.DUPLICATE:
                name, found = free_name(name, lambda other: other in known), None
            elif found is None:
                known[name] = {}
        if replaced:
            if self._context.options.dry_run:
                return self._replacements.plan(key, name)
            read_through(content)
            self._replacements.evaluation_dataset(key, text(replaced, "dataset_id"))
        if found is not None and not _incomplete(found):
            return self._take(key, record, found)
        if self._context.options.dry_run:
            return self._context.plan(key, renamed=name if name != record.name else None)
        dataset_id = text(found, "dataset_id") if found else self._create(key, record, name)
        self._context.ids.add(Kind.EVALUATION_DATASET, key.id, dataset_id)
        losses = [*content.losses, *self._connect(key, record, dataset_id), *self._fill(key, content, dataset_id)]
        if not is_open(losses):
            path = f"{_DATASETS}/{dataset_id}/tags/{provenance.INCOMPLETE}"
            untag = partial(self._context.client.call, "DELETE", path, workspace=key.workspace)
            next(attempt(key, "tags", untag), None)
        reason = f"renamed to {name!r}" if name != record.name else ""
        return Outcome(key, Status.STORED, reason=reason, target_id=dataset_id, losses=tuple(losses))

    def _list(self, workspace: str | None) -> dict[str, JSONObject]:
        if workspace not in self._known:
            known: dict[str, JSONObject] = {}
            body: JSONObject = {"max_results": 1000}
            for entry in self._context.pages(f"{_DATASETS}/search", body, "datasets", workspace=workspace):
                known[text(entry, "name")] = entry
                source = _tags(entry).get(provenance.SOURCE_ID)
                if source:
                    known[provenance.SOURCE_ID + source] = entry
            self._known[workspace] = known
        return self._known[workspace]

    def _of_source(self, known: dict[str, JSONObject], key: ObjectKey, name: str) -> JSONObject | None:
        """Return the dataset that an earlier restore made of this one, unless another name is wanted now."""
        found = known.get(provenance.SOURCE_ID + key.id)
        if found is None or (key.kind in self._context.options.only_names and text(found, "name") != name):
            return None
        return found

    def _take(self, key: ObjectKey, record: EvaluationDatasetRecord, found: JSONObject) -> Outcome:
        dataset_id = text(found, "dataset_id")
        outcome = self._context.existing(key, dataset_id)
        self._context.ids.add(Kind.EVALUATION_DATASET, key.id, dataset_id)
        if self._context.if_exists is not IfExists.UPDATE or self._context.options.dry_run:
            return outcome
        body: JSONObject = {"tags": json.dumps(own_tags(record.tags))}
        patch = partial(self._context.client.call, "PATCH", f"{_DATASETS}/{dataset_id}/tags", body=body)
        losses = tuple(attempt(key, "tags", partial(patch, workspace=key.workspace)))
        return Outcome(key, Status.STORED, reason="updated", target_id=dataset_id, losses=losses)

    def _create(self, key: ObjectKey, record: EvaluationDatasetRecord, name: str) -> str:
        tags = own_tags(record.tags) | self._context.provenance(key.id, incomplete=True)
        body: JSONObject = {"name": name, "tags": json.dumps(tags)}

        def find() -> JSONObject | None:
            body: JSONObject = {"max_results": 1000}
            listed = self._context.pages(f"{_DATASETS}/search", body, "datasets", workspace=key.workspace)
            found = next((entry for entry in listed if _tags(entry).get(provenance.SOURCE_ID) == key.id), None)
            return {"dataset": found} if found else None

        answer = self._context.create(f"{_DATASETS}/create", body, workspace=key.workspace, find=find)
        return text(child(answer, "dataset"), "dataset_id")

    def _connect(self, key: ObjectKey, record: EvaluationDatasetRecord, dataset_id: str) -> Iterator[Loss]:
        known: list[JSONValue] = []
        for old in record.experiment_ids:
            new = self._context.ids.get(Kind.EXPERIMENT, old)
            if new is None:
                reason = f"The experiment {old} is not at the target, so the dataset's link to it is left out."
                yield key.lost("not_found", reason, path=f"experiments/{old}")
            else:
                known.append(new)
        if known:
            post = partial(self._context.post, f"{_DATASETS}/{dataset_id}/add-experiments", {"experiment_ids": known})
            yield from attempt(key, "experiments", partial(post, workspace=key.workspace))

    def _fill(self, key: ObjectKey, content: Content, dataset_id: str) -> Iterator[Loss]:
        part = next((part for part in content.parts if part.name == "records"), None)
        batch: list[JSONObject] = []
        for line in part.open() if part else ():
            batch.append(self._record(line))
            if len(batch) >= _RECORDS_PER_CALL:
                yield from self._upsert(key, dataset_id, batch)
                batch = []
        if batch:
            yield from self._upsert(key, dataset_id, batch)

    def _record(self, line: JSONObject) -> JSONObject:
        record = {name: _parsed(line[name]) for name in _RECORD_FIELDS if line.get(name) is not None}
        if "source" in record:
            record["source"] = rewrite_record_source(record["source"], self._context.ids)
        return record

    def _upsert(self, key: ObjectKey, dataset_id: str, records: list[JSONObject]) -> Iterator[Loss]:
        body: JSONObject = {"records": json.dumps(records)}
        path = f"{_DATASETS}/{dataset_id}/records"
        yield from attempt(key, "records", partial(self._context.post, path, body, workspace=key.workspace))


def _tags(entry: JSONObject) -> dict[str, str]:
    tags = _parsed(entry.get("tags"))
    return {name: str(value) for name, value in tags.items()} if isinstance(tags, dict) else {}


def _incomplete(entry: JSONObject) -> bool:
    return provenance.INCOMPLETE in _tags(entry)


def _parsed(value: JSONValue) -> JSONValue:
    """Return a field that MLflow keeps as JSON in a text."""
    if not isinstance(value, str):
        return value
    try:
        return cast("JSONValue", json.loads(value))
    except ValueError:
        return value
