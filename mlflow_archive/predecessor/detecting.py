"""Is it an archive of the predecessor, and what stands where? Told from names; of ``manifest.json`` from its content.

The predecessor wrote nothing that says "this is an archive". The names of its lists and documents at the root, or in
the folders where its bulk exports put them, are the only signs.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import chain, islice

from mlflow_archive.errors import MlflowArchiveError
from mlflow_archive.predecessor.places import below
from mlflow_archive.predecessor.tree import Tree
from mlflow_archive.predecessor.values import member
from mlflow_archive.spec.canonical import JSONObject
from mlflow_archive.storage.store import Store

MANIFEST = "manifest.json"
EXPERIMENT = "experiment.json"
EXPERIMENTS = "experiments.json"
MODEL = "model.json"
MODELS = "models.json"
VERSION = "version.json"
RUN = "run.json"
LOGGED_MODEL = "logged_model.json"
LOGGED_MODELS = "logged_models.json"
TRACE = "trace.json"
TRACES = "traces.json"
PROMPT = "prompt.json"
PROMPTS = "prompts_summary.json"
DATASET = "evaluation_dataset.json"
DATASETS = "evaluation_datasets_summary.json"

#: Folders that may hold a list of experiments, or of models. An export of models has both below itself; a collection
#: of exports may have such an export in a folder ``models``.
_EXPERIMENT_FOLDERS = ("", "experiments", "models/experiments")
_MODEL_FOLDERS = ("", "models", "models/models")
#: Of a document that stands in a folder below a list's: where lists stand, the list, and what the document is about.
_HOMES = {EXPERIMENT: _EXPERIMENT_FOLDERS, MODEL: _MODEL_FOLDERS}
_LIST = {EXPERIMENT: EXPERIMENTS, MODEL: MODELS}
_ABOUT = {EXPERIMENT: "experiment", MODEL: "registered_model"}
#: Where a bulk export puts them, besides the root.
_BULK = ("experiments", "models")
#: So many names are looked at in a place that may be anything.
_MOST_NAMES = 10_000
#: So many documents are looked into, before a folder is taken for one that an export did not write.
_MOST_LOOKS = 5
#: Where one run stands: an export of a run, an export of a model version.
_RUN_FOLDERS = ("", "run")


@dataclass(frozen=True, slots=True)
class Finding:
    """A list or a document, and its folder."""

    folder: str
    name: str

    @property
    def path(self) -> str:
        """The key of it."""
        return below(self.folder, self.name)


@dataclass(frozen=True, slots=True)
class Survey:
    """What a root has, by layout. All of it may be there at once.

    Attributes:
        experiment_lists: Lists of experiments, which stand in folders beside them.
        experiments: Single experiments.
        model_lists: Lists of registered models.
        models: Single registered models; in an export of a version it has none of its own.
        version: The folder of an exported model version; None if there is none.
        runs: Single runs.
        logged_model_lists: Lists of logged models.
        logged_models: Single logged models.
        trace_lists: Lists of traces.
        traces: Single traces.
        prompts: Folders in which prompt versions stand.
        datasets: Folders in which evaluation datasets stand.
    """

    experiment_lists: tuple[Finding, ...] = ()
    experiments: tuple[Finding, ...] = ()
    model_lists: tuple[Finding, ...] = ()
    models: tuple[Finding, ...] = ()
    version: str | None = None
    runs: tuple[Finding, ...] = ()
    logged_model_lists: tuple[Finding, ...] = ()
    logged_models: tuple[Finding, ...] = ()
    trace_lists: tuple[Finding, ...] = ()
    traces: tuple[Finding, ...] = ()
    prompts: tuple[str, ...] = ()
    datasets: tuple[str, ...] = ()

    @property
    def layout(self) -> str:
        """What it is, in a word or two, for people."""
        kinds = {
            "experiments": bool(self.experiment_lists),
            "registered models": bool(self.model_lists),
            "prompts": bool(self.prompts),
            "evaluation datasets": bool(self.datasets),
            "a model version": self.version is not None,
            "one registered model": bool(self.models) and self.version is None,
            "one experiment": bool(self.experiments) and self.version is None,
            "one run": bool(self.runs) and self.version is None,
            "logged models": bool(self.logged_model_lists),
            "one logged model": bool(self.logged_models),
            "traces": bool(self.trace_lists),
            "one trace": bool(self.traces),
        }
        return ", ".join(word for word, there in kinds.items() if there)


def looks_like(store: Store) -> bool:
    """Tell whether a store holds an archive of the predecessor. Costs some questions for names, and reads little.

    Raises:
        UnavailableError: The store does not answer.
        NotAuthorisedError: It refuses to be read.
    """
    return bool(survey(Tree(store)).layout)


def survey(tree: Tree) -> Survey:
    """Look for lists and documents where exports put them.

    Lists are what a bulk export writes last. Where one is not there, the folders of an interrupted export count.
    """
    found = _listed(tree)
    if found.experiment_lists and found.model_lists:
        return found
    names = chain.from_iterable(tree.store.list(folder) for folder in _BULK)
    if not found.layout:
        names = chain(names, islice(tree.store.list(), _MOST_NAMES))
    experiments, models = _interrupted(tree, (name.key for name in names))
    return replace(
        found, experiment_lists=found.experiment_lists or experiments, model_lists=found.model_lists or models
    )


def _listed(tree: Tree) -> Survey:
    lists = [_manifest(tree, folder) for folder in ("", "experiments", "models", "models/models", "models/experiments")]
    manifests = {found.folder: (found, kind) for found, kind in lists if kind}

    def one(folders: tuple[str, ...], name: str, kind: str = "") -> tuple[Finding, ...]:
        found = []
        for folder in folders:
            if tree.has(below(folder, name)):
                found.append(Finding(folder, name))
            elif folder in manifests and manifests[folder][1] == kind:
                found.append(manifests[folder][0])
        return tuple(found)

    return Survey(
        experiment_lists=one(_EXPERIMENT_FOLDERS, EXPERIMENTS, "experiments"),
        experiments=one(("",), EXPERIMENT, "experiment"),
        model_lists=one(_MODEL_FOLDERS, MODELS, "models"),
        models=one(("",), MODEL),
        version="" if tree.has(VERSION) else None,
        runs=one(_RUN_FOLDERS, RUN),
        logged_model_lists=one(("",), LOGGED_MODELS),
        logged_models=one(("",), LOGGED_MODEL),
        trace_lists=one(("",), TRACES),
        traces=one(("",), TRACE),
        prompts=_folders(tree, "prompts", PROMPTS, PROMPT),
        datasets=_folders(tree, "evaluation_datasets", DATASETS, DATASET),
    )


def _interrupted(tree: Tree, paths: Iterable[str]) -> tuple[tuple[Finding, ...], tuple[Finding, ...]]:
    """Return the lists of experiments and of models that should stand above documents of them."""
    looks: dict[tuple[str, str], int] = {}
    found: dict[str, set[str]] = {EXPERIMENT: set(), MODEL: set()}
    for path in paths:
        folder, _, name = path.rpartition("/")
        home = folder.rpartition("/")[0]
        if not folder or name not in found or home in found[name] or home not in _HOMES[name]:
            continue
        looks[name, home] = looks.get((name, home), 0) + 1
        if looks[name, home] <= _MOST_LOOKS and _is(tree, path, _ABOUT[name]):
            found[name].add(home)
    experiments, models = (tuple(Finding(home, _LIST[name]) for home in sorted(found[name])) for name in found)
    return experiments, models


def _is(tree: Tree, path: str, about: str) -> bool:
    try:
        return bool(member(tree.document(path).payload, about))
    except MlflowArchiveError:
        return False


def _folders(tree: Tree, folder: str, summary: str, document: str) -> tuple[str, ...]:
    """Return the folders that hold prompts or datasets: of a bulk export, of its part alone, of one object."""
    found = [candidate for candidate in (folder, "") if tree.has(below(candidate, summary))]
    if folder not in found and next(tree.folders_with(folder, document), None) is not None:
        # An export was interrupted: the summary is what it writes last.
        found.insert(0, folder)
    if not found and tree.has(document):
        found = [""]
    return tuple(found)


def _manifest(tree: Tree, folder: str) -> tuple[Finding, str]:
    """Say of a ``manifest.json``, which each export of the first generations wrote, what it is of."""
    found = Finding(folder, MANIFEST)
    if not tree.has(found.path):
        return found, ""
    try:
        payload = tree.document(found.path).payload
    except MlflowArchiveError:
        return found, ""
    return found, _kind(payload)


def _kind(payload: JSONObject) -> str:
    if member(payload, "experiment").get("experiment_id") is not None:
        return "experiment"
    if isinstance(payload.get("experiments"), list):
        return "experiments"
    return "models" if isinstance(payload.get("models") or payload.get("ok_models"), list) else ""
