"""``export-evaluation-datasets`` and ``export-evaluation-dataset``."""

from __future__ import annotations

import click

from mlflow_archive.cli.known.exporting import Export, export_command, export_options
from mlflow_archive.cli.known.names import names_option
from mlflow_archive.spec.patterns import EVERYTHING

_OF_EXPERIMENTS = ("experiments", "evaluation-datasets")


@export_command("export-evaluation-datasets")
@names_option("--evaluation-datasets", "datasets", what="Names or ids of evaluation datasets.")
@names_option(
    "--experiment-ids",
    "experiments",
    what="Of all datasets only those of these experiments: ids or names.",
    required=False,
)
@export_options()
def export_evaluation_datasets(*, datasets: tuple[str, ...], experiments: tuple[str, ...], export: Export) -> int:
    """Write several or all evaluation datasets with their records into an archive.

    With --experiment-ids also the records of these experiments.
    """
    if not experiments:
        return export.run(datasets=datasets)
    if datasets != (EVERYTHING,):
        raise click.UsageError("--experiment-ids chooses among all datasets; leave it out, or name the datasets 'all'.")
    return export.run(experiments=experiments, only=_OF_EXPERIMENTS)


@export_command("export-evaluation-dataset")
@click.option("--dataset-name", metavar="NAME", help="The name of the dataset.")
@click.option("--dataset-id", metavar="ID", help="The id of the dataset, instead of its name.")
@export_options()
def export_evaluation_dataset(*, dataset_name: str | None, dataset_id: str | None, export: Export) -> int:
    """Write an evaluation dataset with its records into an archive."""
    from mlflow_archive.spec.patterns import exactly

    named = [name for name in (dataset_name, dataset_id) if name]
    if len(named) != 1:
        raise click.UsageError("Name the dataset by --dataset-name or by --dataset-id; one of them.")
    return export.run(datasets=[exactly(named[0])])
