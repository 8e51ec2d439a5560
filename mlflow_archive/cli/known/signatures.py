"""``get-model-signature``, ``set-model-signature`` and ``list-model-versions-without-signatures``."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

from mlflow_archive.cli import options, wording
from mlflow_archive.cli.command import Command
from mlflow_archive.cli.failing import one_line
from mlflow_archive.cli.known import KNOWN
from mlflow_archive.cli.known.bools import boolean
from mlflow_archive.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from mlflow_archive.operations.signatures import UnsignedVersion

_get_model_info = boolean(
    "--use-get-model-info",
    help="Taken for scripts that have it: only the MLmodel file is read with it, too, and the answer is the same.",
)


@click.command("get-model-signature", cls=Command, short_help=KNOWN["get-model-signature"].help)
@click.option(
    "--model-uri",
    metavar="URI",
    required=True,
    help="The model: runs:/RUN/PATH, models:/NAME/VERSION, models:/NAME@ALIAS, models:/m-ID, or the URL of its folder.",
)
@click.option(
    "--output-file", metavar="FILE", type=click.Path(dir_okay=False), help="Write the JSON to a file as well."
)
@_get_model_info
@options.tracking_uri_option
@options.artifact_root_option
@options.artifact_option
def get_model_signature(
    *,
    model_uri: str,
    output_file: str | None,
    use_get_model_info: bool,  # noqa: ARG001 - both of its values are the one way there is
    tracking_uri: str | None,
    artifact_roots: tuple[tuple[str, str], ...],
    artifact_options: Mapping[str, Any],
) -> int:
    """Print the signature of a model as JSON: its inputs, outputs and parameters.

    A model without a signature prints null.
    """
    from mlflow_archive import api

    signature = api.get_model_signature(
        model_uri, tracking_uri, artifact_roots=dict(artifact_roots), artifact_options=artifact_options
    )
    text = json.dumps(signature, indent=2, ensure_ascii=False)
    click.echo(text)
    if signature is None:
        click.echo(f"{one_line(model_uri)} has no signature.", err=True)
    if output_file is not None:
        with _opened(output_file) as file:
            file.write(text + "\n")
    return int(ExitCode.DONE)


@click.command("set-model-signature", cls=Command, short_help=KNOWN["set-model-signature"].help)
@click.option(
    "--model-uri",
    metavar="URI",
    required=True,
    help="The model: runs:/RUN/PATH, models:/m-ID, or the URL of its folder. Not a version of a registered model, "
    "whose files are those of a run or a logged model.",
)
@click.option("--input-file", metavar="CSV", required=True, help="Samples of what goes in.")
@click.option("--output-file", metavar="CSV", help="What the model predicts. Without it the outputs stay open.")
@boolean("--overwrite-signature", help="Replace the signature of a model that has one.")
@options.tracking_uri_option
@options.artifact_root_option
@options.artifact_option
def set_model_signature(
    *,
    model_uri: str,
    input_file: str,
    output_file: str | None,
    overwrite_signature: bool,
    tracking_uri: str | None,
    artifact_roots: tuple[tuple[str, str], ...],
    artifact_options: Mapping[str, Any],
) -> int:
    """Infer a signature from samples, write it into a model, and print it.

    A version of a registered model shows it too where its files are those of the model that is named.
    """
    from mlflow_archive import api

    signature = api.set_model_signature(
        model_uri,
        input_file,
        output_file,
        overwrite=overwrite_signature,
        tracking_uri=tracking_uri,
        artifact_roots=dict(artifact_roots),
        artifact_options=artifact_options,
    )
    click.echo(json.dumps(signature, indent=2, ensure_ascii=False))
    return int(ExitCode.DONE)


@click.command(
    "list-model-versions-without-signatures",
    cls=Command,
    short_help=KNOWN["list-model-versions-without-signatures"].help,
)
@click.option(
    "--filter", "filter_string", metavar="FILTER", help="MLflow's filter for model versions: \"name = 'iris'\"."
)
@click.option(
    "--output-file", metavar="FILE", type=click.Path(dir_okay=False), help="Write the lines to a CSV file as well."
)
@_get_model_info
@options.tracking_uri_option
@options.parallel_option
@options.artifact_root_option
@options.artifact_option
def list_model_versions_without_signatures(
    *,
    filter_string: str | None,
    output_file: str | None,
    use_get_model_info: bool,  # noqa: ARG001 - both of its values are the one way there is
    tracking_uri: str | None,
    parallel: int,
    artifact_roots: tuple[tuple[str, str], ...],
    artifact_options: Mapping[str, Any],
) -> int:
    """Print the versions of registered models that have no signature, as lines of CSV: model, version, run, error.

    Lines come while the server is still being asked. A version whose MLmodel file cannot be read is among them, with
    the reason; then the exit code is 3.
    """
    from mlflow_archive import api

    found = api.model_versions_without_signatures(
        tracking_uri,
        filter_string=filter_string,
        parallelism=parallel,
        artifact_roots=dict(artifact_roots),
        artifact_options=artifact_options,
    )
    with ExitStack() as stack:
        places: list[IO[str]] = [sys.stdout]
        if output_file is not None:
            places.append(stack.enter_context(_opened(output_file)))
        unknown = _write_rows(found, places)
    if unknown:
        count = wording.count(unknown, "version")
        click.echo(f"{count} could not be read; the column error says why.", err=True)
    return int(ExitCode.LOSSES if unknown else ExitCode.DONE)


def _write_rows(found: Iterator[UnsignedVersion], places: list[IO[str]]) -> int:
    """Write a line for each version as it comes; return how many could not be read."""
    writers = [csv.writer(place, lineterminator="\n") for place in places]
    for writer in writers:
        writer.writerow(("model", "version", "run_id", "error"))
    unknown = 0
    for version in found:
        unknown += bool(version.error)
        for writer, place in zip(writers, places, strict=True):
            writer.writerow((version.model, version.version, version.run_id, version.error))
            place.flush()
    return unknown


def _opened(path: str) -> IO[str]:
    """Open a file to write; the caller closes it."""
    try:
        return Path(path).open("w", encoding="utf-8", newline="")
    except OSError as error:
        raise UsageError(f"{path!r} cannot be written: {error.strerror}.") from error
