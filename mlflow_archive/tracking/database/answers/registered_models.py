"""`registered-models/search` and `model-versions/...`: the registry, prompts included.

What a deletion left of a version (the stage ``Deleted_Internal``) is in no answer, as over the API. Rows of a search
for the versions of a model also say where their files are, so that nobody need ask for each; those of prompts do not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from mlflow_archive.errors import NotFoundError, UsageError
from mlflow_archive.spec.canonical import JSONObject, JSONValue
from mlflow_archive.tracking.database.asking import Question, Route, present, tag_list

_MOST_MODELS = 1000
_MOST_VERSIONS = 10_000
_DELETED = "Deleted_Internal"
_IS_PROMPT = "mlflow.prompt.is_prompt"
_PROMPTS_ONLY = f"tags.`{_IS_PROMPT}` = 'true'"
#: Fields of a version that have their columns' names.
_VERSION_FIELDS = ("description", "user_id", "current_stage", "source", "run_id", "run_link", "status")


def search(question: Question) -> JSONObject:
    """Return a page of registered models by name, or of prompts where the filter asks for these."""
    tables = question.snapshot.tables
    table, tags = tables["registered_models"], tables["registered_model_tags"]
    wish = question.text("filter")
    if wish not in ("", _PROMPTS_ONLY):
        raise _unknown(wish)
    is_prompt = sa.exists().where(
        question.here(tags),
        tags.c.name == table.c.name,
        tags.c.key == _IS_PROMPT,
        sa.func.lower(tags.c.value) == "true",
    )
    size, before = question.page(most=_MOST_MODELS)
    statement = sa.select(table).where(question.here(table), is_prompt if wish else ~is_prompt)
    found = question.snapshot.rows(statement.order_by(table.c.name).limit(size + 1).offset(before))
    page = found[:size]
    names = [row["name"] for row in page]
    tagged = _by_name(question, tags, "key", "value", names)
    aliases = _by_name(question, tables["registered_model_aliases"], "alias", "version", names)
    newest = _newest(question, names)
    answer: JSONObject = {
        "registered_models": [
            _model(row, tagged.get(row["name"], []), aliases.get(row["name"], []), newest.get(row["name"], []))
            for row in page
        ]
    }
    if len(found) > size:
        answer["next_page_token"] = str(before + size)
    return answer


def search_versions(question: Question) -> JSONObject:
    """Return a page of the versions of one model or prompt, ascending.

    All versions of a prompt are given, also those that were made without its tag, which a server's search hides.
    """
    wish = question.text("filter")
    of_prompt = wish.endswith(f" and {_PROMPTS_ONLY}")
    table = question.snapshot.tables["model_versions"]
    name = _name_in(wish.removesuffix(f" and {_PROMPTS_ONLY}"))
    size, before = question.page(most=_MOST_VERSIONS)
    statement = sa.select(table).where(*_living(question, table), table.c.name == name)
    found = question.snapshot.rows(statement.order_by(table.c.version).limit(size + 1).offset(before))
    page = found[:size]
    tags = _version_tags(question, name, [row["version"] for row in page])
    answer: JSONObject = {
        "model_versions": [
            {**_version(row, tags.get(row["version"], [])), **({} if of_prompt else _location(row))} for row in page
        ]
    }
    if len(found) > size:
        answer["next_page_token"] = str(before + size)
    return answer


def get_version(question: Question) -> JSONObject:
    """Return one version.

    Raises:
        NotFoundError: There is none, or it was deleted.
    """
    row = _one(question)
    tags = _version_tags(question, row["name"], [row["version"]])
    return {"model_version": _version(row, tags.get(row["version"], []))}


def get_download_uri(question: Question) -> JSONObject:
    """Return where the files of a version are.

    Raises:
        NotFoundError: There is no such version, or it was deleted.
    """
    row = _one(question)
    return {"artifact_uri": row.get("storage_location") or row["source"] or ""}


def _model(
    row: Mapping[str, Any],
    tags: list[tuple[str, str]],
    aliases: list[tuple[str, int]],
    newest: list[tuple[int, str]],
) -> JSONObject:
    result: JSONObject = {"name": row["name"], **_times(row)}
    if row["description"]:
        result["description"] = row["description"]
    if newest:
        result["latest_versions"] = [
            {"name": row["name"], "version": str(version), "current_stage": stage} for version, stage in newest
        ]
    if tags:
        result["tags"] = tag_list(tags)
    if aliases:
        result["aliases"] = [{"alias": alias, "version": str(version)} for alias, version in aliases]
    return result


def _version(row: Mapping[str, Any], tags: list[tuple[str, str]]) -> JSONObject:
    result: JSONObject = {"name": row["name"], "version": str(row["version"]), **_times(row)}
    result |= present(row, *_VERSION_FIELDS)
    if row["status_message"]:
        result["status_message"] = row["status_message"]
    if tags:
        result["tags"] = tag_list(tags)
    return result


def _times(row: Mapping[str, Any]) -> JSONObject:
    times: dict[str, JSONValue] = {
        "creation_timestamp": row["creation_time"],
        "last_updated_timestamp": row["last_updated_time"],
    }
    return {name: value for name, value in times.items() if value is not None}


def _location(row: Mapping[str, Any]) -> JSONObject:
    location = row.get("storage_location") or row["source"]
    return {"storage_location": location} if location else {}


def _living(question: Question, table: sa.Table) -> tuple[sa.ColumnElement[bool], ...]:
    return question.here(table), table.c.current_stage != _DELETED


def _one(question: Question) -> dict[str, Any]:
    table = question.snapshot.tables["model_versions"]
    name, version = question.text("name"), question.text("version")
    conditions = [*_living(question, table), table.c.name == name, table.c.version == int(version)]
    found = [row for row in question.snapshot.rows(sa.select(table).where(*conditions)) if row["name"] == name]
    if not found:
        raise NotFoundError(f"Model Version (name={name}, version={version}) not found")
    return found[0]


def _by_name(
    question: Question, table: sa.Table, key: str, value: str, names: Sequence[str]
) -> dict[str, list[tuple[str, Any]]]:
    statement = sa.select(table.c.name, table.c[key], table.c[value])
    statement = statement.where(question.here(table), table.c.name.in_(names)).order_by(table.c.name, table.c[key])
    result: dict[str, list[tuple[str, Any]]] = {}
    for name, *pair in question.snapshot.tuples(statement):
        result.setdefault(name, []).append((pair[0], pair[1]))
    return result


def _newest(question: Question, names: Sequence[str]) -> dict[str, list[tuple[int, str]]]:
    """Return the newest version of each stage."""
    table = question.snapshot.tables["model_versions"]
    newest = sa.func.max(table.c.version)
    statement = sa.select(table.c.name, newest, table.c.current_stage)
    statement = statement.where(*_living(question, table), table.c.name.in_(names))
    result: dict[str, list[tuple[int, str]]] = {}
    for name, version, stage in question.snapshot.tuples(statement.group_by(table.c.name, table.c.current_stage)):
        result.setdefault(name, []).append((version, stage))
    return result


def _version_tags(question: Question, name: str, versions: Sequence[int]) -> dict[int, list[tuple[str, str]]]:
    result: dict[int, list[tuple[str, str]]] = {}
    if not versions:
        return result
    table = question.snapshot.tables["model_version_tags"]
    statement = sa.select(table.c.version, table.c.key, table.c.value).where(
        question.here(table), table.c.name == name, table.c.version.between(min(versions), max(versions))
    )
    for version, key, value in question.snapshot.tuples(statement.order_by(table.c.version, table.c.key)):
        result.setdefault(version, []).append((key, value))
    return result


def _name_in(wish: str) -> str:
    """Return the name in ``name = '...'``; quotes of the other kind may be in it."""
    quoted = wish.removeprefix("name = ")
    if quoted == wish or len(quoted) < 2 or quoted[0] not in "'\"" or quoted[-1] != quoted[0]:
        raise _unknown(wish)
    return quoted[1:-1]


def _unknown(wish: str) -> UsageError:
    return UsageError(f"A database does not answer the filter {wish!r}.", code="filter")


_REST = "/api/2.0/mlflow/"
ROUTES = (
    Route("GET", f"{_REST}registered-models/search", search),
    Route("GET", f"{_REST}model-versions/search", search_versions),
    Route("GET", f"{_REST}model-versions/get", get_version),
    Route("GET", f"{_REST}model-versions/get-download-uri", get_download_uri),
)
