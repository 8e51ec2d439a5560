"""Copy: a server's objects to another server, as a stream, with nothing in between.

Each end is spoken to with credentials of its own (`mlflow_archive.tracking.settings`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mlflow_archive.errors import NotAuthorisedError
from mlflow_archive.events import Observer
from mlflow_archive.operations.ends import (
    AS_THE_SERVER_SAYS,
    CAREFUL,
    MLFLOW_ALONE,
    ArtifactPlaces,
    ServerChoices,
    WorkspaceWishes,
    server_source,
)
from mlflow_archive.operations.report import Report
from mlflow_archive.operations.restore import bring
from mlflow_archive.spec.selection import Selection

if TYPE_CHECKING:
    from mlflow_archive.tracking.client import ServerClient
    from mlflow_archive.tracking.settings import Settings, Side


@dataclass(frozen=True, slots=True)
class Ends:
    """Where a copy goes from and to.

    Attributes:
        source_uri: The server or store to read; None is MLflow's own default.
        target_uri: The server or store to write to; None is that of ``target_settings``, or MLflow's own default.
        source_settings: Credentials and certificates of the source, in place of MLflow's environment variables.
        target_settings: The same of the target.
        source_artifacts: Where the source's files really are.
        target_artifacts: Where the target's files really are.
    """

    source_uri: str | None
    target_uri: str | None
    source_settings: Settings | None = None
    target_settings: Settings | None = None
    source_artifacts: ArtifactPlaces = AS_THE_SERVER_SAYS
    target_artifacts: ArtifactPlaces = AS_THE_SERVER_SAYS


@dataclass(frozen=True, slots=True)
class Plan:
    """What is copied, and how it is brought to the target.

    Attributes:
        selection: What is copied.
        choices: How it is brought.
        look_back: Looks at what came out while both servers are still connected, and completes the report.
    """

    selection: Selection
    choices: ServerChoices
    look_back: Callable[[Report], Report] = lambda report: report


#: Looks at both servers, connected, and says what is to be done.
Planner = Callable[["ServerClient", "ServerClient"], Plan]


def copy(  # noqa: PLR0913 - the choices of a copy
    source_uri: str | None,
    target_uri: str | None,
    *,
    selection: Selection,
    choices: ServerChoices = CAREFUL,
    parallelism: int = 8,
    source_artifacts: ArtifactPlaces = AS_THE_SERVER_SAYS,
    target_artifacts: ArtifactPlaces = AS_THE_SERVER_SAYS,
    source_settings: Settings | None = None,
    target_settings: Settings | None = None,
    beyond: WorkspaceWishes = MLFLOW_ALONE,
    observer: Observer | None = None,
) -> Report:
    """Bring what the selection wants of a server to another server; see `mlflow_archive.api.copy`."""

    def plan(_here: ServerClient, _there: ServerClient) -> Plan:
        return Plan(selection, choices)

    return copy_planned(
        Ends(source_uri, target_uri, source_settings, target_settings, source_artifacts, target_artifacts),
        plan,
        dry_run=choices.dry_run,
        parallelism=parallelism,
        beyond=beyond,
        observer=observer,
    )


def copy_planned(
    ends: Ends,
    planner: Planner,
    *,
    dry_run: bool,
    parallelism: int = 8,
    beyond: WorkspaceWishes = MLFLOW_ALONE,
    observer: Observer | None = None,
) -> Report:
    """Bring what a planner wants, who looks at both servers first.

    Args:
        ends: The two servers.
        planner: Says what is copied and how; may raise any `MlflowArchiveError`, and then nothing was changed.
        dry_run: The target is only read; the plan's choices say the same.
        parallelism: How many objects are under way at once.
        beyond: What is asked of a Databricks workspace beyond MLflow.
        observer: Told of everything that happens.
    """
    with ExitStack() as stack:
        here = stack.enter_context(
            _server("source", ends.source_uri, ends.source_settings, parallelism=parallelism, read_only=True)
        )
        there = stack.enter_context(
            _server("target", ends.target_uri, ends.target_settings, parallelism=parallelism, read_only=dry_run)
        )
        plan = planner(here, there)
        source = stack.enter_context(server_source(here, ends.source_artifacts, parallelism=parallelism, beyond=beyond))
        report = bring(
            source,
            there,
            plan.selection,
            choices=replace(plan.choices, source_uri=here.uri, dry_run=dry_run),
            verb="copy",
            parallelism=parallelism,
            artifacts=ends.target_artifacts,
            observer=observer,
        )
        return plan.look_back(report)


@contextmanager
def _server(
    side: Side, uri: str | None, settings: Settings | None, *, parallelism: int, read_only: bool
) -> Iterator[ServerClient]:
    """Connect to one end with its own settings; leaving the context ends the connection."""
    from mlflow_archive.tracking.connecting import connect, connect_source
    from mlflow_archive.tracking.settings import PREFIXES, settings_of

    own = settings_of(side, settings)
    try:
        if side == "source":
            client = connect_source(uri, parallelism=parallelism, own=own)
        else:
            client = connect(uri, parallelism=parallelism, read_only=read_only, own=own)
    except NotAuthorisedError as error:
        raise NotAuthorisedError(
            f"The {side} does not let us in: {error} For this end alone they are {PREFIXES[side]}TRACKING_USERNAME "
            "and so on, or lines of its file of settings.",
            code=error.code,
        ) from error
    with closing(client):
        yield client
