"""`gateway/...`: what the AI gateway is made of, without the values of its secrets.

Endpoints that lead to no model are given too; a server does not list them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from mlflow_archive.spec.canonical import JSONObject
from mlflow_archive.tracking.database.answers.assessments import loaded
from mlflow_archive.tracking.database.asking import Question, Route, present

_MOST = 1000
_TIMES = ("created_at", "last_updated_at")
_PEOPLE = ("created_by", "last_updated_by")
_MAPPING = (
    *("mapping_id", "endpoint_id", "model_definition_id"),
    *("weight", "linkage_type", "fallback_order", "created_at", "created_by"),
)


def model_definitions(question: Question) -> JSONObject:
    """Return all model definitions of the workspace."""
    table = question.snapshot.tables["model_definitions"]
    found = _definitions(question, question.here(table))
    return {"model_definitions": [*found.values()]}


def endpoints(question: Question) -> JSONObject:
    """Return all endpoints of the workspace, with their models and tags."""
    table = question.snapshot.tables["endpoints"]
    mine = sa.select(table.c.endpoint_id).where(question.here(table))
    mappings = _mappings(question, mine)
    tags: dict[str, list[JSONObject]] = {}
    tag = question.snapshot.tables["endpoint_tags"]
    statement = sa.select(tag).where(tag.c.endpoint_id.in_(mine)).order_by(tag.c.endpoint_id, tag.c.key)
    for row in question.snapshot.rows(statement):
        tags.setdefault(row["endpoint_id"], []).append(present(row, "key", "value"))
    rows = question.snapshot.rows(sa.select(table).where(question.here(table)).order_by(table.c.endpoint_id))
    return {"endpoints": [_endpoint(row, mappings, tags) for row in rows]}


def bindings(question: Question) -> JSONObject:
    """Return what is bound to an endpoint."""
    table = question.snapshot.tables["endpoint_bindings"]
    statement = sa.select(table).where(table.c.endpoint_id == question.text("endpoint_id"))
    rows = question.snapshot.rows(statement.order_by(table.c.resource_type, table.c.resource_id))
    names = ("endpoint_id", "resource_type", "resource_id", *_TIMES, *_PEOPLE, "display_name")
    return {"bindings": [present(row, *names) for row in rows]}


def endpoint_guardrails(question: Question) -> JSONObject:
    """Return the guardrails of an endpoint in the order in which they run."""
    table = question.snapshot.tables["guardrail_configs"]
    last = sa.case((table.c.execution_order.is_(None), 1), else_=0)
    mine = table.c.endpoint_id == question.text("endpoint_id")
    order = (last, table.c.execution_order, table.c.guardrail_id)
    rows = question.snapshot.rows(sa.select(table).where(mine).order_by(*order))
    wanted = question.snapshot.tables["guardrails"].c.guardrail_id.in_([row["guardrail_id"] for row in rows])
    known = {one["guardrail_id"]: one for one in _guardrails(question, wanted)}
    return {"configs": [_config(row, known) for row in rows]}


def guardrails(question: Question) -> JSONObject:
    """Return a page of the guardrails of the workspace, by id; its token is the last id."""
    table = question.snapshot.tables["guardrails"]
    after = sa.and_(question.here(table), table.c.guardrail_id > question.text("page_token"))
    return _page("guardrails", "guardrail_id", _guardrails(question, after))


def budget_policies(question: Question) -> JSONObject:
    """Return a page of the budget policies of the workspace, by id; its token is the last id."""
    table = question.snapshot.tables["budget_policies"]
    after = sa.and_(question.here(table), table.c.budget_policy_id > question.text("page_token"))
    statement = sa.select(table).where(after).order_by(table.c.budget_policy_id).limit(_MOST + 1)
    return _page("budget_policies", "budget_policy_id", [_policy(row) for row in question.snapshot.rows(statement)])


def secrets(question: Question) -> JSONObject:
    """Return the names of the secrets, which tell that there are any."""
    table = question.snapshot.tables["secrets"]
    statement = sa.select(table.c.secret_id, table.c.secret_name).where(question.here(table))
    rows = question.snapshot.rows(statement.order_by(table.c.secret_id))
    return {"secrets": [present(row, "secret_id", "secret_name") for row in rows]}


def _page(name: str, id: str, found: Sequence[JSONObject]) -> JSONObject:
    answer: JSONObject = {name: [*found[:_MOST]]}
    return {**answer, "next_page_token": found[_MOST - 1][id]} if len(found) > _MOST else answer


def _definitions(question: Question, condition: sa.ColumnElement[bool]) -> dict[str, JSONObject]:
    table, secret = question.snapshot.tables["model_definitions"], question.snapshot.tables["secrets"]
    joined = sa.select(table, secret.c.secret_name).outerjoin(secret, secret.c.secret_id == table.c.secret_id)
    rows = question.snapshot.rows(joined.where(condition).order_by(table.c.model_definition_id))
    names = ("model_definition_id", "name", "secret_id", "secret_name", "provider", "model_name", *_TIMES, *_PEOPLE)
    return {row["model_definition_id"]: present(row, *names) for row in rows}


def _mappings(question: Question, endpoint_ids: sa.Select[Any]) -> dict[str, list[JSONObject]]:
    table = question.snapshot.tables["endpoint_model_mappings"]
    mine = table.c.endpoint_id.in_(endpoint_ids)
    definition = question.snapshot.tables["model_definitions"].c.model_definition_id
    known = _definitions(question, definition.in_(sa.select(table.c.model_definition_id).where(mine)))
    result: dict[str, list[JSONObject]] = {}
    # As they were made, which is how a server comes upon them; the first model before those to fall back to.
    falls_back = sa.case((table.c.fallback_order.is_(None), 0), else_=1)
    order = (table.c.endpoint_id, table.c.created_at, falls_back, table.c.fallback_order, table.c.mapping_id)
    for row in question.snapshot.rows(sa.select(table).where(mine).order_by(*order)):
        mapping = present(row, *_MAPPING)
        if row["model_definition_id"] in known:
            mapping["model_definition"] = known[row["model_definition_id"]]
        result.setdefault(row["endpoint_id"], []).append(mapping)
    return result


def _endpoint(
    row: dict[str, Any], mappings: Mapping[str, list[JSONObject]], tags: Mapping[str, list[JSONObject]]
) -> JSONObject:
    result: JSONObject = {
        **present(row, "endpoint_id", "routing_strategy", *_TIMES),
        **{name: row[name] or "" for name in ("name", *_PEOPLE)},
    }
    if "usage_tracking" in row:
        result["usage_tracking"] = bool(row["usage_tracking"])
    if row.get("experiment_id") is not None:
        result["experiment_id"] = str(row["experiment_id"])
    fallback = loaded(row.get("fallback_config_json") or None)
    if isinstance(fallback, dict):
        # An endpoint's models are in its mappings, here only how they are tried.
        kept = {name: fallback.get(name) for name in ("strategy", "max_attempts")}
        result["fallback_config"] = {name: value for name, value in kept.items() if value is not None}
    lists = {"model_mappings": mappings.get(row["endpoint_id"]), "tags": tags.get(row["endpoint_id"])}
    return {**result, **{name: [*values] for name, values in lists.items() if values}}


def _guardrails(question: Question, condition: sa.ColumnElement[bool]) -> list[JSONObject]:
    tables = question.snapshot.tables
    table, version, scorer, endpoint = (
        tables[name] for name in ("guardrails", "scorer_versions", "scorers", "endpoints")
    )
    same = sa.and_(version.c.scorer_id == table.c.scorer_id, version.c.scorer_version == table.c.scorer_version)
    joined = (
        sa.select(
            table,
            version.c.serialized_scorer,
            version.c.creation_time,
            scorer.c.experiment_id,
            scorer.c.scorer_name,
            endpoint.c.name.label("action_endpoint_name"),
        )
        .outerjoin(version, same)
        .outerjoin(scorer, scorer.c.scorer_id == table.c.scorer_id)
        .outerjoin(endpoint, endpoint.c.endpoint_id == table.c.action_endpoint_id)
    )
    statement = joined.where(condition).order_by(table.c.guardrail_id).limit(_MOST + 1)
    return [_guardrail(row) for row in question.snapshot.rows(statement)]


def _guardrail(row: dict[str, Any]) -> JSONObject:
    scorer = ("experiment_id", "scorer_name", "scorer_version", "serialized_scorer", "creation_time", "scorer_id")
    result: JSONObject = {
        **present(row, "guardrail_id", "name", "stage", "action", *_TIMES),
        **{name: row[name] or "" for name in _PEOPLE},
        "scorer": present(row, *scorer),
    }
    if row["action_endpoint_name"]:
        # What a server calls the id is the name.
        result["action_endpoint_id"] = row["action_endpoint_name"]
    return result


def _config(row: dict[str, Any], known: Mapping[Any, JSONObject]) -> JSONObject:
    result = present(row, "endpoint_id", "guardrail_id", "execution_order", "created_at")
    result["created_by"] = row["created_by"] or ""
    if row["guardrail_id"] in known:
        result["guardrail"] = known[row["guardrail_id"]]
    return result


def _policy(row: dict[str, Any]) -> JSONObject:
    names = ("budget_policy_id", "budget_unit", "budget_amount", "target_scope", "budget_action", "target_value")
    return {
        **present(row, *names, *_TIMES),
        **{name: row[name] or "" for name in _PEOPLE},
        "duration": {"unit": row["duration_unit"], "value": row["duration_value"]},
    }


_CALLS: dict[str, Callable[[Question], JSONObject]] = {
    "model-definitions/list": model_definitions,
    "endpoints/list": endpoints,
    "endpoints/bindings/list": bindings,
    "guardrails/list-for-endpoint": endpoint_guardrails,
    "guardrails/list": guardrails,
    "budgets/list": budget_policies,
    "secrets/list": secrets,
}
ROUTES = tuple(Route("GET", f"/api/3.0/mlflow/gateway/{path}", answer) for path, answer in _CALLS.items())
