"""Spans in MLflow's own JSON form, as OTLP requests or as the file ``traces.json``."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import cast

from mlflow_archive.errors import UsageError
from mlflow_archive.spec.canonical import JSONObject
from mlflow_archive.spec.records.trace import TraceInfo
from mlflow_archive.tracking.sinks.otlp import encode_span, export_request

#: One OTLP request holds at most about so much. 4 MiB.
_MAX_BATCH_BYTES = 4 << 20
OTLP_PATH = "/v1/traces"
OTLP_TYPE = "application/x-protobuf"


def _mlflow_encodes() -> bool:
    """Tell whether the installed MLflow can make OTLP out of its spans (3.4 and later can)."""
    if find_spec("opentelemetry.proto") is None:
        return False
    from mlflow.entities.span import Span

    return hasattr(Span, "to_otel_proto")


def belongs_to(trace_id: str, line: JSONObject) -> bool:
    """Tell whether a span's OpenTelemetry trace id is MLflow's, which the server derives from it.

    Traces of MLflow 2 have a request id of their own.
    """
    own = str(line.get("trace_id") or "")
    try:
        decoded = base64.b64decode(own, validate=True).hex()
    except (binascii.Error, ValueError):
        decoded = ""
    return trace_id in (own, f"tr-{decoded}", f"tr-{own.removeprefix('0x')}")


def otlp_requests(trace_id: str, lines: Iterator[JSONObject]) -> Iterator[bytes]:
    """Yield OTLP export requests that hold all spans of a trace.

    Raises:
        UsageError: A span is not one that MLflow can read.
    """
    encode = _encode_with_mlflow if _mlflow_encodes() else encode_span
    batch: list[bytes] = []
    size = 0
    for line in lines:
        span = _otlp_span(trace_id, line, encode)
        size += len(span)
        batch.append(span)
        if size > _MAX_BATCH_BYTES:
            yield export_request(batch)
            batch, size = [], 0
    if batch:
        yield export_request(batch)


def _encode_with_mlflow(line: JSONObject) -> bytes:
    from mlflow.entities.span import Span

    return cast("bytes", Span.from_dict(line).to_otel_proto().SerializeToString())


def _otlp_span(trace_id: str, line: JSONObject, encode: Callable[[JSONObject], bytes]) -> bytes:
    from mlflow.exceptions import MlflowException

    try:
        return encode(line)
    except (MlflowException, AttributeError, KeyError, TypeError, ValueError) as error:
        raise UsageError(f"A span of the trace {trace_id} is not one MLflow can read ({error}).") from error


def traces_json(lines: Iterator[JSONObject]) -> Iterator[bytes]:
    """Yield the file in which MLflow keeps the spans of a trace among its artifacts."""
    yield b'{"spans": ['
    for number, line in enumerate(lines):
        yield (b", " if number else b"") + json.dumps(line, ensure_ascii=False).encode("utf-8", "surrogatepass")
    yield b"]}"


class Window:
    """Watches spans pass and remembers when the first began and the last ended."""

    def __init__(self) -> None:
        """Start with nothing seen."""
        self._first_ns: int | None = None
        self._last_ns: int | None = None

    def through(self, lines: Iterator[JSONObject]) -> Iterator[JSONObject]:
        """Yield the spans as they come."""
        for line in lines:
            begin, end = _nanoseconds(line, "start_time_unix_nano"), _nanoseconds(line, "end_time_unix_nano")
            if begin is not None:
                self._first_ns = begin if self._first_ns is None else min(begin, self._first_ns)
            if end is not None:
                self._last_ns = end if self._last_ns is None else max(end, self._last_ns)
            yield line

    def widens(self, info: TraceInfo, request_ms: int | None) -> bool:
        """Tell whether a server would make a trace longer, or end it, because of these spans.

        MLflow does so even to a trace that was created with all its fields.
        """
        if self._first_ns is None or request_ms is None:
            return False
        if info.state not in ("OK", "ERROR") or self._first_ns // 1_000_000 < request_ms:
            return True
        end_ms = request_ms + round(float((info.execution_duration or "0").removesuffix("s")) * 1000)
        return self._last_ns is not None and self._last_ns // 1_000_000 > end_ms


def _nanoseconds(line: JSONObject, field: str) -> int | None:
    value = line.get(field)
    return int(value) if isinstance(value, (int, str)) and value else None
