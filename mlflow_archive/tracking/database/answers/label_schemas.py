"""`label-schemas/list`: the label schemas that are there; a server that is asked for them inserts the default one."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from mlflow_archive.spec.canonical import JSONObject
from mlflow_archive.tracking.database.answers.assessments import loaded
from mlflow_archive.tracking.database.asking import Question, Route, present

_MOST = 1000


def search(question: Question) -> JSONObject:
    """Return a page of the label schemas of an experiment, newest first."""
    table = question.snapshot.tables["label_schemas"]
    size, before = question.page(most=_MOST)
    mine = table.c.experiment_id == int(question.text("experiment_id"))
    order = (table.c.created_time.desc(), table.c.schema_id)
    found = question.snapshot.rows(sa.select(table).where(mine).order_by(*order).limit(size + 1).offset(before))
    answer: JSONObject = {"label_schemas": [_schema(row) for row in found[:size]]}
    return {**answer, "next_page_token": str(before + size)} if len(found) > size else answer


def _schema(row: dict[str, Any]) -> JSONObject:
    config = loaded(row["input_config"])
    fields = {name: value for name, value in config.items() if value is not None} if isinstance(config, dict) else {}
    if row["input_type"] == "numeric":
        fields = {name: float(value) for name, value in fields.items()}
    return {
        **present(row, "name", "schema_id", "instruction", "created_by"),
        "experiment_id": str(row["experiment_id"]),
        "type": row["type"].upper(),
        "enable_comment": bool(row["enable_comment"]),
        "input": {row["input_type"]: fields},
        "created_at": row["created_time"],
        "last_updated_at": row["last_update_time"],
        "is_default": bool(row.get("is_default")),
    }


ROUTES = (Route("GET", "/api/3.0/mlflow/label-schemas/list", search),)
