"""What a database knows of many traces at once: their spans, and the runs that they are linked to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa

from mlflow_archive.tracking.database.snapshot import Snapshot

_SPANS = "spans"
_LINKS = "entity_associations"
#: A piece of a trace that is read piece by piece.
_PIECE_BYTES = 4 << 20
_PIECE_SPANS = 500


class TraceRows:
    """Implements `mlflow_archive.tracking.sources.stored_spans.TraceStore`."""

    def __init__(self, snapshot: Snapshot) -> None:
        """Ask nothing yet."""
        self._snapshot = snapshot

    def sizes(self, trace_ids: Sequence[str]) -> dict[str, int]:
        """Return about how many bytes the spans of each trace have; a trace without spans is not there.

        Spans that were moved to an archive leave an empty row behind, which is none.
        """
        if not self._snapshot.has(_SPANS):
            return {}
        table = self._snapshot.tables[_SPANS]
        statement = (
            sa.select(table.c.trace_id, sa.func.sum(self._length()))
            .where(table.c.trace_id.in_(trace_ids), table.c.content != "")
            .group_by(table.c.trace_id)
        )
        return {id: int(size) for id, size in self._snapshot.tuples(statement)}

    def spans(self, trace_ids: Sequence[str]) -> dict[str, list[str]]:
        """Return the spans of traces as the texts that are stored, in the order of a server."""
        table = self._snapshot.tables[_SPANS]
        result: dict[str, list[str]] = {}
        statement = sa.select(table.c.trace_id, table.c.content).where(table.c.trace_id.in_(trace_ids))
        for id, content in self._snapshot.tuples(statement.where(table.c.content != "").order_by(*self._order())):
            result.setdefault(id, []).append(content)
        return result

    def walk(self, trace_id: str) -> Iterator[str]:
        """Yield the spans of one trace in the same order, however many there are."""
        table = self._snapshot.tables[_SPANS]
        mine = sa.and_(table.c.trace_id == trace_id, table.c.content != "")
        statement = sa.select(table.c.span_id, self._length()).where(mine).order_by(*self._order())
        for piece in _pieces(self._snapshot.tuples(statement)):
            content = sa.select(table.c.span_id, table.c.content).where(mine, table.c.span_id.in_(piece))
            texts = dict(self._snapshot.tuples(content))
            yield from (texts[id] for id in piece)

    def runs_of(self, trace_ids: Sequence[str]) -> dict[str, set[str]]:
        """Return trace id -> the runs that it was linked to; the run that it was made in is in its metadata."""
        if not self._snapshot.has(_LINKS):
            return {}
        table = self._snapshot.tables[_LINKS]
        statement = sa.select(table.c.source_id, table.c.destination_id).where(
            table.c.source_type == "trace", table.c.destination_type == "run", table.c.source_id.in_(trace_ids)
        )
        result: dict[str, set[str]] = {}
        for trace_id, run_id in self._snapshot.tuples(statement):
            result.setdefault(trace_id, set()).add(run_id)
        return result

    def _length(self) -> sa.ColumnElement[Any]:
        content = self._snapshot.tables[_SPANS].c.content
        if self._snapshot.dialect == "mssql":
            return sa.cast(sa.func.datalength(content), sa.BigInteger)
        # PostgreSQL knows the bytes without reading them; what other databases count is near enough.
        return sa.func.octet_length(content) if self._snapshot.dialect == "postgresql" else sa.func.length(content)

    def _order(self) -> tuple[sa.ColumnElement[Any], ...]:
        """Roots first, then by start, as a server orders the spans of a trace."""
        table = self._snapshot.tables[_SPANS]
        root = sa.case((table.c.parent_span_id.is_(None), 0), else_=1)
        return table.c.trace_id, root, table.c.start_time_unix_nano, table.c.span_id


def _pieces(spans: Sequence[tuple[Any, ...]]) -> Iterator[list[str]]:
    piece: list[str] = []
    size = 0
    for id, length in spans:
        if piece and (size + length > _PIECE_BYTES or len(piece) >= _PIECE_SPANS):
            yield piece
            piece, size = [], 0
        piece.append(id)
        size += length
    if piece:
        yield piece
