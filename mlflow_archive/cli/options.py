"""Options that several commands share, each defined once.

Each decorator takes its options off the command line and hands the command one ready value.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import update_wrapper
from typing import Any, TypeVar

import click

from mlflow_archive.cli.output import JsonOutput, Output, TextOutput
from mlflow_archive.cli.values import KIND_WORDS, Pair, Setting, Words, nested

F = TypeVar("F", bound=Callable[..., Any])


def together(*options: Callable[[F], F]) -> Callable[[F], F]:
    """Return one decorator that adds all these options, in their order."""

    def decorate(function: F) -> F:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


def gather(options: Callable[[F], F], names: tuple[str, ...], into: str, make: Callable[..., Any]) -> Callable[[F], F]:
    """Return a decorator that adds options and replaces their values by one, made of them."""

    def decorate(function: F) -> F:
        def called(**values: Any) -> Any:
            values[into] = make(**{name: values.pop(name) for name in names})
            return function(**values)

        return options(update_wrapper(called, function))  # type: ignore[arg-type]

    return decorate


tracking_uri_option = click.option(
    "--tracking-uri",
    metavar="URI",
    envvar="MLFLOW_TRACKING_URI",
    show_envvar=True,
    help="The MLflow server (http://...) or the database behind one (sqlite:///..., postgresql://..., mysql://...), to "
    "read from also a folder mlruns. Without it: MLflow's own default, mlflow.db in the current directory.",
)

parallel_option = click.option(
    "--parallel",
    type=click.IntRange(1, 256),
    default=8,
    show_default=True,
    help="How many objects are worked on at a time.",
)

dry_run_option = click.option("--dry-run", is_flag=True, help="Only say what would be done; write nothing.")

storage_option = click.option(
    "--storage-option",
    "storage_options",
    type=Setting(),
    multiple=True,
    callback=nested,
    help="An option of the fsspec file system of the archive's URL, e.g. endpoint_url=http://localhost:9000, anon=true "
    "or client_kwargs.region_name=eu-west-1. A value may be JSON. Repeatable. Leave credentials to the environment: "
    "s3fs, adlfs and gcsfs read their own variables.",
)

artifact_option = click.option(
    "--artifact-option",
    "artifact_options",
    type=Setting(),
    multiple=True,
    callback=nested,
    help="The same for the stores that the server's artifacts are in. Repeatable.",
)


def both_storage_options(src: str, dst: str) -> Callable[[F], F]:
    """Add ``--storage-option`` for two places, and one for each of them; named as the arguments are."""
    return together(
        storage_option,
        *(
            click.option(
                f"--{side}-storage-option",
                f"{side}_storage_options",
                type=Setting(),
                multiple=True,
                callback=nested,
                help=f"The same for {place} alone, instead of --storage-option. Repeatable.",
            )
            for side, place in (("src", src), ("dst", dst))
        ),
    )


def packing_options() -> Callable[[F], F]:
    """Add the options that say how an archive is kept; the command gets ``packing``, arguments for the library."""
    names = ("container", "compression", "level", "volume_mib", "buffer_mib", "max_mib_per_s")
    options = together(
        click.option(
            "--container",
            type=click.Choice(["tree", "tarball", "volumes"]),
            help="How the archive is kept: tree is one object for each file; tarball is one object with all; volumes "
            "is a folder of tarballs. Default: a tarball if the name ends in .tar, .tar.gz, .tgz or .tar.zst, else a "
            "tree.",
        ),
        click.option(
            "--compression",
            type=click.Choice(["zstd", "gzip", "none"]),
            help="Of a tarball or volumes. Default: what the name says, else zstd.",
        ),
        click.option(
            "--level", type=int, metavar="N", help="Of the compression. Default: 1 for zstd, 6 for gzip.", default=None
        ),
        click.option(
            "--volume-mib",
            type=click.IntRange(1),
            metavar="N",
            default=1024,
            show_default=True,
            help="Size at which a volume is ended and the next one begun.",
        ),
        click.option(
            "--buffer-mib",
            type=click.IntRange(16),
            metavar="N",
            default=256,
            show_default=True,
            help="About how much memory all uploads together may take. A tree on a local path takes none, and large "
            "uploads to a volume of Unity Catalog some 60 MiB each, whatever N is.",
        ),
        click.option(
            "--max-mib-per-s",
            type=click.FloatRange(0, min_open=True),
            metavar="X",
            help="Most MiB a second to the archive's place. Default: no limit.",
        ),
    )
    return gather(options, names, "packing", _packing)


def _packing(
    *,
    container: str | None,
    compression: str | None,
    level: int | None,
    volume_mib: int,
    buffer_mib: int,
    max_mib_per_s: float | None,
) -> dict[str, Any]:
    return {
        "container": container,
        "compression": compression,
        "level": level,
        "volume_bytes": volume_mib << 20,
        "buffer_bytes": buffer_mib << 20,
        "max_bytes_per_second": None if max_mib_per_s is None else max_mib_per_s * (1 << 20),
    }


#: Beginning of the addresses of what a server hands out itself.
_PROXY = "mlflow-artifacts:/"


def _artifact_roots(
    *, artifact_roots: tuple[tuple[str, str], ...], artifacts_destination: str | None
) -> tuple[tuple[str, str], ...]:
    if artifacts_destination is None:
        return artifact_roots
    if any(prefix == _PROXY for prefix, _ in artifact_roots):
        raise click.UsageError(f"--artifacts-destination is --artifact-root {_PROXY}=... by another name: give one.")
    return (*artifact_roots, (_PROXY, artifacts_destination))


artifact_root_option = gather(
    together(
        click.option(
            "--artifact-root",
            "artifact_roots",
            type=Pair("PREFIX", "URL", last=True),
            multiple=True,
            help="Where artifact URIs with this prefix really are, to go there directly and not through the server: "
            "mlflow-artifacts:/=s3://bucket/root. Repeatable.",
        ),
        click.option(
            "--artifacts-destination",
            metavar="URL",
            help="The same for mlflow-artifacts:/, by the name that the option has at the server. A database that is "
            "reached without a server needs it.",
        ),
    ),
    ("artifact_roots", "artifacts_destination"),
    "artifact_roots",
    _artifact_roots,
)


def selection_option(*, of_server: bool = False) -> Callable[[F], F]:
    """Add the options that choose objects; the command gets ``wishes``.

    Args:
        of_server: The objects are a server's alone, which has options that an archive cannot follow.
    """
    options = together(*_NAMED, *_NARROWED, *((_version_files_option,) if of_server else ()))
    return gather(options, (*_SELECTION_NAMES, *(("version_files",) if of_server else ())), "wishes", _wishes)


#: The names of the values of `_NAMED` and `_NARROWED`.
_SELECTION_NAMES = (
    *("experiments", "run_ids", "with_children", "models", "stages", "versions", "latest_versions"),
    *("whole_experiments", "logged_model_ids", "prompts", "prompt_versions", "trace_ids", "datasets"),
    *("run_filter", "since", "until", "no_deleted", "without", "only"),
)

_version_files_option = click.option(
    "--version-files",
    is_flag=True,
    help="Store the files of every model version with it, also where its run or logged model has them.",
)

#: What names objects, and chooses among what they bring.
_NAMED = (
    click.option(
        "--experiment",
        "experiments",
        metavar="NAME|GLOB|ID",
        multiple=True,
        help="This experiment, or those that match. Repeatable.",
    ),
    click.option(
        "--run-id",
        "run_ids",
        metavar="ID",
        multiple=True,
        help="This run, with the logged models it made or used. Repeatable.",
    ),
    click.option("--with-children", is_flag=True, help="With --run-id: the runs nested below as well, at any depth."),
    click.option(
        "--model",
        "models",
        metavar="NAME|GLOB",
        multiple=True,
        help="This registered model, or those that match, with the runs and logged models that its versions come "
        "from. Repeatable.",
    ),
    click.option(
        "--stage",
        "stages",
        type=click.Choice(["None", "Staging", "Production", "Archived"], case_sensitive=False),
        multiple=True,
        help="Of registered models, only versions in this stage. Repeatable.",
    ),
    click.option(
        "--model-version",
        "versions",
        type=click.IntRange(1),
        metavar="N",
        multiple=True,
        help="Of registered models, only this version. Repeatable.",
    ),
    click.option(
        "--latest-versions", is_flag=True, help="Of registered models, only the newest version of each stage."
    ),
    click.option(
        "--whole-experiments",
        is_flag=True,
        help="With --model: everything in the experiments that its runs stand in, not these runs alone.",
    ),
    click.option(
        "--logged-model-id",
        "logged_model_ids",
        metavar="ID",
        multiple=True,
        help="This logged model, with the run it came from. Repeatable.",
    ),
    click.option(
        "--prompt",
        "prompts",
        metavar="NAME|GLOB",
        multiple=True,
        help="This prompt, or those that match. Repeatable.",
    ),
    click.option(
        "--prompt-version",
        "prompt_versions",
        type=click.IntRange(1),
        metavar="N",
        multiple=True,
        help="Of prompts, only this version. Repeatable.",
    ),
    click.option("--trace-id", "trace_ids", metavar="ID", multiple=True, help="This trace. Repeatable."),
    click.option(
        "--dataset",
        "datasets",
        metavar="NAME|GLOB|ID",
        multiple=True,
        help="This evaluation dataset, or those that match. Repeatable.",
    ),
)

#: What leaves out some of it, whatever is named.
_NARROWED = (
    click.option("--run-filter", metavar="FILTER", help="Only runs that match, in MLflow's own filter syntax."),
    click.option(
        "--since",
        metavar="TIME",
        help="Only runs, traces and logged models begun at this time or later. ISO 8601, UTC.",
    ),
    click.option(
        "--until", metavar="TIME", help="Only runs, traces and logged models begun before this time. ISO 8601, UTC."
    ),
    click.option(
        "--no-deleted",
        is_flag=True,
        help="Leave out deleted experiments with everything in them, deleted runs and deleted logged models.",
    ),
    click.option(
        "--without",
        type=Words("KIND[,KIND...]", ("artifacts", *KIND_WORDS)),
        multiple=True,
        help="Leave out these kinds of object; 'artifacts' leaves out all files. Repeatable.",
    ),
    click.option(
        "--only",
        type=Words("KIND[,KIND...]", KIND_WORDS),
        multiple=True,
        help=f"Only these kinds of object: {', '.join(KIND_WORDS)}. Repeatable.",
    ),
)


def _wishes(
    *,
    models: tuple[str, ...],
    prompts: tuple[str, ...],
    datasets: tuple[str, ...],
    no_deleted: bool,
    without: tuple[tuple[str, ...], ...],
    only: tuple[tuple[str, ...], ...],
    **others: Any,
) -> dict[str, Any]:
    return {
        **others,
        "models": models or None,
        "prompts": prompts or None,
        "datasets": datasets or None,
        "deleted": not no_deleted,
        "without": tuple(word for words in without for word in words),
        "only": tuple(word for words in only for word in words),
    }


def output_option(*, progress: bool = False) -> Callable[[F], F]:
    """Add ``--json`` (and ``--events``, ``--quiet`` where there is progress); the command gets ``output``."""
    as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of text.")
    if not progress:
        return gather(as_json, ("as_json",), "output", make_output)
    options = together(
        as_json,
        click.option(
            "--events", is_flag=True, help="Print progress as lines of JSON on standard error, instead of a bar."
        ),
        click.option("--quiet", "-q", is_flag=True, help="No progress, no summary; errors and losses are still told."),
    )
    return gather(options, ("as_json", "events", "quiet"), "output", make_output)


def make_output(*, as_json: bool, events: bool = False, quiet: bool = False) -> Output:
    """Return the printer that the options ask for."""
    return JsonOutput(events=events) if as_json else TextOutput(events=events, quiet=quiet)
