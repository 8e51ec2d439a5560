"""Metric histories, read in bulk where the server allows it, else page by page.

The bulk endpoint answers one key of up to 100 runs and cuts off silently at 25,000 points: a full answer is asked
again for half of the runs, and a run that fills it alone is read by pages. Points are kept in typed columns.
"""

from __future__ import annotations

import math
import threading
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import compress, count
from typing import Protocol, runtime_checkable
from urllib.parse import quote

from mlflow_archive.errors import NotFoundError, UsageError
from mlflow_archive.spec.canonical import JSONObject, decode_float, encode_float
from mlflow_archive.spec.records.run import LastMetric
from mlflow_archive.tracking.capabilities import PAGED_HISTORY
from mlflow_archive.tracking.client import ServerClient
from mlflow_archive.tracking.paging import objects, pages, text

#: Most points of one answer of the bulk endpoint.
BULK_LIMIT = 25_000
#: Most points of a line of the part ``metrics``.
LINE_POINTS = 10_000
#: Points of a page of `metrics/get-history`; the server sorts the whole series for every page.
_PAGE_POINTS = 50_000
_MAX_RUNS = 100
#: Servers under gunicorn, the default before MLflow 3, refuse a request line of more than 4,094 bytes.
_REQUEST_LINE_BYTES = 4_000
_BULK = "/ajax-api/2.0/mlflow/metrics/get-history-bulk"
_HISTORY = "/api/2.0/mlflow/metrics/get-history"


class Series:
    """Points of one metric of one run, in columns: 24 bytes a point."""

    __slots__ = ("steps", "timestamps", "values")

    def __init__(self) -> None:
        """Start without points."""
        self.timestamps = array("q")
        self.steps = array("q")
        self.values = array("d")

    def __len__(self) -> int:
        """Return the number of points."""
        return len(self.values)

    def add(self, point: JSONObject) -> None:
        """Append a point as the server writes it; absent numbers are 0."""
        self.timestamps.append(int(text(point.get("timestamp")) or 0))
        self.steps.append(int(text(point.get("step")) or 0))
        value = point.get("value")
        self.values.append(decode_float(value) if isinstance(value, (int, float, str)) else 0.0)

    def extend(
        self, timestamps: Sequence[int], steps: Sequence[int], values: Sequence[float], nans: Sequence[object]
    ) -> None:
        """Append points as the SQL stores keep them: the value of one that is not a number is 0."""
        start = len(self)
        self.timestamps.extend(timestamps)
        self.steps.extend(steps)
        self.values.extend(values)
        if any(nans):
            for i in compress(count(start), nans):
                self.values[i] = math.nan

    def sort(self) -> None:
        """Order the points by timestamp, step and value, as the SQL stores do (NaN is kept there as 0)."""
        keys = list(zip(self.timestamps, self.steps, map(_rank, self.values), strict=True))
        if all(keys[i] <= keys[i + 1] for i in range(len(keys) - 1)):
            return
        order = sorted(range(len(keys)), key=keys.__getitem__)
        self.timestamps = array("q", (self.timestamps[i] for i in order))
        self.steps = array("q", (self.steps[i] for i in order))
        self.values = array("d", (self.values[i] for i in order))

    def has(self, last: LastMetric) -> bool:
        """Tell whether the latest value of the metric is among the points; it is near the end."""
        value = decode_float(last.value)
        return any(
            self.timestamps[i] == last.timestamp and self.steps[i] == last.step and _same(self.values[i], value)
            for i in range(len(self) - 1, -1, -1)
        )

    def lines(self, key: str) -> Iterator[JSONObject]:
        """Yield lines of the part ``metrics``."""
        for start in range(0, len(self), LINE_POINTS):
            end = start + LINE_POINTS
            values = self.values[start:end]
            yield {
                "key": key,
                "timestamps": [*self.timestamps[start:end]],
                "steps": [*self.steps[start:end]],
                # A sum that is finite has no term that is not, and is a tenth of the cost of asking each.
                "values": [*values] if math.isfinite(sum(values)) else [encode_float(value) for value in values],
            }


class Histories(Protocol):
    """Gives the metric histories of one place. Safe to use from several threads."""

    def bulk(self, run_ids: Sequence[str], key: str, workspace: str | None) -> dict[str, Series | None]:
        """Read one metric of several runs.

        Returns:
            Run id -> its points, sorted; None for a run with so many that they must be read by `chunks`.
        """
        ...

    def chunks(self, run_id: str, key: str, workspace: str | None) -> Iterator[Series]:
        """Yield one metric of one run in pieces, in order."""
        ...


@runtime_checkable
class WholeHistories(Histories, Protocol):
    """Gives all metrics of several runs at once."""

    def whole(self, wanted: Mapping[str, Sequence[str]], most_points: int) -> dict[tuple[str, str], Series | None]:
        """Read metrics of several runs.

        Args:
            wanted: Key -> the runs that have it.
            most_points: Where there are more points, some series are None, to be read by `chunks`.

        Returns:
            (run id, key) -> its points, sorted; also of keys of these runs that were not named.
        """
        ...


def histories_of(client: ServerClient) -> Histories:
    """Return what reads histories at a client: its own ``histories``, or the REST API."""
    own: Histories | None = getattr(client, "histories", None)
    return own if own is not None else HistoryReader(client)


class HistoryReader:
    """Reads histories of one server. Safe to use from several threads."""

    def __init__(self, client: ServerClient) -> None:
        """Start with trust in the bulk endpoint, until it turns out to be absent."""
        self._client = client
        self._paged = client.at_least(PAGED_HISTORY)
        self._has_bulk = True
        self._most_runs = _MAX_RUNS
        self._short_lines = not client.at_least("3.0")
        self._lock = threading.Lock()

    def bulk(self, run_ids: Sequence[str], key: str, workspace: str | None) -> dict[str, Series | None]:
        """Read one metric of several runs.

        Returns:
            Run id -> its points, sorted; None for a run with so many that they must be read by `chunks`.
        """
        result: dict[str, Series | None] = {}
        size = self._batch_size(key)
        todo = [[*run_ids[i : i + size]] for i in range(0, len(run_ids), size)]
        while todo:
            batch = todo.pop()
            if not self._has_bulk:
                result.update(dict.fromkeys(batch))
                continue
            points = self._ask(batch, key, workspace)
            if points is not None and len(points) < BULK_LIMIT:
                result.update(_by_run(batch, points))
            elif len(batch) == 1:
                result[batch[0]] = None
            else:
                middle = len(batch) // 2
                todo += [batch[middle:], batch[:middle]]
        return result

    def chunks(self, run_id: str, key: str, workspace: str | None) -> Iterator[Series]:
        """Yield one metric of one run in pieces, in order; servers before 3.2 give it as one piece."""
        request: JSONObject = {"run_id": run_id, "metric_key": key}
        if self._paged:
            request["max_results"] = _PAGE_POINTS
        for number, page in enumerate(pages(self._client, "GET", _HISTORY, request, workspace=workspace)):
            series = Series()
            for point in objects(page.get("metrics")):
                series.add(point)
            # Later pages follow on in the SQL store's own order; a lone page may come from a store without one.
            if number == 0 and not page.get("next_page_token"):
                series.sort()
            yield series

    def _ask(self, run_ids: list[str], key: str, workspace: str | None) -> list[JSONObject] | None:
        params = [("run_id", id) for id in run_ids] + [("metric_key", key)]
        try:
            answer = self._client.call("GET", _BULK, params=params, workspace=workspace)
        except NotFoundError:
            # Databricks, or a proxy that lets only /api through: the pages give the same.
            with self._lock:
                self._has_bulk = False
            return None
        except UsageError:
            # A server or a proxy with a shorter limit for a request line: fewer runs at a time.
            with self._lock:
                self._most_runs = max(1, min(self._most_runs, len(run_ids) // 2))
            return None
        return objects(answer.get("metrics"))

    def _batch_size(self, key: str) -> int:
        if not self._short_lines:
            return self._most_runs
        bytes_a_run = len("run_id=&") + 32
        return max(1, min(self._most_runs, (_REQUEST_LINE_BYTES - len(_BULK) - len(quote(key))) // bytes_a_run))


def metric_lines(
    key: str, chunks: Iterable[Series], last: LastMetric, incomplete: Callable[[], Exception]
) -> Iterator[JSONObject]:
    """Yield the lines of a series that comes in pieces, and raise at the end if its latest value was not there."""
    found = False
    for series in chunks:
        found = found or series.has(last)
        yield from series.lines(key)
    if not found:
        raise incomplete()


def _by_run(run_ids: list[str], points: list[JSONObject]) -> dict[str, Series | None]:
    found = {id: Series() for id in run_ids}
    for point in points:
        series = found.get(text(point.get("run_id")))
        if series is not None:
            series.add(point)
    for series in found.values():
        series.sort()
    return {**found}


def _rank(value: float) -> tuple[float, bool]:
    return (0.0, True) if math.isnan(value) else (value, False)


def _same(one: float, other: float) -> bool:
    return one == other or (math.isnan(one) and math.isnan(other))
