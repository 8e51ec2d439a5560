"""``mlflow-archive restore SRC_URL``."""

from __future__ import annotations

from typing import Any, Literal

import click

from mlflow_archive.cli import exactly, options, policies, workspace
from mlflow_archive.cli.command import Command
from mlflow_archive.cli.output import Output


@click.command(
    cls=Command,
    short_help="Bring an archive's objects to a server.",
    interrupted="What is at the target stays; the same command again finds it there and goes on.",
)
@click.argument("src_url")
@options.tracking_uri_option
@options.selection_option()
@click.option(
    "--if-exists",
    type=click.Choice(["skip", "update", "fail", "duplicate"]),
    default="skip",
    show_default=True,
    help="What to do with an object that is at the target already: leave it as it is, bring it up to date, "
    "stop with exit code 7, or make another one beside it.",
)
@policies.policy_options()
@click.option(
    "--activate",
    is_flag=True,
    help="Let restored webhooks and online scorers act. Without it they are restored switched off.",
)
@exactly.exact_options
@options.dry_run_option
@options.parallel_option
@options.artifact_root_option
@options.storage_option
@options.artifact_option
@workspace.of_target
@options.output_option(progress=True)
def restore(
    *,
    src_url: str,
    tracking_uri: str | None,
    wishes: dict[str, Any],
    how: dict[str, Any],
    if_exists: Literal["skip", "update", "fail", "duplicate"],
    activate: bool,
    exact: bool,
    move_artifacts: tuple[tuple[str, str], ...],
    start_over: bool,
    auth_database: str | None,
    dry_run: bool,
    parallel: int,
    artifact_roots: tuple[tuple[str, str], ...],
    storage_options: dict[str, Any],
    artifact_options: dict[str, Any],
    notebook_folder: str | None,
    permissions: bool,
    output: Output,
) -> int:
    """Bring everything in an archive, or a selection, to an MLflow server.

    Every byte is checked on the way. Nothing at the target is overwritten or deleted unless --if-exists or --replace
    asks for it, and a second restore finds what the first one made. Ids that the server gives are new; references
    between objects are rewritten to them; with --exact every id stays, in a database that is empty before.
    """
    from mlflow_archive import api
    from mlflow_archive.cli.summary import show_report

    with output.watching() as observer:
        report = api.restore(
            src_url,
            tracking_uri,
            if_exists=if_exists,
            activate=activate,
            exact=exact,
            move_artifacts=dict(move_artifacts),
            start_over=start_over,
            auth_database=auth_database,
            parallelism=parallel,
            dry_run=dry_run,
            artifact_roots=dict(artifact_roots),
            storage_options=storage_options,
            artifact_options=artifact_options,
            notebook_folder=notebook_folder,
            permissions=permissions,
            observer=observer,
            **how,
            **wishes,
        )
    return show_report(report, output, losses_in="printed by --json")
