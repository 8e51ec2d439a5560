"""The trace record. Source: ``3.0 traces/search`` (MLflow 3.2 and later), ``2.0 traces`` before."""

from __future__ import annotations

from datetime import datetime

from mlflow_archive.spec.base import Document
from mlflow_archive.spec.records.base import Payload, Record, Tags


class TraceInfo(Document):
    """MLflow's ``TraceInfoV3``, as the server gave it, without tags and assessments."""

    trace_id: str
    client_request_id: str | None = None
    trace_location: Payload = {}
    request_preview: str | None = None
    response_preview: str | None = None
    request_time: str | None = None
    """RFC 3339, UTC, e.g. ``2026-01-02T03:04:05.678Z``."""
    execution_duration: str | None = None
    """Seconds with an ``s``, e.g. ``0.25s``; absent for a trace in progress."""
    state: str | None = None
    """``OK``, ``ERROR``, ``IN_PROGRESS`` or ``STATE_UNSPECIFIED``."""
    trace_metadata: dict[str, str] = {}


class TraceRecord(Record):
    """A trace. Its spans are the part ``spans``, its files are blobs of the role ``artifacts``.

    A line of ``spans.jsonl`` is one span in MLflow's own JSON form (``Span.to_dict``, MLflow 3), in the order of
    the server: trace_id, span_id, parent_span_id (base64 or hexadecimal as the server gave them), name,
    start_time_unix_nano, end_time_unix_nano, events, status, attributes, links where there are any.
    """

    info: TraceInfo
    experiment_id: str
    tags: Tags = {}
    assessments: tuple[Payload, ...] = ()
    """MLflow's ``Assessment``, ascending by creation: feedback, expectations and issues, span-level ones included."""
    spans_location: str | None = None
    """Where the spans were read from: ``TRACKING_STORE``, ``ARTIFACT_REPO``, ``ARCHIVE_REPO``; None if there are
    none to read."""
    run_ids: tuple[str, ...] = ()
    """Runs the trace is linked to beyond the one in its metadata (``mlflow.sourceRun``). Sorted."""

    @property
    def time_ms(self) -> int | None:
        """Time of the request."""
        return parse_time_ms(self.info.request_time)

    @property
    def state(self) -> str | None:
        """The trace's state."""
        return self.info.state


def parse_time_ms(text: str | None) -> int | None:
    """Return milliseconds since the epoch for an RFC 3339 time in UTC, None if there is none to understand."""
    if not text:
        return None
    whole, _, fraction = text.rstrip("Z").partition(".")
    try:
        seconds = int(datetime.fromisoformat(whole + "+00:00").timestamp())
        return seconds * 1000 + int((fraction + "000")[:3])
    except ValueError:
        return None
