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
    points = _Points(run_id, frozenset(told))
    batch: list[Row] = []
    for line in part.open() if part else ():
        batch += points.of(line)
        # A line has as many points as a batch may have.
        while len(batch) >= BATCH_ROWS:
            yield "metrics", batch[:BATCH_ROWS]
            batch = batch[BATCH_ROWS:]
    batch += [row for key, row in told.items() if key not in points.seen]
    for start in range(0, len(batch), BATCH_ROWS):
        yield "metrics", batch[start : start + BATCH_ROWS]
    yield from batches("latest_metrics", {**points.latest, **told}.values())


@dataclass
class _Points:
    """The points of one run, line after line."""

    run_id: str
    told: frozenset[str]
    """Metrics of which the server told the latest point."""
    seen: set[str] = field(default_factory=set)
    latest: dict[str, Row] = field(default_factory=dict)
    """The latest points of the other ones."""
    _last: tuple[str, int, int] | None = None
    _values: set[tuple[float, bool]] = field(default_factory=set)
    """The values of the metric at the time and step of the last point: the primary key has each once."""

    def of(self, line: JSONObject) -> list[Row]:
        """Return the rows of a line, each point once."""
        key, run_id, last, values = str(line["key"]), self.run_id, self._last, self._values
        self.seen.add(key)
        rows: list[Row] = []
        given: Any = line
        columns = (map(int, given["timestamps"]), map(int, given["steps"]), given["values"])
        for timestamp, step, written in zip(*columns, strict=True):
            here = (key, timestamp, step)
            # In JSON, a number is never infinite.
            value = (written, False) if type(written) is float else stored_value(written)
            if here != last:
                if last is not None and here < last:
                    raise IntegrityError(
                        f"The history of the metric {key!r} of the run {run_id} is not in order of time and step."
                    )
                last, values = here, {value}
            elif value in values:
                continue
            else:
                values.add(value)
            rows.append(
                {
                    "key": key,
                    "value": value[0],
                    "timestamp": timestamp,
                    "run_uuid": run_id,
                    "step": step,
                    "is_nan": value[1],
                }
            )
        self._last, self._values = last, values
        if rows and key not in self.told:
            self._find_latest(key, rows)
        return rows

    def _find_latest(self, key: str, rows: list[Row]) -> None:
        known = [self.latest[key]] if key in self.latest else []
        self.latest[key] = max([*known, *rows], key=lambda row: (row["step"], row["timestamp"], row["value"]))


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
