"""Spans and links of traces straight from a database, for many traces at once, within a bound of memory.

A client that has a `TraceStore` as its attribute ``trace_store`` is asked here in place of a server's endpoints, which
know one trace, or one run, at a time.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Protocol

from mlflow_archive.errors import UnavailableError
from mlflow_archive.spec.canonical import JSONObject, encode_float
from mlflow_archive.tracking.client import ServerClient

#: Traces whose spans are asked for at once.
BATCH_TRACES = 100
#: What a batch holds of them at most; traces beyond are read piece by piece when they are written.
BATCH_BYTES = 8 << 20


class TraceStore(Protocol):
    """Traces as the rows of a database. Safe to use from several threads."""

    def sizes(self, trace_ids: Sequence[str]) -> dict[str, int]:
        """Return trace id -> about the bytes of its spans, for the traces that have any."""
        ...

    def spans(self, trace_ids: Sequence[str]) -> dict[str, list[str]]:
        """Return trace id -> its spans as stored JSON, in order."""
        ...

    def walk(self, trace_id: str) -> Iterator[str]:
        """Yield the spans of one trace as stored JSON, in order, a bounded piece of them in memory."""
        ...

    def runs_of(self, trace_ids: Sequence[str]) -> dict[str, set[str]]:
        """Return trace id -> ids of the runs that it was linked to."""
        ...


def trace_store(client: ServerClient) -> TraceStore | None:
    """Return the store of a client that reads a database."""
    found: TraceStore | None = getattr(client, "trace_store", None)
    return found


class SpanBatch:
    """The spans of some traces that follow each other in a listing, read when the first of them is loaded."""

    def __init__(self, store: TraceStore, trace_ids: Iterable[str]) -> None:
        """Ask nothing yet."""
        self._store = store
        self._ids = [*trace_ids]
        self._sizes: dict[str, int] = {}
        self._texts: dict[str, list[str]] | None = None
        self._lock = threading.Lock()

    def take(self, trace_id: str) -> Callable[[], Iterator[JSONObject]] | None:
        """Return what opens the spans of a trace; None if it has none in the database.

        What was held for it is handed out once; asked again, it is read again.
        """
        with self._lock:
            if self._texts is None:
                self._sizes = self._store.sizes(self._ids)
                self._texts = self._store.spans(_fitting(self._sizes))
            texts = self._texts.pop(trace_id, None)
        if trace_id not in self._sizes:
            return None
        return partial(_lines, trace_id, (lambda: self._store.walk(trace_id)) if texts is None else (lambda: texts))


def _fitting(sizes: dict[str, int]) -> list[str]:
    """Return the traces that a batch has room for, small ones first."""
    fitting = []
    room = BATCH_BYTES
    for id, size in sorted(sizes.items(), key=lambda one: one[1]):
        room -= size
        if room < 0:
            break
        fitting.append(id)
    return fitting


def _lines(trace_id: str, texts: Callable[[], Iterable[str]]) -> Iterator[JSONObject]:
    for text in texts():
        try:
            span = _DECODER.decode(text)
        except (ValueError, RecursionError):
            span = None
        if not isinstance(span, dict):
            raise UnavailableError(
                f"A span of the trace {trace_id} is not JSON; look after the database.", code="not_json"
            )
        yield span


def _number(digits: str) -> float | str:
    return encode_float(float(digits))


_DECODER = json.JSONDecoder(parse_float=_number, parse_constant=_number)
