"""Copy: a server's objects to another server, as a stream, with nothing in between."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace

from mlflow_archive.events import Observer
from mlflow_archive.operations.ends import (
    AS_THE_SERVER_SAYS,
    CAREFUL,
    MLFLOW_ALONE,
    ArtifactPlaces,
    ServerChoices,
    WorkspaceWishes,
    server,
    server_source,
)
from mlflow_archive.operations.report import Report
from mlflow_archive.operations.restore import bring
from mlflow_archive.spec.selection import Selection


def copy(  # noqa: PLR0913 - the choices of a copy
    source_uri: str | None,
    target_uri: str,
    *,
    selection: Selection,
    choices: ServerChoices = CAREFUL,
    parallelism: int = 8,
    source_artifacts: ArtifactPlaces = AS_THE_SERVER_SAYS,
    target_artifacts: ArtifactPlaces = AS_THE_SERVER_SAYS,
    beyond: WorkspaceWishes = MLFLOW_ALONE,
    observer: Observer | None = None,
) -> Report:
    """Bring what the selection wants of a server to another server; see `mlflow_archive.api.copy`."""
    with ExitStack() as stack:
        here = stack.enter_context(server(source_uri, parallelism=parallelism, read_only=True))
        there = stack.enter_context(server(target_uri, parallelism=parallelism, read_only=choices.dry_run))
        source = stack.enter_context(server_source(here, source_artifacts, parallelism=parallelism, beyond=beyond))
        return bring(
            source,
            there,
            selection,
            choices=replace(choices, source_uri=here.uri),
            verb="copy",
            parallelism=parallelism,
            artifacts=target_artifacts,
            observer=observer,
        )
