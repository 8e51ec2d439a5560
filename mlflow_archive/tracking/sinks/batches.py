"""Params, tags and metric points of one run, sent in as few requests as the server's limits allow."""

from __future__ import annotations

import json
from collections.abc import Iterator

from mlflow_archive.errors import MlflowArchiveError
from mlflow_archive.spec.canonical import JSONObject
from mlflow_archive.spec.loss import Loss
from mlflow_archive.stream import ObjectKey
from mlflow_archive.tracking.sinks.context import SinkContext, is_refusal

_LIMITS = {"metrics": 1000, "params": 100, "tags": 100}
_MAX_ENTRIES = 1000
#: MLflow refuses bodies of 1,000,000 characters; the rest is for the run id and the braces.
_MAX_BODY_CHARS = 990_000


class BatchLogger:
    """Collects entries and sends them by ``runs/log-batch`` whenever a limit is near.

    An entry that the server refuses does not take its batch along: the batch is halved until the entry stands
    alone, and that is a loss. Sending an entry twice does no harm.
    """

    def __init__(self, context: SinkContext, key: ObjectKey, run_id: str) -> None:
        """Collect for the run ``run_id`` of the target, which is ``key`` at the source."""
        self._context = context
        self._key = key
        self._run_id = run_id
        self._entries: list[tuple[str, JSONObject]] = []
        self._counts = dict.fromkeys(_LIMITS, 0)
        self._chars = 0
        self.losses: list[Loss] = []

    def add(self, field: str, entry: JSONObject) -> None:
        """Take an entry of ``metrics``, ``params`` or ``tags``."""
        chars = len(json.dumps(entry)) + 2
        full = len(self._entries) >= _MAX_ENTRIES or self._counts[field] >= _LIMITS[field]
        if full or self._chars + chars > _MAX_BODY_CHARS:
            self.flush()
        self._entries.append((field, entry))
        self._counts[field] += 1
        self._chars += chars

    def flush(self) -> None:
        """Send what is collected."""
        if self._entries:
            self.losses += self._send(self._entries)
            self._entries = []
            self._counts = dict.fromkeys(_LIMITS, 0)
            self._chars = 0

    def _send(self, entries: list[tuple[str, JSONObject]]) -> Iterator[Loss]:
        body: JSONObject = {"run_id": self._run_id}
        for field in _LIMITS:
            chosen = [entry for name, entry in entries if name == field]
            if chosen:
                body[field] = list(chosen)
        try:
            self._context.post("runs/log-batch", body, workspace=self._key.workspace)
        except MlflowArchiveError as error:
            if not is_refusal(error):
                raise
            if len(entries) > 1:
                middle = len(entries) // 2
                yield from self._send(entries[:middle])
                yield from self._send(entries[middle:])
                return
            field, entry = entries[0]
            yield self._key.lost(error.code, str(error), path=f"{field}/{entry.get('key')}")
