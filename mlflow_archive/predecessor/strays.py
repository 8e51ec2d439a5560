"""Runs, logged models and traces that stand outside of experiments: beside a model, or alone at the root.

An export of models keeps each version's run and logged model beside the model. An export of one object has no
experiment at all: what it belongs to is only an id in its document, its name at best a remark at a version.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from mlflow_archive.errors import MlflowArchiveError
from mlflow_archive.predecessor import detecting
from mlflow_archive.predecessor.detecting import Survey
from mlflow_archive.predecessor.places import Place, below
from mlflow_archive.predecessor.tree import Tree
from mlflow_archive.predecessor.values import first, member, objects, text, texts
from mlflow_archive.spec.canonical import JSONObject
from mlflow_archive.spec.kinds import Kind
from mlflow_archive.spec.loss import Loss
from mlflow_archive.stream import ObjectKey

#: The id of a logged model in a URI.
MODEL_ID = re.compile(r"(?<![0-9A-Za-z])m-[0-9a-f]{32}(?![0-9A-Za-z])")
#: Stands for the id of an experiment that nothing tells; those of MLflow are numbers.
UNKNOWN = "unknown"
_NAMES = {Kind.RUN: detecting.RUN, Kind.LOGGED_MODEL: detecting.LOGGED_MODEL, Kind.TRACE: detecting.TRACE}


@dataclass
class Strays:
    """What stands outside of experiments.

    Attributes:
        folders: Kind -> id -> folder, of all that may be there; which of them are is asked when they are needed.
        homes: Kind -> experiment id -> id -> place, of those that no experiment lists.
        experiments: Experiment id -> name (empty if unknown) of the homes.
    """

    folders: dict[Kind, dict[str, str]] = field(default_factory=lambda: {kind: {} for kind in _NAMES})
    homes: dict[Kind, dict[str, dict[str, Place]]] = field(default_factory=lambda: {kind: {} for kind in _NAMES})
    experiments: dict[str, str] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    """Run id -> name of its experiment, as versions tell."""
    losses: dict[Kind, list[Loss]] = field(default_factory=lambda: {kind: [] for kind in _NAMES})
    """Those whose documents cannot be read, so that nothing tells where they belong."""

    def of(self, kind: Kind, experiment_id: str) -> dict[str, Place]:
        """Return those of an experiment that it does not list."""
        return self.homes[kind].get(experiment_id, {})

    def house(self, kind: Kind, place: Place, experiment_name: str) -> None:
        """Take in one that no experiment lists."""
        experiment_id = place.experiment_id or ""
        self.homes[kind].setdefault(experiment_id, {}).setdefault(place.id, place)
        self.experiments[experiment_id] = first((self.experiments.get(experiment_id, ""), experiment_name))


def candidates(tree: Tree, survey: Survey, models: list[Place]) -> Strays:
    """Return what the models' versions and the single objects name, without asking whether it is there.

    Args:
        tree: The archive.
        survey: What its root has.
        models: The documents of registered models.
    """
    strays = Strays()
    for place in models:
        _beside_model(strays, tree, place)
    for found in survey.runs:
        _add(strays, tree, Kind.RUN, found.folder, lambda payload: text(member(payload, "info").get("run_id")))
    for found in survey.logged_models:
        _add(strays, tree, Kind.LOGGED_MODEL, found.folder, lambda payload: text(payload.get("model_id")))
    for found in survey.traces:
        _add(strays, tree, Kind.TRACE, found.folder, _trace_id)
    return strays


def settle(strays: Strays, tree: Tree, survey: Survey, listed: dict[Kind, set[str]]) -> None:
    """Find the experiments of those that no experiment lists.

    Args:
        strays: What `candidates` found.
        tree: The archive.
        survey: What its root has.
        listed: Kind -> those of the candidates that an experiment lists.
    """
    for kind, name in ((Kind.LOGGED_MODEL, "logged_models"), (Kind.TRACE, "traces")):
        for experiment_id, experiment_name, id in _in_lists(tree, survey, name):
            strays.house(kind, Place(id, id, _NAMES[kind], experiment_id), experiment_name)
    for kind, document in _NAMES.items():
        # A run names further logged models, so that these come after it.
        for id, folder in list(strays.folders[kind].items()):
            if id not in listed[kind] and tree.has(below(folder, document)):
                _settle_one(strays, tree, kind, id, folder)


def _settle_one(strays: Strays, tree: Tree, kind: Kind, id: str, folder: str) -> None:
    place = Place(id, folder, _NAMES[kind])
    try:
        payload = tree.document(place.path).payload
    except MlflowArchiveError as error:
        strays.losses[kind].append(ObjectKey(kind, id).lost(error.code, str(error), retryable=error.retryable))
        return
    if kind is Kind.RUN:
        for model_id in _models_of_run(payload):
            strays.folders[Kind.LOGGED_MODEL].setdefault(model_id, below(_above(folder, id), model_id))
    experiment_id = _home(kind, payload) or UNKNOWN
    strays.house(kind, Place(id, folder, _NAMES[kind], experiment_id), strays.names.get(id, ""))


def _beside_model(strays: Strays, tree: Tree, place: Place) -> None:
    """Note the runs and logged models that the versions of a model name, where its export puts them."""
    try:
        versions = list(_versions(tree, place))
    except MlflowArchiveError:
        # The reader of registered models says that it cannot be read.
        return
    for version in versions:
        run_id = text(version.get("run_id"))
        if run_id:
            strays.folders[Kind.RUN].setdefault(run_id, below(place.folder, run_id))
            strays.names.setdefault(run_id, text(version.get("_experiment_name")))
        for model_id in MODEL_ID.findall(f"{text(version.get('source'))} {text(version.get('model_id'))}"):
            # An export of one version names the folder by the run.
            for name in (model_id, run_id):
                folder = below(place.folder, name)
                if name and tree.has(below(folder, detecting.LOGGED_MODEL)):
                    strays.folders[Kind.LOGGED_MODEL].setdefault(model_id, folder)
                    break


def _versions(tree: Tree, place: Place) -> Iterator[JSONObject]:
    if tree.has(place.path):
        model = member(tree.document(place.path).payload, "registered_model")
        yield from objects(model.get("versions") or model.get("latest_versions"))
    version = below(place.folder, detecting.VERSION)
    if tree.has(version):
        yield member(tree.document(version).payload, "model_version")


def _add(strays: Strays, tree: Tree, kind: Kind, folder: str, id_of: Callable[[JSONObject], str]) -> None:
    try:
        id = id_of(tree.document(below(folder, _NAMES[kind])).payload)
    except MlflowArchiveError:
        id = ""
    strays.folders[kind][id] = folder


def _in_lists(tree: Tree, survey: Survey, name: str) -> Iterator[tuple[str, str, str]]:
    """Yield experiment id, experiment name and id out of exports of logged models or traces alone."""
    for found in survey.logged_model_lists if name == "logged_models" else survey.trace_lists:
        try:
            payload = tree.document(found.path).payload
        except MlflowArchiveError as error:
            tree.note(f"The list of {name.replace('_', ' ')} cannot be read, so that none of them was: {error}")
            continue
        for experiment in objects(payload.get("experiments")):
            for id in texts(experiment.get(name)):
                yield text(experiment.get("id")), text(experiment.get("name")), id


def _models_of_run(payload: JSONObject) -> Iterator[str]:
    named = (
        *objects(member(payload, "inputs").get("model_inputs")),
        *objects(member(payload, "outputs").get("model_outputs")),
    )
    yield from (text(entry.get("model_id")) for entry in named if entry.get("model_id"))


def _above(folder: str, run_id: str) -> str:
    """Return the folder in which an export puts the logged models of a run: its own, or that of its model."""
    return folder.removesuffix(run_id).rstrip("/") if folder.endswith(run_id) and run_id else folder


def _home(kind: Kind, payload: JSONObject) -> str:
    if kind is Kind.RUN:
        return text(member(payload, "info").get("experiment_id"))
    if kind is Kind.LOGGED_MODEL:
        return text(payload.get("experiment_id"))
    info = member(payload, "info")
    location = member(member(info, "trace_location"), "mlflow_experiment")
    return first((text(location.get("experiment_id")), text(info.get("experiment_id"))))


def _trace_id(payload: JSONObject) -> str:
    info = member(payload, "info")
    return first((text(info.get("trace_id")), text(info.get("request_id"))))
