"""The end of a transfer into two databases: that of tracking, and that of users and permissions.

Both may be one. Whenever the restore is interrupted, the same command goes on: the tracking database is completed last,
and says until then that it is not whole.
"""

from __future__ import annotations

from contextlib import ExitStack, closing

from mlflow_archive.spec.kinds import Kind
from mlflow_archive.spec.loss import Loss
from mlflow_archive.stream import Account, Item, Outcome, Scope, Status
from mlflow_archive.tracking.database.exact.families import OF_BASIC_AUTH
from mlflow_archive.tracking.database.exact.sink import ExactSink


class SinkWithUsers:
    """A `stream.Sink` of two, each with a database of its own."""

    def __init__(self, tracking: ExactSink, users: ExactSink) -> None:
        """Take both; they are closed with this."""
        self._tracking = tracking
        self._users = users

    def prepare(self) -> None:
        """Look at both databases before anything is written to one.

        Raises:
            MlflowArchiveError: As `ExactSink.prepare`.
        """
        if self._tracking.is_done():
            # Users come first, so that these are done as well.
            self._users.rest()
            self._tracking.prepare()
        else:
            self._users.look()
            self._tracking.prepare()
            self._users.prepare()

    def write(self, item: Item) -> Outcome:
        """Hand an object to whom it belongs."""
        return (self._users if _is_of_users(item) else self._tracking).write(item)

    def close_scope(self, scope: Scope) -> None:
        """Nothing waits for the end of a scope."""

    def finish(self, account: Account) -> tuple[Loss, ...]:  # noqa: ARG002 - the protocol's
        """Complete both; nothing is let go of before both are whole.

        Raises:
            MlflowArchiveError: As `ExactSink.finish`.
        """
        losses = (*self._users.complete(), *self._tracking.complete())
        self._users.let_go()
        self._tracking.let_go()
        return losses

    def close(self) -> None:
        """Close both."""
        with ExitStack() as stack:
            stack.enter_context(closing(self._tracking))
            stack.enter_context(closing(self._users))


class SinkWithUsersInside(SinkWithUsers):
    """A `stream.Sink` of two in one database.

    The migrations of users look at the registry's tables where they find them, and expect the newest: so users come in
    the transaction that ends the restore, after the other tables are upgraded.
    """

    def prepare(self) -> None:
        """Look at the database before anything is written to it.

        Raises:
            MlflowArchiveError: As `ExactSink.prepare`.
        """
        if not self._tracking.is_done():
            self._users.look_only()
        self._tracking.prepare()

    def write(self, item: Item) -> Outcome:
        """Take the rows of tracking, or the files of an object; users wait."""
        if not _is_of_users(item):
            return self._tracking.write(item)
        return Outcome(item.key, Status.STORED, target_id=item.key.id)

    def finish(self, account: Account) -> tuple[Loss, ...]:  # noqa: ARG002 - the protocol's
        """Complete the one and bring the others.

        Raises:
            MlflowArchiveError: As `ExactSink.finish`.
        """
        of_users: list[Loss] = []
        losses = self._tracking.complete(lambda: of_users.extend(self._users.do_all()))
        self._tracking.let_go()
        return (*of_users, *losses)


def _is_of_users(item: Item) -> bool:
    return item.key.kind is Kind.DATABASE and item.key.id == OF_BASIC_AUTH.object_id
