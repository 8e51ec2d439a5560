"""``import-traces`` and ``import-trace``."""

from __future__ import annotations

import click

from mlflow_archive.cli.command import Command
from mlflow_archive.cli.known import KNOWN
from mlflow_archive.cli.known import importing as shared


@click.command("import-traces", cls=Command, short_help=KNOWN["import-traces"].help, interrupted=shared.INTERRUPTED)
@shared.import_options()
def import_traces(*, bring: shared.Import) -> int:
    """Import all traces that an archive holds, each into the experiment of the same name."""
    return bring.run(only=("traces",))


@click.command("import-trace", cls=Command, short_help=KNOWN["import-trace"].help, interrupted=shared.INTERRUPTED)
@shared.experiment_name_option
@shared.import_options()
def import_trace(*, bring: shared.Import, experiment_name: str) -> int:
    """Import the trace that an archive holds into an experiment of your choice."""
    source = bring.the_experiment(experiment_name)
    return bring.run(experiments=[source], only=("traces",), into_experiment=experiment_name)
