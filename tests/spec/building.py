"""Tiny archives made from the specification's own classes, with a hook at each place where one can be spoilt.

A hook runs before the bytes above it are hashed, so that an archive breaks the one rule it is meant to break.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from mlflow_archive.spec import descriptor as types
from mlflow_archive.spec.canonical import document_bytes, line_bytes
from mlflow_archive.spec.kinds import IN_EXPERIMENT, KIND_ORDER, Kind
from mlflow_archive.spec.layout import (
    LOSSES,
    MANIFEST,
    MARKER,
    blob_path,
    document_name,
    index_path,
    object_folder,
    part_name,
)
from mlflow_archive.spec.object import rows_in

ARCHIVE_ID = "5f0c3f0e-6a55-4c8e-9a51-0d3a1c1f7b10"
T = 1_767_225_600_000  # 2026-01-01T00:00:00Z
PART_TYPES = {"metrics": types.METRICS_TYPE, "spans": types.SPANS_TYPE, "records": types.RECORDS_TYPE}

Json = dict[str, Any]


@dataclass
class Thing:
    """One object."""

    kind: Kind
    id: str
    record: Json
    experiment_id: str | None = None
    workspace: str | None = None
    parts: dict[str, list[Json]] = field(default_factory=dict)
    blobs: dict[tuple[str, str], bytes] = field(default_factory=dict)
    losses: list[Json] = field(default_factory=list)
    name: str | None = None
    time_ms: int | None = None
    state: str | None = None


class Builder:
    """Puts an archive together in a mapping of paths to bytes.

    Hooks, by name: ``marker``, ``manifest``, ``losses`` (lists of lines), ``document <id>``, ``bytes <id>`` (the
    encoded document), ``entry <id>``, ``index <path>`` (the list of entries), ``index bytes <path>``,
    ``section <path>``, ``part <id>`` (the list of lines), ``part bytes <id>``, ``part entry <id>``, ``blob <id>``
    (a blob entry), ``files`` (everything, last, unhashed).
    """

    def __init__(self, things: list[Thing], losses: list[Json] | None = None) -> None:
        self.things = things
        self.losses = losses or []
        self.files: dict[str, bytes] = {}
        self.hooks: dict[str, Callable[[Any], Any]] = {}

    def on(self, place: str, change: Callable[[Any], Any]) -> Builder:
        """Spoil something; the hook changes its argument in place or returns another value."""
        self.hooks[place] = change
        return self

    def build(self) -> dict[str, bytes]:
        marker = self._hooked(
            "marker",
            {
                "format": "mlflow-archive",
                "spec_version": "1.0",
                "archive_id": ARCHIVE_ID,
                "features": {"read": [], "verify": []},
            },
        )
        entries = {id(thing): self._object(thing) for thing in self.things}
        sections = self._sections(entries)
        marker_descriptor = self._put(MARKER, document_bytes(marker), types.MARKER_TYPE)
        manifest = {
            "format": "mlflow-archive",
            "spec_version": marker["spec_version"],
            "archive_id": ARCHIVE_ID,
            "status": "partial" if self.losses else "complete",
            "started_ms": T,
            "finished_ms": T + 60_000,
            "tool": {"name": "mlflow-archive", "version": "0.1.0"},
            "source": {"type": "mlflow", "uri": "http://mlflow.example:5000", "mlflow_version": "3.5.0"},
            "selection": {},
            "counts": self._counts(),
            "losses": self._losses(),
            "total_bytes": sum(section["total_bytes"] for section in sections),
            "files": [marker_descriptor],
            "sections": sections,
        }
        self.files[MANIFEST] = document_bytes(self._hooked("manifest", manifest))
        return self._hooked("files", self.files)

    def _object(self, thing: Thing) -> Json:
        folder = object_folder(thing.kind, thing.id, experiment_id=thing.experiment_id, workspace=thing.workspace)
        document: Json = {"kind": thing.kind.value, "id": thing.id, "record": thing.record}
        for key in ("experiment_id", "workspace"):
            if getattr(thing, key) is not None:
                document[key] = getattr(thing, key)
        parts = [self._part(thing, name, lines, folder) for name, lines in thing.parts.items()]
        blobs = []
        for (role, name), data in sorted(thing.blobs.items()):
            descriptor = self._put(blob_path(folder, role, name), data, types.BLOB_TYPE)
            blobs.append(self._hooked(f"blob {thing.id}", {"role": role, "name": name, "descriptor": descriptor}))
        document |= {key: value for key, value in (("parts", parts), ("blobs", blobs)) if value}
        if thing.losses:
            document["losses"] = thing.losses
        document = self._hooked(f"document {thing.id}", document)
        data = self._hooked(f"bytes {thing.id}", document_bytes(document))
        descriptor = self._put(f"{folder}/{document_name(thing.kind)}", data, types.OBJECT_TYPE)
        beside = [*document.get("parts", []), *document.get("blobs", [])]
        entry: Json = {
            "id": thing.id,
            "total_bytes": len(data) + sum(item["descriptor"]["size_bytes"] for item in beside),
            "blobs": len(document.get("blobs", [])),
            "descriptor": descriptor,
        }
        for key in ("name", "time_ms", "state"):
            if getattr(thing, key) is not None:
                entry[key] = getattr(thing, key)
        return self._hooked(f"entry {thing.id}", entry)

    def _part(self, thing: Thing, name: str, lines: list[Json], folder: str) -> Json:
        lines = self._hooked(f"part {thing.id}", lines)
        data = self._hooked(f"part bytes {thing.id}", b"".join(line_bytes(line) for line in lines))
        descriptor = self._put(f"{folder}/{part_name(name)}", data, PART_TYPES[name])
        rows = sum(rows_in(name, line) for line in lines)
        return self._hooked(
            f"part entry {thing.id}", {"name": name, "lines": len(lines), "rows": rows, "descriptor": descriptor}
        )

    def _sections(self, entries: dict[int, Json]) -> list[Json]:
        roots: list[Json] = []
        workspaces = sorted({thing.workspace for thing in self.things}, key=lambda w: w or "")
        for kind in (kind for kind in KIND_ORDER if kind not in IN_EXPERIMENT):
            for workspace in workspaces:
                found = [t for t in self.things if (t.kind, t.workspace) == (kind, workspace)]
                if kind is Kind.EXPERIMENT:
                    for experiment in found:
                        self._children(experiment, entries)
                if found:
                    roots.append(self._section(kind, None, workspace, [entries[id(thing)] for thing in found]))
        return roots

    def _children(self, experiment: Thing, entries: dict[int, Json]) -> None:
        below = []
        for kind in (kind for kind in KIND_ORDER if kind in IN_EXPERIMENT):
            found = [
                entries[id(thing)]
                for thing in self.things
                if (thing.kind, thing.experiment_id, thing.workspace) == (kind, experiment.id, experiment.workspace)
            ]
            if found:
                below.append(self._section(kind, experiment.id, experiment.workspace, found))
        if below:
            entries[id(experiment)]["children"] = below

    def _section(self, kind: Kind, experiment_id: str | None, workspace: str | None, entries: list[Json]) -> Json:
        path = index_path(kind, experiment_id=experiment_id, workspace=workspace)
        entries = self._hooked(f"index {path}", sorted(entries, key=lambda entry: entry["id"]))
        data = self._hooked(f"index bytes {path}", b"".join(line_bytes(entry) for entry in entries))
        section: Json = {
            "kind": kind.value,
            "count": len(entries),
            "total_bytes": sum(
                entry["total_bytes"] + sum(child["total_bytes"] for child in entry.get("children", []))
                for entry in entries
            ),
            "index": self._put(path, data, types.INDEX_TYPE),
        }
        if workspace is not None:
            section["workspace"] = workspace
        return self._hooked(f"section {path}", section)

    def _counts(self) -> Json:
        counts: Json = {}
        for thing in self.things:
            counts.setdefault(thing.kind.value, {"stored": 0, "skipped": 0, "lost": 0})["stored"] += 1
        for loss in self.losses:
            if loss.get("path") is None and loss["id"]:
                counts.setdefault(loss["kind"], {"stored": 0, "skipped": 0, "lost": 0})["lost"] += 1
        return counts

    def _losses(self) -> Json:
        by_code: dict[str, int] = {}
        for loss in self.losses:
            by_code[loss["code"]] = by_code.get(loss["code"], 0) + 1
        summary: Json = {"count": len(self.losses), "by_code": by_code}
        lines = self._hooked("losses", self.losses)
        if lines:
            data = b"".join(line_bytes(loss) for loss in lines)
            summary["descriptor"] = self._put(LOSSES, data, types.LOSSES_TYPE)
        return summary

    def _put(self, path: str, data: bytes, media_type: str) -> Json:
        self.files[path] = data
        return {
            "path": path,
            "media_type": media_type,
            "size_bytes": len(data),
            "sha256": hashlib.sha256(data).hexdigest(),
        }

    def _hooked(self, place: str, value: Any) -> Any:
        change = self.hooks.get(place)
        if change is None:
            return value
        changed = change(value)
        return value if changed is None else changed
