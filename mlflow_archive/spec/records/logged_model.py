"""The logged model record. Source: ``logged-models/search`` and ``logged-models/<id>`` (MLflow 3.0 and later)."""

from __future__ import annotations

from mlflow_archive.spec.base import Document
from mlflow_archive.spec.records.base import Payload, Record, Tags


class LoggedModelInfo(Document):
    """``info`` of a logged model, as the server gave it, without the tags."""

    model_id: str
    experiment_id: str
    name: str | None = None
    creation_timestamp_ms: int | None = None
    last_updated_timestamp_ms: int | None = None
    artifact_uri: str | None = None
    status: str | None = None
    """``LOGGED_MODEL_PENDING``, ``LOGGED_MODEL_READY`` or ``LOGGED_MODEL_UPLOAD_FAILED``, as REST writes it."""
    status_message: str | None = None
    model_type: str | None = None
    source_run_id: str | None = None


class LoggedModelRecord(Record):
    """A logged model. Its files are blobs of the role ``artifacts``."""

    info: LoggedModelInfo
    tags: Tags = {}
    params: dict[str, str] = {}
    metrics: tuple[Payload, ...] = ()
    """MLflow's ``Metric``: key, value, timestamp, step, run_id, model_id, dataset_name, dataset_digest; this is where
    the attribution of a metric point to a model and a dataset is kept. Sorted by (key, run_id, timestamp, step)."""

    @property
    def title(self) -> str | None:
        """The model's name."""
        return self.info.name

    @property
    def time_ms(self) -> int | None:
        """Creation."""
        return self.info.creation_timestamp_ms

    @property
    def state(self) -> str | None:
        """The status without its prefix."""
        return (self.info.status or "").removeprefix("LOGGED_MODEL_") or None
