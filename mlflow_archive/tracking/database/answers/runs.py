"""`runs/search` and `runs/get`: runs with all that is known of them, their models as inputs included.

Beyond what a server tells, ``info`` has the columns of `LEGACY` that say something.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from mlflow_archive.errors import MlflowArchiveError, NotFoundError
from mlflow_archive.spec.canonical import JSONObject, JSONValue, encode_float
from mlflow_archive.spec.run_filter import Comparison, RunFilter
from mlflow_archive.tracking.database.asking import Question, Route, present, tag_list
from mlflow_archive.tracking.database.snapshot import Snapshot
from mlflow_archive.tracking.sources.runs import run_record

#: Columns of ``runs`` that no answer of a server has.
LEGACY = ("source_type", "source_name", "source_version", "entry_point_name", "deleted_time")
#: Runs of a page, whatever is asked: a run may have thousands of metrics, params and tags.
_MOST = 100
_RUN_NAME_TAG = "mlflow.runName"
_NUMBERS = ("start_time", "end_time")
_TEXTS = {"run_id": "run_uuid", "status": "status", "artifact_uri": "artifact_uri", "user_id": "user_id"}


def search(question: Question) -> JSONObject:
    """Return a page of the runs of some experiments, in the order of their ids (a page token is the last one)."""
    snapshot = question.snapshot
    table = snapshot.tables["runs"]
    wish = RunFilter(question.text("filter"))
    where = [
        table.c.experiment_id.in_(experiments_here(question)),
        *(clause for one in wish.comparisons if (clause := _clause(snapshot, one)) is not None),
    ]
    if question.text("run_view_type") != "ALL":
        where.append(table.c.lifecycle_stage == "active")
    size, after = min(_MOST, int(question.text("max_results") or _MOST)), question.text("page_token")
    while True:
        statement = sa.select(table).where(*where, table.c.run_uuid > after).order_by(table.c.run_uuid)
        rows = snapshot.rows(statement.limit(size + 1))
        found = [run for run in _runs(snapshot, rows[:size]) if not wish.comparisons or _wanted(run, wish)]
        more = len(rows) > size
        if more:
            after = str(rows[size - 1]["run_uuid"])
        if found or not more:
            return {"runs": [*found], **({"next_page_token": after} if more else {})}


def get(question: Question) -> JSONObject:
    """Return one run.

    Raises:
        NotFoundError: This workspace has none with the id.
    """
    tables = question.snapshot.tables
    table, experiments = tables["runs"], tables["experiments"]
    run_id = question.text("run_id")
    statement = sa.select(table).join(experiments, experiments.c.experiment_id == table.c.experiment_id)
    rows = question.snapshot.rows(statement.where(table.c.run_uuid == run_id, question.here(experiments)))
    if not rows:
        raise NotFoundError(f"There is no run {run_id!r} in the database.")
    return {"run": _runs(question.snapshot, rows)[0]}


def experiments_here(question: Question) -> list[int]:
    """Return those of the experiments asked for that are in the workspace."""
    table = question.snapshot.tables["experiments"]
    asked = question.asked.get("experiment_ids")
    ids = [int(str(id)) for id in asked if str(id).isdigit()] if isinstance(asked, list) else []
    statement = sa.select(table.c.experiment_id).where(question.here(table), table.c.experiment_id.in_(ids))
    return [id for (id,) in question.snapshot.tuples(statement)]


def _runs(snapshot: Snapshot, rows: Sequence[Mapping[str, Any]]) -> list[JSONObject]:
    ids = [row["run_uuid"] for row in rows]
    if not ids:
        return []
    params, tags = _pairs(snapshot, "params", ids), _pairs(snapshot, "tags", ids)
    metrics, datasets, models = _latest(snapshot, ids), _datasets(snapshot, ids), _models(snapshot, ids)
    result: list[JSONObject] = []
    for row in rows:
        id = row["run_uuid"]
        inputs, outputs = models.get(id, ([], []))
        run: JSONObject = {
            "info": _info(row, tags.get(id, [])),
            "data": {
                "metrics": metrics.get(id, []),
                "params": tag_list(params.get(id, [])),
                "tags": tag_list(tags.get(id, [])),
            },
            "inputs": {"dataset_inputs": datasets.get(id, []), "model_inputs": inputs},
            "outputs": {"model_outputs": outputs},
        }
        result.append(run)
    return result


def _info(row: Mapping[str, Any], tags: list[tuple[str, str]]) -> JSONObject:
    info: JSONObject = {
        "run_id": row["run_uuid"],
        "experiment_id": str(row["experiment_id"]),
        **present(row, "user_id", "status", "start_time", "lifecycle_stage"),
        **{name: row[name] for name in ("end_time", "artifact_uri", *LEGACY) if row.get(name)},
    }
    name = row.get("name") or dict(tags).get(_RUN_NAME_TAG) or row.get("name")
    return info if name is None else {**info, "run_name": name}


def _pairs(snapshot: Snapshot, name: str, ids: list[str]) -> dict[str, list[tuple[str, str]]]:
    table = snapshot.tables[name]
    result: dict[str, list[tuple[str, str]]] = {}
    statement = sa.select(table.c.run_uuid, table.c.key, table.c.value).where(table.c.run_uuid.in_(ids))
    for id, key, value in snapshot.tuples(statement):
        result.setdefault(id, []).append((key, value))
    return result


def _latest(snapshot: Snapshot, ids: list[str]) -> dict[str, list[JSONValue]]:
    table = snapshot.tables["latest_metrics"]
    columns = (table.c.run_uuid, table.c.key, table.c.value, table.c.is_nan, table.c.timestamp, table.c.step)
    result: dict[str, list[JSONValue]] = {}
    for id, key, value, is_nan, timestamp, step in snapshot.tuples(
        sa.select(*columns).where(table.c.run_uuid.in_(ids))
    ):
        number = encode_float(math.nan if is_nan or value is None else value)
        metric: JSONObject = {"key": key, "value": number, "timestamp": timestamp or 0, "step": step}
        result.setdefault(id, []).append(metric)
    return result


def _datasets(snapshot: Snapshot, ids: list[str]) -> dict[str, list[JSONValue]]:
    inputs, datasets, tags = (snapshot.tables[name] for name in ("inputs", "datasets", "input_tags"))
    here = sa.and_(inputs.c.destination_type == "RUN", inputs.c.destination_id.in_(ids))
    tags_of: dict[str, list[tuple[str, str]]] = {}
    tagged = sa.select(tags).join(inputs, inputs.c.input_uuid == tags.c.input_uuid).where(here)
    for row in snapshot.rows(tagged.order_by(tags.c.input_uuid, tags.c.name)):
        tags_of.setdefault(row["input_uuid"], []).append((row["name"], row["value"]))
    result: dict[str, list[JSONValue]] = {}
    given = sa.select(inputs.c.destination_id, inputs.c.input_uuid, datasets).join(
        datasets, datasets.c.dataset_uuid == inputs.c.source_id
    )
    for row in snapshot.rows(given.where(here).order_by(inputs.c.destination_id, datasets.c.name, datasets.c.digest)):
        dataset: JSONObject = {
            "name": row["name"],
            "digest": row["digest"],
            "source_type": row["dataset_source_type"],
            "source": row["dataset_source"],
            **{name: row[f"dataset_{name}"] for name in ("schema", "profile") if row[f"dataset_{name}"]},
        }
        tag_pairs = tags_of.get(row["input_uuid"])
        one: JSONObject = {"dataset": dataset, **({"tags": tag_list(tag_pairs)} if tag_pairs else {})}
        result.setdefault(row["destination_id"], []).append(one)
    return result


def _models(snapshot: Snapshot, ids: list[str]) -> dict[str, tuple[list[JSONValue], list[JSONValue]]]:
    """Return the logged models that went into runs, and those that came out of them."""
    table = snapshot.tables["inputs"]
    step = table.c.step if "step" in table.c else sa.literal(0)
    result: dict[str, tuple[list[JSONValue], list[JSONValue]]] = {}
    statement = sa.select(table.c.source_id, table.c.destination_type, table.c.destination_id, step).where(
        table.c.source_type.in_(("RUN_INPUT", "RUN_OUTPUT")),
        table.c.source_id.in_(ids),
        table.c.destination_type.in_(("MODEL_INPUT", "MODEL_OUTPUT")),
    )
    for id, what, model_id, at in snapshot.tuples(statement.order_by(table.c.source_id, table.c.destination_id)):
        inputs, outputs = result.setdefault(id, ([], []))
        if what == "MODEL_INPUT":
            inputs.append({"model_id": model_id})
        else:
            outputs.append({"model_id": model_id, "step": at})
    return result


def _clause(snapshot: Snapshot, wish: Comparison) -> sa.ColumnElement[bool] | None:
    """Return a condition that no run fails for which the comparison holds; its record decides in the end."""
    runs = snapshot.tables["runs"]
    if wish.entity == "attribute" and wish.key in _NUMBERS:
        column = runs.c[wish.key]
        ways = {"=": column == wish.value, "<": column < wish.value, "<=": column <= wish.value}
        ways |= {">": column > wish.value, ">=": column >= wish.value}
        return ways.get(wish.operator)
    if wish.operator != "=":
        return None
    if wish.entity == "attribute" and wish.key in _TEXTS:
        return runs.c[_TEXTS[wish.key]] == wish.value
    table = {"tag": snapshot.tables["tags"], "param": snapshot.tables["params"]}.get(wish.entity)
    if table is None:
        return None
    return sa.exists().where(table.c.run_uuid == runs.c.run_uuid, table.c.key == wish.key, table.c.value == wish.value)


def _wanted(run: JSONObject, wish: RunFilter) -> bool:
    try:
        return wish.matches(run_record(run))
    except MlflowArchiveError:
        return True  # whoever asked will see what is wrong with it


ROUTES = (
    Route("POST", "/api/2.0/mlflow/runs/search", search),
    Route("GET", "/api/2.0/mlflow/runs/get", get),
)
