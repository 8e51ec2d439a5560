"""The registered model record with its versions.

Source: ``registered-models/search`` and ``model-versions/search`` without a filter, ``registered-models/get``
(MLflow 2.9 and later).
"""

from __future__ import annotations

from mlflow_archive.spec.base import Document
from mlflow_archive.spec.records.base import Record, Tags
from mlflow_archive.spec.records.permissions import Grant


class ModelVersion(Document):
    """One version of a registered model or of a prompt, as the server gave it; tags as a mapping."""

    version: int
    creation_timestamp: int | None = None
    """Milliseconds since the epoch."""
    last_updated_timestamp: int | None = None
    user_id: str | None = None
    current_stage: str | None = None
    """``None``, ``Staging``, ``Production`` or ``Archived`` (the words of the registry)."""
    description: str | None = None
    source: str | None = None
    """Where the version was made from: a URI of any form."""
    run_id: str | None = None
    run_link: str | None = None
    status: str | None = None
    status_message: str | None = None
    model_id: str | None = None
    """The logged model, MLflow 3."""
    storage_location: str | None = None
    """Where the files are, from ``model-versions/get-download-uri``; absent for prompts."""
    tags: Tags = {}


class RegisteredModelRecord(Record):
    """A registered model with all its versions, aliases and stages."""

    name: str
    creation_timestamp: int | None = None
    last_updated_timestamp: int | None = None
    description: str | None = None
    tags: Tags = {}
    aliases: dict[str, int] = {}
    """Alias -> version."""
    versions: tuple[ModelVersion, ...] = ()
    """Ascending by number; a number that is missing was deleted at the source."""
    permissions: tuple[Grant, ...] | None = None
    """Direct grants, where a Databricks workspace was asked for them."""

    @property
    def title(self) -> str:
        """The name."""
        return self.name

    @property
    def time_ms(self) -> int | None:
        """Creation."""
        return self.creation_timestamp

    @property
    def state(self) -> str:
        """How many versions."""
        return f"{len(self.versions)} version{'' if len(self.versions) == 1 else 's'}"
