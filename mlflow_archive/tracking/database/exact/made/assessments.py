"""`assessments`: feedback, expectations and issues of traces and spans."""

from __future__ import annotations

from collections.abc import Iterator

from mlflow_archive.spec.canonical import JSONObject, JSONValue
from mlflow_archive.spec.records.trace import TraceRecord, parse_time_ms
from mlflow_archive.stream import ObjectKey
from mlflow_archive.tracking.database.exact.made.making import Making, Row, invented
from mlflow_archive.tracking.database.exact.made.values import aggregate, json_text, json_value, present
from mlflow_archive.tracking.paging import member, text

_SOURCE_RUN = "mlflow.assessment.sourceRunId"
_ERROR_FIELDS = ("error_code", "error_message", "stack_trace")

#: Kind, value and error.
_Found = tuple[str, JSONValue, JSONObject]


def assessment_rows(making: Making, key: ObjectKey, experiment: int, record: TraceRecord) -> Iterator[Row]:
    """Yield the rows of the assessments of a trace; one without a value is lost."""
    seen: set[str] = set()
    for number, assessment in enumerate(record.assessments):
        id = text(assessment.get("assessment_id")) or f"a-{invented('assessment', key.id, number)}"
        found = _value(assessment)
        if found is None:
            reason = f"The assessment {id} has no value of a kind that MLflow 3.17 knows."
            making.lose(key.lost("unsupported", reason, path=f"assessments/{id}"))
        elif id not in seen:
            seen.add(id)
            yield _row(experiment, record, id, assessment, found)


def _row(experiment: int, record: TraceRecord, id: str, assessment: JSONObject, found: _Found) -> Row:
    kind, value, error = found
    source, metadata = member(assessment, "source"), member(assessment, "metadata")
    created = parse_time_ms(text(assessment.get("create_time"))) or 0
    counts_as, is_number = aggregate(value)
    return {
        "assessment_id": id,
        "trace_id": record.info.trace_id,
        "name": text(assessment.get("assessment_name")),
        "assessment_type": kind,
        "value": json_text(value),
        "error": json_text({name: error.get(name) for name in _ERROR_FIELDS}) if error else None,
        "created_timestamp": created,
        "last_updated_timestamp": parse_time_ms(text(assessment.get("last_update_time"))) or created,
        "source_type": text(source.get("source_type")) or "SOURCE_TYPE_UNSPECIFIED",
        "source_id": present(source.get("source_id")),
        "run_id": present(metadata.get(_SOURCE_RUN)) or present(assessment.get("run_id")),
        "span_id": present(assessment.get("span_id")),
        "rationale": present(assessment.get("rationale")),
        "overrides": present(assessment.get("overrides")),
        "valid": assessment.get("valid") is not False,
        "assessment_metadata": json_text(metadata) if metadata else None,
        "experiment_id": experiment,
        "trace_timestamp_ms": record.time_ms or 0,
        "aggregate_value": counts_as,
        "is_numeric_value": is_number,
    }


def _value(assessment: JSONObject) -> _Found | None:
    """Return kind, value and error of an assessment."""
    if "feedback" in assessment:
        feedback = member(assessment, "feedback")
        return "feedback", feedback.get("value"), member(feedback, "error")
    if "expectation" in assessment:
        expectation = member(assessment, "expectation")
        if "serialized_value" in expectation:
            return "expectation", json_value(text(member(expectation, "serialized_value").get("value"))), {}
        return "expectation", expectation.get("value"), {}
    if "issue" in assessment:
        return "issue", member(assessment, "issue"), {}
    return None
