"""``export-experiments`` and ``export-experiment``."""

from __future__ import annotations

import click

from mlflow_archive.cli.command import Command
from mlflow_archive.cli.known import KNOWN
from mlflow_archive.cli.known.exporting import Export, export_options


@click.command("export-experiment", cls=Command, short_help=KNOWN["export-experiment"].help)
@click.option("--experiment", metavar="NAME|ID", required=True, help="The experiment's name or id.")
@export_options()
def export_experiment(*, experiment: str, export: Export) -> int:
    """Write an experiment with everything below it into an archive."""
    return export.run(experiments=[experiment])
