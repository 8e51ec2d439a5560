"""``mlflow-archive verify URL``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import click

from mlflow_archive.cli import options, wording
from mlflow_archive.cli.command import Command
from mlflow_archive.cli.failing import error_event
from mlflow_archive.cli.output import Output
from mlflow_archive.cli.values import Share
from mlflow_archive.errors import NotAnArchiveError, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlflow_archive.errors import Problem
    from mlflow_archive.operations.verified import VerifyReport

#: Findings that are shown; JSON has them all.
FINDINGS_SHOWN = 20


@click.command(
    cls=Command, short_help="Check an archive, byte for byte.", interrupted="Verifying changes nothing; run it again."
)
@click.argument("url")
@click.option(
    "--level",
    type=click.Choice(["complete", "valid", "restorable"]),
    default="valid",
    show_default=True,
    help="How deep: complete reads the documents and asks for the sizes of the files; valid reads every byte and "
    "compares its digest; restorable also understands every record and every row of a table, and follows every "
    "reference.",
)
@click.option("--digest", metavar="SHA256", help="The root digest that backup printed; the archive must have it.")
@click.option(
    "--sample",
    type=Share(),
    help="Read only this share of the files (artifacts, metric histories, spans, dataset records), chosen by their "
    "paths, such as 10%. Documents are always read. Only at level valid.",
)
@click.option("--sample-seed", metavar="TEXT", default="", help="Another seed chooses other files, the same the same.")
@options.parallel_option
@options.storage_option
@options.output_option(progress=True)
def verify(
    *,
    url: str,
    level: Literal["complete", "valid", "restorable"],
    digest: str | None,
    sample: float | None,
    sample_seed: str,
    parallel: int,
    storage_options: dict[str, Any],
    output: Output,
) -> int:
    """Check an archive against the specification; every violated rule is printed with its place.

    Needs no MLflow. A damaged archive is exit code 5. What the backup itself could not read is no damage: those
    losses are counted.
    """
    from mlflow_archive import api
    from mlflow_archive.storage.opening import public_url

    with output.watching() as observer:
        report = api.verify(
            url,
            level=level,
            digest=digest,
            sample=sample,
            sample_seed=sample_seed,
            parallelism=parallel,
            storage_options=storage_options,
            observer=observer,
        )
    error = report.error()
    if isinstance(error, NotAnArchiveError | UnsupportedError):
        raise error
    output.result(report.to_json(), lambda: verdict(report, public_url(url)))
    if error is None:
        return 0
    if output.events:
        click.echo(error_event(error), err=True)
    elif not output.tells_all:
        output.warn(f"Error: {error}")
    return int(error.exit_code)


def verdict(report: VerifyReport, url: str) -> str:
    """Return what was found, as text."""
    lines = [*_findings("Problems", report.problems), *_findings("Warnings", report.warnings)]
    if report.truncated:
        lines.append("There are more findings than are kept; the check ended early.")
    if lines:
        lines.append("")
    checked = (
        f"{wording.count(report.objects, 'object')}, {wording.count(report.blobs, 'file')}, "
        f"{wording.size(report.size_bytes)} read in {wording.duration(report.seconds)}"
    )
    if report.ok:
        lines.append(f"OK: {url} is {report.level}{' as far as it was read' if report.sample else ''} ({checked})")
    else:
        lines.append(f"DAMAGED: {url} has {wording.count(len(report.problems), 'problem')} ({checked})")
    if report.sample:
        sample = report.sample
        lines.append(
            f"Sample: the bytes of {sample.files:,} of {wording.count(sample.files_total, 'file')} were read, "
            f"{wording.size(sample.size_bytes)} of {wording.size(sample.size_bytes_total)}"
        )
    if report.losses:
        lines.append(
            f"The backup could not read everything: it lists {wording.count(report.losses, 'loss', 'losses')}."
        )
    lines += [f"Note: {note}" for note in report.notes]
    if report.root_digest:
        lines.append(f"Root digest: {report.root_digest}")
    return "\n".join(lines)


def _findings(title: str, found: Sequence[Problem]) -> list[str]:
    if not found:
        return []
    lines = [f"{title}:", *(f"  {problem}" for problem in found[:FINDINGS_SHOWN])]
    if len(found) > FINDINGS_SHOWN:
        lines.append(f"  ... and {len(found) - FINDINGS_SHOWN:,} more; --json lists all.")
    return lines
