"""Spans in MLflow's own JSON form (``Span.to_dict``), exactly as the server keeps them.

`get-trace-artifact` gives them so for every place they can be in: the tracking store (stored rows, passed through),
``traces.json`` beside the artifacts, or an archive; partial ones too. ``traces.json`` is read as a file where that can
be, because not every server finds the files. `batchGet` gives the same spans as OTLP, which
is costlier for the server to make, writes attribute values anew and leaves out what OTLP cannot carry.
Where a database is read and no server, the rows are taken as they are (`stored_spans`), files and archives are read
as files.
A sink turns a line back into OTLP by ``Span.from_dict(line).to_otel_proto()``, so the rows come out the same.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial

from mlflow_archive.errors import IntegrityError, MlflowArchiveError, NotFoundError, UnavailableError, UnsupportedError
from mlflow_archive.spec.canonical import JSONObject
from mlflow_archive.spec.kinds import Kind
from mlflow_archive.spec.loss import Loss
from mlflow_archive.stream import ObjectKey, Part
from mlflow_archive.tracking.artifact_contract import ArtifactOwner
from mlflow_archive.tracking.capabilities import TRACES_V3
from mlflow_archive.tracking.paging import finite, mapping, objects, text
from mlflow_archive.tracking.sources.context import Reading, lost
from mlflow_archive.tracking.sources.stored_spans import SpanBatch

SPANS = "spans"
IN_DATABASE, IN_ARCHIVE, IN_ARTIFACTS = "TRACKING_STORE", "ARCHIVE_REPO", "ARTIFACT_REPO"
_LOCATION_TAG = "mlflow.trace.spansLocation"
_ARCHIVE_TAG = "mlflow.trace.archiveLocation"
_SIZES = frozenset({"mlflow.trace.sizeStats", "mlflow.trace.sizeBytes"})
_ARTIFACT = "/ajax-api/2.0/mlflow/get-trace-artifact"


def spans_part(
    reading: Reading, key: ObjectKey, info: JSONObject, tags: dict[str, str], stored: SpanBatch | None = None
) -> tuple[tuple[Part, ...], str | None, tuple[Loss, ...]]:
    """Read the spans of a trace.

    Args:
        reading: The reading.
        key: The trace.
        info: Its info.
        tags: Its tags.
        stored: The spans of it and others in a database; None if a server is read.

    Returns:
        The part ``spans``, where they came from, and what is lost of them. A trace in progress may have none yet.
    """
    location = tags.get(_LOCATION_TAG) or IN_ARTIFACTS
    if stored is not None and location == IN_DATABASE:
        return (Part(SPANS, stored.take(key.id) or partial(_lines, [])),), location, ()
    try:
        spans = _spans(reading, key, tags, location, served=stored is None)
    except MlflowArchiveError as error:
        lines = stored.take(key.id) if stored is not None else None
        if lines is not None:
            # MLflow 3.3 to 3.5 keep spans in the database and say so nowhere.
            return (Part(SPANS, lines),), IN_DATABASE, ()
        in_progress = text(info.get("state")) == "IN_PROGRESS"
        if isinstance(error, NotFoundError) and (in_progress or not _was_exported(reading, info, tags)):
            return (), None, ()
        return (), None, (lost(key, error, path=SPANS),)
    return (Part(SPANS, partial(_lines, spans)),), location, ()


def _was_exported(reading: Reading, info: JSONObject, tags: dict[str, str]) -> bool:
    """Tell whether spans of the trace must be somewhere.

    Since MLflow 3.2 a trace can be made of an info alone; one with spans says where they are or how many.
    """
    metadata = mapping(info.get("trace_metadata"))
    return _LOCATION_TAG in tags or not _SIZES.isdisjoint(metadata) or not reading.client.at_least(TRACES_V3)


def _lines(spans: list[JSONObject]) -> Iterator[JSONObject]:
    return iter(spans)


def _spans(reading: Reading, key: ObjectKey, tags: dict[str, str], location: str, *, served: bool) -> list[JSONObject]:
    if location == IN_ARCHIVE and not served:
        return _archived(reading, key, tags)
    document = _document(reading, key, tags, location, served=served)
    try:
        data = json.loads(document)
    except (ValueError, RecursionError) as error:
        raise UnavailableError(f"The spans of the trace {key.id} are not JSON; try again.", code="not_json") from error
    found = objects(data.get("spans")) if isinstance(data, dict) else []
    return [{name: finite(value) for name, value in span.items()} for span in found]


def _document(reading: Reading, key: ObjectKey, tags: dict[str, str], location: str, *, served: bool) -> bytes:
    root = tags.get("mlflow.artifactLocation")
    if location == IN_ARTIFACTS and root:
        # Straight from the files: a private server of ours does not know where the original kept them.
        owner = ArtifactOwner(Kind.TRACE, key.id, root, key.workspace)
        try:
            with reading.artifacts.open(owner, "traces.json") as chunks:
                return b"".join(chunks)
        except MlflowArchiveError as error:
            if reading.client.local:
                raise
            reason = error
        try:
            return _served(reading, key)
        except MlflowArchiveError as error:
            raise error from reason
    if not served:
        raise NotFoundError(f"The trace {key.id} does not say where its spans are.")
    return _served(reading, key)


def _served(reading: Reading, key: ObjectKey) -> bytes:
    with reading.client.download(_ARTIFACT, params={"request_id": key.id}, workspace=key.workspace) as chunks:
        return b"".join(chunks)


def _archived(reading: Reading, key: ObjectKey, tags: dict[str, str]) -> list[JSONObject]:
    """Return the spans that MLflow moved out of the database, to a file in OTLP form."""
    try:
        from mlflow.tracing.otel.otel_archival import TRACE_ARCHIVAL_FILENAME, traces_data_pb_to_spans
    except ImportError as error:
        raise UnsupportedError(
            f"The spans of the trace {key.id} are in an archive of MLflow's, which MLflow 3.13 and later can read: "
            "upgrade the mlflow package."
        ) from error
    from mlflow.exceptions import MlflowException

    owner = ArtifactOwner(Kind.TRACE, key.id, tags.get(_ARCHIVE_TAG, ""), key.workspace)
    if not owner.uri:
        raise NotFoundError(f"The trace {key.id} does not say where its spans are.")
    with reading.artifacts.open(owner, TRACE_ARCHIVAL_FILENAME) as chunks:
        data = b"".join(chunks)
    try:
        spans = [span.to_dict() for span in traces_data_pb_to_spans(data)]
    except MlflowException as error:
        raise IntegrityError(f"The archived spans of the trace {key.id} are damaged: {error.message}") from error
    return [{name: finite(value) for name, value in span.items()} for span in spans]
