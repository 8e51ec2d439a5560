"""An MLflow server as a source."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from mlflow_archive.errors import MlflowArchiveError, NotAuthorisedError, NotFoundError
from mlflow_archive.spec.kinds import IN_EXPERIMENT, Kind
from mlflow_archive.spec.loss import Loss
from mlflow_archive.spec.manifest import SourceInfo
from mlflow_archive.spec.selection import Selection
from mlflow_archive.stream import Item, ObjectKey
from mlflow_archive.tracking.artifacts import ArtifactAccess
from mlflow_archive.tracking.capabilities import JOBS, kinds_of
from mlflow_archive.tracking.client import ServerClient, notes_of
from mlflow_archive.tracking.metrics import histories_of
from mlflow_archive.tracking.sources import (
    database,
    evaluation_datasets,
    experiments,
    logged_models,
    prompts,
    registered_models,
    runs,
    scorers,
    server_objects,
    single,
    traces,
    webhooks,
    workspaces,
)
from mlflow_archive.tracking.sources.context import ExperimentRef, Reader, Reading, lost

#: Lists the objects of a kind below one experiment.
ExperimentReader = Callable[[Reading, "str | None", ExperimentRef, Selection], "Iterator[Item | Loss]"]

_READERS: dict[Kind, Reader] = {
    Kind.DATABASE: database.read,
    Kind.WORKSPACE: workspaces.read,
    Kind.EXPERIMENT: experiments.read,
    Kind.REGISTERED_MODEL: registered_models.read,
    Kind.PROMPT: prompts.read,
    Kind.EVALUATION_DATASET: evaluation_datasets.read,
    Kind.GATEWAY_MODEL_DEFINITION: partial(server_objects.read, Kind.GATEWAY_MODEL_DEFINITION),
    Kind.GATEWAY_ENDPOINT: partial(server_objects.read, Kind.GATEWAY_ENDPOINT),
    Kind.BUDGET_POLICY: partial(server_objects.read, Kind.BUDGET_POLICY),
    Kind.GUARDRAIL: partial(server_objects.read, Kind.GUARDRAIL),
    Kind.MCP_SERVER: partial(server_objects.read, Kind.MCP_SERVER),
    Kind.WEBHOOK: webhooks.read,
}
_READERS_IN_EXPERIMENT: dict[Kind, ExperimentReader] = {
    Kind.RUN: runs.read,
    Kind.LOGGED_MODEL: logged_models.read,
    Kind.TRACE: traces.read,
    Kind.SCORER: scorers.read,
    Kind.LABEL_SCHEMA: server_objects.read_label_schemas,
    Kind.REVIEW_QUEUE: partial(server_objects.read_in_experiment, Kind.REVIEW_QUEUE),
    Kind.ISSUE: partial(server_objects.read_in_experiment, Kind.ISSUE),
}


#: Reads an object by its id, for the kinds that can be asked for so.
_BY_ID: dict[Kind, single.Fetch] = {
    Kind.RUN: runs.by_id,
    Kind.LOGGED_MODEL: logged_models.by_id,
    Kind.TRACE: traces.by_id,
}


class MlflowSource:
    """Everything an MLflow server tells over REST. Implements `stream.Source`."""

    def __init__(self, client: ServerClient, artifacts: ArtifactAccess, *, parallelism: int = 8) -> None:
        """Ask nothing yet.

        Args:
            client: The server; closed by this source.
            artifacts: Its files; closed by this source.
            parallelism: How many requests run ahead of those who need their answers.

        Raises:
            UnsupportedError: The server is too old.
        """
        self._kinds = kinds_of(client)
        self._pool = ThreadPoolExecutor(parallelism, thread_name_prefix="mlflow-source")
        self._reading = Reading(client, artifacts, self._pool, histories_of(client))
        self._workspace_names: tuple[str | None, ...] | None = None
        self._unlisted: MlflowArchiveError | None = None
        self._lock = threading.Lock()

    def describe(self) -> SourceInfo:
        """Name the server and its version; of a database also what kind it is of, and its revision."""
        client = self._reading.client
        of_database: Mapping[str, str] = getattr(client, "of_database", {})
        return SourceInfo(type="mlflow", uri=client.uri, mlflow_version=client.version, **of_database)

    def kinds(self) -> tuple[Kind, ...]:
        """Return the kinds a server of this version can have."""
        return self._kinds

    def read(self, kind: Kind, selection: Selection) -> Iterator[Item | Loss]:
        """List the objects of a kind, workspace after workspace, experiment after experiment.

        Raises:
            NotAuthorisedError: The server refuses even the list of experiments.
            UsageError: The run filter is wrong.
        """
        if kind not in self._kinds or not selection.wants(kind):
            return
        for workspace in (None,) if kind is Kind.WORKSPACE else self._workspaces():
            if kind in IN_EXPERIMENT:
                yield from self._read_in_experiments(kind, workspace, selection)
            else:
                key = ObjectKey(kind, "", None, workspace)
                yield from self._guarded(key, partial(_READERS[kind], self._reading, workspace, selection))
        if kind is not Kind.WORKSPACE and self._unlisted is not None:
            reason = f"Only the default workspace was read, as the others could not be listed: {self._unlisted}"
            yield ObjectKey(kind, "").lost(self._unlisted.code, reason, retryable=self._unlisted.retryable)

    def expected(self, kind: Kind, selection: Selection) -> int | None:  # noqa: ARG002 - the protocol's
        """Not known: the API counts nothing."""
        return None

    def notes(self) -> tuple[str, ...]:
        """Say what is there that no client can read."""
        client = self._reading.client
        if self._reading.shows_all:
            return (*self._reading.notes, *notes_of(client))
        general = [
            "Users, roles and password hashes of MLflow's basic authentication are not in a backup over the API."
        ]
        if client.at_least(JOBS):
            general.append("Jobs of the server are not in a backup over the API; restored, they would run again.")
        if client.at_least("3.0"):
            general.append("Deleted logged models are found only where a run names them; no search shows them.")
        return (*self._reading.notes, *general)

    def close(self) -> None:
        """End requests that run ahead, and the connections."""
        self._pool.shutdown(cancel_futures=True)
        self._reading.artifacts.close()
        self._reading.client.close()

    def _workspaces(self) -> tuple[str | None, ...]:
        with self._lock:
            if self._workspace_names is None:
                self._workspace_names = self._ask_for_workspaces()
            return self._workspace_names

    def _ask_for_workspaces(self) -> tuple[str | None, ...]:
        try:
            return workspaces.names(self._reading)
        except NotFoundError as error:
            self._reading.note(f"Only the default workspace was read: the server does not list the others ({error})")
        except MlflowArchiveError as error:
            self._unlisted = error
        return (None,)

    def _read_in_experiments(self, kind: Kind, workspace: str | None, selection: Selection) -> Iterator[Item | Loss]:
        try:
            wanted = tuple(self._reading.experiments(workspace, selection))
        except MlflowArchiveError as error:
            if isinstance(error, NotAuthorisedError) and workspace is None:
                raise
            yield lost(ObjectKey(kind, "", None, workspace), error)
            return
        ids = _ids_asked(kind, selection)
        if ids is not None:
            homes, losses = single.homes(self._reading, kind, _BY_ID[kind], workspace, ids)
            yield from losses
            needed = set(homes.values())
            wanted = tuple(experiment for experiment in wanted if experiment.id in needed)
        for experiment in wanted:
            key = ObjectKey(kind, "", experiment.id, workspace)
            start = partial(_READERS_IN_EXPERIMENT[kind], self._reading, workspace, experiment, selection)
            yield from self._guarded(key, start)

    def _guarded(self, key: ObjectKey, start: Callable[[], Iterator[Item | Loss]]) -> Iterator[Item | Loss]:
        """Turn a listing that breaks off into a loss."""
        try:
            yield from start()
        except MlflowArchiveError as error:
            # Without the experiments there is nothing to read at all; anything else may be closed to this user.
            if isinstance(error, NotAuthorisedError) and key.kind is Kind.EXPERIMENT and key.workspace is None:
                raise
            if key.kind is Kind.RUN and error.code == runs.WRONG_FILTER:
                raise
            yield lost(key, error)


def _ids_asked(kind: Kind, selection: Selection) -> frozenset[str] | None:
    """Return the objects that are to be read one by one; None if they are listed."""
    if kind is Kind.RUN:
        return runs.ids_asked(selection)
    if kind is Kind.LOGGED_MODEL:
        return selection.logged_model_ids
    return selection.trace_ids if kind is Kind.TRACE else None
