"""Small archives in the form of mlflow-export-import, written by hand for tests, and real ones of this folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlflow_archive.predecessor.source import PredecessorSource
from mlflow_archive.spec.kinds import Kind
from mlflow_archive.spec.loss import Loss
from mlflow_archive.spec.selection import Selection
from mlflow_archive.storage.opening import open_store
from mlflow_archive.stream import Content, ObjectKey

#: Made by `tests.predecessor.made`.
ARCHIVES = Path(__file__).parent / "archives"


def write(root: Path, files: Mapping[str, Any]) -> Path:
    """Write files: texts as they are, anything else as the document of an export."""
    for name, value in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(value if isinstance(value, str) else json.dumps({"system": {}, "mlflow": value}), "utf-8")
    return root


def in_experiment(kind: str, *ids: str, experiment_id: str = "1") -> dict[str, Any]:
    """Return the documents around objects of a kind (``traces``, ``logged_models``) in one experiment."""
    experiment = {"experiment_id": experiment_id, "name": "main", "lifecycle_stage": "active", "tags": {}}
    return {"experiment.json": {"experiment": experiment, "runs": [], kind: list(ids)}}


def read(
    root: Path, kind: Kind, selection: Selection | None = None
) -> tuple[dict[str, Content], list[Loss], tuple[str, ...]]:
    """Load all objects of a kind.

    Returns:
        By id what could be loaded, the losses of whole objects, and the notes.
    """
    source = PredecessorSource.open(open_store(str(root)))
    contents: dict[str, Content] = {}
    losses: list[Loss] = []
    for entry in source.read(kind, selection or Selection()):
        if isinstance(entry, Loss):
            losses.append(entry)
        else:
            assert isinstance(entry.key, ObjectKey)
            assert entry.key.id not in contents, "each object comes once"
            contents[entry.key.id] = entry.load()
    notes = source.notes()
    source.close()
    return contents, losses, notes


def rows(content: Content, part: str) -> list[dict[str, Any]]:
    """Return the lines of a part; none if the object has no such part."""
    return [dict(line) for one in content.parts if one.name == part for line in one.open()]


def files(content: Content) -> dict[str, bytes]:
    """Return the blobs by name."""
    found: dict[str, bytes] = {}
    for blob in content.blobs():
        assert not isinstance(blob, Loss)
        with blob.open() as chunks:
            found[blob.name] = b"".join(chunks)
    return found
