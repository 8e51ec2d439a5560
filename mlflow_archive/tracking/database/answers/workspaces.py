"""`workspaces`, and of `server-info` whether there are any.

A database does not tell whether its server has workspaces on: it has if there is any besides the default one, or
something in it.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from mlflow_archive.spec.canonical import JSONObject
from mlflow_archive.tracking.database.asking import DEFAULT_WORKSPACE, Question, Route, present
from mlflow_archive.tracking.database.snapshot import Snapshot

#: Tables of what can be in a workspace by itself.
_SCOPED = (
    "experiments",
    "registered_models",
    "evaluation_datasets",
    "webhooks",
    "secrets",
    "endpoints",
    "model_definitions",
    "budget_policies",
    "guardrails",
    "mcp_servers",
)


def server_info(question: Question) -> JSONObject:
    """Tell whether workspaces are in use."""
    return {"workspaces_enabled": in_use(question.snapshot)}


def search(question: Question) -> JSONObject:
    """Return all workspaces by name, also those that only the objects in them name (a plug-in of MLflow keeps them)."""
    snapshot = question.snapshot
    rows = snapshot.rows(sa.select(snapshot.tables["workspaces"])) if snapshot.has("workspaces") else []
    found: dict[str, JSONObject] = {name: {"name": name} for name in _names_of_others(snapshot)}
    found |= {row["name"]: _workspace(row) for row in rows}
    return {"workspaces": [found[name] for name in sorted(found)]}


def in_use(snapshot: Snapshot) -> bool:
    """Tell whether there is a workspace besides the default one."""
    if snapshot.has("workspaces"):
        table = snapshot.tables["workspaces"]
        if snapshot.tuples(sa.select(table.c.name).where(table.c.name != DEFAULT_WORKSPACE).limit(1)):
            return True
    return bool(_names_of_others(snapshot))


def _workspace(row: dict[str, Any]) -> JSONObject:
    result = present(row, "name", "description", "default_artifact_root")
    archival = {
        name: row[f"trace_archival_{name}"]
        for name in ("location", "retention")
        if row.get(f"trace_archival_{name}") is not None
    }
    if archival:
        result["trace_archival_config"] = archival
    return result


def _names_of_others(snapshot: Snapshot) -> set[str]:
    names: set[str] = set()
    for name in _SCOPED:
        if snapshot.has(name, "workspace"):
            column = snapshot.tables[name].c.workspace
            statement = sa.select(column).distinct().where(column != DEFAULT_WORKSPACE)
            names |= {workspace for (workspace,) in snapshot.tuples(statement)}
    return names


ROUTES = (
    Route("GET", "/api/3.0/mlflow/server-info", server_info),
    Route("GET", "/api/3.0/mlflow/workspaces", search),
)
