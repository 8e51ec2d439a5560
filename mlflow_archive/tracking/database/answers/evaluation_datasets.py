"""`datasets/...`: evaluation datasets, their records, and the experiments they belong to."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from mlflow_archive.spec.canonical import JSONObject, JSONValue
from mlflow_archive.tracking.database.answers.workspaces import in_use
from mlflow_archive.tracking.database.asking import Question, Route, present

_MOST = 1000
_FIELDS = ("dataset_id", "name", "schema", "profile", "digest")
_MADE = ("created_time", "last_update_time", "created_by", "last_updated_by")
#: Where the table keeps outputs, which need not be an object.
_WRAPPED = "mlflow_wrapped"


def search(question: Question) -> JSONObject:
    """Return a page of datasets, in order of creation."""
    table = question.snapshot.tables.get("evaluation_datasets")
    if table is None:
        return {}
    size, before = question.page(most=_MOST)
    statement = sa.select(table).where(question.here(table)).order_by(table.c.created_time, table.c.dataset_id.desc())
    found = question.snapshot.rows(statement.limit(size + 1).offset(before))
    page = found[:size]
    tags = _tags(question, [row["dataset_id"] for row in page])
    answer: JSONObject = {
        "datasets": [
            {**present(row, *_FIELDS, *_MADE), "tags": json.dumps(tags.get(row["dataset_id"], {}))} for row in page
        ]
    }
    if len(found) > size:
        answer["next_page_token"] = str(before + size)
    return answer


def experiment_ids(question: Question) -> JSONObject:
    """Return the experiments of a dataset."""
    snapshot = question.snapshot
    table = snapshot.tables["entity_associations"]
    statement = sa.select(table.c.destination_id).where(
        table.c.source_type == "evaluation_dataset",
        table.c.source_id == question.named["id"],
        table.c.destination_type == "experiment",
    )
    ids = [id for (id,) in snapshot.tuples(statement.order_by(table.c.created_time, table.c.destination_id))]
    if ids and in_use(snapshot):
        experiments = snapshot.tables["experiments"]
        numbers = [int(id) for id in ids if id.isdigit()]
        known = sa.select(experiments.c.experiment_id).where(
            question.here(experiments), experiments.c.experiment_id.in_(numbers)
        )
        here = {str(id) for (id,) in snapshot.tuples(known)}
        ids = [id for id in ids if id in here]
    return {"experiment_ids": [*ids]}


def records(question: Question) -> JSONObject:
    """Return a page of a dataset's records in order of creation; the token says where it ended."""
    table = question.snapshot.tables["evaluation_dataset_records"]
    size = min(_MOST, int(question.text("max_results") or _MOST))
    statement = sa.select(table).where(table.c.dataset_id == question.named["id"])
    if token := question.text("page_token"):
        time, _, last = base64.b64decode(token).decode().partition(":")
        later = sa.and_(table.c.created_time == int(time), table.c.dataset_record_id > last)
        statement = statement.where(sa.or_(table.c.created_time > int(time), later))
    statement = statement.order_by(table.c.created_time, table.c.dataset_record_id).limit(size + 1)
    found = question.snapshot.rows(statement)
    page = found[:size]
    answer: JSONObject = {"records": json.dumps([_record(row, table) for row in page])}
    if len(found) > size:
        end = f"{page[-1]['created_time']}:{page[-1]['dataset_record_id']}"
        answer["next_page_token"] = base64.b64encode(end.encode()).decode()
    return answer


def _record(row: Mapping[str, Any], table: sa.Table) -> JSONObject:
    value: dict[str, JSONValue] = {
        name: _decoded(row.get(name), table.c[name]) if name in table.c else None
        for name in ("inputs", "outputs", "expectations", "tags", "source")
    }
    outputs, source = value["outputs"], value["source"]
    value["outputs"] = outputs.get(_WRAPPED) if isinstance(outputs, dict) else None
    value["tags"] = value["tags"] if value["tags"] is not None else {}
    result: JSONObject = {
        **present(row, "dataset_record_id", "dataset_id", "source_id", *_MADE),
        **{name: item for name, item in value.items() if item is not None and name != "source"},
    }
    return {**result, **_source(source, result.get("source_id"))} if isinstance(source, dict) and source else result


def _source(source: JSONObject, source_id: JSONValue) -> JSONObject:
    """Return where a record comes from; the id of that may be only in the data."""
    kind = str(source.get("source_type", "")).upper()
    data = source.get("source_data") or {}
    result: JSONObject = {"source": {"source_type": kind, "source_data": data}, "source_type": kind}
    found = data.get("trace_id" if kind == "TRACE" else "source_id") if isinstance(data, dict) else None
    if not source_id and found is not None:
        result["source_id"] = found
    return result


def _decoded(value: Any, column: sa.Column[Any]) -> JSONValue:
    """Return JSON; some dialects keep it as text."""
    decoded: JSONValue = value
    if isinstance(value, str) and not isinstance(column.type, sa.JSON):
        decoded = json.loads(value)
    return decoded


def _tags(question: Question, ids: list[str]) -> dict[str, dict[str, str]]:
    table = question.snapshot.tables["evaluation_dataset_tags"]
    statement = sa.select(table.c.dataset_id, table.c.key, table.c.value).where(table.c.dataset_id.in_(ids))
    result: dict[str, dict[str, str]] = {}
    for id, key, value in question.snapshot.tuples(statement.order_by(table.c.key)):
        result.setdefault(id, {})[key] = value
    return result


_DATASETS = "/api/3.0/mlflow/datasets"
ROUTES = (
    Route("POST", f"{_DATASETS}/search", search),
    Route("GET", f"{_DATASETS}/{{id}}/records", records),
    Route("GET", f"{_DATASETS}/{{id}}/experiment-ids", experiment_ids),
)
