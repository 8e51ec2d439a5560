"""`issues`: problems found in traces."""

from __future__ import annotations

from collections.abc import Iterator

from mlflow_archive.spec.canonical import JSONValue
from mlflow_archive.spec.records.server_object import ServerObjectRecord
from mlflow_archive.stream import Content, ObjectKey
from mlflow_archive.tracking.database.exact.made.making import NO_PARENT, Making, TableRows, compact
from mlflow_archive.tracking.database.exact.made.values import json_text, present
from mlflow_archive.tracking.paging import integer, text


def rows(making: Making, key: ObjectKey, content: Content) -> Iterator[TableRows]:
    """Yield the row of an issue."""
    record = content.record
    if not isinstance(record, ServerObjectRecord):
        return
    payload = record.payload
    experiment = making.experiment(key)
    run_id = present(payload.get("source_run_id"))
    if run_id and not making.has("runs", compact(run_id)):
        reason = f"The run {run_id} that found the issue is not in the archive, so that the issue names none."
        making.lose(key.lost(NO_PARENT, reason, path=f"runs/{run_id}"))
        run_id = None
    created = integer(payload.get("created_timestamp")) or 0
    yield (
        "issues",
        [
            {
                "issue_id": text(payload.get("issue_id")) or key.id,
                "experiment_id": experiment,
                "name": text(payload.get("name")),
                "description": text(payload.get("description")),
                "status": text(payload.get("status")) or "pending",
                "severity": present(payload.get("severity")),
                "root_causes": _list(payload.get("root_causes")),
                "source_run_id": run_id,
                "categories": _list(payload.get("categories")),
                "created_timestamp": created,
                "last_updated_timestamp": integer(payload.get("last_updated_timestamp")) or created,
                "created_by": present(payload.get("created_by")),
            }
        ],
    )


def _list(value: JSONValue) -> str | None:
    return json_text(value) if value else None
