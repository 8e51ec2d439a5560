"""`scorers`, `scorer_versions`, `online_scoring_configs`.

A server shows a judge with the name of the gateway endpoint that it asks, where its table has the endpoint's id. The
endpoints come later: such versions wait for the end, and the guardrails, which refer to versions, with them.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator

from mlflow_archive.spec.canonical import JSONObject, JSONValue
from mlflow_archive.spec.records.scorer import ScorerRecord, ScorerVersion
from mlflow_archive.stream import Content, ObjectKey
from mlflow_archive.tracking.database.exact.made.making import (
    Making,
    Row,
    TableRows,
    batches,
    invented,
    workspace_of,
)
from mlflow_archive.tracking.database.exact.made.values import finite_float, json_object, json_text, present
from mlflow_archive.tracking.paging import text

_GATEWAY = "gateway:/"
#: Where a serialized scorer has the model that it asks.
_JUDGES = ("instructions_judge_pydantic_data", "builtin_scorer_pydantic_data", "third_party_scorer_data")


def rows(making: Making, key: ObjectKey, content: Content) -> Iterator[TableRows]:
    """Yield the rows of a scorer."""
    record = content.record
    if not isinstance(record, ScorerRecord):
        return
    experiment = making.experiment(key)
    told = next((version.scorer_id for version in record.versions if version.scorer_id), None)
    scorer_id = told or str(uuid.UUID(invented("scorer", experiment, record.scorer_name)))
    yield (
        "scorers",
        [{"experiment_id": experiment, "scorer_name": record.scorer_name, "scorer_id": scorer_id}],
    )
    ready: list[Row] = []
    for version in record.versions:
        making.first("scorer_versions", (scorer_id, version.scorer_version))
        row = _version(scorer_id, version)
        if _GATEWAY in version.serialized_scorer:
            making.wait("scorer_versions", workspace_of(key), row)
        else:
            ready.append(row)
    yield from batches("scorer_versions", ready)
    if record.online_config:
        yield "online_scoring_configs", [_online(experiment, scorer_id, record.online_config)]


def waiting_rows(making: Making) -> Iterator[TableRows]:
    """Yield the versions that waited for the endpoints, with their ids in place of the names."""
    rows = (_with_ids(row, making.endpoint_ids(workspace)) for workspace, row in making.waiting("scorer_versions"))
    yield from batches("scorer_versions", rows)


def _with_ids(row: Row, ids: dict[str, str]) -> Row:
    scorer = json_object(str(row["serialized_scorer"]))
    return {**row, "serialized_scorer": json_text(_renamed(scorer, ids))} if scorer else row


def _renamed(scorer: JSONObject, ids: dict[str, str]) -> JSONObject:
    changed = dict(scorer)
    for name in _JUDGES:
        judge = scorer.get(name)
        model = text(judge.get("model")) if isinstance(judge, dict) else ""
        if isinstance(judge, dict) and model.startswith(_GATEWAY):
            named = model.removeprefix(_GATEWAY)
            changed[name] = {**judge, "model": _GATEWAY + ids.get(named, named)}
    memory = scorer.get("memory_augmented_judge_data")
    if isinstance(memory, dict) and isinstance(base := memory.get("base_judge"), dict):
        changed["memory_augmented_judge_data"] = {**memory, "base_judge": _renamed(base, ids)}
    return changed


def _version(scorer_id: str, version: ScorerVersion) -> Row:
    return {
        "scorer_id": scorer_id,
        "scorer_version": version.scorer_version,
        "serialized_scorer": version.serialized_scorer,
        "creation_time": version.creation_time,
    }


def _online(experiment: int, scorer_id: str, config: dict[str, JSONValue]) -> Row:
    told = present(config.get("online_scoring_config_id"))
    return {
        "online_scoring_config_id": told or str(uuid.UUID(invented("online scoring", scorer_id))),
        "scorer_id": scorer_id,
        "sample_rate": finite_float(config.get("sample_rate")) or 0.0,
        "experiment_id": experiment,
        "filter_string": present(config.get("filter_string")),
    }
