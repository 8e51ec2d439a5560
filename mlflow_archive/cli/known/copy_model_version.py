"""``copy-model-version``."""

from __future__ import annotations

from typing import Any

import click

from mlflow_archive.cli import options
from mlflow_archive.cli.command import Command
from mlflow_archive.cli.known import KNOWN
from mlflow_archive.cli.known.between import INTERRUPTED, Copy, between_options
from mlflow_archive.cli.known.bools import boolean
from mlflow_archive.cli.known.workspace import at_workspace, only_at_workspace

_lineage_options = options.gather(
    options.together(
        boolean(
            "--copy-lineage-tags",
            help="Write the original's name, number, run and server into tags of the new version.",
        ),
        click.option(
            "--lineage-tags-prefix",
            type=click.Choice(["mlflow_archive", "mlflow_exim", "mlflow_export_import"]),
            default="mlflow_archive",
            show_default=True,
            help="How these tags begin: mlflow_archive.source, or as mlflow-export-import wrote them, newly or of old.",
        ),
    ),
    ("copy_lineage_tags", "lineage_tags_prefix"),
    "lineage_tags",
    lambda copy_lineage_tags, lineage_tags_prefix: lineage_tags_prefix if copy_lineage_tags else None,
)


@click.command("copy-model-version", cls=Command, short_help=KNOWN["copy-model-version"].help, interrupted=INTERRUPTED)
@click.option("--src-model", metavar="NAME", required=True, help="The registered model.")
@click.option("--src-version", metavar="N", type=click.IntRange(1), required=True, help="The number of its version.")
@click.option(
    "--dst-model",
    metavar="NAME",
    required=True,
    help="The registered model of the target that gets a version; made if it is not there.",
)
@click.option(
    "--dst-experiment-name",
    "experiment_name",
    metavar="NAME",
    help="Copy the version's run and logged model into this experiment of the target. Without it the new version names "
    "the files of its original, which the target has to reach.",
)
@boolean("--copy-permissions", help="Set the model's permissions. Only Databricks workspaces have such.")
@boolean(
    "--copy-stages-and-aliases",
    "stages_and_aliases",
    help="Give the new version the stage and the aliases of its original. An alias moves to it from the version of the "
    "target that has it.",
)
@_lineage_options
@boolean("--verbose", help="Name every object in the summary, with its id at the target.")
@between_options("registry")
def copy_model_version(
    *,
    src_model: str,
    src_version: int,
    dst_model: str,
    copy_permissions: bool,
    verbose: bool,
    copy: Copy,
    **wishes: Any,
) -> int:
    """Copy one version of a registered model from server to server, as the next version of a model there.

    Bytes go from one server to the other as a stream. A second copy finds the first.
    """
    from mlflow_archive import api

    workspace = copy.target_uri if at_workspace(copy.source_uri) else copy.source_uri
    beyond = only_at_workspace(workspace, copy.output, {"permissions": ("--copy-permissions", copy_permissions)})
    return copy.run(
        api.copy_model_version, src_model, src_version, new_name=dst_model, verbose=verbose, **beyond, **wishes
    )
