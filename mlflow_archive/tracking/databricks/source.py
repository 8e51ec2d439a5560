"""What a workspace has beyond other sources."""

from __future__ import annotations

from collections.abc import Iterator

from mlflow_archive.spec.kinds import Kind
from mlflow_archive.spec.loss import Loss
from mlflow_archive.spec.manifest import SourceInfo
from mlflow_archive.spec.selection import Selection
from mlflow_archive.stream import Item, Source
from mlflow_archive.tracking.databricks.client import DatabricksClient

_OTHER_KINDS = "Traces, prompts and evaluation datasets of a Databricks workspace are not in a backup."


class WorkspaceSource:
    """Stands around the source of a workspace; see `stream.Source`. Closes it."""

    def __init__(
        self, client: DatabricksClient, inner: Source, *, notebook_formats: tuple[str, ...], permissions: bool
    ) -> None:
        """Ask nothing yet; the arguments are those of `attaching.source_at`."""
        self._client = client
        self._inner = inner
        self._notebook_formats = notebook_formats
        self._permissions = permissions

    def describe(self) -> SourceInfo:
        """Name the workspace."""
        return self._inner.describe()

    def kinds(self) -> tuple[Kind, ...]:
        """Return the kinds that are read of a workspace."""
        return self._inner.kinds()

    def read(self, kind: Kind, selection: Selection) -> Iterator[Item | Loss]:
        """List objects, with what only a workspace has."""
        yield from self._inner.read(kind, selection)

    def expected(self, kind: Kind, selection: Selection) -> int | None:
        """Ask what is around."""
        return self._inner.expected(kind, selection)

    def notes(self) -> tuple[str, ...]:
        """Say what was not read."""
        return (*self._inner.notes(), *self._client.unity.notes, _OTHER_KINDS)

    def close(self) -> None:
        """Close what is around."""
        self._inner.close()
