"""`spans`: the rows that MLflow's `log_spans` writes for spans in their JSON form, of MLflow 2 or 3."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass

from mlflow_archive.spec.canonical import JSONObject, JSONValue
from mlflow_archive.stream import ObjectKey, Part
from mlflow_archive.tracking.database.exact.made.making import Row, not_understood
from mlflow_archive.tracking.database.exact.made.values import (
    finite_float,
    json_object,
    json_value,
    readable_json_text,
)
from mlflow_archive.tracking.paging import integer, member, text

_HEX = re.compile(r"(?:0x)?([0-9a-fA-F]{16})|0x([0-9a-fA-F]{1,15})")
#: The order in which MLflow writes the fields; the archive has them sorted.
_FIELDS = (
    "trace_id",
    "span_id",
    "parent_span_id",
    "name",
    "start_time_unix_nano",
    "end_time_unix_nano",
    "events",
    "status",
    "attributes",
    "links",
)
_STATUSES = {"1": "OK", "2": "ERROR", "OK": "OK", "ERROR": "ERROR"}
_LONGEST_MODEL = 500


def span_rows(key: ObjectKey, experiment: int, part: Part) -> Iterator[Row]:
    """Yield the rows of the spans of a trace.

    Raises:
        IntegrityError: A span has no id, or a time that is none.
    """
    seen: set[str] = set()
    for line in part.open():
        span = _understood(key, line)
        if span.id in seen:
            continue
        seen.add(span.id)
        attributes = member(line, "attributes")
        cost = json_object(attributes.get("mlflow.llm.cost"))
        yield {
            "trace_id": key.id,
            "experiment_id": experiment,
            "span_id": span.id,
            "parent_span_id": span.parent,
            "name": text(line.get("name")),
            "type": _decoded(attributes.get("mlflow.spanType")),
            "status": span.status,
            "start_time_unix_nano": span.start_ns,
            "end_time_unix_nano": span.end_ns,
            "content": _content(line),
            "input_cost": finite_float(cost.get("input_cost")),
            "output_cost": finite_float(cost.get("output_cost")),
            "total_cost": finite_float(cost.get("total_cost")),
            "model_name": _model(attributes.get("mlflow.llm.model")),
            "model_provider": _model(attributes.get("mlflow.llm.provider")),
        }


@dataclass(frozen=True, slots=True)
class _Span:
    """What the forms of MLflow 2 and 3 write differently."""

    id: str
    parent: str | None
    start_ns: int
    end_ns: int | None
    status: str


def _understood(key: ObjectKey, line: JSONObject) -> _Span:
    context = line.get("context")
    if isinstance(context, dict):
        id, parent = context.get("span_id"), line.get("parent_id")
        start, end, status = line.get("start_time"), line.get("end_time"), line.get("status_code")
    else:
        id, parent = line.get("span_id"), line.get("parent_span_id")
        start, end = line.get("start_time_unix_nano"), line.get("end_time_unix_nano")
        status = member(line, "status").get("code")
    word = text(status).removeprefix("STATUS_CODE_").removeprefix("StatusCode.")
    return _Span(
        _span_id(key, id),
        _span_id(key, parent) if parent else None,
        integer(start) or 0,
        integer(end) or None,
        _STATUSES.get(word, "UNSET"),
    )


def _span_id(key: ObjectKey, value: JSONValue) -> str:
    """Return the 16 hexadecimal digits of a span id, which is written so or in base 64."""
    written = text(value)
    found = _HEX.fullmatch(written)
    if found:
        return (found[1] or found[2]).lower().rjust(16, "0")
    try:
        decoded = base64.b64decode(written, validate=True)
    except (binascii.Error, ValueError):
        decoded = b""
    if len(decoded) != 8:
        raise not_understood(key, f"a span with the id {written[:50]!r}, which is none")
    return decoded.hex()


def _content(line: JSONObject) -> str:
    ordered = {name: line[name] for name in _FIELDS if name in line}
    return readable_json_text({**ordered, **line})


def _decoded(value: JSONValue) -> str | None:
    """Return the value of an attribute, which is JSON in a text."""
    inner = json_value(value) if isinstance(value, str) else value
    return inner if isinstance(inner, str) else (value if isinstance(value, str) else None)


def _model(value: JSONValue) -> str | None:
    name = _decoded(value)
    return None if name is None else name[:_LONGEST_MODEL]
