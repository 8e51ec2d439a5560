"""What stands at the root: prompts and evaluation datasets, and what an export of several says that it could not read.

Each has a folder of its own and a summary beside them, which an export of one does not write. The summary of prompts
counts the failures; that of datasets names what was to be exported. A dataset whose name has a slash stands deeper.
"""

from __future__ import annotations

from collections.abc import Iterator

from mlflow_archive.errors import MlflowArchiveError
from mlflow_archive.predecessor import detecting
from mlflow_archive.predecessor.places import Place, below
from mlflow_archive.predecessor.tree import Tree
from mlflow_archive.predecessor.values import integer, objects, text
from mlflow_archive.spec.canonical import JSONObject
from mlflow_archive.spec.kinds import Kind
from mlflow_archive.spec.loss import Loss
from mlflow_archive.stream import ObjectKey

_NOT_EXPORTED = "not_exported"


def prompts(tree: Tree, folder: str) -> Iterator[Place | Loss]:
    """Yield the versions of prompts in a folder, and a loss if some were not exported."""
    yield from _places(tree, folder, detecting.PROMPT, set())
    try:
        failed = integer(_summary(tree, folder, detecting.PROMPTS, detecting.PROMPT).get("failed_exports")) or 0
    except MlflowArchiveError as error:
        yield ObjectKey(Kind.PROMPT, "").lost(error.code, str(error), retryable=error.retryable)
        return
    if failed > 0:
        versions = "one version" if failed == 1 else f"{failed} versions"
        reason = f"The export could not read {versions} of prompts, and does not say which."
        yield ObjectKey(Kind.PROMPT, "").lost(_NOT_EXPORTED, reason)


def evaluation_datasets(tree: Tree, folder: str) -> Iterator[Place | Loss]:
    """Yield the evaluation datasets in a folder, and a loss for each that was to be exported and is not there."""
    seen: set[str] = set()
    try:
        listed = objects(_summary(tree, folder, detecting.DATASETS, detecting.DATASET).get("datasets"))
    except MlflowArchiveError as error:
        yield ObjectKey(Kind.EVALUATION_DATASET, "").lost(error.code, str(error), retryable=error.retryable)
        listed = []
    for entry in listed:
        name, id = text(entry.get("name")), text(entry.get("dataset_id"))
        own = f"{name}_{id}"
        if own in seen:
            continue
        seen.add(own)
        place = Place(own, below(folder, own), detecting.DATASET)
        if tree.has(place.path):
            yield place
        else:
            key = ObjectKey(Kind.EVALUATION_DATASET, id, name=name)
            yield key.lost(_NOT_EXPORTED, f"The export could not read the evaluation dataset {name!r}.")
    yield from _places(tree, folder, detecting.DATASET, seen)


def _places(tree: Tree, folder: str, document: str, seen: set[str]) -> Iterator[Place]:
    if tree.has(below(folder, document)):
        yield Place("", folder, document)
    for found in tree.folders_with(folder, document):
        if found not in seen:
            yield Place(found, below(folder, found), document)


def _summary(tree: Tree, folder: str, name: str, document: str) -> JSONObject:
    """Return what an export of several says last of itself; empty for an export of one, which has no summary.

    Raises:
        NotFoundError: It is not there: the export was interrupted.
        MlflowArchiveError: It cannot be read.
    """
    path = below(folder, name)
    alone = not tree.has(path) and tree.has(below(folder, document))
    return {} if alone else tree.document(path).payload
