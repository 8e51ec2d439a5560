"""The run record. Source: ``runs/search``; ``runs/get`` for model inputs (MLflow 3.0 and later)."""

from __future__ import annotations

from mlflow_archive.spec.base import Document
from mlflow_archive.spec.records.base import Payload, Record, Tags


class RunInfo(Document):
    """``info`` of a run, as the server gave it."""

    run_id: str
    experiment_id: str
    run_name: str | None = None
    user_id: str | None = None
    status: str
    """``RUNNING``, ``SCHEDULED``, ``FINISHED``, ``FAILED`` or ``KILLED``."""
    start_time: int | None = None
    """Milliseconds since the epoch."""
    end_time: int | None = None
    """Milliseconds since the epoch; absent for a run that has not ended."""
    artifact_uri: str | None = None
    lifecycle_stage: str
    """``active`` or ``deleted``."""


class LastMetric(Document):
    """The latest value of a metric; the history is in the part ``metrics``."""

    key: str
    value: float | str
    """A number, or ``"NaN"``, ``"Infinity"``, ``"-Infinity"``."""
    timestamp: int
    """Milliseconds since the epoch."""
    step: int = 0


class RunRecord(Record):
    """A run. Its metric history is the part ``metrics``, its files are blobs of the role ``artifacts``.

    A line of ``metrics.jsonl`` is ``{"key": str, "timestamps": [int], "steps": [int], "values": [number|str]}``:
    up to 10,000 points of one metric in columns; lines are sorted by key, points of a key by (timestamp, step)
    in the order the server gives.
    """

    info: RunInfo
    params: dict[str, str] = {}
    tags: Tags = {}
    metrics: tuple[LastMetric, ...] = ()
    """Sorted by key."""
    dataset_inputs: tuple[Payload, ...] = ()
    """MLflow's ``DatasetInput``: ``{dataset: {name, digest, source_type, source, schema, profile}, tags: [...]}``."""
    model_inputs: tuple[Payload, ...] = ()
    """MLflow's ``ModelInput``: ``{model_id}``."""
    model_outputs: tuple[Payload, ...] = ()
    """MLflow's ``ModelOutput``: ``{model_id, step}``."""

    @property
    def title(self) -> str | None:
        """The run's name."""
        return self.info.run_name

    @property
    def time_ms(self) -> int | None:
        """Start."""
        return self.info.start_time

    @property
    def state(self) -> str:
        """Status, and the life-cycle stage unless active."""
        stage = self.info.lifecycle_stage
        return self.info.status if stage == "active" else f"{self.info.status} {stage}"
