"""Workspaces, made before anything that stands in them."""

from __future__ import annotations

from typing import cast

from mlflow_archive.spec.canonical import JSONObject
from mlflow_archive.spec.records.workspace import WorkspaceRecord
from mlflow_archive.stream import Item, Outcome, Status
from mlflow_archive.tracking.sinks.context import API3, SinkContext, rows, text, unsupported
from mlflow_archive.tracking.sinks.options import IfExists

_DEFAULT = "default"


class Workspaces:
    """Writes workspaces. Their artifact root stays the target's own: the source's is a place of the source."""

    def __init__(self, context: SinkContext) -> None:
        """Ask nothing yet."""
        self._context = context

    def write(self, item: Item) -> Outcome:
        """Create a workspace, or take the one of that name."""
        key = item.key
        record = cast("WorkspaceRecord", item.load().record)
        if record.name == _DEFAULT:
            return Outcome(key, Status.SKIPPED, reason="exists", target_id=_DEFAULT)
        names = self._names()
        if names is None:
            version = self._context.client.version
            return unsupported(
                item,
                f"The target (MLflow {version}) has no workspaces; start it with --enable-workspaces (3.10 or later).",
            )
        if record.name in names:
            outcome = self._context.existing(key, record.name)
            update = self._context.if_exists is IfExists.UPDATE and not self._context.options.dry_run
            if not update or not record.description or record.description == names[record.name]:
                return outcome
            path = f"{API3}workspaces/{record.name}"
            self._context.client.call("PATCH", path, body={"description": record.description})
            return Outcome(key, Status.STORED, reason="updated", target_id=record.name)
        if self._context.options.dry_run:
            return self._context.plan(key, record.name)
        body: JSONObject = {"name": record.name}
        if record.description:
            body["description"] = record.description
        self._context.create(f"{API3}workspaces", body, find=lambda: None)
        return Outcome(key, Status.STORED, target_id=record.name)

    def _names(self) -> dict[str, str] | None:
        """Return the workspaces of the target with their descriptions, None if it has them off."""
        client = self._context.client
        if not client.at_least("3.10.0") or not client.call("GET", f"{API3}server-info").get("workspaces_enabled"):
            return None
        listed = rows(client.call("GET", f"{API3}workspaces"), "workspaces")
        return {text(entry, "name"): text(entry, "description") for entry in listed}
