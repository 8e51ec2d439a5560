"""Values of columns out of JSON, by the rules of MLflow's own store."""

from __future__ import annotations

import json
import math
import re
from decimal import Decimal, InvalidOperation

from mlflow_archive.spec.canonical import JSONObject, JSONValue

_SURROGATE = re.compile("[\ud800-\udfff]")


def json_text(value: JSONValue) -> str:
    """Return JSON as Python's encoder writes it for MLflow: ASCII alone."""
    return json.dumps(value)


def readable_json_text(value: JSONValue) -> str:
    """Return JSON in which a search finds the words that people type; halves of characters stay escapes."""
    written = json.dumps(value, ensure_ascii=False)
    return json.dumps(value) if _SURROGATE.search(written) else written


def json_value(document: str | None) -> JSONValue:
    """Return what a text of JSON says, None if it is none."""
    try:
        value: JSONValue = json.loads(document or "null")
    except (ValueError, RecursionError):
        return None
    return value


def json_object(value: JSONValue) -> JSONObject:
    """Return an object that may be written as JSON within JSON; empty if it is none."""
    value = json_value(value) if isinstance(value, str) else value
    return value if isinstance(value, dict) else {}


def present(value: JSONValue) -> str | None:
    """Return a text, None for an empty one: protobuf writes one for the other."""
    return str(value) if value not in (None, "") else None


def finite_float(value: JSONValue) -> float | None:
    """Return a number as a column of doubles takes it, None for anything else."""
    if value is None or isinstance(value, (bool, dict, list)):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def whole_number(value: JSONValue) -> int | None:
    """Return a whole number of 64 bits, None for anything else."""
    if value is None or isinstance(value, bool):
        return None
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        return None
    if not number.is_finite() or number != number.to_integral_value() or not -(2**63) <= number < 2**63:
        return None
    return int(number)


def milliseconds(duration: str | None) -> int | None:
    """Return milliseconds for seconds with an ``s``; None where there are none to understand."""
    try:
        return int(Decimal((duration or "").removesuffix("s")) * 1000)
    except (InvalidOperation, ValueError, OverflowError):
        return None


def aggregate(value: JSONValue) -> tuple[float | None, bool]:
    """Return what an assessment counts as in sums, and whether it is a number itself."""
    if isinstance(value, bool):
        return float(value), False
    if isinstance(value, (int, float)):
        number = finite_float(value)
        return number, number is not None
    word = value.strip().lower() if isinstance(value, str) else ""
    return ({"yes": 1.0, "no": 0.0}.get(word)), False
