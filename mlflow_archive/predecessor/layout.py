"""The walk: from the lists of an archive to the places of its objects, each object once.

An experiment's document lists its runs, and in the last generation its logged models and traces. Exports of models keep
a second copy of each version's run and logged model beside the model; where an experiment has them they are the
same, and passed over. What is only there comes with the experiment that it says it belongs to.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass

from mlflow_archive.errors import MlflowArchiveError
from mlflow_archive.predecessor import detecting, summaries
from mlflow_archive.predecessor.detecting import Finding, Survey
from mlflow_archive.predecessor.documents import Document
from mlflow_archive.predecessor.places import Place, below
from mlflow_archive.predecessor.strays import UNKNOWN, Strays, candidates, settle
from mlflow_archive.predecessor.tree import Tree
from mlflow_archive.predecessor.values import member, objects, text, texts
from mlflow_archive.spec.kinds import Kind
from mlflow_archive.spec.loss import Loss
from mlflow_archive.spec.selection import Selection
from mlflow_archive.stream import ObjectKey

#: The folder of a kind in an experiment's folder, which is also its list's name, and the name of its documents.
_HOMES = {
    Kind.RUN: ("runs", detecting.RUN),
    Kind.LOGGED_MODEL: ("logged_models", detecting.LOGGED_MODEL),
    Kind.TRACE: ("traces", detecting.TRACE),
}
_NOT_EXPORTED = "The export could not read it, as the archive's own account says."


@dataclass(frozen=True, slots=True)
class Experiment:
    """An experiment of the archive.

    Attributes:
        id: Its id.
        name: Its name; a stand-in if nothing in the archive tells it.
        places: Its documents: several if the archive holds it more than once, none if only its runs are there.
        stage: Its life-cycle stage.
        folder: Where its runs stand although its document, which an export writes last, cannot be read.
    """

    id: str
    name: str
    places: tuple[Place, ...] = ()
    stage: str = "active"
    folder: str | None = None


class Layout:
    """What is where in one archive. Safe to use from several threads.

    Keeps the ids of experiments and of what stands outside of them, no objects.
    """

    def __init__(self, tree: Tree, survey: Survey) -> None:
        """Walk nothing yet."""
        self._tree = tree
        self.survey = survey
        self._lock = threading.Lock()
        self._walked: _Walked | None = None

    def experiments(self, selection: Selection) -> tuple[Experiment, ...]:
        """Return the wanted experiments, those of strays at the end."""
        return tuple(
            found
            for found in self._walk().experiments
            if selection.wants_experiment(found.id, found.name) and selection.wants_life_cycle(found.stage)
        )

    def lost_experiments(self) -> tuple[Loss, ...]:
        """Return a loss for each list and for each listed experiment whose document cannot be read."""
        return self._walk().losses

    def lost_strays(self, kind: Kind) -> tuple[Loss, ...]:
        """Return a loss for each object outside of experiments that cannot be read, so that it is in none."""
        return tuple(self._walk().strays.losses[kind])

    def has_run(self, run_id: str) -> bool:
        """Tell of a run that a model version names whether the archive has it."""
        walked = self._walk()
        return run_id in walked.listed or any(run_id in homes for homes in walked.strays.homes[Kind.RUN].values())

    def below(self, kind: Kind, experiment: Experiment) -> Iterator[Place | Loss]:
        """Yield the objects of a kind in an experiment: what its documents list, then the strays.

        Raises:
            MlflowArchiveError: A document of the experiment cannot be read.
        """
        strays = self._walk().strays
        seen: dict[str, Loss | None] = {}
        for place in experiment.places:
            yield from self._listed(kind, experiment.id, place, strays, seen)
        if experiment.folder is not None:
            yield from self._unlisted(kind, experiment, seen)
        for id, stray in strays.of(kind, experiment.id).items():
            if seen.get(id, _NEVER) is not None:
                seen[id] = None
                yield stray
        # The run of an exported version stands beside its experiment, and in no list.
        for place in experiment.places if self.survey.version is None else ():
            there = {stands.id for stands in self._standing(kind, experiment.id, place.folder)}
            self._tell_unlisted(str(kind).replace("_", " "), place.path, there - seen.keys())
        yield from (loss for loss in seen.values() if loss is not None)

    def at_root(self, kind: Kind) -> Iterator[Place | Loss]:
        """Yield the objects of a kind that belong to no experiment."""
        if kind is Kind.REGISTERED_MODEL:
            yield from self._models()
        elif kind is Kind.PROMPT:
            for folder in self.survey.prompts:
                yield from summaries.prompts(self._tree, folder)
        elif kind is Kind.EVALUATION_DATASET:
            for folder in self.survey.datasets:
                yield from summaries.evaluation_datasets(self._tree, folder)

    def _walk(self) -> _Walked:
        with self._lock:
            if self._walked is None:
                self._walked = self._find()
            return self._walked

    def _find(self) -> _Walked:
        models = [place for place in self._models() if isinstance(place, Place)]
        strays = candidates(self._tree, self.survey, models)
        found: dict[str, Experiment] = {}
        losses: dict[str, Loss] = {}
        listed: dict[Kind, set[str]] = {kind: set() for kind in _HOMES}
        for place, name in self._experiment_places(losses):
            try:
                document = self._tree.document(place.path)
            except MlflowArchiveError as error:
                self._interrupted(place, name, error, found, losses)
                continue
            about = member(document.payload, "experiment")
            id = text(about.get("experiment_id")) or place.id
            before = found[id].places if id in found else ()
            found[id] = Experiment(
                id, text(about.get("name")) or _stand_in(id), (*before, place), text(about.get("lifecycle_stage"))
            )
            losses.pop(id, None)
            for kind, ids in listed.items():
                ids.update(strays.folders[kind].keys() & set(_ids_in(kind, document)))
        settle(strays, self._tree, self.survey, listed)
        for id, name in strays.experiments.items():
            found.setdefault(id, Experiment(id, name or _stand_in(id)))
        return _Walked(tuple(found.values()), tuple(losses.values()), strays, frozenset(listed[Kind.RUN]))

    def _interrupted(
        self, place: Place, name: str, error: MlflowArchiveError, found: dict[str, Experiment], losses: dict[str, Loss]
    ) -> None:
        """Take an experiment by its folder, if anything is there: its document is what an export writes last."""
        if place.id in found:
            return
        there = self._tree.has_folder(place.folder)
        if there:
            found[place.id] = Experiment(place.id, name or _stand_in(place.id), folder=place.folder)
        key = ObjectKey(Kind.EXPERIMENT, place.id)
        losses[place.id] = key.lost(
            error.code, str(error), path=place.document if there else None, retryable=error.retryable
        )

    def _experiment_places(self, losses: dict[str, Loss]) -> Iterator[tuple[Place, str]]:
        """Yield the places of experiments, with the names that lists give them."""
        seen: set[str] = set()
        for listing in self.survey.experiment_lists:
            named = self._named(listing, losses)
            there = set(self._tree.folders_with(listing.folder, detecting.EXPERIMENT))
            self._tell_unlisted("experiment", listing.path, there - named.keys())
            for id, name in named.items():
                folder = below(listing.folder, id)
                if folder not in seen:
                    seen.add(folder)
                    yield Place(id, folder, self._document_of(folder)), name
        for single in self.survey.experiments:
            yield Place("", single.folder, single.name), ""

    def _document_of(self, folder: str) -> str:
        """Return the name of an experiment's document: before the third generation it was the manifest."""
        new, old = (self._tree.has(below(folder, name)) for name in (detecting.EXPERIMENT, detecting.MANIFEST))
        return detecting.MANIFEST if old and not new else detecting.EXPERIMENT

    def _named(self, listing: Finding, losses: dict[str, Loss]) -> dict[str, str]:
        """Return id -> name of a list of experiments, which may name one several times.

        Where the list cannot be read, the folders tell.
        """
        try:
            rows = objects(self._tree.document(listing.path).payload.get("experiments"))
        except MlflowArchiveError as error:
            key = ObjectKey(Kind.EXPERIMENT, "")
            losses[""] = key.lost(error.code, str(error), path=listing.path, retryable=error.retryable)
            rows = []
        named = {text(row.get("id")): text(row.get("name")) for row in rows if text(row.get("id"))}
        return named or dict.fromkeys(self._tree.folders_with(listing.folder, detecting.EXPERIMENT), "")

    def _listed(
        self, kind: Kind, experiment_id: str, place: Place, strays: Strays, seen: dict[str, Loss | None]
    ) -> Iterator[Place]:
        """Yield what a document of an experiment lists and has; of the rest, ``seen`` gets the losses."""
        home, name = _HOMES[kind]
        document = self._tree.document(place.path)
        for id in _ids_in(kind, document):
            if seen.get(id, _NEVER) is None:
                continue
            stray = strays.folders[kind].get(id)
            # Before the last generation runs stood beside the experiment's document.
            folders = [below(place.folder, f"{home}/{id}"), below(place.folder, id), *([stray] if stray else ())]
            stands = next((folder for folder in folders if self._tree.has(below(folder, name))), None)
            if stands is not None:
                seen[id] = None
                yield Place(id, stands, name, experiment_id)
            else:
                reason = f"The archive lists this {str(kind).replace('_', ' ')}, and its document is not there."
                seen[id] = ObjectKey(kind, id, experiment_id).lost("not_found", reason)
        for id in _failed(kind, document):
            seen.setdefault(id, ObjectKey(kind, id, experiment_id).lost("not_exported", _NOT_EXPORTED))

    def _unlisted(self, kind: Kind, experiment: Experiment, seen: dict[str, Loss | None]) -> Iterator[Place]:
        """Yield what stands in the folder of an experiment whose document cannot be read."""
        for place in self._standing(kind, experiment.id, experiment.folder or ""):
            if place.id not in seen:
                seen[place.id] = None
                yield place

    def _standing(self, kind: Kind, experiment_id: str, folder: str) -> Iterator[Place]:
        """Yield what stands in the folder of an experiment, whatever its document lists."""
        home, name = _HOMES[kind]
        for above in (below(folder, home), folder):
            for id in self._tree.folders_with(above, name):
                yield Place(id, below(above, id), name, experiment_id)

    def _tell_unlisted(self, what: str, path: str, ids: set[str]) -> None:
        """Note what stands there and is not read: of two exports into one folder the later one's list counts."""
        if ids:
            some = ", ".join(sorted(ids)[:3]) + (", ..." if len(ids) > 3 else "")
            number, them = (f"one {what}", "it") if len(ids) == 1 else (f"{len(ids)} {what}s", "them")
            self._tree.note(f"The archive holds {number}, left out because {path} does not list {them}: {some}.")

    def _models(self) -> Iterator[Place | Loss]:
        seen: set[str] = set()
        for listing in self.survey.model_lists:
            try:
                document = self._tree.document(listing.path)
            except MlflowArchiveError as error:
                key = ObjectKey(Kind.REGISTERED_MODEL, "")
                yield key.lost(error.code, str(error), path=listing.path, retryable=error.retryable)
                for name in self._tree.folders_with(listing.folder, detecting.MODEL):
                    seen.add(name)
                    yield Place(name, below(listing.folder, name), detecting.MODEL)
                continue
            payload = document.payload
            named = texts(payload.get("models")) or texts(payload.get("ok_models"))
            failed = texts(document.info.get("failed_models") or payload.get("failed_models"))
            there = set(self._tree.folders_with(listing.folder, detecting.MODEL))
            self._tell_unlisted("registered model", listing.path, there.difference(named, failed))
            for name in named:
                if name not in seen:
                    seen.add(name)
                    yield Place(name, below(listing.folder, name), detecting.MODEL)
            for name in failed:
                if name not in seen:
                    seen.add(name)
                    yield ObjectKey(Kind.REGISTERED_MODEL, name).lost("not_exported", _NOT_EXPORTED)
        for single in self.survey.models:
            yield Place("", single.folder, single.name)
        if self.survey.version is not None and not self.survey.models:
            yield Place("", self.survey.version, detecting.MODEL)


#: Stands for an object that was not met yet; None is one whose place is known.
_NEVER = Loss(kind=Kind.RUN, id="", code="never", reason="")


@dataclass(frozen=True, slots=True)
class _Walked:
    experiments: tuple[Experiment, ...]
    losses: tuple[Loss, ...]
    strays: Strays
    listed: frozenset[str]
    """Runs that both versions and experiments name."""


def _ids_in(kind: Kind, document: Document) -> list[str]:
    """Return the ids that an experiment's document lists, each once; lists had other places in older generations."""
    listed = document.payload.get(_HOMES[kind][0])
    if kind is Kind.RUN and listed is None:
        listed = document.info.get("ok_runs") if "ok_runs" in document.info else document.payload.get("run_ids")
    return texts(listed)


def _failed(kind: Kind, document: Document) -> list[str]:
    """Return the ids that the export could not read, where its account names them."""
    if kind is Kind.RUN:
        return texts(document.info.get("failed_runs") or document.payload.get("failed_run_ids"))
    return texts(document.info.get(f"failed_{_HOMES[kind][0]}"))


def _stand_in(experiment_id: str) -> str:
    """Return what an experiment is called whose name nothing tells."""
    return "Of an unknown experiment" if experiment_id == UNKNOWN else f"Of the experiment {experiment_id}"
