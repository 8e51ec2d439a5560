"""`issues/search`: the issues of an experiment."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from mlflow_archive.spec.canonical import JSONObject
from mlflow_archive.tracking.database.answers.assessments import loaded
from mlflow_archive.tracking.database.asking import Question, Route, present

_MOST = 1000
_GIVEN = ("issue_id", "name", "description", "status", "created_timestamp", "last_updated_timestamp")
#: Left out by a server where they are empty.
_OPTIONAL = ("severity", "source_run_id", "created_by")
_LISTS = ("root_causes", "categories")


def search(question: Question) -> JSONObject:
    """Return a page of the issues of an experiment, by id; its token is the last id."""
    table = question.snapshot.tables["issues"]
    statement = sa.select(table).where(
        table.c.experiment_id == int(question.text("experiment_id")), table.c.issue_id > question.text("page_token")
    )
    found = question.snapshot.rows(statement.order_by(table.c.issue_id).limit(_MOST + 1))
    page = found[:_MOST]
    answer: JSONObject = {"issues": [_issue(row) for row in page]}
    return {**answer, "next_page_token": page[-1]["issue_id"]} if len(found) > _MOST else answer


def _issue(row: dict[str, Any]) -> JSONObject:
    lists = {name: loaded(row[name]) if row[name] else None for name in _LISTS}
    return {
        "experiment_id": str(row["experiment_id"]),
        **present(row, *_GIVEN),
        **{name: row[name] for name in _OPTIONAL if row[name]},
        **{name: value for name, value in lists.items() if value},
    }


ROUTES = (Route("POST", "/api/3.0/mlflow/issues/search", search),)
