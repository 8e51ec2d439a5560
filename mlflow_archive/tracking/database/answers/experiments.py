"""`experiments/search`, `experiments/get`, `experiments/get-by-name`: experiments with their tags."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from mlflow_archive.errors import NotFoundError
from mlflow_archive.spec.canonical import JSONObject
from mlflow_archive.tracking.database.asking import Question, Route, present, tag_list

_MOST = 1000


def search(question: Question) -> JSONObject:
    """Return a page of experiments, deleted ones included, in order of creation."""
    tables = question.snapshot.tables
    table = tables["experiments"]
    size, before = question.page(most=_MOST)
    order = [table.c.creation_time, table.c.experiment_id] if "creation_time" in table.c else [table.c.experiment_id]
    statement = sa.select(table).where(question.here(table)).order_by(*order).limit(size + 1).offset(before)
    found = question.snapshot.rows(statement)
    tags = _tags(question, [row["experiment_id"] for row in found])
    answer: JSONObject = {"experiments": [_experiment(row, tags.get(row["experiment_id"], [])) for row in found[:size]]}
    if len(found) > size:
        answer["next_page_token"] = str(before + size)
    return answer


def get(question: Question) -> JSONObject:
    """Return one experiment, by its id or its name.

    Raises:
        NotFoundError: There is none.
    """
    table = question.snapshot.tables["experiments"]
    name, id = question.text("experiment_name"), question.text("experiment_id")
    wanted = table.c.name == name if name else sa.cast(table.c.experiment_id, sa.String) == id
    found = question.snapshot.rows(sa.select(table).where(question.here(table), wanted))
    if not found:
        raise NotFoundError(f"There is no experiment {name or id!r}.", code="resource_does_not_exist")
    row = found[0]
    return {"experiment": _experiment(row, _tags(question, [row["experiment_id"]]).get(row["experiment_id"], []))}


def _experiment(row: dict[str, Any], tags: list[tuple[str, str]]) -> JSONObject:
    result: JSONObject = {
        "experiment_id": str(row["experiment_id"]),
        **present(
            row, "name", "artifact_location", "lifecycle_stage", "last_update_time", "creation_time", "workspace"
        ),
    }
    if tags:
        result["tags"] = tag_list(tags)
    return result


def _tags(question: Question, ids: list[int]) -> dict[int, list[tuple[str, str]]]:
    table = question.snapshot.tables["experiment_tags"]
    statement = sa.select(table.c.experiment_id, table.c.key, table.c.value).where(table.c.experiment_id.in_(ids))
    result: dict[int, list[tuple[str, str]]] = {}
    for id, key, value in question.snapshot.tuples(statement):
        result.setdefault(id, []).append((key, value))
    return result


ROUTES = (
    Route("POST", "/api/2.0/mlflow/experiments/search", search),
    Route("GET", "/api/2.0/mlflow/experiments/get", get),
    Route("GET", "/api/2.0/mlflow/experiments/get-by-name", get),
)
