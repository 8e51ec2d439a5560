"""The server that an archive was exported from, as far as its documents say."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mlflow_archive.errors import MlflowArchiveError
from mlflow_archive.predecessor import detecting
from mlflow_archive.predecessor.detecting import Survey
from mlflow_archive.predecessor.places import below
from mlflow_archive.predecessor.tree import Tree
from mlflow_archive.predecessor.values import text
from mlflow_archive.spec.canonical import JSONValue
from mlflow_archive.spec.manifest import SourceInfo
from mlflow_archive.storage.opening import public_url


@dataclass(frozen=True, slots=True)
class Origin:
    """Where an archive comes from.

    Attributes:
        server: The server, without credentials; its uri is empty if nothing says it.
        tool_version: The version of mlflow-export-import; empty if nothing says it.
        exported_ms: When, milliseconds since the epoch; 0 if nothing says it.
    """

    server: SourceInfo
    tool_version: str = ""
    exported_ms: int = 0


def origin_of(tree: Tree, survey: Survey) -> Origin:
    """Read the first of the archive's lists or documents that tells something."""
    for path in _paths(tree, survey):
        try:
            document = tree.document(path)
        except MlflowArchiveError:
            tree.note(f"{path} cannot be read; the origin of the archive is told by the next document.")
            continue
        said = {**document.info, **document.system}
        uri, version = text(said.get("mlflow_tracking_uri")), text(said.get("mlflow_version"))
        if uri or version:
            server = SourceInfo(type="mlflow", uri=public_url(uri), mlflow_version=version or None)
            return Origin(server, text(said.get("package_version")), _time_ms(said.get("export_time")))
    return Origin(SourceInfo(type="mlflow", uri=""))


def _time_ms(value: JSONValue) -> int:
    """Return the time of the export: seconds, or in the third generation an object with them."""
    seconds = value.get("seconds") if isinstance(value, dict) else value
    # A text is the time of an unknown zone.
    return seconds * 1000 if isinstance(seconds, int) else 0


def _paths(tree: Tree, survey: Survey) -> Iterator[str]:
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
    # An export of one object has no summary.
    alone = (
        *(below(folder, name) for folder in survey.prompts for name in (detecting.PROMPTS, detecting.PROMPT)),
        *(below(folder, name) for folder in survey.datasets for name in (detecting.DATASETS, detecting.DATASET)),
    )
    yield from (path for path in alone if tree.has(path))
