"""Kinds that need what no archive has."""

from __future__ import annotations

from mlflow_archive.stream import Item, Outcome, Status
from mlflow_archive.tracking.sinks.context import unsupported


class Unrestorable:
    """Says of kinds that need what no archive has why they do not come along."""

    def __init__(self, reason: str) -> None:
        """Keep the sentence."""
        self._reason = reason

    def write(self, item: Item) -> Outcome:
        """Record the object as lost."""
        return unsupported(item, self._reason)


class NotOverTheApi:
    """Passes over the tables of a database: what is in them comes along as objects."""

    def write(self, item: Item) -> Outcome:
        """Record the object as skipped."""
        return Outcome(item.key, Status.SKIPPED, reason="only for an exact restore")
