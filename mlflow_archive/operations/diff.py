"""Diff: are two ends the same, object by object, but for what no restore can set?"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace

from mlflow_archive.errors import UNREACHABLE, ExitCode, MlflowArchiveError, NotAuthorisedError, UnavailableError
from mlflow_archive.events import ItemFinished, Observer, SectionStarted, Silence
from mlflow_archive.operations.closure import closed_under
from mlflow_archive.operations.ends import AS_THE_SERVER_SAYS, Options, any_source
from mlflow_archive.operations.fingerprint import (
    UNTRANSLATED,
    Fingerprint,
    Translation,
    differing,
    fingerprint,
    summary,
)
from mlflow_archive.operations.matching import match
from mlflow_archive.operations.table_prints import not_compared
from mlflow_archive.operations.tables import asks_for_tables, require_parquet
from mlflow_archive.operations.transfer import SerialisedObserver
from mlflow_archive.spec.canonical import JSONObject
from mlflow_archive.spec.kinds import KIND_ORDER, Kind
from mlflow_archive.spec.loss import Loss
from mlflow_archive.spec.selection import Selection
from mlflow_archive.stream import Item, ObjectKey, Source

#: The parts of objects, as losses name them; any other loss of a part is one of files.
PARTS = frozenset({"metrics", "spans", "records"})
#: Of so many differing objects of a kind the fields are told; of the others only that they differ.
MAX_DETAILED = 1000


@dataclass(frozen=True, slots=True)
class Difference:
    """Two objects that belong together and are not the same.

    ``fields`` are the paths at which they differ (`mlflow_archive.operations.fingerprint`); empty for objects beyond
    the first `MAX_DETAILED` of a kind.
    """

    left: ObjectKey
    right: ObjectKey
    fields: tuple[str, ...]

    def to_json(self) -> JSONObject:
        """Return the difference as a JSON object."""
        return {
            "kind": self.left.kind.value,
            "left_id": self.left.id,
            "right_id": self.right.id,
            "name": self.left.name,
            "fields": [*self.fields],
        }


@dataclass(frozen=True, slots=True)
class DiffReport:
    """The result of a comparison.

    Attributes:
        left: The one end, a URL without credentials.
        right: The other.
        equal: Kind word -> how many objects are the same.
        different: Objects that are at both ends and differ.
        only_left: Objects that only the left end has.
        only_right: Objects that only the right end has.
        losses: What could not be read at either end, and so was not compared.
        notes: Sentences on what was not compared.
    """

    left: str
    right: str
    equal: Mapping[str, int]
    different: tuple[Difference, ...]
    only_left: tuple[ObjectKey, ...]
    only_right: tuple[ObjectKey, ...]
    losses: tuple[Loss, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def same(self) -> bool:
        """True if everything that could be read is the same."""
        return not (self.different or self.only_left or self.only_right)

    @property
    def exit_code(self) -> ExitCode:
        """What the command line exits with: 1 if there are differences, 3 if something could not be read, else 0."""
        if not self.same:
            return ExitCode.FAILED
        return ExitCode.LOSSES if self.losses else ExitCode.DONE

    def to_json(self) -> JSONObject:
        """Return the report as one JSON object."""
        return {
            "left": self.left,
            "right": self.right,
            "same": self.same,
            "equal": dict(self.equal),
            "different": [difference.to_json() for difference in self.different],
            "only_left": [_key_json(key) for key in self.only_left],
            "only_right": [_key_json(key) for key in self.only_right],
            "losses": [loss.to_json() for loss in self.losses],
            "notes": [*self.notes],
        }


def diff(
    left: str,
    right: str,
    *,
    selection: Selection,
    artifacts: bool = True,
    parallelism: int = 8,
    storage_options: tuple[Options, Options] = (None, None),
    observer: Observer | None = None,
) -> DiffReport:
    """Compare what is at two URLs, each with its storage options; see `mlflow_archive.api.diff`."""
    with ExitStack() as stack:
        sources = [
            stack.enter_context(any_source(url, AS_THE_SERVER_SAYS, parallelism=parallelism, storage_options=options))
            for url, options in zip((left, right), storage_options, strict=True)
        ]
        return compare(
            sources[0], sources[1], selection, artifacts=artifacts, parallelism=parallelism, observer=observer
        )


def compare(
    left: Source,
    right: Source,
    selection: Selection,
    *,
    artifacts: bool = True,
    parallelism: int = 8,
    observer: Observer | None = None,
) -> DiffReport:
    """Compare two ends, object by object. Closes neither; memory grows with ids and digests only.

    Objects are what counts: the tables of databases, in which every id and time is another one after a restore over the
    API, are compared only if databases alone are asked for, and then row by row.

    Raises:
        UnsupportedError: Tables are asked for, and pyarrow is not installed.
        NotAuthorisedError: An end refused the credentials.
        UnavailableError: An end does not answer.
    """
    watcher = SerialisedObserver(observer or Silence())
    notes: tuple[str, ...] = ()
    wanted = selection
    if asks_for_tables(selection):
        require_parquet()
    else:
        notes = not_compared(left, right) if selection.wants(Kind.DATABASE) else ()
        wanted = replace(selection, kinds=(selection.kinds or frozenset(Kind)) - {Kind.DATABASE})
    with ThreadPoolExecutor(max(1, parallelism), thread_name_prefix="diff") as pool:
        work = _Comparison(
            closed_under(left, selection), closed_under(right, selection), wanted, artifacts and selection.artifacts
        )
        return replace(work.run(pool, 2 * max(1, parallelism), watcher), notes=notes)


class _Comparison:
    """One comparison; all fields belong to the calling thread."""

    def __init__(self, left: Source, right: Source, selection: Selection, artifacts: bool) -> None:
        self._left = left
        self._right = right
        self._selection = selection
        self._artifacts = artifacts
        self._matches = match(left, right, selection)
        self._equal: Counter[str] = Counter()
        self._different: list[Difference] = []
        self._only_left: list[ObjectKey] = []
        self._only_right: list[ObjectKey] = []
        self._losses: list[Loss] = []

    def run(self, pool: ThreadPoolExecutor, window: int, observer: Observer) -> DiffReport:
        kinds = {*self._left.kinds(), *self._right.kinds()}
        for kind in KIND_ORDER:
            if kind in kinds and self._selection.wants(kind):
                observer.notify(SectionStarted(kind.value, None))
                self._compare_kind(kind, pool, window, observer)
        return DiffReport(
            left=self._left.describe().uri,
            right=self._right.describe().uri,
            equal=dict(self._equal),
            different=tuple(self._different),
            only_left=tuple(self._only_left),
            only_right=tuple(self._only_right),
            losses=tuple(dict.fromkeys(self._losses)),  # what differs was read twice
        )

    def _compare_kind(self, kind: Kind, pool: ThreadPoolExecutor, window: int, observer: Observer) -> None:
        # Of the left end one digest each is kept, of the right end the paths of what differs; the left objects that
        # differ are read a second time for theirs.
        lost_before = len(self._losses)
        summaries = {key: summary(prints) for key, prints in self._read(self._left, kind, UNTRANSLATED, pool, window)}
        unread = {loss.id for loss in self._losses[lost_before:] if loss.path is None}
        lost_before = len(self._losses)
        details: dict[ObjectKey, tuple[ObjectKey, Fingerprint]] = {}
        for key, prints in self._read(self._right, kind, self._matches.translation, pool, window):
            partner = self._matches.pairs.get(key)
            if partner is not None and partner.id in unread:
                continue
            status = self._judge(key, partner, summaries, prints, details)
            observer.notify(ItemFinished(kind.value, key.id, key.name, status, "", 0))
        unread = {loss.id for loss in self._losses[lost_before:] if loss.path is None}
        partners = {left: right.id for right, left in self._matches.pairs.items() if left in summaries}
        self._only_left += [key for key in summaries if partners.get(key) not in unread]
        if details:
            for key, prints in self._read(self._left, kind, UNTRANSLATED, pool, window, only=frozenset(details)):
                right_key, right_prints = details[key]
                self._different.append(Difference(key, right_key, differing(prints, right_prints)))

    def _judge(
        self,
        key: ObjectKey,
        partner: ObjectKey | None,
        summaries: dict[ObjectKey, bytes],
        prints: Fingerprint,
        details: dict[ObjectKey, tuple[ObjectKey, Fingerprint]],
    ) -> str:
        if partner is None or partner not in summaries:
            self._only_right.append(key)
            return "only right"
        if summaries.pop(partner) == summary(prints):
            self._equal[key.kind.value] += 1
            return "equal"
        if len(details) < MAX_DETAILED:
            details[partner] = (key, prints)
        else:
            self._different.append(Difference(partner, key, ()))
        return "different"

    def _read(
        self,
        source: Source,
        kind: Kind,
        translation: Translation,
        pool: ThreadPoolExecutor,
        window: int,
        *,
        only: frozenset[ObjectKey] | None = None,
    ) -> Iterator[tuple[ObjectKey, Fingerprint]]:
        """Yield the fingerprint of each object; what cannot be read becomes a loss."""

        def prints(item: Item) -> tuple[Fingerprint, tuple[Loss, ...]]:
            content = item.load()
            unlisted: list[Loss] = []
            found = fingerprint(kind, content, translation, artifacts=self._artifacts, lost=unlisted.append)
            return found, (*(loss for loss in content.losses if self._artifacts or loss.path in PARTS), *unlisted)

        flying: deque[tuple[ObjectKey, Future[tuple[Fingerprint, tuple[Loss, ...]]]]] = deque()
        if kind not in source.kinds():
            return
        try:
            for entry in source.read(kind, self._selection):
                if isinstance(entry, Loss):
                    self._lose(entry)
                elif only is None or entry.key in only:
                    flying.append((entry.key, pool.submit(prints, entry)))
                if len(flying) >= window:
                    yield from self._land(*flying.popleft())
            while flying:
                yield from self._land(*flying.popleft())
        finally:
            for _, future in flying:
                future.cancel()

    def _land(
        self, key: ObjectKey, future: Future[tuple[Fingerprint, tuple[Loss, ...]]]
    ) -> Iterator[tuple[ObjectKey, Fingerprint]]:
        try:
            prints, losses = future.result()
        except NotAuthorisedError:
            raise
        except MlflowArchiveError as error:
            self._lose(key.lost(error.code, str(error), retryable=error.retryable))
        else:
            for loss in losses:
                self._lose(loss)
            yield key, prints

    def _lose(self, loss: Loss) -> None:
        """Keep a loss; a server that is gone ends the comparison, as all that follows would be called missing."""
        if loss.code == UNREACHABLE:
            raise UnavailableError(loss.reason, code=UNREACHABLE)
        self._losses.append(loss)


def _key_json(key: ObjectKey) -> JSONObject:
    return {"kind": key.kind.value, "id": key.id, "name": key.name, "experiment_id": key.experiment_id}
