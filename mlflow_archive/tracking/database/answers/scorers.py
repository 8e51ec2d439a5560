"""`scorers/...`: scorers of an experiment, deleted or not, with all versions and their online configurations.

A scorer that uses an endpoint of the gateway keeps its id; as a server does, the answers name the endpoint.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from typing import Any
from weakref import WeakKeyDictionary

import sqlalchemy as sa

from mlflow_archive.errors import NotFoundError
from mlflow_archive.spec.canonical import JSONObject, JSONValue
from mlflow_archive.tracking.database.asking import Question, Route, present
from mlflow_archive.tracking.database.snapshot import Snapshot

#: Where the different kinds of scorers keep what they are, their model among it; one of them, another scorer.
_KEEPERS = (
    "instructions_judge_pydantic_data",
    "builtin_scorer_pydantic_data",
    "memory_augmented_judge_data",
    "third_party_scorer_data",
)
_BASE = "base_judge"
_GATEWAY = "gateway:/"

#: Snapshot -> experiments with scorers; most have none, and each is asked about.
_with_scorers: WeakKeyDictionary[Snapshot, frozenset[int]] = WeakKeyDictionary()
_lock = threading.Lock()


def search(question: Question) -> JSONObject:
    """Return the scorers of an experiment by name, each in its newest version."""
    experiment_id = int(question.text("experiment_id"))
    if experiment_id not in _experiments(question.snapshot):
        return {}
    versions = question.snapshot.tables["scorer_versions"]
    newest = sa.select(versions.c.scorer_id, sa.func.max(versions.c.scorer_version).label("newest"))
    last = newest.group_by(versions.c.scorer_id).subquery()
    rows = _rows(
        question,
        experiment_id,
        sa.exists().where(last.c.scorer_id == versions.c.scorer_id, last.c.newest == versions.c.scorer_version),
    )
    return {"scorers": _answered(question, rows)}


def search_versions(question: Question) -> JSONObject:
    """Return all versions of a scorer, ascending.

    Raises:
        NotFoundError: There is no such scorer.
    """
    name, experiment_id = question.text("name"), int(question.text("experiment_id"))
    name_is = question.snapshot.tables["scorers"].c.scorer_name == name
    rows = [row for row in _rows(question, experiment_id, name_is) if row["scorer_name"] == name]
    if not rows:
        raise NotFoundError(f"Scorer with name '{name}' not found for experiment {experiment_id}.")
    return {"scorers": _answered(question, rows)}


def online_configs(question: Question) -> JSONObject:
    """Return the online scoring configurations of scorers."""
    table = question.snapshot.tables.get("online_scoring_configs")
    wanted = question.asked.get("scorer_ids")
    if table is None:
        return {"configs": []}
    ids = wanted if isinstance(wanted, list) else [wanted]
    statement = sa.select(table).where(table.c.scorer_id.in_(ids)).order_by(table.c.online_scoring_config_id)
    return {
        "configs": [
            {
                **present(row, "online_scoring_config_id", "scorer_id", "sample_rate", "filter_string"),
                "experiment_id": str(row["experiment_id"]),
            }
            for row in question.snapshot.rows(statement)
        ]
    }


def _experiments(snapshot: Snapshot) -> frozenset[int]:
    with _lock:
        known = _with_scorers.get(snapshot)
        if known is None:
            table = snapshot.tables.get("scorers")
            found = [] if table is None else snapshot.tuples(sa.select(table.c.experiment_id).distinct())
            known = _with_scorers[snapshot] = frozenset(int(id) for (id,) in found)
    return known


def _rows(question: Question, experiment_id: int, condition: sa.ColumnElement[bool]) -> list[dict[str, Any]]:
    scorers, versions = question.snapshot.tables["scorers"], question.snapshot.tables["scorer_versions"]
    joined = sa.select(scorers.c.experiment_id, scorers.c.scorer_name, versions).join(
        versions, versions.c.scorer_id == scorers.c.scorer_id
    )
    statement = joined.where(scorers.c.experiment_id == experiment_id, condition)
    return question.snapshot.rows(statement.order_by(scorers.c.scorer_name, versions.c.scorer_version))


def _answered(question: Question, rows: Sequence[Mapping[str, Any]]) -> list[JSONValue]:
    names: dict[str, str] | None = None
    result: list[JSONValue] = []
    for row in rows:
        written = row["serialized_scorer"]
        if _GATEWAY in written and question.snapshot.has("endpoints"):
            names = _endpoints(question) if names is None else names
            written = json.dumps(_named(json.loads(written), names))
        fields = present(row, "experiment_id", "scorer_name", "scorer_version", "creation_time", "scorer_id")
        result.append({**fields, "serialized_scorer": written})
    return result


def _named(scorer: dict[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """Return a scorer whose model names its endpoint; of one that is gone, nothing."""
    for keeper in _KEEPERS:
        data = scorer.get(keeper)
        if not data:
            continue
        if _BASE in data:
            return {**scorer, keeper: {**data, _BASE: _named(data[_BASE], names)}}
        model = data.get("model")
        if not isinstance(model, str) or not model.startswith(_GATEWAY):
            return scorer
        name = names.get(model.removeprefix(_GATEWAY).lstrip("/"))
        return {**scorer, keeper: {**data, "model": f"{_GATEWAY}{name}" if name else None}}
    return scorer


def _endpoints(question: Question) -> dict[str, str]:
    """Return id -> name of the endpoints that lead to a model; a server sees no others here."""
    table, models = question.snapshot.tables["endpoints"], question.snapshot.tables["endpoint_model_mappings"]
    leads = sa.exists().where(models.c.endpoint_id == table.c.endpoint_id)
    statement = sa.select(table.c.endpoint_id, table.c.name).where(question.here(table), leads)
    return {id: name for id, name in question.snapshot.tuples(statement) if name}


_SCORERS = "/api/3.0/mlflow/scorers"
ROUTES = (
    Route("GET", f"{_SCORERS}/list", search),
    Route("GET", f"{_SCORERS}/versions", search_versions),
    Route("GET", f"{_SCORERS}/online-configs", online_configs),
)
