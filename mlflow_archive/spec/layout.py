"""Where everything stands in an archive (spec/v1/archive.md, "Layout")."""

from __future__ import annotations

from mlflow_archive.spec.kinds import FOLDERS, IN_EXPERIMENT, Kind
from mlflow_archive.spec.paths import escape_path, escape_segment

MARKER = "mlflow-archive.json"
MANIFEST = "manifest.json"
README = "README.txt"
LOSSES = "losses.jsonl"


def section_folder(kind: Kind, *, experiment_id: str | None, workspace: str | None) -> str:
    """Return the folder of all objects of a kind at the root or below one experiment.

    Objects of a workspace other than the default one stand below ``workspaces/<name>/``.
    """
    prefix = "" if workspace is None else f"{FOLDERS[Kind.WORKSPACE]}/{escape_segment(workspace)}/"
    if kind in IN_EXPERIMENT:
        if experiment_id is None:
            raise ValueError(f"a {kind} belongs to an experiment")
        return f"{prefix}{FOLDERS[Kind.EXPERIMENT]}/{escape_segment(experiment_id)}/{FOLDERS[kind]}"
    return prefix + FOLDERS[kind]


def index_path(kind: Kind, *, experiment_id: str | None, workspace: str | None) -> str:
    """Return the path of a section's index."""
    return f"{section_folder(kind, experiment_id=experiment_id, workspace=workspace)}/index.jsonl"


def object_folder(kind: Kind, id: str, *, experiment_id: str | None, workspace: str | None) -> str:
    """Return the folder of one object."""
    return f"{section_folder(kind, experiment_id=experiment_id, workspace=workspace)}/{escape_segment(id)}"


def document_name(kind: Kind) -> str:
    """Return the file name of an object document: ``run.json``, ``registered_model.json`` ..."""
    return f"{kind}.json"


def part_name(name: str) -> str:
    """Return the file name of a part: ``metrics.jsonl`` ..."""
    return f"{name}.jsonl"


def blob_path(folder: str, role: str, name: str) -> str:
    """Return the path of a blob below its object's folder."""
    return f"{folder}/{role}/{escape_path(name)}"
