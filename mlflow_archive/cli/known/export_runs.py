"""``export-run``."""

from __future__ import annotations

import click

from mlflow_archive.cli.known import choosing
from mlflow_archive.cli.known.exporting import Export, export_command, export_options


@export_command("export-run")
@click.option("--run-id", metavar="ID", required=True, help="The id of the run.")
@choosing.check_nested_runs_option
@export_options(notebooks=True)
def export_run(*, run_id: str, check_nested_runs: bool, export: Export) -> int:
    """Write a run, the logged models it made or used, and the record of its experiment into an archive.

    A run that is named is exported also if it is deleted.
    """
    return export.run(run_ids=[run_id], with_children=check_nested_runs)
