"""The story that the demonstration ends with."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mlflow_archive.cli.commands.demo import story
from mlflow_archive.operations.demo import DemoReport
from mlflow_archive.operations.diff import DiffReport
from mlflow_archive.operations.report import Report
from mlflow_archive.operations.verify import VerifyReport
from mlflow_archive.spec.kinds import Kind
from mlflow_archive.spec.loss import Loss
from mlflow_archive.spec.manifest import KindCount
from mlflow_archive.stream import ObjectKey


@pytest.fixture
def report() -> DemoReport:
    moved = Report(
        verb="backup",
        source="a",
        target="/demo/archive",
        status="complete",
        counts={"run": KindCount(stored=3, skipped=0, lost=0), "prompt": KindCount(stored=1, skipped=0, lost=0)},
        seconds=1.5,
        root_digest="ab" * 32,
    )
    return DemoReport(
        directory="/demo",
        source_uri="sqlite:////demo/source.db",
        archive_url="/demo/archive",
        target_uri="sqlite:////demo/target.db",
        made=moved,
        backup=moved,
        verified=VerifyReport("restorable", (), (), False, 4, 2, 100, 0, "ab" * 32, 0.1),
        restored=moved,
        diff=DiffReport("l", "r", {"run": 3, "prompt": 1}, (), (), ()),
        seconds=42.0,
    )


def test_a_good_end(report: DemoReport) -> None:
    text = story(report)

    assert "  backed up  4 objects in 1.5 s: /demo/archive\n" in text
    assert "  verified   4 objects, 2 files: every byte and every reference is right\n" in text
    assert "  compared   4 objects equal\n" in text
    assert "In the archive: 3 runs, 1 prompt\n" in text
    assert text.endswith("  mlflow server --backend-store-uri sqlite:////demo/target.db")


def test_what_the_installed_mlflow_cannot_hold_is_named(report: DemoReport) -> None:
    older = replace(report, left_out={"trace": "3.2", "evaluation_dataset": "3.4"})

    text = story(older)

    assert older.exit_code == 0
    assert older.to_json()["left_out"] == {"trace": "3.2", "evaluation_dataset": "3.4"}
    sentence = "Left out, as they need a later MLflow than the installed one: traces (3.2), evaluation datasets (3.4)\n"
    assert sentence in text
    assert "\nBoth stores hold the same" in text
    assert "Left out" not in story(report)


def test_a_fault_is_told(report: DemoReport) -> None:
    loss = Loss(kind=Kind.RUN, id="r1", code="unavailable", reason="It did not answer.")
    bad = replace(
        report,
        restored=replace(report.restored, losses=(loss,), status="partial"),
        diff=replace(report.diff, only_left=(ObjectKey(Kind.RUN, "r1"),)),
    )

    text = story(bad)

    assert "1 x unavailable: It did not answer." in text
    assert "Only in l:\n  run r1\n" in text
    assert text.endswith("The demo found a fault; everything it made is in /demo")
