"""Experiments: `experiments/search` says all there is to say about them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from mlflow_archive.spec.canonical import JSONObject
from mlflow_archive.spec.kinds import Kind
from mlflow_archive.spec.loss import Loss
from mlflow_archive.spec.records.experiment import ExperimentRecord
from mlflow_archive.spec.selection import Selection
from mlflow_archive.stream import Content, Item, ObjectKey
from mlflow_archive.tracking.paging import mapping
from mlflow_archive.tracking.sources.context import Reading, experiment_ref


def read(reading: Reading, workspace: str | None, selection: Selection) -> Iterator[Item | Loss]:
    """List the wanted experiments of a workspace."""
    for row in reading.experiment_rows(workspace):
        experiment = experiment_ref(row)
        if selection.wants_experiment(experiment.id, experiment.name) and (selection.deleted or not experiment.deleted):
            key = ObjectKey(Kind.EXPERIMENT, experiment.id, None, workspace, experiment.name)
            yield Item(key, partial(_load, row))


def _load(row: JSONObject) -> Content:
    return Content(experiment_record(row))


def experiment_record(row: JSONObject) -> ExperimentRecord:
    """Return the record of an experiment as the server wrote it."""
    return ExperimentRecord.from_json(
        {"artifact_location": "", **row, "tags": {**mapping(row.get("tags"))}}, "the server's answer"
    )
