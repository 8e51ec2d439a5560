"""Assessments of traces: out of the attributes of MLflow's Python objects into the form of its REST API."""

from __future__ import annotations

import json
from datetime import datetime, timezone

from mlflow_archive.errors import IntegrityError
from mlflow_archive.predecessor.values import integer, member, objects, tags, text, without_empty
from mlflow_archive.spec.canonical import JSONObject, JSONValue

#: The kinds of value, and fields with another name or form in REST.
_KINDS = ("feedback", "expectation", "issue")
_IN_OTHER_WORDS = ("assessment_type", "name", "create_time_ms", "last_update_time_ms", "metadata", "error", "source")
_ELSEWHERE = (*_KINDS, *_IN_OTHER_WORDS)


def assessments_of(info: JSONObject, trace_id: str) -> list[JSONValue]:
    """Return the assessments of a trace, ascending by creation, and each after the one that it overrides.

    Args:
        info: The trace's info as the predecessor wrote it.
        trace_id: The trace's id, for those that do not say it.

    Raises:
        IntegrityError: A time is none.
    """
    waiting = sorted(objects(info.get("assessments")), key=_created)
    unplaced = {text(one.get("assessment_id")) for one in waiting}
    placed: list[JSONValue] = []
    while waiting:
        ready = (one for one in waiting if text(one.get("overrides")) not in unplaced)
        following = next(ready, waiting[0])
        waiting.remove(following)
        unplaced.discard(text(following.get("assessment_id")))
        placed.append(_assessment(following, trace_id))
    return placed


def moment(time_ms: int) -> str:
    """Return milliseconds since the epoch as REST writes a time.

    Raises:
        IntegrityError: It is no time.
    """
    try:
        second = datetime.fromtimestamp(time_ms // 1000, timezone.utc)
    except (ValueError, OverflowError, OSError) as error:
        raise IntegrityError(f"{time_ms} stands where a time in milliseconds should be.") from error
    return f"{second:%Y-%m-%dT%H:%M:%S}.{time_ms % 1000:03d}Z"


def _created(assessment: JSONObject) -> tuple[int, str]:
    return integer(assessment.get("create_time_ms")) or 0, text(assessment.get("assessment_id"))


def _assessment(assessment: JSONObject, trace_id: str) -> JSONObject:
    times: JSONObject = {
        name: moment(time_ms)
        for name in ("create_time", "last_update_time")
        if (time_ms := integer(assessment.get(f"{name}_ms"))) is not None
    }
    metadata = tags(assessment.get("metadata"))
    return {
        "trace_id": trace_id,
        **without_empty(assessment, *_ELSEWHERE),
        "assessment_name": text(assessment.get("name")),
        "source": without_empty(member(assessment, "source")),
        **times,
        **({"metadata": {**metadata}} if metadata else {}),
        **_value(assessment),
    }


def _value(assessment: JSONObject) -> JSONObject:
    kind = text(assessment.get("assessment_type"))
    if kind not in _KINDS:
        # Issues are written without their kind.
        kind = next((word for word in _KINDS if assessment.get(word) is not None), "feedback")
    value = assessment.get(kind)
    if kind == "expectation":
        return {"expectation": _expectation(value)}
    if kind == "issue":
        return {"issue": without_empty(value if isinstance(value, dict) else {})}
    feedback: JSONObject = {"value": member(assessment, "feedback").get("value")}
    error = without_empty(member(member(assessment, "feedback"), "error"))
    return {"feedback": {**feedback, **({"error": error} if error else {})}}


def _expectation(value: JSONValue) -> JSONObject:
    """Return an expected value: lists and objects are JSON within JSON."""
    if not isinstance(value, (dict, list)):
        return {"value": value}
    return {"serialized_value": {"serialization_format": "JSON_FORMAT", "value": json.dumps(value)}}
