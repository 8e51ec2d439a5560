"""The experiment record. Source: ``experiments/search``, ``experiments/get`` (MLflow 2.9 and later)."""

from __future__ import annotations

from mlflow_archive.spec.records.base import Record, Tags
from mlflow_archive.spec.records.permissions import Grant


class ExperimentRecord(Record):
    """An experiment, without what it holds."""

    experiment_id: str
    name: str
    artifact_location: str
    lifecycle_stage: str
    """``active`` or ``deleted``."""
    creation_time: int | None = None
    """Milliseconds since the epoch."""
    last_update_time: int | None = None
    """Milliseconds since the epoch."""
    tags: Tags = {}
    permissions: tuple[Grant, ...] | None = None
    """Direct grants, where a Databricks workspace was asked for them."""

    @property
    def title(self) -> str:
        """The experiment's name."""
        return self.name

    @property
    def time_ms(self) -> int | None:
        """Creation."""
        return self.creation_time

    @property
    def state(self) -> str:
        """The life-cycle stage."""
        return self.lifecycle_stage
