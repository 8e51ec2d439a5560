"""``export-logged-models`` and ``export-logged-model``."""

from __future__ import annotations

import click

from mlflow_archive.cli.known.exporting import Export, export_command, export_options
from mlflow_archive.cli.known.names import names_option

_ONLY = ("logged-models",)


@export_command("export-logged-models")
@names_option("--experiment-ids", "experiments", what="Ids or names of experiments.")
@export_options()
def export_logged_models(*, experiments: tuple[str, ...], export: Export) -> int:
    """Write the logged models of experiments, and the experiments' records, into an archive.

    The runs that made them stay behind: export-experiments takes both.
    """
    return export.run(experiments=experiments, only=_ONLY, deleted=False)


@export_command("export-logged-model")
@click.option("--model-id", metavar="ID", required=True, help="The id of the logged model.")
@export_options()
def export_logged_model(*, model_id: str, export: Export) -> int:
    """Write a logged model, and the record of its experiment, into an archive.

    The run that made it stays behind: export-run takes both.
    """
    return export.run(logged_model_ids=[model_id], only=_ONLY)
