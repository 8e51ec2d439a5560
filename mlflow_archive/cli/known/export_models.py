"""``export-models``, ``export-model`` and ``export-model-version``."""

from __future__ import annotations

from typing import Any

import click

from mlflow_archive.cli.known import choosing
from mlflow_archive.cli.known.bools import boolean
from mlflow_archive.cli.known.exporting import Export, export_command, export_options
from mlflow_archive.cli.known.names import names_option, numbers_option

_model_option = click.option("--model", metavar="NAME", required=True, help="The name of the registered model.")


@export_command("export-models")
@names_option("--models", "models", what="Names of registered models.")
@boolean(
    "--export-all-runs",
    help="Everything below the experiments of the versions' runs, not these runs and their logged models alone.",
)
@choosing.registry_options()
@choosing.window_options()
@choosing.export_deleted_runs_option
@export_options(notebooks=True, permissions=True, source_tags=True)
def export_models(
    *,
    models: tuple[str, ...],
    export_all_runs: bool,
    registry: dict[str, Any],
    window: dict[str, Any],
    export_deleted_runs: bool,
    export: Export,
) -> int:
    """Write several or all registered models with what their versions need into an archive.

    The versions' runs and logged models, and the records of their experiments. A version whose run is deleted or gone
    is exported without it. A name that the registry does not have is reported, the others are exported, and the exit
    code is 3. Times are for --export-all-runs, and never narrow what a version needs.
    """
    if any(window.values()) and not export_all_runs:
        raise click.UsageError(
            "--run-start-time and --runs-until choose among the runs that --export-all-runs adds; give it too, or "
            "leave them out."
        )
    return export.run(
        models=models, whole_experiments=export_all_runs, deleted=export_deleted_runs, **registry, **window
    )


@export_command("export-model")
@_model_option
@numbers_option("--versions", "versions", help="Only these versions; not together with --stages.")
@choosing.registry_options()
@choosing.export_deleted_runs_option
@export_options(notebooks=True, permissions=True)
def export_model(
    *,
    model: str,
    versions: tuple[int, ...],
    registry: dict[str, Any],
    export_deleted_runs: bool,
    export: Export,
) -> int:
    """Write a registered model with what its versions need into an archive.

    The versions' runs and logged models, and the records of their experiments. A version whose run is deleted or gone
    is exported without it.
    """
    from mlflow_archive.spec.patterns import exactly

    if versions and registry["stages"]:
        raise click.UsageError("--versions and --stages exclude each other; leave one out.")
    return export.run(models=[exactly(model)], versions=versions, deleted=export_deleted_runs, **registry)


@export_command("export-model-version")
@_model_option
@click.option("--version", metavar="N", type=click.IntRange(1), required=True, help="The number of the version.")
@choosing.export_version_model_option
@boolean(
    "--skip-download-run-artifacts",
    help="Leave the files of the run and of its logged model out; those of the registry come with "
    "--export-version-model.",
)
@export_options(notebooks=True, permissions=True)
def export_model_version(
    *, model: str, version: int, export_version_model: bool, skip_download_run_artifacts: bool, export: Export
) -> int:
    """Write one version of a registered model with its run, its logged model and their experiment into an archive.

    Its run is exported also if it is deleted.
    """
    from mlflow_archive.spec.patterns import exactly

    return export.run(
        models=[exactly(model)],
        versions=[version],
        version_files=export_version_model,
        without=["artifacts"] if skip_download_run_artifacts else [],
    )
