"""``mlflow-archive backup DEST_URL``."""

from __future__ import annotations

from typing import Any

import click

from mlflow_archive.cli import options, workspace
from mlflow_archive.cli.command import Command
from mlflow_archive.cli.output import Output


@click.command(
    cls=Command,
    short_help="Write the objects of a server or a database into an archive.",
    interrupted="What was written is kept but is no archive yet; the same command with --resume goes on with it. "
    "Of a tarball nothing is kept.",
)
@click.argument("dest_url")
@options.tracking_uri_option
@options.selection_option(of_server=True)
@options.parallel_option
@click.option("--resume", is_flag=True, help="Go on with an interrupted backup at DEST_URL; not for tarballs.")
@options.dry_run_option
@options.packing_options()
@options.artifact_root_option
@options.storage_option
@options.artifact_option
@click.option(
    "--with",
    "secrets",
    type=click.Choice(["gateway-secrets", "webhook-secrets", "job-tokens", "password-hashes"]),
    multiple=True,
    help="Of a database: store these secrets too, which are left empty otherwise. Repeatable.",
)
@click.option(
    "--auth-database",
    metavar="URI",
    help="Store the tables of this database of MLflow's basic authentication too; may be the same one.",
)
@workspace.of_source
@options.output_option(progress=True)
def backup(
    *,
    dest_url: str,
    tracking_uri: str | None,
    wishes: dict[str, Any],
    parallel: int,
    resume: bool,
    dry_run: bool,
    packing: dict[str, Any],
    artifact_roots: tuple[tuple[str, str], ...],
    storage_options: dict[str, Any],
    artifact_options: dict[str, Any],
    secrets: tuple[str, ...],
    auth_database: str | None,
    notebook_formats: tuple[str, ...],
    permissions: bool,
    output: Output,
) -> int:
    """Write everything an MLflow server or the database behind it has, or a selection, into one archive.

    Both are only read; a database is read by SQL, without a server, and its tables are stored beside the objects.

    DEST_URL is a new or empty folder, or the name of a tarball: a local path or a URL (s3://, abfs://, gs://, dbfs:/).
    There is an archive only when the backup has ended; what cannot be read is listed in it, and the exit code is 3.

    Large backups to an object store are best kept in volumes (--container volumes).

    What names objects leaves out what is not named.
    """
    from mlflow_archive import api
    from mlflow_archive.cli.summary import show_report

    if "password-hashes" in secrets and auth_database is None:
        raise click.UsageError("--with password-hashes is of the users that --auth-database stores: give it too.")
    with output.watching() as observer:
        report = api.backup(
            tracking_uri,
            dest_url,
            parallelism=parallel,
            resume=resume,
            dry_run=dry_run,
            artifact_roots=dict(artifact_roots),
            storage_options=storage_options,
            artifact_options=artifact_options,
            secrets=secrets,
            auth_database=auth_database,
            notebook_formats=notebook_formats,
            permissions=permissions,
            observer=observer,
            **packing,
            **wishes,
        )
    return show_report(
        report,
        output,
        losses_in="in losses.jsonl of the archive" if not dry_run else "printed by --json",
        next_step=_next_step(report.target, report.root_digest),
    )


def _next_step(place: str, root_digest: str | None) -> str:
    import shlex

    if root_digest is None:
        return ""
    return f"mlflow-archive verify {shlex.quote(place)} --digest {root_digest}"
