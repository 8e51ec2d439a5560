"""Restore: an archive's objects to a server."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace

from mlflow_archive.errors import UsageError
from mlflow_archive.events import Event, Note, Observer, Silence
from mlflow_archive.operations.closure import closed_under
from mlflow_archive.operations.ends import (
    AS_THE_SERVER_SAYS,
    CAREFUL,
    ArtifactPlaces,
    ServerChoices,
    server,
    server_sink,
    stored_source,
)
from mlflow_archive.operations.report import Report
from mlflow_archive.operations.tables import require_parquet, with_objects
from mlflow_archive.operations.transfer import SerialisedObserver, transfer
from mlflow_archive.spec.kinds import Kind
from mlflow_archive.spec.manifest import SourceInfo
from mlflow_archive.spec.provenance import SOURCE_TAG_PREFIXES
from mlflow_archive.spec.selection import Selection
from mlflow_archive.stream import Source
from mlflow_archive.tracking.client import ServerClient


def restore(
    src_url: str,
    tracking_uri: str | None,
    *,
    selection: Selection,
    choices: ServerChoices = CAREFUL,
    parallelism: int = 8,
    artifacts: ArtifactPlaces = AS_THE_SERVER_SAYS,
    storage_options: Mapping[str, object] | None = None,
    observer: Observer | None = None,
) -> Report:
    """Bring what the selection wants of an archive to a server; see `mlflow_archive.api.restore`."""
    with ExitStack() as stack:
        # The archive first: what is not one must not cost a connection.
        source = stack.enter_context(stored_source(src_url, storage_options=storage_options))
        if source.kinds() == (Kind.DATABASE,):
            require_parquet()  # before a target is made
        client = stack.enter_context(server(tracking_uri, parallelism=parallelism, read_only=choices.dry_run))
        objects = stack.enter_context(with_objects(source, parallelism=parallelism))
        return bring(
            objects,
            client,
            selection,
            choices=_as_the_source_says(choices, source.origin),
            verb="restore",
            parallelism=parallelism,
            artifacts=artifacts,
            observer=observer,
        )


def _as_the_source_says(choices: ServerChoices, origin: SourceInfo) -> ServerChoices:
    """Tell of the source in tags as the archive asks, unless the restore is asked for another layout."""
    asked = SOURCE_TAG_PREFIXES.get(origin.source_tags or "")
    return replace(choices, source_uri=origin.uri, source_tags=choices.source_tags or asked)


def bring(
    source: Source,
    client: ServerClient,
    selection: Selection,
    *,
    verb: str,
    choices: ServerChoices = CAREFUL,
    parallelism: int = 8,
    artifacts: ArtifactPlaces = AS_THE_SERVER_SAYS,
    observer: Observer | None = None,
) -> Report:
    """Bring what the selection wants of any source to a server that is connected. Closes neither."""
    _require_destination(client, selection, artifacts)
    notes = Notes(observer or Silence())
    watcher = SerialisedObserver(notes)
    narrowed = closed_under(source, selection)
    with server_sink(client, artifacts, choices, parallelism=parallelism, observer=watcher) as sink:
        report = transfer(
            narrowed,
            sink,
            selection,
            observer=watcher,
            parallelism=parallelism,
            verb=verb,
            dry_run=choices.dry_run,
            target=client.uri,
        )
    return replace(report, notes=tuple(dict.fromkeys(notes.heard)))


def _require_destination(client: ServerClient, selection: Selection, artifacts: ArtifactPlaces) -> None:
    """Raise if files are to be brought to a database that does not say where files are."""
    given = any(prefix.startswith("mlflow-artifacts:") for prefix in artifacts.roots or ())
    if getattr(client, "needs_destination", False) and selection.artifacts and not given:
        raise UsageError(
            f"{client.uri} is a database without a server, and does not say where files of new objects belong: give "
            "--artifacts-destination <folder or URL>, which the server on it is then started with, or --without "
            "artifacts.",
            code="artifact_root",
        )


class Notes:
    """An observer in front of another one, that keeps what both ends have to say to a person."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self.heard: list[str] = []

    def notify(self, event: Event) -> None:
        """Keep a note, and pass everything on."""
        if isinstance(event, Note):
            self.heard.append(event.message)
        self._observer.notify(event)
