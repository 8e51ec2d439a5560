"""``export-traces`` and ``export-trace``."""

from __future__ import annotations

import click

from mlflow_archive.cli.known.exporting import Export, export_command, export_options
from mlflow_archive.cli.known.names import names_option

_ONLY = ("traces",)


@export_command("export-traces")
@names_option("--experiment-ids", "experiments", what="Ids or names of experiments.")
@export_options()
def export_traces(*, experiments: tuple[str, ...], export: Export) -> int:
    """Write the traces of experiments, and the experiments' records, into an archive."""
    return export.run(experiments=experiments, only=_ONLY, deleted=False)


@export_command("export-trace")
@click.option("--request-id", "--trace-id", "trace_id", metavar="ID", required=True, help="The id of the trace.")
@export_options()
def export_trace(*, trace_id: str, export: Export) -> int:
    """Write a trace, and the record of its experiment, into an archive."""
    return export.run(trace_ids=[trace_id], only=_ONLY)
