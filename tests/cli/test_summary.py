"""The last words of a transfer, word for word."""

from __future__ import annotations

from mlflow_archive.cli.summary import summary
from mlflow_archive.operations.report import Report
from mlflow_archive.spec.loss import Loss
from mlflow_archive.spec.manifest import KindCount


def test_everything_at_once() -> None:
    losses = [
        Loss(kind="run", id=f"run{n}", path=f"plots/{n}.png", code="not_found", reason=f"plots/{n}.png is gone.")
        for n in (1001, 1002, 1003, 1004)
    ]
    report = Report(
        verb="backup",
        source="http://localhost:5000",
        target="s3://bucket/one",
        status="partial",
        counts={
            "experiment": KindCount(stored=3, skipped=0, lost=0),
            "run": KindCount(stored=1233, skipped=4, lost=1),
            "prompt": KindCount(stored=0, skipped=0, lost=0),
        },
        losses=tuple(losses),
        skipped={"run": {"duplicate": 4}},
        notes=("The server keeps 2 gateway secrets that no client can read.",),
        size_bytes=123_456_789,
        seconds=83.2,
        root_digest="ab" * 32,
    )

    text = summary(
        report, losses_in="in losses.jsonl of the archive", next_step="mlflow-archive verify s3://bucket/one"
    )

    assert (
        text
        == f"""\
Backed up http://localhost:5000 -> s3://bucket/one

               stored  skipped  lost
  experiments       3        0     0
  runs          1,233        4     1

Skipped:
  4  runs: duplicate

4 losses:
  4 x not_found: ... is gone.
      run run1001: plots/1001.png
      run run1002: plots/1002.png
      run run1003: plots/1003.png
      ... and 1 more
  The full list is in losses.jsonl of the archive.

Note: The server keeps 2 gateway secrets that no client can read.

118 MiB in 1 min 23 s, partial: 4 losses
Root digest: {"ab" * 32}
Next: mlflow-archive verify s3://bucket/one"""
    )


def test_only_what_is_special_to_an_object_is_left_out_of_a_reason() -> None:
    losses = [
        Loss(kind="trace", id=id, path="spans", code="not_exported", reason=f"The trace {id} has names of 3 spans.")
        for id in ("tr-1", "tr-2")
    ]
    report = Report(
        verb="restore", source="a", target="b", status="partial", counts={}, losses=tuple(losses), skipped={}, notes=()
    )
    text = summary(report, losses_in="printed by --json")
    assert "  2 x not_exported: The trace ... has names of 3 spans.\n      trace tr-1: spans\n" in text


def test_a_dry_run_says_so() -> None:
    report = Report(
        verb="restore",
        source="/backups/one",
        target="http://localhost:5000",
        status="complete",
        counts={"run": KindCount(stored=2, skipped=0, lost=0)},
        dry_run=True,
    )

    assert (
        summary(report, losses_in="")
        == """\
Would restore /backups/one -> http://localhost:5000

        to do  skipped  lost
  runs      2        0     0

0 B in 0.0 s, nothing was written (dry run)"""
    )


def test_nothing_matched() -> None:
    report = Report(verb="copy", source="a", target="b", status="complete", counts={})

    assert "\n  Nothing matched.\n" in summary(report, losses_in="")


def test_a_verbose_summary_names_every_object() -> None:
    report = Report(
        verb="restore",
        source="/backup",
        target="http://localhost:5000",
        status="complete",
        counts={"run": KindCount(stored=2, skipped=0, lost=0)},
        ids={"experiment": {"1": "7"}, "logged_model": {"m-1": "m-2"}},
    )

    assert "  experiment    1    ->  7\n  logged model  m-1  ->  m-2\n" in summary(report, losses_in="", verbose=True)
    assert "->  7" not in summary(report, losses_in="")
