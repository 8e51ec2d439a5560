"""`review-queues/...`: the review queues of an experiment, with users and schemas, and their items."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from mlflow_archive.spec.canonical import JSONObject
from mlflow_archive.tracking.database.asking import Question, Route, present

_MOST = 1000
_SCHEMAS = "review_queue_label_schemas"


def search(question: Question) -> JSONObject:
    """Return a page of the review queues of an experiment, newest first."""
    table = question.snapshot.tables["review_queues"]
    size, before = question.page(most=_MOST)
    mine = table.c.experiment_id == int(question.text("experiment_id"))
    order = (table.c.creation_time_ms.desc(), table.c.queue_id)
    found = question.snapshot.rows(sa.select(table).where(mine).order_by(*order).limit(size + 1).offset(before))
    ids = [row["queue_id"] for row in found]
    users, schemas = _of(question, "review_queue_users", "user_id", ids), _of(question, _SCHEMAS, "schema_id", ids)
    answer: JSONObject = {"review_queues": [_queue(row, users, schemas) for row in found[:size]]}
    return {**answer, "next_page_token": str(before + size)} if len(found) > size else answer


def items(question: Question) -> JSONObject:
    """Return a page of the items of a queue, newest first; its token is the time and the id of the last of them."""
    table = question.snapshot.tables["review_queue_items"]
    statement = sa.select(table).where(table.c.queue_id == question.text("queue_id"))
    token = question.text("page_token")
    if token:
        time_ms, _, id = token.partition(" ")
        time = table.c.creation_time_ms
        after = sa.or_(time < int(time_ms), sa.and_(time == int(time_ms), table.c.item_id > id))
        statement = statement.where(after)
    found = question.snapshot.rows(
        statement.order_by(table.c.creation_time_ms.desc(), table.c.item_id).limit(_MOST + 1)
    )
    page = found[:_MOST]
    answer: JSONObject = {"items": [_item(row) for row in page]}
    if len(found) > _MOST:
        answer["next_page_token"] = f"{page[-1]['creation_time_ms']} {page[-1]['item_id']}"
    return answer


def _of(question: Question, name: str, column: str, ids: list[str]) -> dict[str, list[str]]:
    """Return queue id -> values of a column of a table that belongs to the queues, sorted."""
    table = question.snapshot.tables[name]
    result: dict[str, list[str]] = {}
    statement = sa.select(table.c.queue_id, table.c[column]).where(table.c.queue_id.in_(ids))
    for id, value in question.snapshot.tuples(statement):
        result.setdefault(id, []).append(value)
    return {id: sorted(values) for id, values in result.items()}


def _queue(row: dict[str, Any], users: dict[str, list[str]], schemas: dict[str, list[str]]) -> JSONObject:
    id = row["queue_id"]
    lists = {"users": users.get(id), "schema_ids": schemas.get(id)}
    return {
        **present(row, "queue_id", "name", "created_by", "creation_time_ms", "last_update_time_ms"),
        "experiment_id": str(row["experiment_id"]),
        "queue_type": row["queue_type"].upper(),
        **{name: [*values] for name, values in lists.items() if values},
    }


def _item(row: dict[str, Any]) -> JSONObject:
    return {
        **present(row, "queue_id", "item_id", "completed_by", "completed_time_ms"),
        "item_type": row["item_type"].upper(),
        "status": row["status"].upper(),
        "creation_time_ms": row["creation_time_ms"],
        "last_update_time_ms": row["last_update_time_ms"],
    }


ROUTES = (
    Route("GET", "/api/3.0/mlflow/review-queues/list", search),
    Route("GET", "/api/3.0/mlflow/review-queues/items/list", items),
)
