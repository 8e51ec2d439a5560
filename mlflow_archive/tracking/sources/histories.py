"""Metric histories of many runs, fetched ahead for batches of them, within a bound of memory."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from functools import partial

from mlflow_archive.errors import MlflowArchiveError, UnavailableError
from mlflow_archive.spec.canonical import JSONObject
from mlflow_archive.spec.loss import Loss
from mlflow_archive.spec.records.run import RunRecord
from mlflow_archive.stream import ObjectKey, Part
from mlflow_archive.tracking.metrics import Series, WholeHistories, metric_lines
from mlflow_archive.tracking.sources.budget import BATCH_POINTS, Budget
from mlflow_archive.tracking.sources.context import Reading, lost

METRICS = "metrics"
#: (run id, key) -> points; None if they must be read by pieces.
Answer = dict[tuple[str, str], "Series | None"]
_MAX_RUNS = 100


class _Held:
    """How much of the budget a batch has; outlives it to give it back."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._points = 0
        self._lock = threading.Lock()

    @property
    def points(self) -> int:
        return self._points

    def change(self, points: int) -> None:
        with self._lock:
            self._points += points
        self._budget.hold(points)

    def free(self) -> None:
        self.change(-self._points)


class Batch:
    """The histories of up to 100 runs of one experiment.

    Fetched as a whole, one request a key at best, either ahead or when the first of the runs is loaded.
    Each series is handed out once; asked again, it is read from the server again.
    """

    def __init__(self, reading: Reading, workspace: str | None, runs: Sequence[RunRecord]) -> None:
        """Note which keys the runs have; asks nothing yet."""
        self._reading = reading
        self.workspace = workspace
        self._runs_of: dict[str, list[str]] = {}
        for run in runs:
            for metric in run.metrics:
                self._runs_of.setdefault(metric.key, []).append(run.info.run_id)
        self._held = _Held(reading.points)
        weakref.finalize(self, self._held.free)
        self._lock = threading.Lock()
        self._answers: dict[str, Future[Answer]] | None = None

    def start(self) -> None:
        """Begin to fetch, unless begun."""
        with self._lock:
            if self._answers is None:
                self._answers = self._ask()

    def _ask(self) -> dict[str, Future[Answer]]:
        reading = self._reading
        if not self._runs_of:
            return {}
        if isinstance(reading.history, WholeHistories):
            answer = reading.pool.submit(_fetch_whole, reading, reading.history, self._held, self._runs_of)
            return dict.fromkeys(self._runs_of, answer)
        return {
            key: reading.pool.submit(_fetch, reading, self.workspace, self._held, key, run_ids)
            for key, run_ids in self._runs_of.items()
        }

    def take(self, run_id: str, key: str) -> Series | None:
        """Return a series and forget it; None if it must be read from the server.

        Raises:
            MlflowArchiveError: The server did not give it.
        """
        self.start()
        answers = self._answers or {}
        answer = answers[key].result()
        with self._lock:
            series = answer.pop((run_id, key), None)
        if series is not None:
            self._held.change(-len(series))
        return series


def _fetch(reading: Reading, workspace: str | None, held: _Held, key: str, run_ids: list[str]) -> Answer:
    if held.points > BATCH_POINTS:
        return {}
    answer = reading.history.bulk(run_ids, key, workspace)
    return _counted(reading, held, {(run_id, key): series for run_id, series in answer.items()})


def _fetch_whole(reading: Reading, history: WholeHistories, held: _Held, wanted: dict[str, list[str]]) -> Answer:
    return _counted(reading, held, history.whole(wanted, BATCH_POINTS))


def _counted(reading: Reading, held: _Held, answer: Answer) -> Answer:
    points = sum(len(series) for series in answer.values() if series is not None)
    reading.points.learn(len(answer), points)
    held.change(points)
    return answer


def batch_size(budget: Budget, keys: int) -> int:
    """Return how many runs with that many keys make a batch that stays within its bound."""
    return max(1, min(_MAX_RUNS, BATCH_POINTS // (max(1, keys) * budget.series_length)))


def metrics_part(
    reading: Reading, key: ObjectKey, run: RunRecord, batch: Batch
) -> tuple[tuple[Part, ...], tuple[Loss, ...]]:
    """Return the part ``metrics`` of a run, if it has any, and what the server already failed to give of it."""
    if not run.metrics:
        return (), ()
    ready: dict[str, Series] = {}
    losses: list[Loss] = []
    for last in run.metrics:
        try:
            series = batch.take(run.info.run_id, last.key)
        except MlflowArchiveError as error:
            losses.append(lost(key, error, path=METRICS))
            continue
        if series is None:
            continue
        if not series.has(last):
            losses.append(lost(key, _incomplete(last.key), path=METRICS))
        ready[last.key] = series
    return (Part(METRICS, _opener(reading, key, run, ready)),), tuple(losses)


def _opener(
    reading: Reading, key: ObjectKey, run: RunRecord, ready: dict[str, Series]
) -> Callable[[], Iterator[JSONObject]]:
    def open_lines() -> Iterator[JSONObject]:
        for last in run.metrics:
            series = ready.get(last.key)
            if series is not None:
                yield from series.lines(last.key)
            else:
                chunks = reading.history.chunks(run.info.run_id, last.key, key.workspace)
                yield from metric_lines(last.key, chunks, last, partial(_incomplete, last.key))

    return open_lines


def _incomplete(metric: str) -> UnavailableError:
    return UnavailableError(
        f"The history of the metric {metric!r} lacks its latest value; try again.", code="incomplete"
    )
