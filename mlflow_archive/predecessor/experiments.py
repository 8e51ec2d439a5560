"""Experiments: their documents, and stand-ins for those of which only runs are in the archive."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial

from mlflow_archive.predecessor.layout import Experiment
from mlflow_archive.predecessor.permissions import direct
from mlflow_archive.predecessor.tree import Tree
from mlflow_archive.predecessor.values import member, tags, text, without_empty
from mlflow_archive.spec.canonical import JSONObject
from mlflow_archive.spec.kinds import Kind
from mlflow_archive.spec.loss import Loss
from mlflow_archive.spec.records.experiment import ExperimentRecord
from mlflow_archive.stream import Content, Item, ObjectKey


def read(tree: Tree, experiments: Iterable[Experiment]) -> Iterator[Item | Loss]:
    """List the experiments, which the layout has chosen."""
    for experiment in experiments:
        key = ObjectKey(Kind.EXPERIMENT, experiment.id, name=experiment.name)
        yield Item(key, partial(_load, tree, experiment))


def _load(tree: Tree, experiment: Experiment) -> Content:
    if not experiment.places:
        return Content(_stand_in(tree, experiment))
    place = experiment.places[0]
    payload = tree.document(place.path).payload
    about = member(payload, "experiment")
    value: JSONObject = {
        **without_empty(about, "tags", "permissions"),
        "experiment_id": experiment.id,
        "name": experiment.name,
        "artifact_location": text(about.get("artifact_location")),
        "lifecycle_stage": text(about.get("lifecycle_stage")) or "active",
        "tags": {**tags(about.get("tags"))},
        **direct(payload.get("permissions")),
    }
    return Content(ExperimentRecord.from_json(value, place.path))


def _stand_in(tree: Tree, experiment: Experiment) -> ExperimentRecord:
    name = experiment.name
    tree.note(
        f"The archive has no document of the experiment {experiment.id!r}, only what belongs to it; "
        f"it is called {name!r} here, without its tags."
    )
    return ExperimentRecord(experiment_id=experiment.id, name=name, artifact_location="", lifecycle_stage="active")
