"""The workspace record. Source: ``3.0 workspaces`` (MLflow 3.10 and later, where the server has them on)."""

from __future__ import annotations

from mlflow_archive.spec.records.base import Record


class WorkspaceRecord(Record):
    """A workspace. The id of the object is its name."""

    name: str
    description: str | None = None
    default_artifact_root: str | None = None

    @property
    def title(self) -> str:
        """The name."""
        return self.name
