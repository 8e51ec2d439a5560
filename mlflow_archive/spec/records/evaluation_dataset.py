"""The evaluation dataset record. Source: ``3.0 datasets`` (MLflow 3.4 and later, SQL-backed)."""

from __future__ import annotations

from mlflow_archive.spec.records.base import Record, Tags


class EvaluationDatasetRecord(Record):
    """An evaluation dataset. Its records are the part ``records``: one MLflow ``DatasetRecord`` a line."""

    dataset_id: str
    name: str
    tags: Tags = {}
    experiment_ids: tuple[str, ...] = ()
    """Sorted."""
    created_time: int | None = None
    """Milliseconds since the epoch."""
    last_update_time: int | None = None
    created_by: str | None = None
    last_updated_by: str | None = None
    digest: str | None = None

    @property
    def title(self) -> str:
        """The name."""
        return self.name

    @property
    def time_ms(self) -> int | None:
        """Creation."""
        return self.created_time
