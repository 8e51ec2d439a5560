"""What all copy commands share: the options for two servers, and what is done with the report."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import click

from mlflow_archive.cli import options
from mlflow_archive.cli.output import Output
from mlflow_archive.cli.values import Pair, Setting, nested

if TYPE_CHECKING:
    from mlflow_archive.operations.report import Report

F = TypeVar("F", bound=Callable[..., Any])

#: What Ctrl-C leaves behind.
INTERRUPTED = "What is at the target stays; the same command again finds it there and goes on."

_SETTINGS = (
    "A file of NAME=value lines with the credentials of this server, by MLflow's names: MLFLOW_TRACKING_USERNAME, "
    "MLFLOW_TRACKING_PASSWORD, MLFLOW_TRACKING_TOKEN, MLFLOW_TRACKING_SERVER_CERT_PATH and so on, perhaps "
    "MLFLOW_TRACKING_URI. Without it: variables MLFLOW_ARCHIVE_{END}_TRACKING_TOKEN and so on; without these: "
    "MLflow's own."
)
_NAMES = (
    "source_uri",
    "target_uri",
    "source_settings",
    "target_settings",
    "if_exists",
    "dry_run",
    "parallel",
    "source_artifact_roots",
    "target_artifact_roots",
    "source_artifact_options",
    "target_artifact_options",
    "output",
)


@dataclass(frozen=True, slots=True)
class Copy:
    """From which server to which, and how; `run` says what."""

    source_uri: str | None
    target_uri: str | None
    between: Mapping[str, Any]
    output: Output

    def run(self, call: Callable[..., Report], *named: Any, verbose: bool = False, **wishes: Any) -> int:
        """Copy one object.

        Args:
            call: A copying call of `mlflow_archive.api`.
            named: What names the object, its first arguments.
            verbose: Name every object in the summary.
            wishes: Further arguments of the call.

        Returns:
            The exit code.
        """
        from mlflow_archive.cli.summary import show_report

        with self.output.watching() as observer:
            report = call(*named, self.source_uri, self.target_uri, observer=observer, **self.between, **wishes)
        return show_report(report, self.output, losses_in="printed by --json", verbose=verbose)


def between_options(what: str) -> Callable[[F], F]:
    """Add the options of every copy; the command gets ``copy``.

    Args:
        what: ``mlflow`` or ``registry``: how the options for the two servers are called.
    """
    return options.gather(
        options.together(
            *_of_both(
                f"{what}-uri",
                "uri",
                "The {end} server (http://...), store (sqlite:///...) or workspace (databricks://profile). "
                "Without it: MLFLOW_TRACKING_URI.",
                metavar="URI",
            ),
            *_of_both("env-file", "settings", _SETTINGS, metavar="FILE"),
            click.option(
                "--if-exists",
                type=click.Choice(["skip", "update", "fail", "duplicate"]),
                default="skip",
                show_default=True,
                help="What to do with what an earlier copy made at the target: leave it as it is, bring it up to date, "
                "stop with exit code 7, or make another one beside it.",
            ),
            options.dry_run_option,
            options.parallel_option,
            *_of_both(
                "artifact-root",
                "artifact_roots",
                "Where artifact URIs of the {end} with this prefix really are, to go there directly: "
                "mlflow-artifacts:/=s3://bucket/root. Repeatable.",
                type=Pair("PREFIX", "URL", last=True),
                multiple=True,
            ),
            *_of_both(
                "artifact-option",
                "artifact_options",
                "An option of the fsspec file system of the store that the {end}'s artifacts are in. Repeatable.",
                type=Setting(),
                multiple=True,
                callback=nested,
            ),
            options.output_option(progress=True),
        ),
        _NAMES,
        "copy",
        _copy,
    )


def _of_both(option: str, argument: str, help: str, **others: Any) -> Iterator[Callable[[F], F]]:
    """Yield an option for each of the two servers."""
    for side, end in (("src", "source"), ("dst", "target")):
        text = help.format(end=end, END=end.upper())
        yield click.option(f"--{side}-{option}", f"{end}_{argument}", help=text, **others)


def _copy(
    *,
    source_uri: str | None,
    target_uri: str | None,
    parallel: int,
    source_artifact_roots: tuple[tuple[str, str], ...],
    target_artifact_roots: tuple[tuple[str, str], ...],
    output: Output,
    **others: Any,
) -> Copy:
    between = {
        "parallelism": parallel,
        "source_artifact_roots": dict(source_artifact_roots),
        "target_artifact_roots": dict(target_artifact_roots),
        **others,
    }
    return Copy(source_uri, target_uri, between, output)
