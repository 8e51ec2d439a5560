"""What a workspace has beyond other sources: permissions, and the notebook revisions of runs.

Listings of Unity Catalog show models without their tags and aliases; they are asked for when a model is loaded.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import cast

from mlflow_archive.errors import MlflowArchiveError, NotAuthorisedError
from mlflow_archive.spec.kinds import Kind
from mlflow_archive.spec.loss import Loss
from mlflow_archive.spec.manifest import SourceInfo
from mlflow_archive.spec.records.registered_model import RegisteredModelRecord
from mlflow_archive.spec.records.run import RunRecord
from mlflow_archive.spec.selection import Selection
from mlflow_archive.stream import Content, Item, ObjectKey, Source
from mlflow_archive.tracking.databricks.client import DatabricksClient
from mlflow_archive.tracking.databricks.notebooks import ExportedNotebooks
from mlflow_archive.tracking.databricks.permissions import Permissions
from mlflow_archive.tracking.databricks.unity_catalog import in_unity_catalog
from mlflow_archive.tracking.paging import integer, mapping, member, objects, text
from mlflow_archive.tracking.sources.context import lost

_OTHER_KINDS = "Traces, prompts and evaluation datasets of a Databricks workspace are not in a backup."


class WorkspaceSource:
    """Stands around the source of a workspace; see `stream.Source`. Closes it."""

    def __init__(
        self, client: DatabricksClient, inner: Source, *, notebook_formats: tuple[str, ...], permissions: bool
    ) -> None:
        """Ask nothing yet; the arguments are those of `attaching.source_at`."""
        self._client = client
        self._inner = inner
        self._notebooks = ExportedNotebooks(client, notebook_formats) if notebook_formats else None
        self._permissions = Permissions(client) if permissions else None

    def describe(self) -> SourceInfo:
        """Name the workspace."""
        return self._inner.describe()

    def kinds(self) -> tuple[Kind, ...]:
        """Return the kinds that are read of a workspace."""
        return self._inner.kinds()

    def read(self, kind: Kind, selection: Selection) -> Iterator[Item | Loss]:
        """List objects, with what only a workspace has."""
        for item in self._inner.read(kind, selection):
            yield item if isinstance(item, Loss) else replace(item, load=partial(self._load, item, selection))

    def expected(self, kind: Kind, selection: Selection) -> int | None:
        """Ask what is around."""
        return self._inner.expected(kind, selection)

    def notes(self) -> tuple[str, ...]:
        """Say what was not read."""
        return (*self._inner.notes(), *self._client.unity.notes, _OTHER_KINDS)

    def close(self) -> None:
        """Close what is around."""
        self._inner.close()

    def _load(self, item: Item, selection: Selection) -> Content:
        key, content = item.key, item.load()
        if key.kind is Kind.RUN and self._notebooks is not None and selection.artifacts:
            tags = cast("RunRecord", content.record).tags
            return replace(content, blobs=partial(self._notebooks.after, content.blobs, tags))
        if key.kind is Kind.REGISTERED_MODEL and in_unity_catalog(key.id):
            content = replace(content, record=self._completed(key, cast("RegisteredModelRecord", content.record)))
        if key.kind in (Kind.EXPERIMENT, Kind.REGISTERED_MODEL) and self._permissions is not None:
            content = self._with_permissions(key, content, self._permissions)
        return content

    def _completed(self, key: ObjectKey, record: RegisteredModelRecord) -> RegisteredModelRecord:
        path = "/api/2.0/mlflow/registered-models/get"
        answer = self._client.call("GET", path, params={"name": key.id})
        model = member(answer, "registered_model")
        numbers = {version.version for version in record.versions}
        aliases = {text(entry.get("alias")): integer(entry.get("version")) for entry in objects(model.get("aliases"))}
        kept = {alias: number for alias, number in aliases.items() if number in numbers}
        return record.model_copy(update={"tags": mapping(model.get("tags")), "aliases": kept})

    def _with_permissions(self, key: ObjectKey, content: Content, permissions: Permissions) -> Content:
        try:
            grants = permissions.direct(key.kind, key.id)
        except MlflowArchiveError as error:
            if isinstance(error, NotAuthorisedError) and not error.forbidden:
                raise
            return replace(content, losses=(*content.losses, lost(key, error, path="permissions")))
        return replace(content, record=content.record.model_copy(update={"permissions": grants}))
