"""`metrics`, `latest_metrics`: the history of a run, streamed."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from mlflow_archive.errors import IntegrityError
from mlflow_archive.spec.canonical import JSONObject, decode_float
from mlflow_archive.spec.records.run import LastMetric, RunRecord
from mlflow_archive.stream import Part
from mlflow_archive.tracking.database.exact.made.making import BATCH_ROWS, Row, TableRows, batches

#: What a store writes for the two infinities, of which SQL has none.
LARGEST = 1.7976931348623157e308


def stored_value(value: float | str) -> tuple[float, bool]:
    """Return a metric's value as MLflow's store has it, and whether it is not a number (then the value is 0)."""
    number = decode_float(value)
    if math.isnan(number):
        return 0.0, True
    return (math.copysign(LARGEST, number) if math.isinf(number) else number), False


def metric_rows(run_id: str, record: RunRecord, part: Part | None) -> Iterator[TableRows]:
    """Yield all points of a run and the latest one of each metric.

    The latest ones are those that the server told, which are not computed again; a metric whose history the archive
    does not have keeps at least this point.

    Raises:
        IntegrityError: The points of a metric are not in order.
    """
    told = {metric.key: _latest(run_id, metric) for metric in record.metrics}
    points = _Points(run_id)
    batch: list[Row] = []
    for line in part.open() if part else ():
        batch += points.of(line)
        # A line has as many points as a batch may have.
        while len(batch) >= BATCH_ROWS:
            yield "metrics", batch[:BATCH_ROWS]
            batch = batch[BATCH_ROWS:]
    batch += [row for key, row in told.items() if key not in points.latest]
    yield from batches("metrics", batch)
    yield from batches("latest_metrics", ({**points.latest, **told}[key] for key in {**points.latest, **told}))


@dataclass
class _Points:
    """The points of one run, line after line."""

    run_id: str
    latest: dict[str, Row] = field(default_factory=dict)
    _last: tuple[str, int, int] | None = None
    _values: set[tuple[float, bool]] = field(default_factory=set)
    """The values of the metric at the time and step of the last point: the primary key has each once."""

    def of(self, line: JSONObject) -> Iterator[Row]:
        """Yield the rows of a line, each point once."""
        key = str(line["key"])
        columns: Any = (line["timestamps"], line["steps"], line["values"])
        for timestamp, step, written in zip(*columns, strict=True):
            here = (key, int(timestamp), int(step))
            value = stored_value(written)
            if here != self._last:
                self._follow(here)
            elif value in self._values:
                continue
            self._values.add(value)
            yield self._row(*here, *value)

    def _follow(self, here: tuple[str, int, int]) -> None:
        if self._last is not None and here < self._last:
            raise IntegrityError(
                f"The history of the metric {here[0]!r} of the run {self.run_id} is not in order of time and step."
            )
        self._last = here
        self._values.clear()

    def _row(self, key: str, timestamp: int, step: int, value: float, is_nan: bool) -> Row:
        row: Row = {
            "key": key,
            "value": value,
            "timestamp": timestamp,
            "run_uuid": self.run_id,
            "step": step,
            "is_nan": is_nan,
        }
        latest = self.latest.get(key)
        if latest is None or (step, timestamp, value) > (latest["step"], latest["timestamp"], latest["value"]):
            self.latest[key] = row
        return row


def _latest(run_id: str, metric: LastMetric) -> Row:
    value, is_nan = stored_value(metric.value)
    return {
        "key": metric.key,
        "value": value,
        "timestamp": metric.timestamp,
        "run_uuid": run_id,
        "step": metric.step,
        "is_nan": is_nan,
    }
