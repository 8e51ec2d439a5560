"""``mlflow-archive repack SRC_URL DST_URL``."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

import click

from mlflow_archive.cli import options, wording
from mlflow_archive.cli.command import Command
from mlflow_archive.cli.output import Output

if TYPE_CHECKING:
    from mlflow_archive.operations.repacked import RepackReport


@click.command(
    cls=Command,
    short_help="Copy an archive to another place or container.",
    interrupted="What was copied is kept but is no archive yet; the same command with --resume goes on with it. "
    "Of a tarball nothing is kept.",
)
@click.argument("src_url")
@click.argument("dst_url")
@options.packing_options()
@options.parallel_option
@click.option("--resume", is_flag=True, help="Go on with an interrupted repack at DST_URL; not for tarballs.")
@options.both_storage_options("SRC_URL", "DST_URL")
@options.output_option(progress=True)
def repack(
    *,
    src_url: str,
    dst_url: str,
    packing: dict[str, Any],
    parallel: int,
    resume: bool,
    storage_options: dict[str, Any],
    src_storage_options: dict[str, Any],
    dst_storage_options: dict[str, Any],
    output: Output,
) -> int:
    """Copy an archive to another place, into another container, or both.

    SRC_URL is an archive in any container, DST_URL a new or empty folder, or the name of a tarball. It stays the same
    archive: every byte is checked against its digest on the way, and the root digest is equal on both sides. If
    something is damaged, nothing is committed and the exit code is 5.

    An archive of mlflow-export-import, which may be a .zip, becomes one of the new format; what of it cannot be read is
    listed as losses, and the exit code is 3.

    Needs no MLflow.
    """
    from mlflow_archive import api

    with output.watching() as observer:
        report = api.repack(
            src_url,
            dst_url,
            parallelism=parallel,
            resume=resume,
            storage_options=storage_options,
            src_storage_options=src_storage_options,
            dst_storage_options=dst_storage_options,
            observer=observer,
            **packing,
        )
    output.result(report.to_json(), lambda: summary(report))
    return int(report.exit_code)


def summary(report: RepackReport) -> str:
    """Return what was copied, as text."""
    copied = f"{wording.count(report.objects, 'object')}, {wording.count(report.files, 'file')}"
    lines = [
        f"Repacked {report.source} -> {report.target}",
        "",
        f"{copied}, {wording.size(report.size_bytes)} in {wording.duration(report.seconds)}",
    ]
    if report.kept_files:
        lines.append(
            f"{wording.count(report.kept_files, 'file')} of them, {wording.size(report.kept_bytes)}, were there "
            "already and have the right digest"
        )
    if report.losses:
        what = "Not everything could be read" if report.converted else "The backup could not read everything"
        lines.append(f"{what}: it lists {wording.count(report.losses, 'loss', 'losses')}.")
    same = "of the new archive; the old one has none" if report.converted else "the same on both sides"
    lines.append(f"Root digest: {report.root_digest}, {same}")
    lines.append(f"Next: mlflow-archive verify {shlex.quote(report.target)} --digest {report.root_digest}")
    return "\n".join(lines)
