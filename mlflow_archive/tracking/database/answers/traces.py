"""Infos of traces: searched, and by id; in the form of MLflow 3.2 and later, and in that of servers before it.

A page ends with the time and the id of its last trace, which is its token, so that the last page costs no more than
the first. Tags and metadata are whole, where a server cuts them to the length that it takes today.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa

from mlflow_archive.errors import NotFoundError, UsageError
from mlflow_archive.spec.canonical import JSONObject, JSONValue
from mlflow_archive.tracking.database.answers.assessments import assessments_of, timestamp
from mlflow_archive.tracking.database.asking import Question, Route, present, tag_list
from mlflow_archive.tracking.database.snapshot import Snapshot

_MOST = 500
_CLAUSE = re.compile(r"timestamp_ms (>=|<) (-?\d+)")
_NAME = "mlflow.traceName"
#: Metadata that MLflow 3.17 and later keep in columns of their own: key -> field -> column.
_COUNTS = {
    "mlflow.trace.tokenUsage": {
        "input_tokens": "input_tokens",
        "output_tokens": "output_tokens",
        "total_tokens": "total_tokens",
        "cache_read_input_tokens": "cache_read_input_tokens",
        "cache_creation_input_tokens": "cache_creation_input_tokens",
        "cache_creation_input_tokens_above_1hr": "cache_creation_input_tokens_above_1hr",
    },
    "mlflow.trace.cost": {"input_cost": "input_cost", "output_cost": "output_cost", "total_cost": "total_cost"},
}
_SESSION = "mlflow.trace.session"


def search(question: Question) -> JSONObject:
    """Return a page of trace infos of MLflow 3.2 and later."""
    locations = question.asked.get("locations")
    places = [place.get("mlflow_experiment") for place in _list(locations) if isinstance(place, dict)]
    found, token = _page(question, [str(place.get("experiment_id")) for place in places if isinstance(place, dict)])
    return {"traces": [*_infos(question.snapshot, found)], **token}


def search_v2(question: Question) -> JSONObject:
    """Return a page of trace infos as servers before MLflow 3.2 gave them."""
    found, token = _page(question, [str(id) for id in _list(question.asked.get("experiment_ids"))])
    return {"traces": [*_infos_v2(question.snapshot, found)], **token}


def get(question: Question) -> JSONObject:
    """Return one trace info of MLflow 3.2 and later."""
    return {"trace": {"trace_info": next(_infos(question.snapshot, [_one(question)]))}}


def get_v2(question: Question) -> JSONObject:
    """Return one trace info as servers before MLflow 3.2 gave it."""
    return {"trace_info": next(_infos_v2(question.snapshot, [_one(question)]))}


def _list(value: JSONValue) -> list[JSONValue]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _here(question: Question) -> sa.ColumnElement[bool]:
    """Return the condition for traces of the workspace."""
    table, experiments = question.snapshot.tables["trace_info"], question.snapshot.tables["experiments"]
    return table.c.experiment_id.in_(sa.select(experiments.c.experiment_id).where(question.here(experiments)))


def _one(question: Question) -> dict[str, Any]:
    table, id = question.snapshot.tables["trace_info"], question.named["id"]
    for row in question.snapshot.rows(sa.select(table).where(table.c.request_id == id, _here(question))):
        # Some databases compare without regard to case.
        if row["request_id"] == id:
            return row
    raise NotFoundError(f"There is no trace {id}.")


def _page(question: Question, experiment_ids: list[str]) -> tuple[list[dict[str, Any]], JSONObject]:
    table = question.snapshot.tables["trace_info"]
    ids = [int(id) for id in experiment_ids if id.isdigit()]
    size = min(_MOST, int(question.text("max_results") or 100))
    statement = sa.select(table).where(table.c.experiment_id.in_(ids), _here(question), *_wanted(question, table))
    token = question.text("page_token")
    if token:
        time_ms, _, id = token.partition(" ")
        after = sa.or_(
            table.c.timestamp_ms > int(time_ms), sa.and_(table.c.timestamp_ms == int(time_ms), table.c.request_id > id)
        )
        statement = statement.where(table.c.timestamp_ms >= int(time_ms), after)
    statement = statement.order_by(table.c.timestamp_ms, table.c.request_id).limit(size)
    found = question.snapshot.rows(statement)
    if len(found) < size:
        return found, {}
    return found, {"next_page_token": f"{found[-1]['timestamp_ms']} {found[-1]['request_id']}"}


def _wanted(question: Question, table: sa.Table) -> Iterator[sa.ColumnElement[bool]]:
    wish = question.text("filter")
    for clause in wish.split(" and ") if wish else ():
        found = _CLAUSE.fullmatch(clause)
        if found is None:
            raise UsageError(f"Traces of a database cannot be searched by {clause!r}.")
        time_ms = int(found[2])
        yield table.c.timestamp_ms >= time_ms if found[1] == ">=" else table.c.timestamp_ms < time_ms


def _infos(snapshot: Snapshot, rows: Sequence[dict[str, Any]]) -> Iterator[JSONObject]:
    ids = [row["request_id"] for row in rows]
    tags, metadata = _pairs(snapshot, "trace_tags", ids), _pairs(snapshot, "trace_request_metadata", ids)
    assessments = assessments_of(snapshot, ids)
    for row in rows:
        id = row["request_id"]
        info: JSONObject = {
            "trace_id": id,
            "trace_location": {
                "type": "MLFLOW_EXPERIMENT",
                "mlflow_experiment": {"experiment_id": str(row["experiment_id"])},
            },
            "request_time": timestamp(row["timestamp_ms"]),
            "state": row["status"].replace("TRACE_STATUS_UNSPECIFIED", "STATE_UNSPECIFIED"),
            **present(row, "client_request_id", "request_preview", "response_preview"),
        }
        if row["execution_time_ms"] is not None:
            info["execution_duration"] = _duration(row["execution_time_ms"])
        lists: dict[str, Any] = {
            "tags": {**tags.get(id, {}), **_named(row)},
            "trace_metadata": {**metadata.get(id, {}), **_counted(row)},
            "assessments": assessments.get(id),
        }
        yield {**info, **{name: value for name, value in lists.items() if value}}


def _infos_v2(snapshot: Snapshot, rows: Sequence[dict[str, Any]]) -> Iterator[JSONObject]:
    ids = [row["request_id"] for row in rows]
    tags, metadata = _pairs(snapshot, "trace_tags", ids), _pairs(snapshot, "trace_request_metadata", ids)
    for row in rows:
        id = row["request_id"]
        info: JSONObject = {
            "request_id": id,
            "experiment_id": str(row["experiment_id"]),
            "timestamp_ms": row["timestamp_ms"],
            "execution_time_ms": row["execution_time_ms"] or 0,
            "status": row["status"],
        }
        lists = {"request_metadata": metadata.get(id), "tags": tags.get(id)}
        yield {**info, **{name: tag_list(pairs) for name, pairs in lists.items() if pairs}}


def _pairs(snapshot: Snapshot, name: str, ids: Sequence[str]) -> dict[str, dict[str, str]]:
    table = snapshot.tables[name]
    statement = sa.select(table.c.request_id, table.c.key, table.c.value).where(table.c.request_id.in_(ids))
    result: dict[str, dict[str, str]] = {}
    for id, key, value in snapshot.tuples(statement):
        result.setdefault(id, {})[key] = "" if value is None else value
    return result


def _named(row: dict[str, Any]) -> dict[str, str]:
    return {_NAME: row["trace_name"]} if row.get("trace_name") is not None else {}


def _counted(row: dict[str, Any]) -> dict[str, str]:
    """Return the metadata that stand in columns, written as a server writes them."""
    result = {_SESSION: row["session_id"]} if row.get("session_id") is not None else {}
    for key, columns in _COUNTS.items():
        values = {field: row[column] for field, column in columns.items() if row.get(column) is not None}
        if values:
            result[key] = json.dumps(values)
    return result


def _duration(time_ms: int) -> str:
    sign, whole = "-" if time_ms < 0 else "", abs(time_ms)
    return f"{sign}{whole // 1000}" + (f".{whole % 1000:03d}s" if whole % 1000 else "s")


ROUTES = (
    Route("POST", "/api/3.0/mlflow/traces/search", search),
    Route("GET", "/api/3.0/mlflow/traces/{id}", get),
    Route("GET", "/api/2.0/mlflow/traces", search_v2),
    Route("GET", "/api/2.0/mlflow/traces/{id}/info", get_v2),
)
