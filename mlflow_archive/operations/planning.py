"""The sink of a dry run to an archive: it counts."""

from __future__ import annotations

from mlflow_archive.spec.loss import Loss
from mlflow_archive.stream import Account, Item, Outcome, Scope, Status


class PlanningSink:
    """Takes every object for stored without loading it."""

    def write(self, item: Item) -> Outcome:
        """Say that the object would be stored."""
        return Outcome(item.key, Status.STORED, reason="would be stored")

    def close_scope(self, scope: Scope) -> None:
        """Have nothing to do with the end of a scope."""

    def finish(self, account: Account) -> tuple[Loss, ...]:  # noqa: ARG002 - the protocol's
        """Have nothing to commit."""
        return ()

    def close(self) -> None:
        """Have nothing to free."""
