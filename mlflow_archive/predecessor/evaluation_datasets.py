"""Evaluation datasets: one document each, its records among the rest."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import partial

from mlflow_archive.errors import IntegrityError, MlflowArchiveError
from mlflow_archive.predecessor.places import Place
from mlflow_archive.predecessor.tree import Tree
from mlflow_archive.predecessor.values import integer, member, objects, tags, text, texts, without_empty
from mlflow_archive.spec.canonical import JSONObject
from mlflow_archive.spec.kinds import Kind
from mlflow_archive.spec.loss import Loss
from mlflow_archive.spec.records.evaluation_dataset import EvaluationDatasetRecord
from mlflow_archive.spec.selection import Selection
from mlflow_archive.stream import Content, Item, ObjectKey, Part

RECORDS = "records"
#: The folder of a dataset in an export of several.
_FOLDER = re.compile(r"(?P<name>.+)_(?P<id>d-[0-9a-f]{32})")
#: What a dataset says that stands elsewhere, or tells of itself only in Python.
_ELSEWHERE = (RECORDS, "tags", "experiment_ids", "source", "source_type")
_TIMES = ("created_time", "last_update_time")


def read(tree: Tree, places: Iterable[Place], selection: Selection) -> Iterator[Item | Loss]:  # noqa: ARG001 - of all readers
    """List the evaluation datasets."""
    for place in places:
        named = _FOLDER.fullmatch(place.id)
        if named:
            key = ObjectKey(Kind.EVALUATION_DATASET, named["id"], name=named["name"])
        else:
            try:
                about = _dataset(tree, place)
            except MlflowArchiveError as error:
                key = ObjectKey(Kind.EVALUATION_DATASET, "")
                yield key.lost(error.code, str(error), path=place.path, retryable=error.retryable)
                continue
            key = ObjectKey(Kind.EVALUATION_DATASET, text(about.get("dataset_id")), name=text(about.get("name")))
        yield Item(key, partial(_load, tree, key, place))


def _dataset(tree: Tree, place: Place) -> JSONObject:
    return member(tree.document(place.path).payload, "evaluation_dataset")


def _load(tree: Tree, key: ObjectKey, place: Place) -> Content:
    dataset = _dataset(tree, place)
    if text(dataset.get("dataset_id")) != key.id:
        raise IntegrityError(f"{place.path} is the document of {dataset.get('dataset_id')!r}, not of {key.id!r}.")
    times = {name: integer(dataset.get(name)) for name in _TIMES}
    value: JSONObject = {
        **without_empty(dataset, *_ELSEWHERE, *_TIMES),
        **{name: time for name, time in times.items() if time is not None},
        "dataset_id": key.id,
        "tags": {**tags(dataset.get("tags"))},
        "experiment_ids": [*sorted(texts(dataset.get("experiment_ids")))],
    }
    record = EvaluationDatasetRecord.from_json(value, place.path)
    records = [without_empty(line) for line in objects(dataset.get(RECORDS))]
    return Content(record, (Part(RECORDS, lambda: iter(records)),))
