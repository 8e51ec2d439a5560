"""What all kinds of a reading need: the server, the files, the experiments, and what was noticed on the way."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from mlflow_archive.errors import MlflowArchiveError
from mlflow_archive.spec.canonical import JSONObject
from mlflow_archive.spec.kinds import Kind
from mlflow_archive.spec.loss import Loss
from mlflow_archive.spec.selection import Selection
from mlflow_archive.stream import Blob, Content, Item, ObjectKey
from mlflow_archive.tracking.artifact_contract import ArtifactAccess, ArtifactFault, ArtifactOwner
from mlflow_archive.tracking.client import ServerClient, is_steady, shows_all
from mlflow_archive.tracking.metrics import Histories
from mlflow_archive.tracking.paging import each_once, objects, pages, text
from mlflow_archive.tracking.sources.budget import Budget

ARTIFACTS = "artifacts"
#: Of a workspace with more runs, links between them and traces are not asked for: that takes a request for each.
MAX_LINK_RUNS = 20_000
REFUSED_IN_DELETED = (
    "Scorers, label schemas and review queues of deleted experiments cannot be read: the server refuses. "
    "Restore the experiments to include them."
)

#: What lists the objects of a kind in one workspace.
Reader = Callable[["Reading", "str | None", Selection], Iterator["Item | Loss"]]


@dataclass(frozen=True, slots=True)
class ExperimentRef:
    """An experiment, as far as those below it need it."""

    id: str
    name: str
    deleted: bool


@dataclass
class Reading:
    """One reading of one server, shared by all kinds. Safe to use from several threads.

    Attributes:
        client: The server.
        artifacts: Its files.
        pool: Where requests run ahead of those who will need their answers.
        history: Metric histories.
        points: Metric points that wait in memory.
        notes: Sentences about what is there and cannot be read; a dict, for its order.
        model_ids: (workspace, experiment) -> logged models that its runs name.
    """

    client: ServerClient
    artifacts: ArtifactAccess
    pool: ThreadPoolExecutor
    history: Histories
    points: Budget = field(default_factory=Budget)
    notes: dict[str, None] = field(default_factory=dict)
    model_ids: dict[tuple[str | None, str], set[str]] = field(default_factory=dict)
    _run_ids: dict[str | None, set[str]] = field(default_factory=dict)
    _trace_links: dict[str | None, dict[str, set[str]]] = field(default_factory=dict)
    _experiments: dict[str | None, tuple[ExperimentRef, ...]] = field(default_factory=dict)
    _homes: dict[tuple[Kind, str | None], dict[str, str]] = field(default_factory=dict)
    _has_models: dict[str | None, bool] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def steady(self) -> bool:
        """True if nothing changes while it is read."""
        return is_steady(self.client)

    @property
    def shows_all(self) -> bool:
        """True if searches hide nothing; see `client.shows_all`."""
        return shows_all(self.client)

    def note(self, sentence: str) -> None:
        """Remember a sentence for a person, once."""
        with self._lock:
            self.notes[sentence] = None

    def is_closed(self, experiment: ExperimentRef) -> bool:
        """Tell, and note, that what belongs to an experiment cannot be asked for because it is deleted.

        A server refuses; what answers in its place need not (``answers_for_deleted``).
        """
        if not experiment.deleted or getattr(self.client, "answers_for_deleted", False):
            return False
        self.note(REFUSED_IN_DELETED)
        return True

    def name_models(self, workspace: str | None, experiment_id: str, model_ids: list[str]) -> None:
        """Remember logged models that a run of the experiment refers to."""
        if model_ids:
            with self._lock:
                self.model_ids.setdefault((workspace, experiment_id), set()).update(model_ids)

    def remember_home(self, kind: Kind, workspace: str | None, id: str, experiment_id: str) -> None:
        """Remember in which experiment an object stands that was asked for by its id."""
        with self._lock:
            self._homes.setdefault((kind, workspace), {})[id] = experiment_id

    def homes(self, kind: Kind, workspace: str | None) -> dict[str, str]:
        """Return id -> experiment of the objects that were asked for by their ids."""
        with self._lock:
            return dict(self._homes.get((kind, workspace), ()))

    def remember_run(self, workspace: str | None, run_id: str) -> None:
        """Remember a run for the question which traces are linked to it."""
        with self._lock:
            known = self._run_ids.setdefault(workspace, set())
            if len(known) <= MAX_LINK_RUNS and run_id not in known:
                known.add(run_id)
                self._trace_links.pop(workspace, None)

    def run_ids(self, workspace: str | None) -> list[str]:
        """Return the runs that were read, at most one more than `MAX_LINK_RUNS`."""
        with self._lock:
            return sorted(self._run_ids.get(workspace, ()))

    def links_of_traces(self, workspace: str | None, ask: Callable[[], dict[str, set[str]]]) -> dict[str, set[str]]:
        """Return trace id -> linked runs; asked once, and again when more runs were read."""
        with self._lock:
            known = self._trace_links.get(workspace)
        if known is None:
            known = ask()
            with self._lock:
                self._trace_links[workspace] = known
        return known

    def named_models(self, workspace: str | None, experiment_id: str) -> set[str]:
        """Return the logged models that runs of the experiment refer to."""
        with self._lock:
            return set(self.model_ids.get((workspace, experiment_id), ()))

    def experiment_rows(self, workspace: str | None) -> Iterator[JSONObject]:
        """Yield all experiments of a workspace, deleted ones included, each once, in order of creation."""
        invented: frozenset[str] = getattr(self.client, "invented_experiment_ids", frozenset())
        request: JSONObject = {
            "view_type": "ALL",
            "max_results": 1000,
            "order_by": ["creation_time ASC", "experiment_id ASC"],
        }

        def walk() -> Iterator[list[JSONObject]]:
            path = "/api/2.0/mlflow/experiments/search"
            for page in pages(self.client, "POST", path, request, workspace=workspace):
                yield objects(page.get("experiments"))

        for row in each_once(walk, lambda row: text(row.get("experiment_id")), steady=self.steady):
            if text(row.get("experiment_id")) not in invented:
                yield row

    def experiments(self, workspace: str | None, selection: Selection) -> Iterator[ExperimentRef]:
        """Yield the experiments whose content is wanted; the server is asked once."""
        with self._lock:
            known = self._experiments.get(workspace)
        if known is None:
            known = tuple(map(experiment_ref, self.experiment_rows(workspace)))
            with self._lock:
                self._experiments[workspace] = known
        for experiment in known:
            if selection.wants_experiment(experiment.id, experiment.name) and (
                selection.deleted or not experiment.deleted
            ):
                yield experiment

    def has_logged_models(self, workspace: str | None) -> bool:
        """Tell whether the workspace has a logged model at all, which only MLflow 3 can; the server is asked once."""
        if not self.client.at_least("3.0"):
            return False
        with self._lock:
            known = self._has_models.get(workspace)
        if known is None:
            known = self._ask_for_logged_models(workspace)
            with self._lock:
                self._has_models[workspace] = known
        return known

    def _ask_for_logged_models(self, workspace: str | None) -> bool:
        ids = [experiment.id for experiment in self.experiments(workspace, Selection())]
        for start in range(0, len(ids), 100):
            body: JSONObject = {"experiment_ids": [*ids[start : start + 100]], "max_results": 1}
            answer = self.client.call("POST", "/api/2.0/mlflow/logged-models/search", body=body, workspace=workspace)
            if answer.get("models"):
                return True
        return False

    def blobs(self, key: ObjectKey, owner: ArtifactOwner, *, role: str = ARTIFACTS) -> Iterator[Blob | Loss]:
        """Yield the files below an artifact root, lazily; what cannot be listed as losses of the object."""
        try:
            for file in self.artifacts.list(owner):
                if isinstance(file, ArtifactFault):
                    path = file.name if role == ARTIFACTS and file.name else f"{role}/{file.name}".rstrip("/")
                    yield key.lost(file.code, file.reason, path=path, retryable=file.retryable)
                else:
                    yield Blob(role, file.name, file.size_bytes, _opener(self.artifacts, owner, file.name))
        except MlflowArchiveError as error:
            yield lost(key, error, path=role)


def experiment_ref(row: JSONObject) -> ExperimentRef:
    """Return what those below an experiment need of it."""
    return ExperimentRef(text(row.get("experiment_id")), text(row.get("name")), row.get("lifecycle_stage") == "deleted")


def lost(key: ObjectKey, error: MlflowArchiveError, *, path: str | None = None) -> Loss:
    """Return the loss of an object, or of a part of it, to an error."""
    return key.lost(error.code, str(error), path=path, retryable=error.retryable)


def unreadable(key: ObjectKey, error: MlflowArchiveError) -> Item:
    """Return an object that its listing shows wrongly: loading it raises the error, so that it alone is lost."""

    def load() -> Content:
        raise error

    return Item(key, load)


def _opener(
    artifacts: ArtifactAccess, owner: ArtifactOwner, name: str
) -> Callable[[], AbstractContextManager[Iterator[bytes]]]:
    return lambda: artifacts.open(owner, name)
