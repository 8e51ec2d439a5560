"""``import-models``, ``import-model`` and ``import-model-version``."""

from __future__ import annotations

from typing import Any

import click

from mlflow_archive.cli.known import importing as shared
from mlflow_archive.cli.known.bools import boolean
from mlflow_archive.spec.patterns import exactly

#: All that versions of a model come from.
_BELOW = ("experiments", "runs", "logged-models")

_model_option = click.option(
    "--model", "model_name", metavar="NAME", required=True, help="The name of the registered model at the target."
)


@shared.import_command("import-models")
@shared.replace_option("--delete-model", what="registered model")
@shared.rename_option("--experiment-rename-file", "rename_experiments", what="experiment")
@shared.rename_option("--model-rename-file", "rename_models", what="registered model")
@shared.source_tags_option()
@shared.user_option
@shared.permissions_option
@shared.verbose_option
@shared.import_options()
def import_models(*, bring: shared.Import, delete_model: bool, **wishes: Any) -> int:
    """Import all registered models and experiments that an archive holds, with everything below them."""
    return bring.run(only=("models", "traces", *_BELOW), replace=shared.replaced(models=delete_model), **wishes)


@shared.import_command("import-model")
@_model_option
@shared.experiment_name_option
@shared.replace_option("--delete-model", what="registered model")
@shared.source_tags_option()
@shared.user_option
@shared.permissions_option
@click.option(
    "--await-creation-for",
    "await_versions_s",
    type=click.IntRange(0),
    default=0,
    metavar="SECONDS",
    help="How long to wait for each version to be ready; one that is not by then is a loss. Without it: no waiting.",
)
@shared.verbose_option
@shared.import_options()
def import_model(
    *, bring: shared.Import, model_name: str, experiment_name: str, delete_model: bool, **wishes: Any
) -> int:
    """Import the registered model that an archive holds, under a name of your choice.

    Its versions keep their numbers in a new model, and get the next ones in a model that the target has. The runs that
    they come from go into one experiment. Of several models in an archive the one of the name is imported.
    """
    return bring.run(
        models=[exactly(bring.the_model(model_name))],
        only=("models", *_BELOW),
        model_name=model_name,
        into_experiment=experiment_name,
        replace=shared.replaced(models=delete_model),
        append_versions=True,
        **wishes,
    )


@shared.import_command("import-model-version")
@_model_option
@shared.experiment_name_option
@boolean("--create-model", "create_models", help="Make the registered model if the target does not have it.")
@boolean("--import-stages-and-aliases", "stages_and_aliases", help="Bring the version's stage and aliases along.")
@boolean(
    "--import-metadata", "registry_metadata", help="Give a model that is made the description and tags of the source."
)
@shared.source_tags_option()
@shared.permissions_option
@shared.import_options()
def import_model_version(*, bring: shared.Import, model_name: str, experiment_name: str, **wishes: Any) -> int:
    """Import the model version that an archive holds as the next version of a registered model, with its run."""
    return bring.run(
        models=[exactly(bring.the_model(model_name))],
        only=("models", *_BELOW),
        model_name=model_name,
        into_experiment=experiment_name,
        append_versions=True,
        **wishes,
    )
