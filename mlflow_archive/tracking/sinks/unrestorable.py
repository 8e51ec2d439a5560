"""Kinds that need what no archive has."""

from __future__ import annotations

from mlflow_archive.stream import Item, Outcome
from mlflow_archive.tracking.sinks.context import unsupported


class Unrestorable:
    """Says of kinds that need what no archive has why they do not come along."""

    def __init__(self, reason: str) -> None:
        """Keep the sentence."""
        self._reason = reason

    def write(self, item: Item) -> Outcome:
        """Record the object as lost."""
        return unsupported(item, self._reason)
