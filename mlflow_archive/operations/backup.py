"""Backup: a server's objects into one archive."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack, closing
from dataclasses import replace

from mlflow_archive.archive.writer import ArchiveWriter
from mlflow_archive.errors import UnavailableError, UsageError
from mlflow_archive.events import Observer, Silence
from mlflow_archive.operations.closure import closed_under
from mlflow_archive.operations.ends import (
    AS_THE_SERVER_SAYS,
    MLFLOW_ALONE,
    ArtifactPlaces,
    WorkspaceWishes,
    new_store,
    read_server,
    server_source,
)
from mlflow_archive.operations.planning import PlanningSink
from mlflow_archive.operations.policies import SourceTags
from mlflow_archive.operations.report import Report
from mlflow_archive.operations.tables import require_tables
from mlflow_archive.operations.transfer import SerialisedObserver, transfer
from mlflow_archive.spec.provenance import SOURCE_TAG_PREFIXES
from mlflow_archive.spec.selection import Selection
from mlflow_archive.storage.containers import Packing
from mlflow_archive.storage.opening import public_url
from mlflow_archive.storage.store import Store
from mlflow_archive.stream import Source


def backup(  # noqa: PLR0913 - the choices of a backup
    tracking_uri: str | None,
    dest_url: str,
    *,
    selection: Selection,
    parallelism: int = 8,
    resume: bool = False,
    dry_run: bool = False,
    packing: Packing | None = None,
    artifacts: ArtifactPlaces = AS_THE_SERVER_SAYS,
    beyond: WorkspaceWishes = MLFLOW_ALONE,
    source_tags: SourceTags | None = None,
    secrets: tuple[str, ...] = (),
    auth_database: str | None = None,
    storage_options: Mapping[str, object] | None = None,
    observer: Observer | None = None,
) -> Report:
    """Write what the selection wants of a server into an archive; see `mlflow_archive.api.backup`."""
    if source_tags not in (None, *SOURCE_TAG_PREFIXES):
        raise UsageError(
            f"{source_tags!r} is no layout of source tags; the words are {', '.join(SOURCE_TAG_PREFIXES)}."
        )
    with ExitStack() as stack:
        # The store first: a URL that makes no sense must not cost a connection.
        store = stack.enter_context(
            closing(
                new_store(dest_url, packing, storage_options=storage_options, parallelism=parallelism, resume=resume)
            )
        )
        client = stack.enter_context(
            read_server(tracking_uri, parallelism=parallelism, secrets=secrets, auth_uri=auth_database)
        )
        source = stack.enter_context(server_source(client, artifacts, parallelism=parallelism, beyond=beyond))
        require_tables(source, selection)
        if dry_run:
            return plan(source, selection, parallelism=parallelism, target=public_url(dest_url), observer=observer)
        return archive(
            source,
            store,
            selection,
            parallelism=parallelism,
            resume=resume,
            source_tags=source_tags,
            observer=observer,
        )


def archive(
    source: Source,
    store: Store,
    selection: Selection,
    *,
    parallelism: int = 8,
    resume: bool = False,
    verb: str = "backup",
    source_tags: SourceTags | None = None,
    observer: Observer | None = None,
) -> Report:
    """Write what the selection wants of any source into a store, as an archive. Closes neither."""
    watcher = SerialisedObserver(observer or Silence())
    narrowed = closed_under(source, selection)
    with closing(
        ArchiveWriter.begin(store, resume=resume, parallelism=parallelism, observer=watcher, source_tags=source_tags)
    ) as writer:
        try:
            report = transfer(
                narrowed, writer, selection, observer=watcher, parallelism=parallelism, verb=verb, target=store.url
            )
        except UnavailableError as error:
            if error.code != UnavailableError.code:  # which says what to do
                raise
            raise UnavailableError(
                f"{error} What was written is kept and is no archive yet: go on by --resume (a tarball begins anew).",
                code=error.code,
            ) from error
        return replace(report, root_digest=writer.root_digest)


def plan(
    source: Source, selection: Selection, *, parallelism: int, target: str, observer: Observer | None = None
) -> Report:
    """Count what a backup would store; nothing is loaded and nothing written."""
    return transfer(
        closed_under(source, selection),
        PlanningSink(),
        selection,
        observer=observer,
        parallelism=parallelism,
        verb="backup",
        dry_run=True,
        target=target,
    )
