"""The one loop everything is made of: objects of a source go to a sink, kind after kind.

The calling thread lists, counts and talks to the observer; a bounded pool of workers loads and writes. So at any
time at most ``2 x parallelism`` objects are under way, whatever the size of the source, and a slow target slows the
listing down.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import replace
from threading import Event as Flag
from threading import Lock

from mlflow_archive.errors import (
    FORBIDDEN,
    UNREACHABLE,
    ConflictError,
    IntegrityError,
    MlflowArchiveError,
    NotAuthorisedError,
    NotFoundError,
    UnavailableError,
)
from mlflow_archive.events import (
    Event,
    ItemFinished,
    LossRecorded,
    Note,
    Observer,
    SectionStarted,
    Silence,
    TransferFinished,
    TransferStarted,
)
from mlflow_archive.operations.report import Report
from mlflow_archive.operations.watched import WatchedItem
from mlflow_archive.operations.wishes import WishCheck
from mlflow_archive.spec.kinds import KIND_ORDER, Kind
from mlflow_archive.spec.loss import Loss
from mlflow_archive.spec.manifest import KindCount
from mlflow_archive.spec.selection import Selection
from mlflow_archive.stream import Account, Item, Outcome, Scope, Sink, Source, Status

#: So many objects in a row lost because nobody answered: the server is gone, and asking on only hurts it.
MAX_UNAVAILABLE = 100
#: So many objects lost and none moved, the first because the user may not: it is the wrong user.
MAX_FORBIDDEN = 100
#: Codes of errors that say the target can take nothing more, whatever the object.
TARGET_CODES = frozenset({"disk_full", "database_broke"})


class SerialisedObserver:
    """An observer behind a lock, so that the one behind it needs none."""

    def __init__(self, observer: Observer) -> None:
        """Pass everything on to ``observer``, one event at a time."""
        self._observer = observer
        self._lock = Lock()

    def notify(self, event: Event) -> None:
        """Tell the observer when it is free."""
        with self._lock:
            self._observer.notify(event)


def transfer(
    source: Source,
    sink: Sink,
    selection: Selection,
    *,
    observer: Observer | None = None,
    parallelism: int = 8,
    verb: str = "backup",
    dry_run: bool = False,
    target: str = "",
) -> Report:
    """Bring what the selection wants from the source to the sink.

    Neither end is closed: who made them closes them. An early end (an error, Ctrl-C) leaves the sink without
    `Sink.finish`, which is an interrupted target that can be resumed.

    Args:
        source: Where objects come from.
        sink: Where they go.
        selection: What is wanted.
        observer: Told of everything, one event at a time.
        parallelism: How many objects are loaded and written at once.
        verb: The word for the report and the events.
        dry_run: Only said in the report and the events; the sink is the one that writes nothing.
        target: The sink's URL, without credentials, for the report and the events.

    Raises:
        NotAuthorisedError: Either end refused the credentials, or everything that was asked of it.
        NotFoundError: The selection names something and matches nothing.
        ConflictError: Something is at the target that must not be.
        UnavailableError: A server is gone, `MAX_UNAVAILABLE` objects in a row got no answer, or the target can take
            no more.
        KeyboardInterrupt: Ctrl-C, after what was under way has ended.
    """
    # A backup keeps every id as it is; a map of them would only be large.
    loop = _Transfer(source, sink, selection, observer or Silence(), parallelism, keep_ids=verb != "backup")
    return loop.run(verb, target, dry_run=dry_run)


class _Transfer:
    """One run of the loop; all fields but the two flags belong to the calling thread."""

    def __init__(
        self, source: Source, sink: Sink, selection: Selection, observer: Observer, parallelism: int, *, keep_ids: bool
    ) -> None:
        self._source = source
        self._sink = sink
        self._selection = selection
        self._observer = observer if isinstance(observer, SerialisedObserver) else SerialisedObserver(observer)
        self._parallelism = max(1, parallelism)
        self._stop = Flag()
        self._damaged = Flag()
        self._tally = _Tally(keep_ids=keep_ids)
        self._wishes = WishCheck(selection)
        self._flying: dict[Future[Outcome], Scope] = {}
        self._pending: Counter[Scope] = Counter()
        self._left: set[Scope] = set()
        self._unavailable = 0

    def run(self, verb: str, target: str, *, dry_run: bool) -> Report:
        started = time.time()
        clock = time.monotonic()
        origin = self._source.describe()
        self._observer.notify(TransferStarted(verb, origin.uri, target, dry_run))
        status = "failed"
        try:
            self._walk()
            notes = self._close(int(started * 1000))
            status = "partial" if self._tally.losses else "complete"
        except KeyboardInterrupt:
            status = "interrupted"
            raise
        finally:
            self._tally.seconds = time.monotonic() - clock
            self._observer.notify(self._tally.finished(status))
        report = self._tally.report(verb=verb, source=origin.uri, target=target, dry_run=dry_run, notes=notes)
        return replace(report, damaged=verb == "restore" and self._damaged.is_set())

    def _walk(self) -> None:
        kinds = self._source.kinds()
        with ThreadPoolExecutor(self._parallelism, thread_name_prefix="transfer") as pool:
            try:
                for kind in KIND_ORDER:
                    if kind in kinds and self._selection.wants(kind):
                        self._observer.notify(SectionStarted(kind.value, self._source.expected(kind, self._selection)))
                        self._walk_kind(kind, pool)
            except BaseException:
                self._stop.set()
                pool.shutdown(wait=True, cancel_futures=True)
                raise

    def _walk_kind(self, kind: Kind, pool: ThreadPoolExecutor) -> None:
        current: Scope | None = None
        for entry in self._source.read(kind, self._selection):
            if isinstance(entry, Loss):
                if entry.code == IntegrityError.code:
                    self._damaged.set()
                self._record((entry,))
                continue
            scope = entry.key.scope
            if current is not None and scope != current:
                self._leave(current)
            current = scope
            if scope in self._left:
                raise RuntimeError(f"the source came back to {scope} after it had left it")
            self._wishes.saw(entry.key)
            self._submit(entry, scope, pool)
        if current is not None:
            self._leave(current)
        while self._flying:
            self._settle_some()
        self._left.clear()

    def _submit(self, item: Item, scope: Scope, pool: ThreadPoolExecutor) -> None:
        self._pending[scope] += 1
        self._flying[pool.submit(self._write, item)] = scope
        self._settle(future for future in list(self._flying) if future.done())
        while len(self._flying) >= 2 * self._parallelism:
            self._settle_some()

    def _write(self, item: Item) -> Outcome:
        """Run in a worker."""
        if item.skipped:
            return Outcome(item.key, Status.SKIPPED, item.skipped)
        watched = WatchedItem(item, self._stop)
        try:
            outcome = self._sink.write(watched.item)
        except MlflowArchiveError as error:
            if _ends_transfer(error, at_source=watched.blames_source(error)):
                raise
            loss = item.key.lost(error.code, str(error), retryable=error.retryable)
            return Outcome(item.key, Status.LOST, reason=str(error), losses=(loss,))
        finally:
            if watched.damaged:
                self._damaged.set()
        if outcome.status is not Status.STORED:
            return outcome
        return Outcome(
            outcome.key,
            outcome.status,
            outcome.reason,
            outcome.target_id,
            outcome.size_bytes,
            tuple(dict.fromkeys((*watched.losses, *outcome.losses))),
        )

    def _settle_some(self) -> None:
        done, _ = wait(self._flying, return_when=FIRST_COMPLETED)
        self._settle(iter(done))

    def _settle(self, futures: Iterator[Future[Outcome]]) -> None:
        for future in futures:
            scope = self._flying.pop(future)
            self._take(future.result())
            self._pending[scope] -= 1
            self._close_scope_if_done(scope)

    def _leave(self, scope: Scope) -> None:
        self._left.add(scope)
        self._close_scope_if_done(scope)

    def _close_scope_if_done(self, scope: Scope) -> None:
        if scope in self._left and not self._pending[scope]:
            del self._pending[scope]
            self._sink.close_scope(scope)

    def _take(self, outcome: Outcome) -> None:
        self._tally.take(outcome)
        self._observer.notify(
            ItemFinished(
                outcome.key.kind.value,
                outcome.key.id,
                outcome.key.name,
                outcome.status.value,
                outcome.reason,
                outcome.size_bytes,
            )
        )
        self._record(outcome.losses)
        dead = outcome.status is Status.LOST and any(loss.code == UnavailableError.code for loss in outcome.losses)
        self._unavailable = self._unavailable + 1 if dead else 0
        if self._tally.lost.total() >= MAX_FORBIDDEN:
            self._refuse_if_all_forbidden()
        if self._unavailable >= MAX_UNAVAILABLE:
            raise UnavailableError(
                f"{self._unavailable} objects in a row could not be moved because nobody answered "
                f"(the last reason: {outcome.reason}); start again when both ends are up."
            )

    def _refuse_if_all_forbidden(self) -> None:
        """End the transfer of a user who may do nothing, or only look at what is there.

        What follows a forbidden object may be lost for other reasons: its runs do not find their experiment.
        """
        tally = self._tally
        if not tally.losses or tally.losses[0].code != FORBIDDEN or tally.stored:
            return
        if tally.lost.total() > sum(counter.total() for counter in tally.skipped.values()):
            raise NotAuthorisedError(
                f"Nothing was moved, and {tally.lost.total()} objects were refused. The first reason: "
                f"{tally.losses[0].reason}"
            )

    def _record(self, losses: tuple[Loss, ...]) -> None:
        for loss in losses:
            self._tally.losses.append(loss)
            self._observer.notify(LossRecorded(loss.kind.value, loss.id, loss.path or "", loss.code, loss.reason))
            if loss.code == UNREACHABLE:
                # Everything after it would be lost as well, and a backup that is committed cannot be gone on with.
                raise UnavailableError(
                    f"{loss.reason} Then go on: with a backup by --resume (a tarball begins anew), with anything else "
                    "by the same command.",
                    code=UNREACHABLE,
                )

    def _close(self, started_ms: int) -> tuple[str, ...]:
        """Account for what was asked for by name, finish the sink, and return the notes."""
        self._refuse_if_all_forbidden()
        losses = self._tally.losses
        missing = self._wishes.missing(losses)
        if self._wishes.narrow and not self._tally.found and all(loss.code == NotFoundError.code for loss in losses):
            raise NotFoundError(self._wishes.nothing(losses))
        self._record(missing)
        notes = self._source.notes()
        for note in notes:
            self._observer.notify(Note(note))
        account = Account(
            source=self._source.describe(),
            selection=self._selection,
            started_ms=started_ms,
            losses=tuple(self._tally.losses),
            skipped=self._tally.reasons(),
            lost={kind: count for kind, count in self._tally.lost.items() if count},
            notes=notes,
        )
        self._record(self._sink.finish(account))
        return notes


_WORKSPACE = Kind.WORKSPACE.value


class _Tally:
    """The sums."""

    def __init__(self, *, keep_ids: bool) -> None:
        self._keep_ids = keep_ids
        self.stored: Counter[str] = Counter()
        self.skipped: dict[str, Counter[str]] = {}
        self.lost: Counter[str] = Counter()
        self.losses: list[Loss] = []
        self.ids: dict[str, dict[str, str]] = {}
        self.size_bytes = 0
        self.seconds = 0.0

    @property
    def total(self) -> int:
        return self.stored.total() + sum(c.total() for c in self.skipped.values()) + self.lost.total()

    @property
    def found(self) -> int:
        """How many objects came; workspaces come with whatever is asked for."""
        workspaces = self.stored[_WORKSPACE] + self.skipped.get(_WORKSPACE, Counter()).total() + self.lost[_WORKSPACE]
        return self.total - workspaces

    def take(self, outcome: Outcome) -> None:
        kind = outcome.key.kind.value
        self.size_bytes += outcome.size_bytes
        if outcome.target_id and self._keep_ids:
            self.ids.setdefault(kind, {})[outcome.key.id] = outcome.target_id
        if outcome.status is Status.STORED:
            self.stored[kind] += 1
        elif outcome.status is Status.SKIPPED:
            self.skipped.setdefault(kind, Counter())[outcome.reason] += 1
        else:
            self.lost[kind] += 1

    def reasons(self) -> dict[str, dict[str, int]]:
        return {kind: dict(counter) for kind, counter in self.skipped.items()}

    def finished(self, status: str) -> TransferFinished:
        return TransferFinished(
            status,
            self.stored.total(),
            sum(counter.total() for counter in self.skipped.values()),
            self.lost.total(),
            self.size_bytes,
            self.seconds,
        )

    def report(self, *, verb: str, source: str, target: str, dry_run: bool, notes: tuple[str, ...]) -> Report:
        seen = {*self.stored, *self.skipped, *self.lost}
        return Report(
            verb=verb,
            source=source,
            target=target,
            status="partial" if self.losses else "complete",
            counts={
                kind.value: KindCount(
                    stored=self.stored[kind.value],
                    skipped=self.skipped.get(kind.value, Counter()).total(),
                    lost=self.lost[kind.value],
                )
                for kind in KIND_ORDER
                if kind.value in seen
            },
            losses=tuple(self.losses),
            skipped=self.reasons(),
            notes=notes,
            size_bytes=self.size_bytes,
            seconds=self.seconds,
            ids=self.ids,
            dry_run=dry_run,
        )


def _ends_transfer(error: MlflowArchiveError, *, at_source: bool) -> bool:
    """Tell whether an error of one object is an error of all: refused credentials, or a target that takes no more."""
    if isinstance(error, NotAuthorisedError):
        return not error.forbidden
    return not at_source and (isinstance(error, ConflictError) or error.code in TARGET_CODES)
