"""`workspaces`."""

from __future__ import annotations

from collections.abc import Iterator

from mlflow_archive.spec.records.workspace import WorkspaceRecord
from mlflow_archive.stream import Content, ObjectKey
from mlflow_archive.tracking.database.exact.made.making import DEFAULT_WORKSPACE, Making, Row, TableRows

_ENABLED = "Workspaces beside the default one: {n}; a server opens the database only with --enable-workspaces."


def rows(making: Making, key: ObjectKey, content: Content) -> Iterator[TableRows]:  # noqa: ARG001 - as all makers
    """Yield the row of a workspace."""
    record = content.record
    if not isinstance(record, WorkspaceRecord) or not making.first("workspaces", record.name):
        return
    if record.name != DEFAULT_WORKSPACE:
        making.count(_ENABLED)
    more = record.unknown_fields
    yield "workspaces", [_row(record.name, record.description, record.default_artifact_root, more)]


def default_row(making: Making) -> Iterator[TableRows]:
    """Yield the row of the default workspace as MLflow's migration writes it, unless the archive had one."""
    if making.first("workspaces", DEFAULT_WORKSPACE):
        yield "workspaces", [_row(DEFAULT_WORKSPACE, "Default workspace for legacy resources", None, {})]


def _row(name: str, description: str | None, root: str | None, more: dict[str, object]) -> Row:
    archival = more.get("trace_archival_config")
    settings = archival if isinstance(archival, dict) else more
    return {
        "name": name,
        "description": description,
        "default_artifact_root": root,
        "trace_archival_location": settings.get("location", more.get("trace_archival_location")),
        "trace_archival_retention": settings.get("retention", more.get("trace_archival_retention")),
    }
