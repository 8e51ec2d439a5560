"""Webhooks, restored last and switched off unless asked otherwise."""

from __future__ import annotations

from threading import Lock
from typing import cast

from mlflow_archive.spec.canonical import JSONObject
from mlflow_archive.spec.records.webhook import WebhookRecord
from mlflow_archive.stream import Item, ObjectKey, Outcome, Status
from mlflow_archive.tracking.sinks.context import SinkContext, child, text
from mlflow_archive.tracking.sinks.options import IfExists


class Webhooks:
    """Writes webhooks. Their secret is in no archive: whoever switches one on sets it again."""

    def __init__(self, context: SinkContext) -> None:
        """Ask nothing yet; the target's webhooks are listed at the first need."""
        self._context = context
        self._known: dict[str | None, dict[tuple[str, str], str]] = {}
        self._lock = Lock()

    def write(self, item: Item) -> Outcome:
        """Create a webhook, or take the one of that name and address."""
        key = item.key
        record = cast("WebhookRecord", item.load().record)
        with self._lock:
            known = self._list(key.workspace)
            found = known.get((record.name, record.url))
        body = self._body(record)
        if found is not None and self._context.if_exists is not IfExists.DUPLICATE:
            outcome = self._context.existing(key, found)
            if self._context.if_exists is not IfExists.UPDATE or self._context.options.dry_run:
                return outcome
            path = f"/api/2.0/mlflow/webhooks/{found}"
            self._context.client.call("PATCH", path, body=body, workspace=key.workspace)
            return Outcome(key, Status.STORED, reason="updated", target_id=found)
        if self._context.options.dry_run:
            return self._context.plan(key)
        answer = self._context.create("webhooks", body, workspace=key.workspace, find=lambda: self._find(key, record))
        reason = "" if body["status"] == "ACTIVE" or record.status == "DISABLED" else "restored switched off"
        target_id = text(child(answer, "webhook"), "webhook_id")
        return Outcome(key, Status.STORED, reason=reason, target_id=target_id)

    def _body(self, record: WebhookRecord) -> JSONObject:
        status = record.status if self._context.options.activate and record.status else "DISABLED"
        body: JSONObject = {"name": record.name, "url": record.url, "events": list(record.events), "status": status}
        if record.description:
            body["description"] = record.description
        return body

    def _list(self, workspace: str | None) -> dict[tuple[str, str], str]:
        if workspace not in self._known:
            listed = self._context.pages(
                "webhooks", {"max_results": 1000}, "webhooks", workspace=workspace, method="GET"
            )
            self._known[workspace] = {
                (text(entry, "name"), text(entry, "url")): text(entry, "webhook_id") for entry in listed
            }
        return self._known[workspace]

    def _find(self, key: ObjectKey, record: WebhookRecord) -> JSONObject | None:
        with self._lock:
            self._known.pop(key.workspace, None)
            found = self._list(key.workspace).get((record.name, record.url))
        return {"webhook": {"webhook_id": found}} if found else None
