"""Assessments of traces, as the server writes them: MLflow's ``Assessment``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timezone
from typing import Any

import sqlalchemy as sa

from mlflow_archive.spec.canonical import JSONObject, JSONValue
from mlflow_archive.tracking.database.snapshot import Snapshot

_TABLE = "assessments"


def assessments_of(snapshot: Snapshot, trace_ids: Sequence[str]) -> dict[str, list[JSONValue]]:
    """Return trace id -> its assessments, overridden and invalid ones included; none before MLflow 3.2."""
    result: dict[str, list[JSONValue]] = {}
    if not snapshot.has(_TABLE):
        return result
    table = snapshot.tables[_TABLE]
    order = (table.c.created_timestamp, table.c.assessment_id)
    for row in snapshot.rows(sa.select(table).where(table.c.trace_id.in_(trace_ids)).order_by(*order)):
        result.setdefault(row["trace_id"], []).append(_assessment(row))
    return result


def timestamp(time_ms: int) -> str:
    """Return a time as protobuf writes it: RFC 3339, milliseconds only where there are any."""
    try:
        moment = datetime.fromtimestamp(time_ms // 1000, timezone.utc).replace(tzinfo=None)
    except (ValueError, OverflowError, OSError):
        # No server can write this one; what reads the record says so of this object alone.
        return str(time_ms)
    return moment.isoformat() + (f".{time_ms % 1000:03d}Z" if time_ms % 1000 else "Z")


def loaded(value: Any) -> Any:
    """Return what a column of JSON holds; some databases give it decoded, and what is no JSON stays a text."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value


def _assessment(row: dict[str, Any]) -> JSONObject:
    result: JSONObject = {
        "assessment_name": row["name"],
        "trace_id": row["trace_id"],
        "source": _source(row),
        "create_time": timestamp(row["created_timestamp"]),
        "last_update_time": timestamp(row["last_updated_timestamp"]),
        "assessment_id": row["assessment_id"],
        "valid": bool(row["valid"]),
        row["assessment_type"]: _value(row),
    }
    result.update({name: row[name] for name in ("span_id", "rationale") if row[name] is not None})
    if row["overrides"]:
        result["overrides"] = row["overrides"]
    metadata = loaded(row["assessment_metadata"])
    if isinstance(metadata, dict) and metadata:
        result["metadata"] = {key: str(value) for key, value in metadata.items()}
    return result


def _source(row: dict[str, Any]) -> JSONObject:
    kind = row["source_type"].upper()
    source: JSONObject = {"source_type": "LLM_JUDGE" if kind == "AI_JUDGE" else kind}
    if row["source_id"] is not None:
        source["source_id"] = row["source_id"]
    return source


def _value(row: dict[str, Any]) -> JSONObject:
    value = loaded(row["value"])
    if row["assessment_type"] == "issue":
        return {"issue_name": value.get("issue_name")} if isinstance(value, dict) else {}
    if row["assessment_type"] == "expectation" and isinstance(value, (dict, list)):
        return {"serialized_value": {"serialization_format": "JSON_FORMAT", "value": json.dumps(value)}}
    result: JSONObject = {"value": _protobuf(value)}
    error = loaded(row["error"])
    if isinstance(error, dict):
        result["error"] = {key: text for key, text in error.items() if text or key == "error_code"}
    return result


def _protobuf(value: Any) -> Any:
    """Return a value as protobuf's ``Value`` gives it back: numbers are doubles, as far as one can hold them."""
    if isinstance(value, list):
        return [_protobuf(item) for item in value]
    if isinstance(value, dict):
        return {key: _protobuf(item) for key, item in value.items()}
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) <= 1 << 53:
        return float(value)
    return value
