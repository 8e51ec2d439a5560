"""Metric histories out of a run's document, in every shape it had.

A metric is a list of points, or in the first generations a bare number: the last value, without time and step.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator

from mlflow_archive.errors import IntegrityError
from mlflow_archive.predecessor.values import integer, objects
from mlflow_archive.spec.canonical import JSONObject, JSONValue, decode_float, encode_float

#: Most points of a line of the part ``metrics``.
LINE_POINTS = 10_000


class Series:
    """Points of one metric in columns, 24 bytes a point, in the order of a SQL store: time, step, value."""

    __slots__ = ("_steps", "_times", "_values", "key")

    def __init__(self, key: str, points: list[JSONObject]) -> None:
        """Take the points of a list.

        Raises:
            IntegrityError: A point has no number, or a time or step that is none.
        """
        rows = sorted(
            ((_whole(p, "timestamp"), _whole(p, "step"), _number(key, p.get("value"))) for p in points), key=_order
        )
        self.key = key
        self._times = array("q", (row[0] for row in rows))
        self._steps = array("q", (row[1] for row in rows))
        self._values = array("d", (row[2] for row in rows))

    def last(self) -> JSONObject:
        """Return the point that MLflow shows as the metric's value: of the greatest step, time and value."""
        at = max(range(len(self._values)), key=lambda i: (self._steps[i], self._times[i], *_rank(self._values[i])))
        value = encode_float(self._values[at])
        return {"key": self.key, "value": value, "timestamp": self._times[at], "step": self._steps[at]}

    def lines(self) -> Iterator[JSONObject]:
        """Yield the lines of the part ``metrics``."""
        for start in range(0, len(self._values), LINE_POINTS):
            end = start + LINE_POINTS
            yield {
                "key": self.key,
                "timestamps": [*self._times[start:end]],
                "steps": [*self._steps[start:end]],
                "values": [encode_float(value) for value in self._values[start:end]],
            }


def histories(metrics: JSONObject, time_ms: int) -> tuple[list[Series], list[str]]:
    """Return the histories, sorted by key, and the keys of which there is only a last value.

    Args:
        metrics: ``metrics`` of a run's document.
        time_ms: When the run ended: the time of values that have none.

    Raises:
        IntegrityError: A metric is neither a list of points nor a number.
    """
    found: list[Series] = []
    bare: list[str] = []
    for key in sorted(metrics):
        value = metrics[key]
        if isinstance(value, list):
            points = objects(value)
            if len(points) != len(value):
                raise _no_number(key)
            if points:
                found.append(Series(key, points))
        else:
            bare.append(key)
            found.append(Series(key, [{"value": value, "timestamp": time_ms, "step": 0}]))
    return found, bare


def _whole(point: JSONObject, name: str) -> int:
    return integer(point.get(name)) or 0


def _number(key: str, value: JSONValue) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise _no_number(key)
    try:
        return decode_float(value)
    except (ValueError, OverflowError) as error:
        raise _no_number(key) from error


def _no_number(key: str) -> IntegrityError:
    return IntegrityError(f"The metric {key[:80]!r} has a value that is no number.")


def _order(row: tuple[int, int, float]) -> tuple[int, int, float, bool]:
    return (row[0], row[1], *_rank(row[2]))


def _rank(value: float) -> tuple[float, bool]:
    # The SQL stores keep NaN as 0 with a mark.
    return (0.0, True) if math.isnan(value) else (value, False)
