"""An archive of the predecessor as a source."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial

from mlflow_archive.errors import MlflowArchiveError, NotAnArchiveError
from mlflow_archive.predecessor import (
    evaluation_datasets,
    experiments,
    logged_models,
    prompts,
    registered_models,
    runs,
    traces,
)
from mlflow_archive.predecessor.detecting import Survey, survey
from mlflow_archive.predecessor.layout import Layout
from mlflow_archive.predecessor.origin import origin_of
from mlflow_archive.predecessor.places import Place
from mlflow_archive.predecessor.tree import Tree
from mlflow_archive.spec.kinds import IN_EXPERIMENT, Kind
from mlflow_archive.spec.loss import Loss
from mlflow_archive.spec.manifest import SourceInfo
from mlflow_archive.spec.selection import Selection
from mlflow_archive.spec.wanted import RecordFilter, wants_object
from mlflow_archive.storage.store import Store
from mlflow_archive.stream import Content, Item, ObjectKey, narrowed

Reader = Callable[[Tree, "Iterable[Place]", Selection], "Iterator[Item | Loss]"]

_KINDS = (
    Kind.EXPERIMENT,
    Kind.RUN,
    Kind.LOGGED_MODEL,
    Kind.REGISTERED_MODEL,
    Kind.PROMPT,
    Kind.TRACE,
    Kind.EVALUATION_DATASET,
)
_ALWAYS = (
    "An archive of mlflow-export-import has no digests: damage to its files cannot be seen.",
    "It never holds deleted experiments, scorers, webhooks, label schemas or review queues.",
    "It holds deleted runs only if the export was asked for them.",
)


class PredecessorSource:
    """An archive of mlflow-export-import, in any of its layouts. Implements `stream.Source`; made by `open`.

    Everything is read as it is asked for; only ids of experiments are kept. Safe to use from several threads.
    """

    def __init__(self, tree: Tree, found: Survey) -> None:
        """Use `open`."""
        self._tree = tree
        self.layout = Layout(tree, found)
        origin = origin_of(tree, found)
        self.origin: SourceInfo = origin.server
        """The server that it was exported from, as far as the archive says; without credentials."""
        self.tool_version = origin.tool_version
        """The version of mlflow-export-import; empty if the archive does not say it."""
        self.exported_ms = origin.exported_ms
        """When it was exported, milliseconds since the epoch; 0 if the archive does not say it."""

    @classmethod
    def open(cls, store: Store) -> PredecessorSource:
        """Look for the archive's lists; the store is closed with the source.

        Raises:
            NotAnArchiveError: There are none.
            UnavailableError: The store does not answer.
            NotAuthorisedError: It refuses to be read.
        """
        tree = Tree(store)
        found = survey(tree)
        if not found.layout:
            raise NotAnArchiveError(f"There is no archive of mlflow-export-import at {store.url}.")
        return cls(tree, found)

    def describe(self) -> SourceInfo:
        """Say where the archive is, and of which MLflow version its objects are."""
        return SourceInfo(type="archive", uri=self._tree.store.url, mlflow_version=self.origin.mlflow_version)

    def kinds(self) -> tuple[Kind, ...]:
        """Return the kinds that such an archive can have."""
        return _KINDS

    def read(self, kind: Kind, selection: Selection) -> Iterator[Item | Loss]:
        """List the objects of a kind that the selection wants, experiment after experiment.

        Where the selection asks for times or for what is in records, each document is read while listing.

        Raises:
            UsageError: The run filter is wrong.
        """
        asked = RecordFilter(kind, selection)
        if kind not in _KINDS or not selection.wants(kind):
            return
        for entry in self._all(kind, selection):
            if isinstance(entry, Loss):
                if self._wants_loss(kind, entry, selection):
                    yield entry
            elif _is_wanted(entry, selection, asked):
                yield Item(entry.key, partial(_load, entry, selection))

    def expected(self, kind: Kind, selection: Selection) -> int | None:  # noqa: ARG002 - the protocol's
        """Not known: the lists count what was exported and what was not, and name some several times."""
        return None

    def notes(self) -> tuple[str, ...]:
        """Say what such an archive does not have, and what of this one was not read."""
        version = f" {self.tool_version}" if self.tool_version else ""
        origin = f"Exported by mlflow-export-import{version} from {self.origin.uri}." if self.origin.uri else ""
        return (*self._tree.notes, *filter(None, (origin,)), *_ALWAYS)

    def folder_bytes(self, experiment_id: str) -> int:
        """Return the size of everything in the folder of an experiment, documents included."""
        for experiment in self.layout.experiments(Selection(experiment_ids=frozenset({experiment_id}))):
            for place in experiment.places:
                return sum(found.size_bytes for found in self._tree.store.list(place.folder))
        return 0

    def close(self) -> None:
        """Close the store."""
        self._tree.store.close()

    def _all(self, kind: Kind, selection: Selection) -> Iterator[Item | Loss]:
        if kind is Kind.EXPERIMENT:
            yield from self.layout.lost_experiments()
            yield from experiments.read(self._tree, self.layout.experiments(selection))
        elif kind in IN_EXPERIMENT:
            for experiment in self.layout.experiments(selection):
                places = partial(self.layout.below, kind, experiment)
                yield from self._scope(ObjectKey(kind, "", experiment.id), places, selection)
            yield from self.layout.lost_strays(kind)
        else:
            yield from self._scope(ObjectKey(kind, ""), partial(self.layout.at_root, kind), selection)

    def _scope(
        self, key: ObjectKey, places: Callable[[], Iterator[Place | Loss]], selection: Selection
    ) -> Iterator[Item | Loss]:
        """Read one scope; a listing that breaks off is a loss of the rest of it."""
        losses: list[Loss] = []
        try:
            yield from self._reader(key.kind)(self._tree, _apart(places(), losses), selection)
        except MlflowArchiveError as error:
            yield key.lost(error.code, str(error), retryable=error.retryable)
        yield from losses

    def _reader(self, kind: Kind) -> Reader:
        readers: dict[Kind, Reader] = {
            Kind.RUN: runs.read,
            Kind.LOGGED_MODEL: logged_models.read,
            Kind.REGISTERED_MODEL: partial(registered_models.read, has_run=self.layout.has_run),
            Kind.PROMPT: prompts.read,
            Kind.TRACE: traces.read,
            Kind.EVALUATION_DATASET: evaluation_datasets.read,
        }
        return readers[kind]

    def _wants_loss(self, kind: Kind, loss: Loss, selection: Selection) -> bool:
        """Tell whether a lost object was wanted; of one without an id nobody knows."""
        if not loss.id or (selection.since_ms, selection.until_ms) != (None, None):
            return True
        return wants_object(selection, kind, loss.id, loss.id, None)


def _apart(entries: Iterable[Place | Loss], losses: list[Loss]) -> Iterator[Place]:
    """Yield the places, and keep the losses for later."""
    for entry in entries:
        if isinstance(entry, Loss):
            losses.append(entry)
        else:
            yield entry


def _is_wanted(item: Item, selection: Selection, asked: RecordFilter) -> bool:
    """Ask the selection. What cannot be read is let through, so that it becomes a loss when it is loaded."""
    key = item.key
    untimed = selection.since_ms is None and selection.until_ms is None
    name = key.name or key.id
    if untimed and not wants_object(selection, key.kind, key.id, name, None):
        return False
    if untimed and not asked.asks_more and not asked.asks_life_cycle:
        return True
    try:
        record = item.load().record
    except MlflowArchiveError:
        return True
    return wants_object(selection, key.kind, key.id, name, record.time_ms) and asked.wants(record)


def _load(item: Item, selection: Selection) -> Content:
    return narrowed(item.load(), item.key, selection)
