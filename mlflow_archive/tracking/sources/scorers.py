"""Scorers (MLflow 3.4 and later) with all versions and their online scoring configuration."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from mlflow_archive.spec.canonical import JSONObject, JSONValue
from mlflow_archive.spec.kinds import Kind
from mlflow_archive.spec.loss import Loss
from mlflow_archive.spec.records.scorer import ScorerRecord
from mlflow_archive.spec.selection import Selection
from mlflow_archive.stream import Content, Item, ObjectKey
from mlflow_archive.tracking.capabilities import ONLINE_SCORING
from mlflow_archive.tracking.paging import integer, objects, text
from mlflow_archive.tracking.sources.context import ExperimentRef, Reading

_SCORERS = "/api/3.0/mlflow/scorers"


def read(
    reading: Reading,
    workspace: str | None,
    experiment: ExperimentRef,
    selection: Selection,  # noqa: ARG001
) -> Iterator[Item | Loss]:
    """List the scorers of an experiment; the server refuses to for a deleted one."""
    if reading.is_closed(experiment):
        return
    answer = reading.client.call(
        "GET", f"{_SCORERS}/list", params={"experiment_id": experiment.id}, workspace=workspace
    )
    for row in objects(answer.get("scorers")):
        name = text(row.get("scorer_name"))
        key = ObjectKey(Kind.SCORER, name, experiment.id, workspace, name)
        yield Item(key, partial(_load, reading, key))


def _load(reading: Reading, key: ObjectKey) -> Content:
    params = {"experiment_id": key.experiment_id, "name": key.id}
    answer = reading.client.call("GET", f"{_SCORERS}/versions", params=params, workspace=key.workspace)
    versions = sorted(objects(answer.get("scorers")), key=lambda row: integer(row.get("scorer_version")) or 0)
    value: JSONObject = {
        "experiment_id": key.experiment_id,
        "scorer_name": key.id,
        "versions": [_version(row) for row in versions],
    }
    scorer_ids = {text(row.get("scorer_id")) for row in versions} - {""}
    if scorer_ids and reading.client.at_least(ONLINE_SCORING):
        asked = [("scorer_ids", id) for id in sorted(scorer_ids)]
        online = reading.client.call("GET", f"{_SCORERS}/online-configs", params=asked, workspace=key.workspace)
        for config in objects(online.get("configs")):
            value["online_config"] = config
    return Content(ScorerRecord.from_json(value, "the server's answer"))


def _version(row: JSONObject) -> JSONValue:
    return {name: value for name, value in row.items() if name not in ("experiment_id", "scorer_name")}
