"""`logged-models/search` and `logged-models/<id>`, deleted ones like all others (their ``lifecycle_stage`` says so)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from mlflow_archive.errors import NotFoundError
from mlflow_archive.spec.canonical import JSONObject, JSONValue, encode_float
from mlflow_archive.tracking.database.answers.runs import experiments_here
from mlflow_archive.tracking.database.asking import Question, Route, present, tag_list
from mlflow_archive.tracking.database.snapshot import Snapshot

_MOST = 100
_STATUSES = {
    0: "LOGGED_MODEL_STATUS_UNSPECIFIED",
    1: "LOGGED_MODEL_PENDING",
    2: "LOGGED_MODEL_READY",
    3: "LOGGED_MODEL_UPLOAD_FAILED",
}


def search(question: Question) -> JSONObject:
    """Return a page of the logged models of some experiments, in the order of their ids (a page token is the last)."""
    table = question.snapshot.tables["logged_models"]
    size, after = min(_MOST, int(question.text("max_results") or _MOST)), question.text("page_token")
    statement = sa.select(table).where(table.c.experiment_id.in_(experiments_here(question)), table.c.model_id > after)
    rows = question.snapshot.rows(statement.order_by(table.c.model_id).limit(size + 1))
    answer: JSONObject = {"models": [*_models(question.snapshot, rows[:size])]}
    if len(rows) > size:
        answer["next_page_token"] = rows[size - 1]["model_id"]
    return answer


def get(question: Question) -> JSONObject:
    """Return one logged model.

    Raises:
        NotFoundError: This workspace has none with the id.
    """
    tables = question.snapshot.tables
    table, experiments = tables["logged_models"], tables["experiments"]
    statement = sa.select(table).join(experiments, experiments.c.experiment_id == table.c.experiment_id)
    id = question.named["model_id"]
    rows = question.snapshot.rows(statement.where(table.c.model_id == id, question.here(experiments)))
    if not rows:
        raise NotFoundError(f"There is no logged model {id!r} in the database.")
    return {"model": _models(question.snapshot, rows)[0]}


def _models(snapshot: Snapshot, rows: Sequence[Mapping[str, Any]]) -> list[JSONObject]:
    ids = [row["model_id"] for row in rows]
    if not ids:
        return []
    tags = _pairs(snapshot, "logged_model_tags", "tag", ids)
    params = _pairs(snapshot, "logged_model_params", "param", ids)
    metrics = _metrics(snapshot, ids)
    return [
        {
            "info": _info(row, tags.get(row["model_id"], [])),
            "data": {
                "params": tag_list(params.get(row["model_id"], [])),
                "metrics": metrics.get(row["model_id"], []),
            },
        }
        for row in rows
    ]


def _info(row: Mapping[str, Any], tags: list[tuple[str, str]]) -> JSONObject:
    deleted = row["lifecycle_stage"] == "deleted"
    return {
        "experiment_id": str(row["experiment_id"]),
        "artifact_uri": row["artifact_location"],
        "status": _STATUSES.get(row["status"], str(row["status"])),
        "tags": tag_list(tags),
        **present(row, "model_id", "name", "creation_timestamp_ms", "last_updated_timestamp_ms"),
        **present(row, "model_type", "source_run_id", "status_message"),
        **({"lifecycle_stage": "deleted"} if deleted else {}),
    }


def _pairs(snapshot: Snapshot, name: str, word: str, ids: list[str]) -> dict[str, list[tuple[str, str]]]:
    table = snapshot.tables[name]
    result: dict[str, list[tuple[str, str]]] = {}
    statement = sa.select(table.c.model_id, table.c[f"{word}_key"], table.c[f"{word}_value"])
    for id, key, value in snapshot.tuples(statement.where(table.c.model_id.in_(ids))):
        result.setdefault(id, []).append((key, value))
    return result


def _metrics(snapshot: Snapshot, ids: list[str]) -> dict[str, list[JSONValue]]:
    table = snapshot.tables["logged_model_metrics"]
    result: dict[str, list[JSONValue]] = {}
    for row in snapshot.rows(sa.select(table).where(table.c.model_id.in_(ids))):
        value = row["metric_value"]
        metric: JSONObject = {
            "key": row["metric_name"],
            "value": encode_float(math.nan if value is None else value),
            "timestamp": row["metric_timestamp_ms"],
            "step": row["metric_step"],
            "model_id": row["model_id"],
            **{name: row[name] for name in ("dataset_name", "dataset_digest", "run_id") if row[name]},
        }
        result.setdefault(row["model_id"], []).append(metric)
    return result


ROUTES = (
    Route("POST", "/api/2.0/mlflow/logged-models/search", search),
    Route("GET", "/api/2.0/mlflow/logged-models/{model_id}", get),
)
