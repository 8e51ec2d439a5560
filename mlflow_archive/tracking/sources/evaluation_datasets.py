"""Evaluation datasets (MLflow 3.4 and later) with their records.

They belong to any number of experiments. A selection of experiments takes the datasets of those along.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial

from mlflow_archive.errors import UnavailableError
from mlflow_archive.spec.canonical import JSONObject, JSONValue
from mlflow_archive.spec.kinds import Kind
from mlflow_archive.spec.loss import Loss
from mlflow_archive.spec.records.evaluation_dataset import EvaluationDatasetRecord
from mlflow_archive.spec.selection import Selection
from mlflow_archive.stream import Content, Item, ObjectKey, Part
from mlflow_archive.tracking.paging import each_once, finite, mapping, objects, pages, text
from mlflow_archive.tracking.sources.context import Reading

_DATASETS = "/api/3.0/mlflow/datasets"
_PAGE = 200
_RECORD_PAGE = 1000


def read(reading: Reading, workspace: str | None, selection: Selection) -> Iterator[Item | Loss]:
    """List the wanted evaluation datasets."""
    wanted = None
    if selection.experiments or selection.experiment_ids is not None:
        wanted = {experiment.id for experiment in reading.experiments(workspace, selection)}

    def walk() -> Iterator[list[JSONObject]]:
        request: JSONObject = {"max_results": _PAGE, "order_by": ["created_time ASC"]}
        for page in pages(reading.client, "POST", f"{_DATASETS}/search", request, workspace=workspace):
            yield objects(page.get("datasets"))

    if selection.datasets == ():
        return
    for row in each_once(walk, lambda row: text(row.get("dataset_id")), steady=reading.steady):
        key = ObjectKey(Kind.EVALUATION_DATASET, text(row.get("dataset_id")), None, workspace, text(row.get("name")))
        if selection.wants_dataset(key.id, key.name) and (
            wanted is None or wanted.intersection(_experiment_ids(reading, key))
        ):
            yield Item(key, partial(_load, reading, key, row))


def _load(reading: Reading, key: ObjectKey, row: JSONObject) -> Content:
    tags = row.get("tags")
    value: JSONObject = {
        **row,
        # The server writes the tags as JSON within JSON.
        "tags": {**mapping(_decoded(tags, key) if isinstance(tags, str) else tags)},
        "experiment_ids": [*_experiment_ids(reading, key)],
    }
    record = EvaluationDatasetRecord.from_json(value, "the server's answer")
    return Content(record, (Part("records", partial(_records, reading, key)),))


def _records(reading: Reading, key: ObjectKey) -> Iterator[JSONObject]:
    """Yield the records, in order of creation; the pages are cut by a cursor, which no change can move."""
    path = f"{_DATASETS}/{key.id}/records"
    for page in pages(reading.client, "GET", path, {"max_results": _RECORD_PAGE}, workspace=key.workspace):
        for record in objects(_decoded(text(page.get("records")) or "[]", key)):
            yield {name: finite(value) for name, value in record.items()}


def _experiment_ids(reading: Reading, key: ObjectKey) -> list[str]:
    answer = reading.client.call("GET", f"{_DATASETS}/{key.id}/experiment-ids", workspace=key.workspace)
    ids = answer.get("experiment_ids")
    return sorted(text(id) for id in ids) if isinstance(ids, list) else []


def _decoded(document: str, key: ObjectKey) -> JSONValue:
    try:
        value: JSONValue = json.loads(document)
    except (ValueError, RecursionError) as error:
        raise UnavailableError(
            f"The server's answer for the evaluation dataset {key.name!r} is not JSON; try again.", code="not_json"
        ) from error
    return value
