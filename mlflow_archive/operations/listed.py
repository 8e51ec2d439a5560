"""What a listing of an archive says, as values for a printer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mlflow_archive.spec.canonical import JSONObject
from mlflow_archive.spec.kinds import Kind
from mlflow_archive.spec.manifest import Manifest


@dataclass(frozen=True, slots=True)
class Row:
    """One object.

    Attributes:
        id: Its id.
        name: What a person calls it; the id where it has no name of its own.
        state: Status and life-cycle in a word or two.
        time_ms: Creation or start, milliseconds since the epoch; None if the source did not tell.
        size_bytes: Bytes of everything that belongs to it, without what stands below it.
        files: How many files it has.
        below: Kind word -> how many objects stand below it; only experiments have some.
        below_bytes: Bytes of these.
    """

    id: str
    name: str
    state: str
    time_ms: int | None
    size_bytes: int
    files: int
    below: Mapping[str, int]
    below_bytes: int

    def to_json(self) -> JSONObject:
        """Return the row as a JSON object."""
        return {
            "id": self.id,
            "name": self.name,
            "state": self.state,
            "time_ms": self.time_ms,
            "size_bytes": self.size_bytes,
            "files": self.files,
            "below": dict(self.below),
            "below_bytes": self.below_bytes,
        }


@dataclass(frozen=True, slots=True)
class SectionRows:
    """All objects of one kind at the root, in a workspace, or below one experiment; ``rows`` sorted by id."""

    kind: Kind
    workspace: str | None
    experiment: Row | None
    count: int
    size_bytes: int
    rows: tuple[Row, ...]

    def to_json(self) -> JSONObject:
        """Return the section as a JSON object."""
        return {
            "kind": self.kind.value,
            "workspace": self.workspace,
            "experiment_id": self.experiment.id if self.experiment else None,
            "experiment": self.experiment.name if self.experiment else None,
            "count": self.count,
            "size_bytes": self.size_bytes,
            "rows": [row.to_json() for row in self.rows],
        }


@dataclass(frozen=True, slots=True)
class Listing:
    """An archive, or the asked part of it."""

    url: str
    root_digest: str
    manifest: Manifest
    sections: tuple[SectionRows, ...]

    def to_json(self) -> JSONObject:
        """Return the listing as one JSON object; of the manifest, everything but its sections and files."""
        manifest = self.manifest.to_json()
        return {
            "url": self.url,
            "root_digest": self.root_digest,
            "manifest": {name: value for name, value in manifest.items() if name not in ("sections", "files")},
            "sections": [section.to_json() for section in self.sections],
        }
