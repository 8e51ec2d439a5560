"""`evaluation_datasets` with tags, records, and their experiments (`entity_associations`)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator

from mlflow_archive.spec.canonical import JSONObject, JSONValue
from mlflow_archive.spec.records.evaluation_dataset import EvaluationDatasetRecord
from mlflow_archive.stream import Content, ObjectKey, Part
from mlflow_archive.tracking.database.exact.made.making import Making, Row, TableRows, batches, invented, workspace_of
from mlflow_archive.tracking.database.exact.made.traces import association
from mlflow_archive.tracking.database.exact.made.values import json_text, present
from mlflow_archive.tracking.paging import integer, member, text

#: Where MLflow puts the outputs of a record, which need not be an object.
_WRAPPED = "mlflow_wrapped"


def rows(making: Making, key: ObjectKey, content: Content) -> Iterator[TableRows]:  # noqa: ARG001 - as all makers
    """Yield the rows of an evaluation dataset."""
    record = content.record
    if not isinstance(record, EvaluationDatasetRecord):
        return
    more = record.unknown_fields
    yield (
        "evaluation_datasets",
        [
            {
                "dataset_id": record.dataset_id,
                "name": record.name,
                "schema": present(more.get("schema")),
                "profile": present(more.get("profile")),
                "digest": record.digest,
                "created_time": record.created_time,
                "last_update_time": record.last_update_time,
                "created_by": present(record.created_by),
                "last_updated_by": present(record.last_updated_by),
                "workspace": workspace_of(key),
            }
        ],
    )
    yield from batches(
        "evaluation_dataset_tags",
        ({"dataset_id": record.dataset_id, "key": k, "value": v} for k, v in record.tags.items()),
    )
    for part in content.parts:
        yield from batches("evaluation_dataset_records", _records(record.dataset_id, part))
    links = (
        association("evaluation_dataset", record.dataset_id, "experiment", id, record.created_time)
        for id in dict.fromkeys(record.experiment_ids)
    )
    yield from batches("entity_associations", links)


def _records(dataset_id: str, part: Part) -> Iterator[Row]:
    """Yield the records, each with inputs of its own: a dataset has the same inputs once."""
    seen: set[str] = set()
    for line in part.open():
        row = _record(dataset_id, line)
        hash = str(row["input_hash"])
        if hash not in seen:
            seen.add(hash)
            yield row


def _record(dataset_id: str, line: JSONObject) -> Row:
    inputs = line.get("inputs")
    hash = hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()
    source, outputs = member(line, "source"), line.get("outputs")
    wrapped: JSONValue = None if outputs is None else {_WRAPPED: outputs}
    created = integer(line.get("created_time"))
    return {
        "dataset_record_id": text(line.get("dataset_record_id")) or f"dr-{invented('record', dataset_id, hash)}",
        "dataset_id": dataset_id,
        "inputs": json_text(inputs),
        "expectations": json_text(line.get("expectations")),
        "tags": json_text(line.get("tags")),
        "source": json_text(source or None),
        "source_id": present(line.get("source_id")) or _source_id(source),
        "source_type": present(source.get("source_type")) or present(line.get("source_type")),
        "created_time": created,
        "last_update_time": integer(line.get("last_update_time")) or created,
        "created_by": present(line.get("created_by")),
        "last_updated_by": present(line.get("last_updated_by")),
        "input_hash": hash,
        "outputs": json_text(wrapped),
    }


def _source_id(source: JSONObject) -> str | None:
    name = "trace_id" if source.get("source_type") == "TRACE" else "source_id"
    return present(member(source, "source_data").get(name))
