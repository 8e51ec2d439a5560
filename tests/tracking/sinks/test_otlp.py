"""Spans encoded for MLflows that cannot do it themselves."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from mlflow.entities.span import Span

from mlflow_archive.tracking.sinks.otlp import encode_span, export_request

TRACE, SPAN, PARENT = bytes(range(16)), bytes(range(8)), bytes(range(8, 16))


def span(**fields: Any) -> dict[str, Any]:
    made: dict[str, Any] = {
        "trace_id": base64.b64encode(TRACE).decode(),
        "span_id": base64.b64encode(SPAN).decode(),
        "parent_span_id": "",
        "name": "n",
        "start_time_unix_nano": 1_709_208_000_000_000_000,
        "end_time_unix_nano": 1_709_208_000_000_000_300,
        "events": [],
        "attributes": {"mlflow.traceRequestId": f'"tr-{TRACE.hex()}"'},
        "status": {"code": "STATUS_CODE_UNSET", "message": ""},
    }
    return made | fields


SPANS = [
    span(),
    span(parent_span_id=base64.b64encode(PARENT).decode(), name="Grüße 🌍 世"),
    span(end_time_unix_nano=None, status={"code": "STATUS_CODE_ERROR", "message": "it broke"}),
    span(status={"code": "STATUS_CODE_OK", "message": ""}),
    span(trace_id=f"tr-{TRACE.hex()}", span_id=SPAN.hex(), parent_span_id=PARENT.hex(), status={"code": "OK"}),
    span(
        attributes={
            "mlflow.traceRequestId": f'"tr-{TRACE.hex()}"',
            "mlflow.spanInputs": '{"x": [1, -2.5, null, true, "\u00fc"], "empty": {}, "none": []}',
            "text": "no JSON",
            "nothing": "",
            "number": "-7",
            "large": str(2**62),
            "false": "false",
            "zero": "0.0",
            "long": '"' + "x" * 20_000 + '"',
        }
    ),
    span(
        events=[
            {"name": "e", "time_unix_nano": 1_709_208_000_000_000_007, "attributes": {"a": "1", "b": 2, "c": [0.5]}},
            {"name": "f", "time_unix_nano": 1, "attributes": {}},
        ]
    ),
    span(
        links=[
            {"trace_id": "tr-" + "ab" * 16, "span_id": "cd" * 8, "attributes": {"k": "v"}},
            {"trace_id": "tr-" + "ab" * 16, "span_id": "cd" * 8, "attributes": None},
            {"trace_id": "tr-" + "ab" * 20, "span_id": "cd" * 8, "attributes": None},
        ]
    ),
]


@pytest.mark.parametrize("line", SPANS)
def test_a_span_becomes_what_mlflow_makes_of_it(line: dict[str, Any]) -> None:
    encoded = encode_span(line)
    assert encoded.startswith(b"\x0a\x10" + TRACE + b"\x12\x08" + SPAN)
    # MLflow 3.4 and later do it, and the others cannot tell.
    if hasattr(Span, "to_otel_proto"):
        assert encoded == Span.from_dict(line).to_otel_proto().SerializeToString()


def test_every_byte_of_a_request() -> None:
    time = (5).to_bytes(8, "little")
    line = span(name="ab", start_time_unix_nano=5, end_time_unix_nano=None, attributes={"k": "true"})
    attribute = b"\x4a\x07" + b"\x0a\x01k" + b"\x12\x02" + b"\x10\x01"
    body = b"\x0a\x10" + TRACE + b"\x12\x08" + SPAN + b"\x2a\x02ab" + b"\x39" + time + attribute + b"\x7a\x00"
    assert encode_span(line) == body
    scope = b"\x12" + bytes([len(body)]) + body
    assert export_request([body]) == b"\x0a" + bytes([len(scope) + 2]) + b"\x12" + bytes([len(scope)]) + scope


@pytest.mark.parametrize(
    "fields",
    [
        {"span_id": "ab" * 20},
        {"trace_id": "no id"},
        {"start_time_unix_nano": -1},
        {"attributes": {"n": str(2**63)}},
    ],
)
def test_what_otlp_cannot_hold_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"is no id|is no time|out of range"):
        encode_span(span(**fields))
