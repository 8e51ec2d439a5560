"""A selection with everything it needs and nothing unrelated.

What counts as asked for:

* nothing named: the source as it is, filtered by kinds, times and the run filter;
* experiments named: these experiments with everything below them; no models, prompts or other server-wide objects
  that were not named too (evaluation datasets come along when they belong to one of the experiments);
* models named: these models with all versions, the versions' runs and logged models, the runs those logged models came
  from, the logged models those runs made, and the records of the experiments they stand in; nothing else of those
  experiments;
* prompts named: these prompts;
* several of them: the union. A filter or a time window narrows what comes from the named experiments, never what a
  model needs.

``kinds`` narrows all of it: ``only`` models takes no run along.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from mlflow_archive.errors import MlflowArchiveError
from mlflow_archive.spec.kinds import IN_EXPERIMENT, Kind
from mlflow_archive.spec.loss import Loss
from mlflow_archive.spec.manifest import SourceInfo
from mlflow_archive.spec.records.evaluation_dataset import EvaluationDatasetRecord
from mlflow_archive.spec.records.logged_model import LoggedModelRecord
from mlflow_archive.spec.records.registered_model import RegisteredModelRecord
from mlflow_archive.spec.records.run import RunRecord
from mlflow_archive.spec.selection import Selection
from mlflow_archive.stream import Item, Source

_MODEL_KINDS = frozenset({Kind.EXPERIMENT, Kind.RUN, Kind.LOGGED_MODEL, Kind.REGISTERED_MODEL})
_BELOW_EXPERIMENTS = IN_EXPERIMENT | {Kind.EXPERIMENT, Kind.EVALUATION_DATASET}
_MODEL_URI = re.compile(r"^models:/(m-[^/@]+)")
_RUN_URI = re.compile(r"^runs:/([^/]+)/")


def closed_under(source: Source, selection: Selection) -> Source:
    """Return a source that reads as the selection means it; the given source if nothing is named.

    Closing it closes the given source. If models are named, they are read here already.

    Raises:
        MlflowArchiveError: The models' needs could not be read.
    """
    if not (selection.experiments or selection.models or selection.prompts):
        return source
    needs = _Needs()
    if selection.models and (selection.kinds is None or selection.kinds & (_MODEL_KINDS - {Kind.REGISTERED_MODEL})):
        needs.collect(source, selection.models)
    return _ClosedSource(source, selection, needs)


@dataclass(frozen=True, slots=True)
class _Place:
    """What a model needs, and in which experiment it stands."""

    kind: Kind
    id: str
    experiment_id: str


class _Needs:
    """The runs and logged models that the named models need."""

    def __init__(self) -> None:
        self._places: set[_Place] = set()
        self.losses: dict[Loss, None] = {}
        """What could not be read, so that something the models need may be missing here; a dict, for its order."""

    def ids(self, kind: Kind) -> frozenset[str]:
        return frozenset(place.id for place in self._places if place.kind is kind)

    def experiments(self, kind: Kind | None = None) -> frozenset[str]:
        return frozenset(place.experiment_id for place in self._places if kind is None or place.kind is kind)

    def collect(self, source: Source, models: tuple[str, ...]) -> None:
        runs, logged_models = _named_by_versions(source, models, self._lose)
        # Each round finds what the objects of the last one need; two kinds, so it ends soon.
        while runs or logged_models:
            more_runs = {
                run for model in self._load(source, Kind.LOGGED_MODEL, logged_models) for run in _runs_of(model)
            }
            more_models = {model for run in self._load(source, Kind.RUN, runs) for model in _models_of(run)}
            runs = more_runs - self.ids(Kind.RUN) - runs
            logged_models = more_models - self.ids(Kind.LOGGED_MODEL) - logged_models

    def _lose(self, loss: Loss) -> None:
        self.losses[loss] = None

    def _load(self, source: Source, kind: Kind, ids: set[str]) -> Iterator[object]:
        if not ids:
            return
        wanted = frozenset(ids)
        everywhere = Selection(run_ids=wanted) if kind is Kind.RUN else Selection(logged_model_ids=wanted)
        for entry in source.read(kind, everywhere):
            if isinstance(entry, Loss):
                self._lose(entry)
                continue
            if entry.key.id not in wanted:
                continue
            self._places.add(_Place(kind, entry.key.id, entry.key.experiment_id or ""))
            try:
                yield entry.load().record
            except MlflowArchiveError as error:
                self._lose(entry.key.lost(error.code, str(error), retryable=error.retryable))


class _ClosedSource:
    """A source that reads the union of what is below the named experiments and what the named models need."""

    def __init__(self, source: Source, selection: Selection, needs: _Needs) -> None:
        self._source = source
        self._wish = selection
        self._needs = needs
        kinds: set[Kind] = {Kind.WORKSPACE}
        if selection.experiments:
            kinds |= _BELOW_EXPERIMENTS
        if selection.models:
            kinds |= _MODEL_KINDS
        if selection.prompts:
            kinds.add(Kind.PROMPT)
        self._kinds = frozenset(kinds)
        self._experiment_ids: frozenset[str] | None = None

    def describe(self) -> SourceInfo:
        """Say what the source is."""
        return self._source.describe()

    def kinds(self) -> tuple[Kind, ...]:
        """Return the kinds that the named objects can bring."""
        return tuple(kind for kind in self._source.kinds() if kind in self._kinds)

    def read(self, kind: Kind, selection: Selection) -> Iterator[Item | Loss]:
        """List what is named and what it needs.

        What could not be read when the needs were collected is a loss, even if it can be read by now: nobody knows
        what it would have named.
        """
        for loss in self._needs.losses:
            if loss.kind is kind:
                reason = f"What the named models need may be missing: {loss.reason}"
                yield loss.model_copy(update={"reason": reason})
        yield from self._read(kind, selection)

    def _read(self, kind: Kind, selection: Selection) -> Iterator[Item | Loss]:
        below = replace(selection, kinds=None, models=None, prompts=None)
        if kind in (Kind.RUN, Kind.LOGGED_MODEL):
            return self._read_union(kind, below)
        if kind is Kind.EXPERIMENT:
            return self._read_experiments(below)
        if kind is Kind.EVALUATION_DATASET:
            return self._read_datasets(below)
        if kind in IN_EXPERIMENT:
            return self._source.read(kind, below)
        return self._source.read(
            kind, replace(selection, experiments=(), run_filter=None, since_ms=None, until_ms=None)
        )

    def expected(self, kind: Kind, selection: Selection) -> int | None:  # noqa: ARG002 - the protocol's
        """Not known: what is named is counted while it is read."""
        return None

    def notes(self) -> tuple[str, ...]:
        """Say what no client can read."""
        return self._source.notes()

    def close(self) -> None:
        """Close the source."""
        self._source.close()

    def _named(self) -> frozenset[str]:
        """Return the ids of the named experiments."""
        if self._experiment_ids is None:
            entries = (
                self._source.read(Kind.EXPERIMENT, Selection(experiments=self._wish.experiments))
                if self._wish.experiments
                else iter(())
            )
            self._experiment_ids = frozenset(entry.key.id for entry in entries if isinstance(entry, Item))
        return self._experiment_ids

    def _read_experiments(self, below: Selection) -> Iterator[Item | Loss]:
        if self._wish.experiments:
            yield from self._source.read(Kind.EXPERIMENT, below)
        needed = self._needs.experiments() - self._named()
        if needed:
            yield from self._source.read(Kind.EXPERIMENT, Selection(experiment_ids=needed))

    def _read_union(self, kind: Kind, below: Selection) -> Iterator[Item | Loss]:
        """Read experiment for experiment, so that each scope comes once."""
        needed = self._needs.ids(kind)
        also_needed = self._needs.experiments(kind)
        named = self._named()
        if named - also_needed:
            yield from self._source.read(kind, replace(below, experiments=(), experiment_ids=named - also_needed))
        for experiment_id in sorted(named & also_needed):
            here = frozenset({experiment_id})
            seen: set[str] = set()
            for entry in self._source.read(kind, replace(below, experiments=(), experiment_ids=here)):
                if isinstance(entry, Item) and entry.key.id in needed:
                    seen.add(entry.key.id)
                yield entry
            if needed - seen:
                yield from self._needed(kind, needed - seen, here)
        if also_needed - named:
            yield from self._needed(kind, needed, also_needed - named)

    def _needed(self, kind: Kind, ids: frozenset[str], experiment_ids: frozenset[str]) -> Iterator[Item | Loss]:
        wish = Selection(experiment_ids=experiment_ids, artifacts=self._wish.artifacts)
        return self._source.read(
            kind, replace(wish, run_ids=ids) if kind is Kind.RUN else replace(wish, logged_model_ids=ids)
        )

    def _read_datasets(self, below: Selection) -> Iterator[Item | Loss]:
        named = self._named()
        for entry in self._source.read(Kind.EVALUATION_DATASET, replace(below, experiments=())):
            if isinstance(entry, Loss):
                yield entry
                continue
            try:
                record = entry.load().record
            except MlflowArchiveError as error:
                yield entry.key.lost(error.code, str(error), retryable=error.retryable)
                continue
            if isinstance(record, EvaluationDatasetRecord) and named.intersection(record.experiment_ids):
                yield entry


def _named_by_versions(
    source: Source, models: tuple[str, ...], lost: Callable[[Loss], None]
) -> tuple[set[str], set[str]]:
    """Return the ids of the runs and logged models that the versions of the models name."""
    runs: set[str] = set()
    logged_models: set[str] = set()
    for entry in source.read(Kind.REGISTERED_MODEL, Selection(models=models)):
        if isinstance(entry, Loss):
            lost(entry)
            continue
        try:
            record = entry.load().record
        except MlflowArchiveError as error:
            lost(entry.key.lost(error.code, str(error), retryable=error.retryable))
            continue
        if not isinstance(record, RegisteredModelRecord):
            continue
        for version in record.versions:
            runs.update(_given(version.run_id, _match(_RUN_URI, version.source)))
            logged_models.update(_given(version.model_id, _match(_MODEL_URI, version.source)))
    return runs, logged_models


def _runs_of(record: object) -> Iterable[str]:
    return _given(record.info.source_run_id) if isinstance(record, LoggedModelRecord) else ()


def _models_of(record: object) -> Iterable[str]:
    if not isinstance(record, RunRecord):
        return ()
    return _given(*(output.get("model_id") for output in (*record.model_outputs, *record.model_inputs)))


def _given(*values: object) -> list[str]:
    return [value for value in values if isinstance(value, str) and value]


def _match(pattern: re.Pattern[str], text: str | None) -> str | None:
    found = pattern.match(text or "")
    return found[1] if found else None
