"""``copy-run``, ``copy-experiment`` and ``copy-model``."""

from __future__ import annotations

import click

from mlflow_archive.cli.command import Command
from mlflow_archive.cli.known import KNOWN
from mlflow_archive.cli.known.between import INTERRUPTED, Copy, between_options
from mlflow_archive.cli.known.bools import boolean
from mlflow_archive.cli.known.names import ids_option, numbers_option


@click.command("copy-run", cls=Command, short_help=KNOWN["copy-run"].help, interrupted=INTERRUPTED)
@click.option("--run-id", metavar="ID", required=True, help="The run.")
@click.option(
    "--experiment-name",
    metavar="NAME",
    required=True,
    help="The experiment of the target that it goes into; made if it is not there.",
)
@boolean("--with-children", help="Take the runs nested below it along, at any depth.")
@between_options("mlflow")
def copy_run(*, run_id: str, experiment_name: str, with_children: bool, copy: Copy) -> int:
    """Copy a run from server to server, with its files and the logged models it made or used.

    Bytes go from one server to the other as a stream. Ids that the server gives are new; references are rewritten.
    """
    from mlflow_archive import api

    return copy.run(api.copy_run, run_id, experiment_name=experiment_name, with_children=with_children)


@click.command("copy-experiment", cls=Command, short_help=KNOWN["copy-experiment"].help, interrupted=INTERRUPTED)
@click.option("--experiment", metavar="NAME|ID", required=True, help="The experiment's name, else its id.")
@click.option("--new-name", metavar="NAME", help="Its name at the target.  [default: the name it has]")
@between_options("mlflow")
def copy_experiment(*, experiment: str, new_name: str | None, copy: Copy) -> int:
    """Copy an experiment from server to server, with its runs, logged models, traces and their files.

    Bytes go from one server to the other as a stream. Within one server it needs a new name.
    """
    from mlflow_archive import api

    return copy.run(api.copy_experiment, experiment, new_name=new_name)


@click.command("copy-model", cls=Command, short_help=KNOWN["copy-model"].help, interrupted=INTERRUPTED)
@click.option("--model", metavar="NAME", required=True, help="The registered model.")
@click.option("--dst-model", metavar="NAME", help="Its name at the target.  [default: the name it has]")
@click.option(
    "--dst-experiment-name",
    "experiment_name",
    metavar="NAME",
    help="The experiment of the target that the versions' runs go into.  [default: those of theirs, by name]",
)
@numbers_option("--versions", "versions", help="Only these versions.")
@ids_option("--stages", "stages", help="Only versions in these stages: None, Staging, Production, Archived.")
@boolean("--latest-versions", help="Only the newest version of each stage.")
@between_options("mlflow")
def copy_model(
    *,
    model: str,
    dst_model: str | None,
    experiment_name: str | None,
    versions: tuple[int, ...],
    stages: tuple[str, ...],
    latest_versions: bool,
    copy: Copy,
) -> int:
    """Copy a registered model from server to server, with the runs and logged models its versions were made from.

    Versions keep their numbers, stages and aliases. Bytes go from one server to the other as a stream.
    """
    from mlflow_archive import api

    return copy.run(
        api.copy_model,
        model,
        new_name=dst_model,
        experiment_name=experiment_name,
        versions=versions,
        stages=stages,
        latest_versions=latest_versions,
    )
