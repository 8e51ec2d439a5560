"""What named objects need: the runs, logged models and traces that come along, and where they stand."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from mlflow_archive.errors import MlflowArchiveError
from mlflow_archive.spec.kinds import Kind
from mlflow_archive.spec.loss import Loss
from mlflow_archive.spec.records.logged_model import LoggedModelRecord
from mlflow_archive.spec.records.registered_model import RegisteredModelRecord
from mlflow_archive.spec.records.run import RunRecord
from mlflow_archive.spec.selection import Selection
from mlflow_archive.stream import Item, ObjectKey, Source

_MODEL_URI = re.compile(r"^models:/(m-[^/@]+)")
_RUN_URI = re.compile(r"^runs:/([^/]+)/")
_BELOW_MODELS = frozenset({Kind.EXPERIMENT, Kind.RUN, Kind.LOGGED_MODEL})


@dataclass(frozen=True, slots=True)
class _Place:
    """An object that is needed, and in which experiment it stands."""

    kind: Kind
    id: str
    experiment_id: str


class Needs:
    """Collects ids from a source, in a few rounds of reading; nothing else of the objects is kept."""

    def __init__(self, source: Source, wish: Selection) -> None:
        """Ask nothing yet."""
        self._source = source
        self._wish = wish
        self._places: set[_Place] = set()
        self._has_models = Kind.LOGGED_MODEL in source.kinds()
        self.whole: frozenset[str] = frozenset()
        """The experiments that are taken whole because a named model needs something of them."""
        self.losses: dict[Loss, None] = {}
        """What could not be read, so that something that is needed may be missing here; a dict, for its order."""

    def ids(self, kind: Kind) -> frozenset[str]:
        """Return the needed objects of a kind."""
        return frozenset(place.id for place in self._places if place.kind is kind)

    def experiments(self, kind: Kind | None = None) -> frozenset[str]:
        """Return the experiments that needed objects stand in: of a kind, or of all kinds that are wanted."""
        return frozenset(
            place.experiment_id
            for place in self._places
            if (self._wish.wants(place.kind) if kind is None else place.kind is kind)
        )

    def collect(self) -> None:
        """Find what the named models, runs, logged models and traces need.

        Raises:
            MlflowArchiveError: The source can give nothing at all.
        """
        wish = self._wish
        if wish.models and (wish.kinds is None or wish.kinds & _BELOW_MODELS):
            self._collect_for_models()
            if wish.whole_experiments:
                self.whole = frozenset(place.experiment_id for place in self._places)
        if wish.run_ids:
            self._collect_for_runs(wish.run_ids)
        if wish.logged_model_ids:
            models = self._load(Kind.LOGGED_MODEL, self._everywhere(Kind.LOGGED_MODEL, wish.logged_model_ids))
            self._find(Kind.RUN, {run for _, model in models for run in _runs_of(model)})
        if wish.trace_ids and wish.wants(Kind.TRACE):
            self._find(Kind.TRACE, wish.trace_ids)

    def _collect_for_models(self) -> None:
        runs, logged_models = self._named_by_versions()
        # Each round finds what the objects of the last one need; two kinds, so it ends soon.
        while runs or logged_models:
            found_models = self._load(Kind.LOGGED_MODEL, self._everywhere(Kind.LOGGED_MODEL, logged_models))
            more_runs = {run for _, model in found_models for run in _runs_of(model)}
            found_runs = self._load(Kind.RUN, self._everywhere(Kind.RUN, runs))
            more_models = {model for _, run in found_runs for model in _models_of(run)}
            runs = more_runs - self.ids(Kind.RUN) - runs
            logged_models = more_models - self.ids(Kind.LOGGED_MODEL) - logged_models

    def _collect_for_runs(self, run_ids: frozenset[str]) -> None:
        """Find the named runs, those nested below them, and the logged models they made or used."""
        models: set[str] = set()
        known: set[str] = set()
        wish = replace(self._everywhere(Kind.RUN, run_ids), experiments=self._wish.runs_within)
        while True:
            found: dict[str, str] = {}
            for key, record in self._load(Kind.RUN, wish):
                models.update(_models_of(record))
                # Whoever nests runs in a ring is met once.
                if key.id not in known:
                    found[key.id] = key.experiment_id or ""
            known.update(found)
            if not found or not self._wish.with_children:
                break
            wish = Selection(
                experiment_ids=frozenset(found.values()),
                parent_run_ids=frozenset(found),
                deleted=self._wish.deleted,
                artifacts=False,
            )
        models.update(self._made_by(frozenset(known)))
        self._find(Kind.LOGGED_MODEL, models - self.ids(Kind.LOGGED_MODEL))

    def _made_by(self, run_ids: frozenset[str]) -> Iterator[str]:
        """Yield the logged models that name one of the runs as theirs; not each is among the outputs of the run."""
        if not (run_ids and self._has_models and self._wish.wants(Kind.LOGGED_MODEL)):
            return
        homes = frozenset(place.experiment_id for place in self._places if place.id in run_ids)
        beside = Selection(experiment_ids=homes, deleted=self._wish.deleted, artifacts=False)
        for entry in self._source.read(Kind.LOGGED_MODEL, beside):
            if isinstance(entry, Loss):
                self._lose(entry)
            elif run_ids.intersection(_runs_of(self._record(entry))):
                yield entry.key.id

    def _named_by_versions(self) -> tuple[set[str], set[str]]:
        """Return the ids of the runs and logged models that the wanted versions of the models name."""
        runs: set[str] = set()
        logged_models: set[str] = set()
        wish = self._wish
        models = Selection(
            models=wish.models, stages=wish.stages, versions=wish.versions, latest_versions=wish.latest_versions
        )
        for entry in self._source.read(Kind.REGISTERED_MODEL, models):
            if isinstance(entry, Loss):
                self._lose(entry)
                continue
            record = self._record(entry)
            if not isinstance(record, RegisteredModelRecord):
                continue
            for version in record.versions:
                runs.update(_given(version.run_id, _match(_RUN_URI, version.source)))
                logged_models.update(_given(version.model_id, _match(_MODEL_URI, version.source)))
        return runs, logged_models

    def _everywhere(self, kind: Kind, ids: Iterable[str]) -> Selection:
        wanted = frozenset(ids)
        return Selection(
            run_ids=wanted if kind is Kind.RUN else None,
            logged_model_ids=wanted if kind is Kind.LOGGED_MODEL else None,
            trace_ids=wanted if kind is Kind.TRACE else None,
            deleted=self._wish.deleted,
            artifacts=False,
        )

    def _find(self, kind: Kind, ids: Iterable[str]) -> None:
        """Note where objects stand."""
        for _ in self._read(kind, self._everywhere(kind, ids)):
            pass

    def _load(self, kind: Kind, selection: Selection) -> Iterator[tuple[ObjectKey, object]]:
        """Note where objects stand, and yield their records where these can name something that is wanted."""
        for item in self._read(kind, selection):
            yield item.key, self._record(item) if kind is not Kind.RUN or self._has_models else None

    def _read(self, kind: Kind, selection: Selection) -> Iterator[Item]:
        """Yield objects, noted; a listing that failed is noted as well."""
        if frozenset() in (selection.run_ids, selection.logged_model_ids, selection.trace_ids):
            return
        for entry in self._source.read(kind, selection):
            if isinstance(entry, Loss):
                self._lose(entry)
            else:
                self._places.add(_Place(kind, entry.key.id, entry.key.experiment_id or ""))
                yield entry

    def _record(self, item: Item) -> object:
        try:
            return item.load().record
        except MlflowArchiveError as error:
            self._lose(item.key.lost(error.code, str(error), retryable=error.retryable))
            return None

    def _lose(self, loss: Loss) -> None:
        self.losses[loss] = None


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
