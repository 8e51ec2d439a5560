"""``import-experiments``, ``import-experiment`` and ``import-run``."""

from __future__ import annotations

from typing import Any

import click

from mlflow_archive.cli.known import importing as shared
from mlflow_archive.spec.patterns import exactly

#: All that belongs to an experiment.
_KINDS = ("experiments", "runs", "logged-models", "traces", "scorers", "label-schemas", "review-queues", "issues")


@shared.import_command("import-experiments")
@click.option(
    "--experiment-name-prefix", "experiment_prefix", metavar="TEXT", default="", help="Put before every name."
)
@shared.rename_option("--experiment-rename-file", "rename_experiments", what="experiment")
@shared.source_tags_option()
@shared.user_option
@shared.permissions_option
@shared.import_options()
def import_experiments(*, bring: shared.Import, **wishes: Any) -> int:
    """Import all experiments that an archive holds, with everything below them."""
    return bring.run(only=_KINDS, **wishes)


@shared.import_command("import-experiment")
@shared.experiment_name_option
@shared.source_tags_option()
@shared.user_option
@shared.permissions_option
@shared.notebook_option
@shared.import_options()
def import_experiment(*, bring: shared.Import, experiment_name: str, **wishes: Any) -> int:
    """Import the experiment that an archive holds, under a name of your choice.

    If the target has an experiment of the name, its tags stay, and what it lacks is added to it. Of several
    experiments in an archive the one of the name is imported.
    """
    name = bring.the_experiment(experiment_name)
    return bring.run(experiments=[exactly(name)], only=_KINDS, rename_experiments={name: experiment_name}, **wishes)


@shared.import_command("import-run")
@shared.experiment_name_option
@shared.source_tags_option()
@shared.mlmodel_option
@shared.user_option
@shared.notebook_option
@shared.import_options()
def import_run(*, bring: shared.Import, experiment_name: str, **wishes: Any) -> int:
    """Import the run that an archive holds, with its logged models, into an experiment of your choice.

    Runs below it that the archive holds come along.
    """
    source = bring.the_experiment(experiment_name)
    return bring.run(
        experiments=[exactly(source)],
        only=("runs", "logged-models", "traces"),
        into_experiment=experiment_name,
        **wishes,
    )
