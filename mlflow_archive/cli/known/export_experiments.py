"""``export-experiments`` and ``export-experiment``."""

from __future__ import annotations

from typing import Any

import click

from mlflow_archive.cli.known import choosing
from mlflow_archive.cli.known.exporting import Export, export_command, export_options
from mlflow_archive.cli.known.names import ids_option, names_option


@export_command("export-experiments")
@names_option("--experiments", "experiments", what="Names or ids of experiments.")
@choosing.window_options()
@choosing.export_deleted_runs_option
@export_options(notebooks=True, permissions=True, source_tags=True)
def export_experiments(
    *, experiments: tuple[str, ...], window: dict[str, Any], export_deleted_runs: bool, export: Export
) -> int:
    """Write several or all experiments, each with everything below it, into an archive.

    Runs with their files, logged models and traces, and the evaluation datasets of the experiments. A name or an id
    that the server does not have is reported, the others are exported, and the exit code is 3.
    """
    return export.run(experiments=experiments, deleted=export_deleted_runs, **window)


@export_command("export-experiment")
@click.option("--experiment", metavar="NAME|ID", required=True, help="The name or the id of the experiment.")
@ids_option("--run-ids", "run_ids", help="Only these runs of it, with the logged models they made or used.")
@choosing.check_nested_runs_option
@choosing.window_options()
@choosing.export_deleted_runs_option
@export_options(notebooks=True, permissions=True)
def export_experiment(
    *,
    experiment: str,
    run_ids: tuple[str, ...],
    check_nested_runs: bool,
    window: dict[str, Any],
    export_deleted_runs: bool,
    export: Export,
) -> int:
    """Write an experiment with everything below it, or with some of its runs, into an archive.

    A run that is named and that the experiment does not have is reported, the others are exported, and the exit code
    is 3.
    """
    from mlflow_archive.spec.patterns import exactly

    if run_ids and any(window.values()):
        raise click.UsageError("--run-ids names the runs, so that no time can choose among them; leave one out.")
    name = [exactly(experiment)]
    if run_ids:
        wishes = {"run_ids": run_ids, "runs_within": name, "with_children": check_nested_runs}
        return export.run(deleted=export_deleted_runs, **wishes)
    # The runs nested below others come with all the rest.
    return export.run(experiments=name, deleted=export_deleted_runs, **window)
