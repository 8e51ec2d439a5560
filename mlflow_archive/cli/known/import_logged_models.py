"""``import-logged-models`` and ``import-logged-model``."""

from __future__ import annotations

from typing import Any

import click

from mlflow_archive.cli.command import Command
from mlflow_archive.cli.known import KNOWN
from mlflow_archive.cli.known import importing as shared


@click.command(
    "import-logged-models", cls=Command, short_help=KNOWN["import-logged-models"].help, interrupted=shared.INTERRUPTED
)
@shared.import_options()
def import_logged_models(*, bring: shared.Import) -> int:
    """Import all logged models that an archive holds, each into the experiment of the same name."""
    return bring.run(only=("logged-models",))


@click.command(
    "import-logged-model", cls=Command, short_help=KNOWN["import-logged-model"].help, interrupted=shared.INTERRUPTED
)
@shared.experiment_name_option
@shared.mlmodel_option
@shared.import_options()
def import_logged_model(*, bring: shared.Import, experiment_name: str, **wishes: Any) -> int:
    """Import the logged model that an archive holds into an experiment of your choice."""
    source = bring.the_experiment(experiment_name)
    return bring.run(experiments=[source], only=("logged-models",), into_experiment=experiment_name, **wishes)
