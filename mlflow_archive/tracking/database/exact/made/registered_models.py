"""`registered_models` with versions, tags and aliases; prompts are rows of the same tables."""

from __future__ import annotations

from collections.abc import Iterator

from mlflow_archive.spec.records.registered_model import ModelVersion, RegisteredModelRecord
from mlflow_archive.stream import Content, ObjectKey
from mlflow_archive.tracking.database.exact.made.making import (
    Making,
    Row,
    TableRows,
    batches,
    workspace_of,
)

#: What MLflow leaves of a version that was deleted, so that its number is not given again.
_TOMBSTONE: Row = {
    "creation_time": None,
    "last_updated_time": None,
    "description": None,
    "user_id": None,
    "current_stage": "Deleted_Internal",
    "source": "REDACTED-SOURCE-PATH",
    "run_id": "REDACTED-RUN-ID",
    "status": "READY",
    "status_message": None,
    "run_link": "REDACTED-RUN-LINK",
    "storage_location": None,
}
#: More missing numbers than this are none that somebody deleted.
_MOST_TOMBSTONES = 100_000
_GAPS = (
    "Versions that the archive lacks between others: {n}; they are marked as deleted, as at the source. Deleted "
    "versions after the newest one of a model or prompt are in no answer of a server, so that their numbers will be "
    "given again."
)


def rows(making: Making, key: ObjectKey, content: Content) -> Iterator[TableRows]:
    """Yield the rows of a registered model or a prompt."""
    record = content.record
    if not isinstance(record, RegisteredModelRecord):
        return
    same: Row = {"name": record.name, "workspace": workspace_of(key)}
    yield "registered_models", [_model(record, same)]
    yield from batches("registered_model_tags", ({"key": k, "value": v, **same} for k, v in record.tags.items()))
    yield from batches("model_versions", _versions(making, record, same))
    yield from batches(
        "model_version_tags",
        (
            {"key": k, "value": v, "version": version.version, **same}
            for version in record.versions
            for k, v in version.tags.items()
        ),
    )
    yield from batches(
        "registered_model_aliases",
        ({"alias": alias, "version": version, **same} for alias, version in record.aliases.items()),
    )


def _model(record: RegisteredModelRecord, same: Row) -> Row:
    return {
        "creation_time": record.creation_timestamp,
        "last_updated_time": record.last_updated_timestamp,
        # A server leaves an empty text out of its answer, and writes one for a model that is created without.
        "description": record.description or "",
        **same,
    }


def _versions(making: Making, record: RegisteredModelRecord, same: Row) -> Iterator[Row]:
    numbers = {version.version for version in record.versions}
    for version in record.versions:
        yield {**_version(version), **same}
    last = max(numbers, default=0)
    if last - len(numbers) <= _MOST_TOMBSTONES:
        missing = [number for number in range(1, last) if number not in numbers]
        making.count(_GAPS, len(missing))
        for number in missing:
            yield {**_TOMBSTONE, "version": number, **same}


def _version(version: ModelVersion) -> Row:
    return {
        "version": version.version,
        "creation_time": version.creation_timestamp,
        "last_updated_time": version.last_updated_timestamp,
        "description": version.description or "",
        "user_id": version.user_id,
        "current_stage": version.current_stage or "None",
        "source": version.source,
        "run_id": version.run_id,
        "status": version.status or "READY",
        "status_message": version.status_message,
        "run_link": version.run_link,
        # Of a prompt nobody asks where its files are; MLflow writes the source there.
        "storage_location": version.storage_location or version.source,
    }
