"""What a verification found, as values."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from mlflow_archive.errors import IntegrityError, MlflowArchiveError, NotAnArchiveError, Problem, UnsupportedError
from mlflow_archive.spec.canonical import JSONObject
from mlflow_archive.spec.rules import Level

#: Rules after which the archive is not understood any further.
REFUSALS = frozenset({"E002", "E004"})


@dataclass(frozen=True, slots=True)
class Sample:
    """The share of an archive's files whose bytes were read; documents are always read.

    Attributes:
        share: What was asked for, more than 0 and at most 1.
        seed: Chooses the files; the same seed chooses the same ones.
        files: Files that were read.
        files_total: Files that the archive has: metric histories, spans, dataset records, artifacts.
        size_bytes: Size of those that were read.
        size_bytes_total: Size of all.
    """

    share: float
    seed: str
    files: int
    files_total: int
    size_bytes: int
    size_bytes_total: int


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """What a verification found.

    Attributes:
        level: How deep it went.
        problems: Violated MUSTs, sorted by path.
        warnings: Violated SHOULDs, sorted by path.
        truncated: True if there were more findings than are kept.
        objects: Object documents read.
        blobs: Files of objects checked.
        size_bytes: Bytes that were read.
        losses: What the backup itself could not read, as the manifest says.
        root_digest: The sha256 of the manifest; empty if there is none.
        seconds: Time taken.
        sample: What share of the files was read; None if all were, or none at level ``complete``.
        notes: Sentences on what could not be checked.
    """

    level: Level
    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...]
    truncated: bool
    objects: int
    blobs: int
    size_bytes: int
    losses: int
    root_digest: str
    seconds: float
    sample: Sample | None = None
    notes: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """True if no rule is violated."""
        return not self.problems

    def to_json(self) -> JSONObject:
        """Return the report as one JSON object, every field present."""
        return {
            "ok": self.ok,
            "level": self.level,
            "problems": [_finding(problem) for problem in self.problems],
            "warnings": [_finding(warning) for warning in self.warnings],
            "truncated": self.truncated,
            "objects": self.objects,
            "blobs": self.blobs,
            "size_bytes": self.size_bytes,
            "losses": self.losses,
            "root_digest": self.root_digest,
            "seconds": round(self.seconds, 3),
            "sample": asdict(self.sample) if self.sample else None,
            "notes": [*self.notes],
        }

    def error(self) -> MlflowArchiveError | None:
        """Return the error that stands for the problems, with the right exit code; None if there are none."""
        if self.ok:
            return None
        rules = {problem.rule for problem in self.problems}
        first = self.problems[0]
        if "E005" in rules:
            uncommitted = next(problem for problem in self.problems if problem.rule == "E005")
            return NotAnArchiveError(f"There is no archive: {uncommitted.message} (E005).")
        if rules & REFUSALS:
            refusal = next(problem for problem in self.problems if problem.rule in REFUSALS)
            return UnsupportedError(f"{refusal.path}: {refusal.message} ({refusal.rule}).")
        count = f"{len(self.problems)}{'+' if self.truncated else ''} problem{'' if len(self.problems) == 1 else 's'}"
        return IntegrityError(f"The archive has {count}; the first: {first}.", problems=self.problems)


def _finding(problem: Problem) -> JSONObject:
    return {"rule": problem.rule, "path": problem.path, "message": problem.message}
