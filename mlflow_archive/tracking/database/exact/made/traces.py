"""`trace_info`, `trace_tags`, `trace_request_metadata`, `entity_associations`; assessments and spans have their own.

The analytics columns of MLflow 3.17 are filled as its `start_trace` fills them: out of metadata that then has no row
of its own.
"""

from __future__ import annotations

from collections.abc import Iterator

from mlflow_archive.spec.records.trace import TraceRecord
from mlflow_archive.stream import Blob, Content, ObjectKey, Part
from mlflow_archive.tracking.database.exact.made.assessments import assessment_rows
from mlflow_archive.tracking.database.exact.made.making import Making, Row, TableRows, batches, invented
from mlflow_archive.tracking.database.exact.made.spans import span_rows
from mlflow_archive.tracking.database.exact.made.values import (
    finite_float,
    json_object,
    json_value,
    milliseconds,
    whole_number,
)
from mlflow_archive.tracking.paging import objects, text

_NAME = "mlflow.traceName"
_SESSION = "mlflow.trace.session"
_TOKENS = "mlflow.trace.tokenUsage"
_COST = "mlflow.trace.cost"
_SPANS_LOCATION = "mlflow.trace.spansLocation"
_LINKED_PROMPTS = "mlflow.linkedPrompts"
_STATES = frozenset({"OK", "ERROR", "IN_PROGRESS", "STATE_UNSPECIFIED"})
#: Tags about spans that were archived elsewhere; here they are in the database.
_ARCHIVED = frozenset({"mlflow.trace.archiveLocation", "mlflow.trace.archivalFailure"})
_TOKEN_COLUMNS = (
    "input_tokens",
    "output_tokens",
    "total_tokens",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
    "cache_creation_input_tokens_above_1hr",
)
_COST_COLUMNS = ("input_cost", "output_cost", "total_cost")
_IN_DATABASE = "TRACKING_STORE"
_LONGEST_PREVIEW = 1000
_MOVED = (
    "Traces whose spans were in an archive of MLflow's, or in files that are not in this one: {n}; their spans are in "
    "the database now."
)
_LINKS = "When traces were linked to runs and prompts is in no answer of a server; it counts as the time of the trace."


def rows(making: Making, key: ObjectKey, content: Content) -> Iterator[TableRows]:
    """Yield the rows of a trace."""
    record = content.record
    if not isinstance(record, TraceRecord):
        return
    experiment = making.experiment(key)
    spans = _spans_of_rows(content, record)
    tags = {name: value for name, value in record.tags.items() if name != _NAME}
    if spans is not None and record.spans_location != _IN_DATABASE:
        making.count(_MOVED)
        tags = {name: value for name, value in tags.items() if name not in _ARCHIVED} | {_SPANS_LOCATION: _IN_DATABASE}
    trace_id = record.info.trace_id
    yield "trace_info", [_info(experiment, record, in_database=spans is not None)]
    yield from batches("trace_tags", ({"key": k, "value": v, "request_id": trace_id} for k, v in tags.items()))
    metadata = record.info.trace_metadata
    yield from batches(
        "trace_request_metadata",
        (
            {"key": k, "value": v, "request_id": trace_id}
            for k, v in metadata.items()
            if k not in (_SESSION, _TOKENS, _COST)
        ),
    )
    yield from batches("assessments", assessment_rows(making, key, experiment, record))
    if spans is not None:
        yield from batches("spans", span_rows(key, experiment, spans))
    yield from batches("entity_associations", _links(making, record))


def _spans_of_rows(content: Content, record: TraceRecord) -> Part | None:
    """Return the spans if they belong into the database: they were there, or nobody would find them elsewhere."""
    spans = next((part for part in content.parts if part.name == "spans"), None)
    if spans is None or record.spans_location == _IN_DATABASE:
        return spans
    if record.spans_location == "ARCHIVE_REPO":
        return spans
    among_files = any(isinstance(blob, Blob) and blob.name == "traces.json" for blob in content.blobs())
    return None if among_files else spans


def _info(experiment: int, record: TraceRecord, *, in_database: bool) -> Row:
    info, metadata = record.info, record.info.trace_metadata
    tokens, cost = json_object(metadata.get(_TOKENS)), json_object(metadata.get(_COST))
    return {
        "request_id": info.trace_id,
        "experiment_id": experiment,
        "timestamp_ms": record.time_ms or 0,
        "execution_time_ms": milliseconds(info.execution_duration),
        "status": info.state if info.state in _STATES else "STATE_UNSPECIFIED",
        "client_request_id": info.client_request_id,
        "request_preview": _preview(info.request_preview),
        "response_preview": _preview(info.response_preview),
        # How often spans were written: a counter that only has to grow.
        "db_payload_generation": int(in_database),
        "trace_name": record.tags.get(_NAME),
        "session_id": metadata.get(_SESSION),
        **{name: whole_number(tokens.get(name)) for name in _TOKEN_COLUMNS},
        **{name: finite_float(cost.get(name)) for name in _COST_COLUMNS},
    }


def _preview(text: str | None) -> str | None:
    """Return a preview as long as its column; those of MLflow 2 were metadata, which may be longer."""
    return None if text is None else text[:_LONGEST_PREVIEW]


def _links(making: Making, record: TraceRecord) -> Iterator[Row]:
    prompts = json_value(record.tags.get(_LINKED_PROMPTS))
    linked = [("run", run_id) for run_id in record.run_ids]
    linked += [("prompt_version", f"{text(one.get('name'))}/{text(one.get('version'))}") for one in objects(prompts)]
    for kind, id in dict.fromkeys(linked):
        making.remark(_LINKS)
        yield association("trace", record.info.trace_id, kind, id, record.time_ms)


def association(source: str, source_id: str, destination: str, destination_id: str, time_ms: int | None) -> Row:
    """Return a row of `entity_associations`."""
    return {
        "association_id": f"a-{invented('association', source, source_id, destination, destination_id)}",
        "source_type": source,
        "source_id": source_id,
        "destination_type": destination,
        "destination_id": destination_id,
        "created_time": time_ms,
    }
