"""A selection with everything it needs and nothing unrelated.

What counts as asked for:

* nothing named: the source as it is, filtered by kinds, times and the run filter;
* experiments named: these experiments with everything below them; no models, prompts or other server-wide objects
  that were not named too (evaluation datasets come along when they belong to one of the experiments);
* models named: these models with all wanted versions, the versions' runs and logged models, the runs those logged
  models came from, the logged models those runs made, and the records of the experiments they stand in; nothing else
  of those experiments, unless ``whole_experiments`` says so: then as if they were named;
* runs named: these runs (of the experiments in ``runs_within`` alone, if it names some), with those nested below them
  if ``with_children``, the logged models they made or used, and the records of their experiments; nested runs stand in
  the experiment of their parent;
* logged models named: these, the runs they came from, and the records of their experiments;
* traces named: these and the records of their experiments;
* prompts or evaluation datasets named: these;
* several of them: the union, and all there is if experiments, models, prompts and evaluation datasets are all named by
  ``*``. A filter or a time window narrows what comes from experiments as a whole, never what is
  named otherwise or needed.

``kinds`` narrows all of it: ``only`` models takes no run along. So does ``deleted``: what is deleted is then left out
also where something needs it.

A name that has the signs of a glob in it wins over the glob: ``a[1]`` is the experiment of this name if there is one,
else all that match.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from mlflow_archive.errors import MlflowArchiveError
from mlflow_archive.operations.needs import Needs
from mlflow_archive.spec.kinds import IN_EXPERIMENT, KIND_ORDER, Kind
from mlflow_archive.spec.loss import Loss
from mlflow_archive.spec.manifest import SourceInfo
from mlflow_archive.spec.patterns import EVERYTHING, exactly, plain_name
from mlflow_archive.spec.records.evaluation_dataset import EvaluationDatasetRecord
from mlflow_archive.spec.records.registered_model import RegisteredModelRecord
from mlflow_archive.spec.selection import Selection
from mlflow_archive.stream import NOT_FOUND, Item, Source

_MODEL_KINDS = frozenset({Kind.EXPERIMENT, Kind.RUN, Kind.LOGGED_MODEL, Kind.REGISTERED_MODEL})
_RUN_KINDS = frozenset({Kind.EXPERIMENT, Kind.RUN, Kind.LOGGED_MODEL})
_BELOW_EXPERIMENTS = IN_EXPERIMENT | {Kind.EXPERIMENT, Kind.EVALUATION_DATASET}


def closed_under(source: Source, selection: Selection) -> Source:
    """Return a source that reads as the selection means it; the given source if nothing is named.

    Closing it closes the given source. What is named is read here already, as far as its needs must be known.

    Raises:
        MlflowArchiveError: The needs could not be read.
    """
    if not _kinds_named(selection):
        return source
    wish = _with_exact_names(source, selection)
    needs = Needs(source, wish)
    needs.collect()
    return _ClosedSource(source, wish, needs)


def _kinds_named(wish: Selection) -> frozenset[Kind]:
    """Return the kinds that the named objects can bring; empty if nothing is named."""
    if all(EVERYTHING in (names or ()) for names in (wish.experiments, wish.models, wish.prompts, wish.datasets)):
        return frozenset(KIND_ORDER)
    kinds: set[Kind] = set()
    if wish.experiments or (wish.models and wish.whole_experiments):
        kinds |= _BELOW_EXPERIMENTS
    if wish.models:
        kinds |= _MODEL_KINDS
    if wish.run_ids or wish.logged_model_ids:
        kinds |= _RUN_KINDS
    if wish.trace_ids:
        kinds |= {Kind.EXPERIMENT, Kind.TRACE}
    if wish.prompts:
        kinds.add(Kind.PROMPT)
    if wish.datasets:
        kinds.add(Kind.EVALUATION_DATASET)
    return frozenset(kinds)


def _with_exact_names(source: Source, wish: Selection) -> Selection:
    def exact(kind: Kind, patterns: tuple[str, ...] | None, all_of: Selection) -> tuple[str, ...] | None:
        globs = {pattern for pattern in patterns or () if pattern != EVERYTHING and plain_name(pattern) is None}
        if not globs or not wish.wants(kind) or kind not in source.kinds():
            return patterns
        entries = source.read(kind, all_of)
        names = globs.intersection(entry.key.name for entry in entries if isinstance(entry, Item))
        return tuple(exactly(pattern) if pattern in names else pattern for pattern in patterns or ())

    return replace(
        wish,
        experiments=exact(Kind.EXPERIMENT, wish.experiments, Selection(experiments=wish.experiments)) or (),
        models=exact(Kind.REGISTERED_MODEL, wish.models, Selection(models=wish.models)),
        prompts=exact(Kind.PROMPT, wish.prompts, Selection(prompts=wish.prompts)),
        datasets=exact(Kind.EVALUATION_DATASET, wish.datasets, Selection(datasets=wish.datasets)),
    )


class _ClosedSource:
    """A source that reads the union of what is below the named experiments, what else is named, and what it needs."""

    def __init__(self, source: Source, wish: Selection, needs: Needs) -> None:
        self._source = source
        self._wish = wish
        self._needs = needs
        self._kinds = _kinds_named(wish) | {Kind.WORKSPACE}
        self._experiment_ids: frozenset[str] | None = None

    def describe(self) -> SourceInfo:
        """Say what the source is."""
        return self._source.describe()

    def kinds(self) -> tuple[Kind, ...]:
        """Return the kinds that the named objects can bring."""
        return tuple(kind for kind in self._source.kinds() if kind in self._kinds)

    def read(self, kind: Kind, selection: Selection) -> Iterator[Item | Loss]:  # noqa: ARG002 - it is closed under one
        """List what is named and what it needs.

        What could not be read when the needs were collected is a loss, even if it can be read by now: nobody knows
        what it would have named.
        """
        if not self._wish.wants(kind):
            return
        for loss in self._needs.losses:
            if loss.kind is kind:
                reason = f"What the named objects need may be missing: {loss.reason}"
                yield loss.model_copy(update={"reason": reason})
        yield from self._read(kind)

    def _read(self, kind: Kind) -> Iterator[Item | Loss]:
        wish = self._wish
        if kind in (Kind.RUN, Kind.LOGGED_MODEL, Kind.TRACE):
            return self._read_union(kind)
        if kind is Kind.EXPERIMENT:
            ids = self._named() | self._needs.experiments()
            return self._source.read(kind, Selection(experiment_ids=ids, deleted=wish.deleted))
        if kind is Kind.EVALUATION_DATASET:
            return self._read_datasets()
        if kind in IN_EXPERIMENT:
            return self._source.read(kind, self._below(self._named()))
        rest = replace(self._below(frozenset()), experiment_ids=None, run_filter=None, since_ms=None, until_ms=None)
        if kind is Kind.REGISTERED_MODEL:
            return _with_versions(self._source.read(kind, replace(rest, models=wish.models)), wish.versions)
        if kind is Kind.PROMPT:
            return _with_versions(self._source.read(kind, replace(rest, prompts=wish.prompts)), wish.prompt_versions)
        return self._source.read(kind, rest)

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
        """Return the ids of the experiments that are taken as a whole."""
        if self._experiment_ids is None:
            wish = Selection(experiments=self._wish.experiments, deleted=self._wish.deleted)
            entries = self._source.read(Kind.EXPERIMENT, wish) if wish.experiments else iter(())
            named = frozenset(entry.key.id for entry in entries if isinstance(entry, Item))
            self._experiment_ids = named | self._needs.whole
        return self._experiment_ids

    def _below(self, experiment_ids: frozenset[str]) -> Selection:
        """Return the selection of everything in experiments that the filters let through."""
        return replace(
            self._wish,
            kinds=None,
            experiments=(),
            experiment_ids=experiment_ids,
            models=None,
            prompts=None,
            datasets=None,
            run_ids=None,
            logged_model_ids=None,
            trace_ids=None,
        )

    def _read_union(self, kind: Kind) -> Iterator[Item | Loss]:
        """Read experiment for experiment, so that each scope comes once."""
        needed = self._needs.ids(kind)
        also_needed = self._needs.experiments(kind)
        named = self._named()
        if named - also_needed:
            yield from self._source.read(kind, self._below(named - also_needed))
        for experiment_id in sorted(named & also_needed):
            here = frozenset({experiment_id})
            seen: set[str] = set()
            for entry in self._source.read(kind, self._below(here)):
                if isinstance(entry, Item) and entry.key.id in needed:
                    seen.add(entry.key.id)
                yield entry
            if needed - seen:
                yield from self._needed(kind, needed - seen, here)
        if also_needed - named:
            yield from self._needed(kind, needed, also_needed - named)

    def _needed(self, kind: Kind, ids: frozenset[str], experiment_ids: frozenset[str]) -> Iterator[Item | Loss]:
        wish = Selection(
            experiment_ids=experiment_ids,
            artifacts=self._wish.artifacts,
            deleted=self._wish.deleted,
            run_ids=ids if kind is Kind.RUN else None,
            logged_model_ids=ids if kind is Kind.LOGGED_MODEL else None,
            trace_ids=ids if kind is Kind.TRACE else None,
        )
        return self._source.read(kind, wish)

    def _read_datasets(self) -> Iterator[Item | Loss]:
        """Read the named datasets and those of the named experiments."""
        wish, named = self._wish, self._named()
        if not named or wish.datasets == ():
            if wish.datasets:
                yield from self._source.read(Kind.EVALUATION_DATASET, Selection(datasets=wish.datasets))
            return
        below = Selection(experiment_ids=None if wish.datasets else named)
        for entry in self._source.read(Kind.EVALUATION_DATASET, below):
            if isinstance(entry, Loss) or (wish.datasets and wish.wants_dataset(entry.key.id, entry.key.name)):
                yield entry
                continue
            try:
                record = entry.load().record
            except MlflowArchiveError as error:
                yield entry.key.lost(error.code, str(error), retryable=error.retryable)
                continue
            if isinstance(record, EvaluationDatasetRecord) and named.intersection(record.experiment_ids):
                yield entry


def _with_versions(entries: Iterable[Item | Loss], asked: frozenset[int] | None) -> Iterator[Item | Loss]:
    """Yield models or prompts, and the losses of those that have none of the versions that were asked for."""
    for entry in entries:
        if asked is None or isinstance(entry, Loss):
            yield entry
            continue
        try:
            content = entry.load()
        except MlflowArchiveError:
            # Told when it is loaded again.
            yield entry
            continue
        missing = [loss for loss in content.losses if loss.code == NOT_FOUND]
        if missing and isinstance(content.record, RegisteredModelRecord) and not content.record.versions:
            yield from missing
        else:
            yield entry
