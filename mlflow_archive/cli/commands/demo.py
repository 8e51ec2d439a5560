"""``mlflow-archive demo``."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import click

from mlflow_archive.cli import options, wording
from mlflow_archive.cli.command import Command
from mlflow_archive.cli.output import Output

if TYPE_CHECKING:
    from mlflow_archive.operations.demo import DemoReport
    from mlflow_archive.operations.report import Report


@click.command(
    cls=Command,
    short_help="Back up, restore, compare: a small example.",
    interrupted="What was made stays in the demo's directory.",
)
@click.option(
    "--directory",
    metavar="PATH",
    help="A new or empty directory for everything that is made. Without it: a new temporary one, which stays.",
)
@options.output_option(progress=True)
def demo(*, directory: str | None, output: Output) -> int:
    """Go through the whole circle on this machine: store, archive, second store, comparison.

    Makes a small MLflow store with real objects, backs it up, verifies the archive, restores it into a second store and
    compares both. Needs nothing but this program; takes a minute or two.
    """
    from mlflow_archive import api

    with output.watching(steps=True) as observer:
        report = api.demo(directory, observer=observer)
    output.result(report.to_json(), lambda: story(report))
    return int(report.exit_code)


def story(report: DemoReport) -> str:
    """Return what happened, step by step, and what to look at next."""
    from mlflow_archive.cli.commands.diff import comparison
    from mlflow_archive.cli.commands.verify import verdict
    from mlflow_archive.cli.summary import losses

    verified = report.verified
    steps = [
        ("made", _moved(report.made)),
        ("backed up", _moved(report.backup)),
        (
            "verified",
            f"{wording.count(verified.objects, 'object')}, {wording.count(verified.blobs, 'file')}: "
            + ("every byte and every reference is right" if verified.ok else "damaged"),
        ),
        ("restored", _moved(report.restored)),
        (
            "compared",
            f"{wording.count(sum(report.diff.equal.values()), 'object')} equal"
            + ("" if report.diff.same else ", but not all"),
        ),
    ]
    lines = ["", wording.table(steps), ""]
    kinds = ", ".join(wording.kind_count(count.stored, kind) for kind, count in report.backup.counts.items())
    lines.append(f"In the archive: {kinds}")
    if report.left_out:
        needs = ", ".join(f"{wording.kind(kind)} ({version})" for kind, version in report.left_out.items())
        lines.append(f"Left out, as they need a later MLflow than the installed one: {needs}")
    lines.append(f"Root digest: {report.backup.root_digest}")
    for step in (report.made, report.backup, report.restored):
        lines += losses(step.losses, "printed by --json")
    if not verified.ok:
        lines += ["", verdict(verified, report.archive_url)]
    if not report.diff.same or report.diff.losses:
        lines += ["", comparison(report.diff)]
    lines.append("")
    if not report.ok:
        return "\n".join([*lines, f"The demo found a fault; everything it made is in {report.directory}"])
    place = shlex.quote(report.archive_url)
    return "\n".join(
        [
            *lines,
            f"Both stores hold the same, after {wording.duration(report.seconds)}. Look around:",
            f"  mlflow-archive ls {place}",
            f"  mlflow-archive diff {place} {shlex.quote(report.target_uri)}",
            f"  mlflow server --backend-store-uri {shlex.quote(report.target_uri)}",
        ]
    )


def _moved(report: Report) -> str:
    lost = f", {wording.count(len(report.losses), 'loss', 'losses')}" if report.losses else ""
    moved = f"{wording.count(report.stored_count, 'object')}{lost}"
    return f"{moved} in {wording.duration(report.seconds)}: {report.target}"
