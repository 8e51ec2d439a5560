"""The generic record, for kinds of minor use: what the server said, word for word.

Used by label schemas, review queues, issues, gateway definitions, budget policies, guardrails and MCP servers.
"""

from __future__ import annotations

from mlflow_archive.spec.records.base import Payload, Record


class ServerObjectRecord(Record):
    """An object as the server's JSON."""

    name: str
    payload: Payload
    """The object as the listing call gave it."""
    details: dict[str, tuple[Payload, ...]] = {}
    """Lists that belong to it and come from calls of their own, by name (a review queue's ``items`` ...)."""

    @property
    def title(self) -> str:
        """The name."""
        return self.name
