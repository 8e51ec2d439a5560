"""``download-notebook``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from mlflow_archive.cli import options, wording
from mlflow_archive.cli.command import Command
from mlflow_archive.cli.failing import one_line
from mlflow_archive.cli.known import KNOWN
from mlflow_archive.cli.known.exporting import NOTEBOOK_FORMATS, read_formats
from mlflow_archive.cli.output import Output

if TYPE_CHECKING:
    from mlflow_archive.operations.notebooks import DownloadReport


@click.command("download-notebook", cls=Command, short_help=KNOWN["download-notebook"].help)
@click.option(
    "--output-dir",
    metavar="URL",
    required=True,
    help="The folder for the files; a local path or a URL (s3://, abfs://, gs://, dbfs:/).",
)
@click.option("--notebook", metavar="PATH", required=True, help="The notebook's path in the workspace.")
@click.option("--revision", metavar="ID", help="The id of a revision.  [default: the notebook as it is now]")
@click.option(
    "--notebook-formats",
    metavar="FORM[,FORM...]",
    default="SOURCE",
    show_default=True,
    callback=read_formats,
    help=f"In which forms, a file each: {', '.join(NOTEBOOK_FORMATS)}.",
)
@options.tracking_uri_option
@options.storage_option
@options.output_option()
def download_notebook(
    *,
    output_dir: str,
    notebook: str,
    revision: str | None,
    notebook_formats: tuple[str, ...],
    tracking_uri: str | None,
    storage_options: dict[str, Any],
    output: Output,
) -> int:
    """Download a notebook of a Databricks workspace: a file for each form, called as the notebook.

    A form in which the workspace does not give it away is told, the others are written, and the exit code is 3.
    """
    from mlflow_archive import api

    report = api.download_notebook(
        notebook,
        output_dir,
        revision=revision,
        formats=notebook_formats,
        tracking_uri=tracking_uri,
        storage_options=storage_options,
    )
    output.result(report.to_json(), lambda: _text(report))
    return int(report.exit_code)


def _text(report: DownloadReport) -> str:
    lines = [f"{one_line(report.notebook)} -> {report.folder}: {wording.count(len(report.files), 'file')}"]
    lines += [f"  {one_line(name)}" for name in report.files.values()]
    lines += [f"  not as {form}: {one_line(reason)}" for form, reason in report.failed.items()]
    return "\n".join(lines)
