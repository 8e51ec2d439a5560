"""Metric histories, all metrics of many runs by one statement, into columns; no object is made for a point."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any

import sqlalchemy as sa

from mlflow_archive.tracking.database.snapshot import Snapshot
from mlflow_archive.tracking.metrics import Series

#: Points of a piece of a long series: 12 MB. The database sorts the whole series for every piece.
CHUNK_POINTS = 500_000
_SERIES = itemgetter(0, 1)


class TableOfMetrics:
    """Reads the table ``metrics``. Implements `metrics.WholeHistories`."""

    def __init__(self, snapshot: Snapshot) -> None:
        """Read nothing yet."""
        self._snapshot = snapshot
        self._table = snapshot.tables["metrics"]

    def bulk(self, run_ids: Sequence[str], key: str, workspace: str | None) -> dict[str, Series | None]:  # noqa: ARG002
        """Read one metric of several runs."""
        found = self.whole({key: run_ids}, CHUNK_POINTS)
        return {id: found[id, key] for id in run_ids}

    def whole(self, wanted: Mapping[str, Sequence[str]], most_points: int) -> dict[tuple[str, str], Series | None]:
        """Read the metrics of several runs."""
        table = self._table.c
        run_ids = sorted({id for ids in wanted.values() for id in ids})
        order = (table.run_uuid, table.key, table.timestamp, table.step, table.value, table.is_nan)
        statement = sa.select(*order).where(table.run_uuid.in_(run_ids)).order_by(*order).limit(most_points + 1)
        found: dict[tuple[str, str], Series] = {}
        last: list[tuple[str, str]] = []

        def take(rows: Sequence[Sequence[Any]]) -> None:
            for pair, points in groupby(rows, key=_SERIES):
                _, _, timestamps, steps, values, nans = zip(*points, strict=True)
                found.setdefault(pair, Series()).extend(timestamps, steps, values, nans)
            last[:] = [_SERIES(rows[-1])]

        self._snapshot.pieces(statement, take)
        whole = sum(map(len, found.values())) <= most_points
        if not whole:
            del found[last[0]]  # its end is missing
        pairs = ((id, key) for key, ids in wanted.items() for id in ids)
        return {**found, **{pair: Series() if whole else None for pair in pairs if pair not in found}}

    def chunks(self, run_id: str, key: str, workspace: str | None) -> Iterator[Series]:  # noqa: ARG002
        """Yield one metric of one run in pieces, in order."""
        table = self._table.c
        order = (table.timestamp, table.step, table.value, table.is_nan)
        here = sa.select(*order).where(table.run_uuid == run_id, table.key == key).order_by(*order).limit(CHUNK_POINTS)
        after: Sequence[Any] | None = None
        while True:
            series, ends = Series(), list[Sequence[Any]]()

            def take(rows: Sequence[Sequence[Any]], series: Series = series, ends: list[Sequence[Any]] = ends) -> None:
                series.extend(*zip(*rows, strict=True))
                ends[:] = [rows[-1]]

            self._snapshot.pieces(here if after is None else here.where(_after(order, after)), take)
            if after is None or ends:
                yield series
            if len(series) < CHUNK_POINTS:
                return
            after = ends[0]


def _after(columns: Sequence[sa.ColumnElement[Any]], last: Sequence[Any]) -> sa.ColumnElement[bool]:
    """Return the condition for the points after one; written out, as not every dialect compares rows."""
    return sa.or_(
        *(sa.and_(*(columns[j] == last[j] for j in range(i)), columns[i] > last[i]) for i in range(len(columns)))
    )
