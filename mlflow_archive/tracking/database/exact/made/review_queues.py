"""`review_queues` with users, questions and items."""

from __future__ import annotations

from collections.abc import Iterator

from mlflow_archive.spec.canonical import JSONObject, JSONValue
from mlflow_archive.spec.records.server_object import ServerObjectRecord
from mlflow_archive.stream import Content, ObjectKey
from mlflow_archive.tracking.database.exact.made.making import Making, Row, TableRows, batches
from mlflow_archive.tracking.database.exact.made.values import present
from mlflow_archive.tracking.paging import integer, text


def rows(making: Making, key: ObjectKey, content: Content) -> Iterator[TableRows]:
    """Yield the rows of a review queue."""
    record = content.record
    if not isinstance(record, ServerObjectRecord):
        return
    payload = record.payload
    experiment = making.experiment(key)
    name, created = text(payload.get("name")), integer(payload.get("creation_time_ms")) or 0
    queue: Row = {"queue_id": text(payload.get("queue_id")) or key.id}
    yield (
        "review_queues",
        [
            {
                **queue,
                "experiment_id": experiment,
                "name": name,
                "queue_type": text(payload.get("queue_type")).lower() or "custom",
                "created_by": present(payload.get("created_by")),
                "creation_time_ms": created,
                "last_update_time_ms": integer(payload.get("last_update_time_ms")) or created,
                # MLflow finds a queue by its name in small letters.
                "name_key": name.lower(),
            }
        ],
    )
    yield from batches("review_queue_users", ({**queue, "user_id": user} for user in _texts(payload.get("users"))))
    schemas = ({**queue, "schema_id": schema} for schema in _texts(payload.get("schema_ids")))
    yield from batches("review_queue_label_schemas", schemas)
    items = {text(item.get("item_id")): item for item in record.details.get("items", ())}
    yield from batches("review_queue_items", (_item(queue, item) for item in items.values()))


def _item(queue: Row, item: JSONObject) -> Row:
    created = integer(item.get("creation_time_ms")) or 0
    return {
        **queue,
        "item_type": text(item.get("item_type")).lower() or "trace",
        "item_id": text(item.get("item_id")),
        "status": text(item.get("status")).lower() or "pending",
        "completed_by": present(item.get("completed_by")),
        "completed_time_ms": integer(item.get("completed_time_ms")),
        "creation_time_ms": created,
        "last_update_time_ms": integer(item.get("last_update_time_ms")) or created,
    }


def _texts(value: JSONValue) -> list[str]:
    return list(dict.fromkeys(text(item) for item in value)) if isinstance(value, list) else []
