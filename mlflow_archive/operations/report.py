"""What a transfer did, as one value: for a person, for ``--json``, and for the program that called the library."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from mlflow_archive.errors import ExitCode
from mlflow_archive.spec.canonical import JSONObject
from mlflow_archive.spec.loss import Loss
from mlflow_archive.spec.manifest import KindCount


@dataclass(frozen=True, slots=True)
class Report:
    """The result of `backup`, `restore` or `copy`.

    Attributes:
        verb: ``backup``, ``restore`` or ``copy``.
        source: Where objects came from; a URL without credentials.
        target: Where they went; a URL without credentials.
        status: ``partial`` exactly when there are losses.
        counts: Kind word -> how many objects were stored, skipped and lost.
        losses: Everything that could not be read or written, one entry for each object or part of an object.
        skipped: Kind word -> reason -> how many.
        notes: Sentences a person should see; not losses.
        size_bytes: Bytes moved.
        seconds: How long it took.
        ids: Kind word -> id at the source -> id at the target, for objects that are at the target now.
        root_digest: ``sha256`` of the archive's manifest, which pins every byte of it; None for other targets.
        dry_run: True if nothing was written: the counts are what would have been.
        damaged: True if losses of a restore are due to damage of the archive, which `verify` tells more about.
    """

    verb: str
    source: str
    target: str
    status: Literal["complete", "partial"]
    counts: Mapping[str, KindCount]
    losses: tuple[Loss, ...] = ()
    skipped: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    size_bytes: int = 0
    seconds: float = 0.0
    ids: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    root_digest: str | None = None
    dry_run: bool = False
    damaged: bool = False

    @property
    def exit_code(self) -> ExitCode:
        """What the command line exits with: 5 if the archive is damaged, 3 if something else was lost, else 0."""
        if self.damaged:
            return ExitCode.INTEGRITY
        return ExitCode.LOSSES if self.losses else ExitCode.DONE

    @property
    def stored_count(self) -> int:
        """How many objects are at the target through this transfer."""
        return sum(count.stored for count in self.counts.values())

    @property
    def skipped_count(self) -> int:
        """How many objects were left as they were."""
        return sum(count.skipped for count in self.counts.values())

    @property
    def lost_count(self) -> int:
        """How many objects were lost as a whole; parts of stored objects are only in `losses`."""
        return sum(count.lost for count in self.counts.values())

    def to_json(self) -> JSONObject:
        """Return the report as one JSON object, every field present."""
        return {
            "verb": self.verb,
            "source": self.source,
            "target": self.target,
            "status": self.status,
            "dry_run": self.dry_run,
            "damaged": self.damaged,
            "root_digest": self.root_digest,
            "size_bytes": self.size_bytes,
            "seconds": round(self.seconds, 3),
            "counts": {kind: count.to_json() for kind, count in self.counts.items()},
            "skipped": {kind: dict(reasons) for kind, reasons in self.skipped.items()},
            "losses": [loss.to_json() for loss in self.losses],
            "notes": [*self.notes],
            "ids": {kind: dict(ids) for kind, ids in self.ids.items()},
        }
