"""``mlflow-archive show URL OBJECT``."""

from __future__ import annotations

from typing import Any

import click

from mlflow_archive.cli import options
from mlflow_archive.cli.command import Command
from mlflow_archive.cli.output import Output
from mlflow_archive.cli.values import KIND_WORDS


@click.command(cls=Command, short_help="Show one object of an archive.")
@click.argument("url")
@click.argument("object_", metavar="OBJECT")
@click.option(
    "--kind",
    type=click.Choice(KIND_WORDS),
    metavar="KIND",
    help="The kind of OBJECT, where objects of several kinds have that name.",
)
@options.storage_option
@options.output_option()
def show(*, url: str, object_: str, kind: str | None, storage_options: dict[str, Any], output: Output) -> int:
    """Show one object of an archive. Needs no MLflow.

    OBJECT is the id or the name of a run, an experiment, a registered model, a trace or anything else that ls lists.
    The text shortens long values; --json has the whole document.
    """
    from mlflow_archive import api
    from mlflow_archive.cli.document import rendered

    document = api.show(url, object_, kind=kind, storage_options=storage_options)
    output.result(document, lambda: rendered(document))
    return 0
