"""`webhooks`, `webhook_events`; without the secrets, which no server shows."""

from __future__ import annotations

from collections.abc import Iterator

from mlflow_archive.spec.records.webhook import WebhookRecord
from mlflow_archive.stream import Content, ObjectKey
from mlflow_archive.tracking.database.exact.made.making import Making, TableRows, batches, workspace_of
from mlflow_archive.tracking.paging import text

_SECRETS = (
    "The secrets of webhooks ({n} webhooks) are in no answer of a server: they have none now; set the secrets anew."
)


def rows(making: Making, key: ObjectKey, content: Content) -> Iterator[TableRows]:
    """Yield the rows of a webhook."""
    record = content.record
    if not isinstance(record, WebhookRecord):
        return
    making.count(_SECRETS)
    yield (
        "webhooks",
        [
            {
                "webhook_id": record.webhook_id,
                "name": record.name,
                "description": record.description,
                "url": record.url,
                "status": record.status or "ACTIVE",
                "secret": None,
                "creation_timestamp": record.creation_timestamp,
                "last_updated_timestamp": record.last_updated_timestamp,
                "deleted_timestamp": None,
                "workspace": workspace_of(key),
            }
        ],
    )
    events = {(text(event.get("entity")).lower(), text(event.get("action")).lower()) for event in record.events}
    yield from batches(
        "webhook_events",
        ({"webhook_id": record.webhook_id, "entity": entity, "action": action} for entity, action in sorted(events)),
    )
