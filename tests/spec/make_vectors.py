"""Makes the test vectors of the specification: ``python -m tests.spec.make_vectors [DIR]``.

The same code always gives the same bytes; a test compares them with those that are committed.
"""

from __future__ import annotations

import hashlib
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mlflow_archive.spec.canonical import document_bytes
from mlflow_archive.spec.rules import RULES
from tests.spec.building import Builder
from tests.spec.vectors_invalid import invalid
from tests.spec.vectors_packed import packed
from tests.spec.vectors_valid import valid
from tests.spec.vectors_warning import warning

VECTORS = Path(__file__).parents[2] / "spec" / "v1" / "vectors"

#: Where a vector is noticed later than its rule can be noticed at all.
LEVELS = {
    "E004-read-feature": "restorable",
    "E015-record": "restorable",
    "E042-blob": "valid",
}


@dataclass(frozen=True)
class Vector:
    """An archive, and what a verifier at level ``restorable`` must say of it."""

    group: str
    name: str
    about: str
    builder: Builder
    digest: str | None = None
    pack: Callable[[dict[str, bytes]], dict[str, bytes]] | None = None
    """Makes what is at the place of the archive's files; None is a tree."""

    @property
    def folder(self) -> str:
        return f"{self.group}/{self.name}"

    @property
    def level(self) -> str:
        """The lowest level at which a verifier notices."""
        return LEVELS.get(self.name) or (RULES[self.rules[0]].level if self.rules else "complete")

    @property
    def rules(self) -> list[str]:
        return [] if self.group == "valid" else [self.name.split("-")[0]]

    def placed(self, archive: dict[str, bytes]) -> dict[str, bytes]:
        """Return the files of the vector's folder."""
        if self.pack is not None:
            return self.pack(dict(archive))
        return {f"archive/{path}": data for path, data in archive.items()}

    def expectation(self, files: dict[str, bytes], placed: dict[str, bytes]) -> bytes:
        expected: dict[str, object] = {"about": self.about, "rules": self.rules, "level": self.level}
        [place] = {path.split("/")[0] for path in placed}
        if place != "archive":
            expected["archive"] = place
        if self.digest is not None:
            expected["digest"] = self.digest
        if "manifest.json" in files:
            expected["root_digest"] = hashlib.sha256(files["manifest.json"]).hexdigest()
        return document_bytes(expected)  # type: ignore[arg-type]


def vectors() -> list[Vector]:
    """Return all vectors."""
    found = [Vector("valid", name, about, builder) for name, about, builder in valid()]
    found += [Vector("invalid", name, about, builder) for name, about, builder in invalid() if name[:4] != "E044"]
    found += [
        Vector("invalid", name, about, builder, digest="0" * 64)
        for name, about, builder in invalid()
        if name[:4] == "E044"
    ]
    found += [Vector("warning", name, about, builder) for name, about, builder in warning()]
    found += [Vector(group, name, about, builder, pack=pack) for group, name, about, builder, pack in packed()]
    return found


def files() -> dict[str, bytes]:
    """Return every file of all vectors, by its path below `VECTORS`."""
    result: dict[str, bytes] = {}
    for vector in vectors():
        archive = vector.builder.build()
        placed = vector.placed(archive)
        result[f"{vector.folder}/expect.json"] = vector.expectation(archive, placed)
        result.update({f"{vector.folder}/{path}": data for path, data in placed.items()})
    return result


def write(folder: Path) -> int:
    """Write all vectors into a folder, replacing what is there."""
    for group in ("valid", "invalid", "warning"):
        shutil.rmtree(folder / group, ignore_errors=True)
    made = files()
    for path, data in made.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    return len(made)


if __name__ == "__main__":
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else VECTORS)
