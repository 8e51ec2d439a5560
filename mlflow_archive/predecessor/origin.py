"""The server that an archive was exported from, as far as its documents say."""

from __future__ import annotations

from collections.abc import Iterator

from mlflow_archive.errors import MlflowArchiveError
from mlflow_archive.predecessor.detecting import Survey
from mlflow_archive.predecessor.places import below
from mlflow_archive.predecessor.tree import Tree
from mlflow_archive.predecessor.values import first, text
from mlflow_archive.spec.manifest import SourceInfo
from mlflow_archive.storage.opening import public_url


def origin_of(tree: Tree, survey: Survey) -> SourceInfo:
    """Read the first of the archive's lists or documents that can be read; the uri is empty if none says it."""
    for path in _paths(survey):
        try:
            document = tree.document(path)
        except MlflowArchiveError:
            tree.note(f"{path} cannot be read; the origin of the archive is told by the next document.")
            continue
        uri = first((text(document.system.get("mlflow_tracking_uri")), text(document.info.get("mlflow_tracking_uri"))))
        version = first((text(document.system.get("mlflow_version")), text(document.info.get("mlflow_version"))))
        if uri or version:
            return SourceInfo(type="mlflow", uri=public_url(uri), mlflow_version=version or None)
    return SourceInfo(type="mlflow", uri="")


def _paths(survey: Survey) -> Iterator[str]:
    found = (
        *survey.experiment_lists,
        *survey.experiments,
        *survey.model_lists,
        *survey.models,
        *survey.runs,
        *survey.logged_model_lists,
        *survey.logged_models,
        *survey.trace_lists,
        *survey.traces,
    )
    yield from (finding.path for finding in found)
    for folder in survey.prompts:
        yield below(folder, "prompts_summary.json")
    for folder in survey.datasets:
        yield below(folder, "evaluation_datasets_summary.json")
