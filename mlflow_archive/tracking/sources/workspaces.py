"""Workspaces (MLflow 3.10 and later), where the server has them on."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from mlflow_archive.spec.canonical import JSONObject
from mlflow_archive.spec.kinds import Kind
from mlflow_archive.spec.loss import Loss
from mlflow_archive.spec.records.workspace import WorkspaceRecord
from mlflow_archive.spec.selection import Selection
from mlflow_archive.stream import Content, Item, ObjectKey
from mlflow_archive.tracking.capabilities import FIRST_VERSION
from mlflow_archive.tracking.paging import objects, text
from mlflow_archive.tracking.sources.context import Reading

#: The workspace that requests without a header are for.
DEFAULT = "default"


def read(reading: Reading, workspace: str | None, selection: Selection) -> Iterator[Item | Loss]:  # noqa: ARG001
    """List the workspaces."""
    for row in rows(reading):
        name = text(row.get("name"))
        yield Item(ObjectKey(Kind.WORKSPACE, name, None, None, name), partial(_load, row))


def rows(reading: Reading) -> list[JSONObject]:
    """Return the workspaces as the server gives them; none where it has them off."""
    if not reading.client.at_least(FIRST_VERSION[Kind.WORKSPACE]):
        return []
    if not reading.client.call("GET", "/api/3.0/mlflow/server-info").get("workspaces_enabled"):
        return []
    return objects(reading.client.call("GET", "/api/3.0/mlflow/workspaces").get("workspaces"))


def names(reading: Reading) -> tuple[str | None, ...]:
    """Return the names to ask every other question with; None stands for the default workspace."""
    others = sorted(text(row.get("name")) for row in rows(reading))
    return (None, *(name for name in others if name != DEFAULT))


def _load(row: JSONObject) -> Content:
    return Content(WorkspaceRecord.from_json(row, "the server's answer"))
