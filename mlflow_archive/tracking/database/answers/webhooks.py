"""`webhooks`: all but their secrets, and none that was deleted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from mlflow_archive.spec.canonical import JSONObject, JSONValue
from mlflow_archive.tracking.database.asking import Question, Route, present

_MOST = 1000


def search(question: Question) -> JSONObject:
    """Return a page of webhooks, newest first."""
    table = question.snapshot.tables.get("webhooks")
    if table is None:
        return {}
    size, before = question.page(most=_MOST, default=100)
    # The secret does not even leave the database.
    columns = [column for column in table.c if column.name != "secret"]
    statement = sa.select(*columns).where(question.here(table), table.c.deleted_timestamp.is_(None))
    statement = statement.order_by(table.c.creation_timestamp.desc(), table.c.webhook_id)
    found = question.snapshot.rows(statement.limit(size + 1).offset(before))
    page = found[:size]
    events = _events(question, [row["webhook_id"] for row in page])
    answer: JSONObject = {"webhooks": [_webhook(row, events.get(row["webhook_id"], [])) for row in page]}
    if len(found) > size:
        answer["next_page_token"] = str(before + size)
    return answer


def _webhook(row: Mapping[str, Any], events: list[JSONValue]) -> JSONObject:
    result = present(row, "webhook_id", "name", "url", "status", "creation_timestamp", "last_updated_timestamp")
    if events:
        result["events"] = events
    if row["description"]:
        result["description"] = row["description"]
    return result


def _events(question: Question, ids: list[str]) -> dict[str, list[JSONValue]]:
    table = question.snapshot.tables["webhook_events"]
    statement = sa.select(table.c.webhook_id, table.c.entity, table.c.action).where(table.c.webhook_id.in_(ids))
    result: dict[str, list[JSONValue]] = {}
    for id, entity, action in question.snapshot.tuples(statement.order_by(table.c.entity, table.c.action)):
        result.setdefault(id, []).append({"entity": entity.upper(), "action": action.upper()})
    return result


ROUTES = (Route("GET", "/api/2.0/mlflow/webhooks", search),)
