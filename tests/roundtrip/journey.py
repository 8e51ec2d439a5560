"""What a round trip must come to, whatever servers it goes between."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mlflow_archive import api
from mlflow_archive.operations.report import Report

#: Registered models with versions whose files are in a bucket or a workspace that is not there.
OUT_OF_REACH = {"churn", "sources of all.kinds"}


def assert_only_places_out_of_reach(report: Report) -> None:
    """Hold a report to its only excuse: files that are not where the server is."""
    others = [loss for loss in report.losses if loss.kind != "registered_model" or loss.id not in OUT_OF_REACH]
    assert not others, "\n".join(f"{loss.kind} {loss.id} {loss.path}: {loss.reason}" for loss in others)


def assert_sound(archive: Path) -> None:
    """Verify an archive at the deepest level."""
    report = api.verify(str(archive), level="restorable")
    assert not report.problems, "\n".join(str(problem) for problem in report.problems)


def sections(archive: Path) -> dict[str, Any]:
    """Return the digest of each section's index, which pins every byte below it."""
    manifest = json.loads((archive / "manifest.json").read_text(encoding="utf-8"))
    return {section["index"]["path"]: section["index"]["sha256"] for section in manifest["sections"]}
