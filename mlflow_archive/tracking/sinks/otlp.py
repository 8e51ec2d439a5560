"""Spans as OTLP, encoded here: an MLflow before 3.4 cannot do it, and its environment lacks the definitions.

The numbers are those of the fields in ``opentelemetry/proto``; what a span becomes is what MLflow 3.4 and later make
of it.
"""

from __future__ import annotations

import base64
import binascii
import json
import struct
from collections.abc import Iterable

from mlflow_archive.spec.canonical import JSONObject, JSONValue
from mlflow_archive.tracking.sinks.context import child, rows, text

_TRACE_ID_BYTES, _SPAN_ID_BYTES = 16, 8
_STATUS = {"STATUS_CODE_OK": 1, "OK": 1, "STATUS_CODE_ERROR": 2, "ERROR": 2}
_ERROR = 2


def export_request(spans: Iterable[bytes]) -> bytes:
    """Return the request that exports encoded spans."""
    return _field(1, _field(2, b"".join(_field(2, span) for span in spans)))


def encode_span(line: JSONObject) -> bytes:
    """Encode a span in MLflow's JSON form.

    Raises:
        KeyError: A field is missing.
        TypeError: A field is of another type than MLflow writes.
        ValueError: An id, a time or a number is out of range.
    """
    encoded = [
        _field(1, _id(text(line, "trace_id"), _TRACE_ID_BYTES)),
        _field(2, _id(text(line, "span_id"), _SPAN_ID_BYTES)),
    ]
    if parent := text(line, "parent_span_id"):
        encoded.append(_field(4, _id(parent, _SPAN_ID_BYTES)))
    encoded += [_text(5, str(line["name"])), _fixed(7, line["start_time_unix_nano"])]
    if end := line.get("end_time_unix_nano"):
        encoded.append(_fixed(8, end))
    encoded += [_pair(9, name, _decoded(value)) for name, value in child(line, "attributes").items()]
    for event in rows(line, "events"):
        pairs = b"".join(_pair(3, name, value) for name, value in child(event, "attributes").items())
        encoded.append(_field(11, _fixed(1, event["time_unix_nano"]) + _text(2, str(event["name"])) + pairs))
    encoded += [_link(link) for link in rows(line, "links")]
    status = child(line, "status")
    code, message = _STATUS.get(text(status, "code"), 0), text(status, "message")
    told = _text(2, message) if message and code == _ERROR else b""
    encoded.append(_field(15, told + (_number(3, code) if code else b"")))
    return b"".join(encoded)


def _link(link: JSONObject) -> bytes:
    trace_id, span_id = text(link, "trace_id").rpartition("/")[2], text(link, "span_id")
    try:
        ids = _field(1, _id(trace_id, _TRACE_ID_BYTES)) + _field(2, _id(span_id, _SPAN_ID_BYTES))
    except ValueError:
        # OTLP has no room for the wider ids of some producers; MLflow leaves such links out as well.
        return b""
    return _field(13, ids + b"".join(_pair(4, name, value) for name, value in child(link, "attributes").items()))


def _id(value: str, size: int) -> bytes:
    """Return an id written in hexadecimal digits, as MLflow's trace ids and some versions' spans have it, or base64."""
    digits = value.removeprefix("tr-").removeprefix("0x")
    try:
        return int(digits, 16).to_bytes(size, "big")
    except OverflowError:
        pass
    except ValueError:
        try:
            found = base64.b64decode(value, validate=True)
        except binascii.Error:
            found = b""
        if len(found) == size:
            return found
    raise ValueError(f"{value!r} is no id of {size} bytes")


def _decoded(value: JSONValue) -> JSONValue:
    """Return an attribute's value, which MLflow keeps as JSON text."""
    if not isinstance(value, str):
        return value
    try:
        found: JSONValue = json.loads(value) if value else None
    except ValueError:
        return value
    return found


def _any(value: JSONValue) -> bytes:
    if value is None:
        return b""
    if isinstance(value, bool):
        return _number(2, int(value))
    if isinstance(value, str):
        return _text(1, value)
    if isinstance(value, int):
        if not -(1 << 63) <= value < 1 << 63:
            raise ValueError(f"{value} is out of range")
        return _number(3, value)
    if isinstance(value, float):
        return _varint(4 << 3 | 1) + struct.pack("<d", value)
    if isinstance(value, list):
        return _field(5, b"".join(_field(1, _any(item)) for item in value))
    return _field(6, b"".join(_pair(1, name, item) for name, item in value.items()))


def _pair(field: int, name: str, value: JSONValue) -> bytes:
    return _field(field, _text(1, name) + (b"" if value is None else _field(2, _any(value))))


def _text(field: int, value: str) -> bytes:
    return _field(field, value.encode("utf-8", "replace"))


def _field(field: int, data: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(data)) + data


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value & (1 << 64) - 1)


def _fixed(field: int, value: JSONValue) -> bytes:
    if not isinstance(value, (int, str)):
        raise TypeError(f"{value!r} is no time")
    try:
        return _varint(field << 3 | 1) + struct.pack("<Q", int(value))
    except struct.error:
        raise ValueError(f"{value!r} is no time") from None


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
