"""`experiments`, `experiment_tags`."""

from __future__ import annotations

from collections.abc import Iterator

from mlflow_archive.spec.records.experiment import ExperimentRecord
from mlflow_archive.stream import Content, ObjectKey
from mlflow_archive.tracking.database.exact.made.making import (
    Making,
    TableRows,
    batches,
    experiment_number,
    workspace_of,
)


def rows(making: Making, key: ObjectKey, content: Content) -> Iterator[TableRows]:
    """Yield the rows of an experiment."""
    record = content.record
    if not isinstance(record, ExperimentRecord):
        return
    number = experiment_number(record.experiment_id)
    making.first("experiments", number)
    yield (
        "experiments",
        [
            {
                "experiment_id": number,
                "name": record.name,
                "artifact_location": record.artifact_location,
                "lifecycle_stage": record.lifecycle_stage,
                "creation_time": record.creation_time,
                "last_update_time": record.last_update_time,
                "workspace": workspace_of(key),
            }
        ],
    )
    yield from batches(
        "experiment_tags",
        ({"key": name, "value": value, "experiment_id": number} for name, value in record.tags.items()),
    )
