"""``import-evaluation-datasets`` and ``import-evaluation-dataset``."""

from __future__ import annotations

import click

from mlflow_archive.cli.known import importing as shared
from mlflow_archive.spec.patterns import exactly


@shared.import_command("import-evaluation-datasets")
@shared.replace_option("--delete-evaluation-dataset", what="evaluation dataset")
@shared.import_options()
def import_evaluation_datasets(*, bring: shared.Import, delete_evaluation_dataset: bool) -> int:
    """Import all evaluation datasets that an archive holds, with their records."""
    replace = shared.replaced(evaluation_datasets=delete_evaluation_dataset)
    return bring.run(only=("evaluation-datasets",), replace=replace)


@shared.import_command("import-evaluation-dataset")
@click.option(
    "--evaluation-dataset-name",
    "--dataset-name",
    "dataset_name",
    metavar="NAME",
    help="Its name at the target, if not that at the source.",
)
@shared.replace_option("--delete-evaluation-dataset", what="evaluation dataset")
@shared.import_options()
def import_evaluation_dataset(
    *, bring: shared.Import, dataset_name: str | None, delete_evaluation_dataset: bool
) -> int:
    """Import the evaluation dataset that an archive holds, with its records.

    Of several datasets in an archive the one of the name is imported.
    """
    return bring.run(
        datasets=[exactly(bring.the_dataset(dataset_name))],
        only=("evaluation-datasets",),
        dataset_name=dataset_name,
        replace=shared.replaced(evaluation_datasets=delete_evaluation_dataset),
    )
