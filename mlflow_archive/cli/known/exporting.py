"""What all export commands share: their options beside what they export, and the one call behind them.

An export is a backup of a selection: it writes an archive of this package to ``--output-dir``, and every command that
takes archives takes it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from mlflow_archive.cli import options
from mlflow_archive.cli.command import Command
from mlflow_archive.cli.known import KNOWN
from mlflow_archive.cli.known.bools import boolean
from mlflow_archive.cli.known.workspace import only_at_workspace
from mlflow_archive.cli.output import Output

F = TypeVar("F", bound=Callable[..., Any])

#: As many as `mlflow-archive backup` works on at a time.
PARALLEL = 8
#: The forms in which a workspace gives a notebook away.
NOTEBOOK_FORMATS = ("SOURCE", "HTML", "JUPYTER", "DBC")
#: The layouts of tags that tell of a source; the first is our own.
SOURCE_TAGS = ("mlflow_archive", "mlflow_exim", "mlflow_export_import")
#: What Ctrl-C leaves behind.
INTERRUPTED = (
    "What was written is kept but is no archive yet; the same command with --resume goes on with it. "
    "Of a tarball nothing is kept."
)

_SHARED = (
    "output_dir",
    "tracking_uri",
    "use_threads",
    "parallel",
    "resume",
    "dry_run",
    "artifact_roots",
    "storage_options",
    "artifact_options",
    "output",
)


@dataclass(frozen=True, slots=True)
class Export:
    """Where an export goes from and to, and how; `run` says what."""

    output_dir: str
    tracking_uri: str | None
    parallelism: int
    resume: bool
    dry_run: bool
    artifact_roots: Mapping[str, str]
    storage_options: Mapping[str, Any]
    artifact_options: Mapping[str, Any]
    output: Output
    notebook_formats: tuple[str, ...] = ()
    export_permissions: bool = False
    source_tags: str | None = None

    def run(self, **wishes: Any) -> int:
        """Export what the wishes want (`mlflow_archive.operations.selecting.Wishes`); return the exit code."""
        from mlflow_archive import api
        from mlflow_archive.cli.summary import show_report

        asked = {
            "notebook_formats": ("--notebook-formats", self.notebook_formats),
            "permissions": ("--export-permissions", self.export_permissions),
        }
        beyond = only_at_workspace(self.tracking_uri, self.output, asked)
        if self.source_tags:
            beyond["source_tags"] = self.source_tags
        with self.output.watching() as observer:
            report = api.backup(
                self.tracking_uri,
                self.output_dir,
                parallelism=self.parallelism,
                resume=self.resume,
                dry_run=self.dry_run,
                artifact_roots=self.artifact_roots,
                storage_options=self.storage_options,
                artifact_options=self.artifact_options,
                observer=observer,
                **beyond,
                **wishes,
            )
        kept_in = "printed by --json" if self.dry_run else "in losses.jsonl of the archive"
        return show_report(report, self.output, losses_in=kept_in)


def export_command(name: str) -> Callable[[Callable[..., int]], click.Command]:
    """Make a function the command of this name."""
    return click.command(name, cls=Command, short_help=KNOWN[name].help, interrupted=INTERRUPTED)


def export_options(
    *, notebooks: bool = False, permissions: bool = False, source_tags: bool = False
) -> Callable[[F], F]:
    """Add the options of every export; the command gets ``export``.

    Args:
        notebooks: The command has ``--notebook-formats``: it exports runs.
        permissions: The command has ``--export-permissions``: it exports experiments or registered models whole.
        source_tags: The command has ``--export-source-tags``: it exports several of them.
    """
    own = (
        *([("notebook_formats", _notebook_formats_option)] if notebooks else []),
        *([("export_permissions", _export_permissions_option)] if permissions else []),
        *([("source_tags", _source_tags_option())] if source_tags else []),
    )
    return options.gather(
        options.together(
            click.option(
                "--output-dir",
                metavar="URL",
                required=True,
                help="Where the archive goes: a new or empty folder, or the name of a tarball (.tar, .tar.gz, .tgz, "
                ".tar.zst); a local path or a URL (s3://, abfs://, gs://, dbfs:/).",
            ),
            *(option for _, option in own),
            boolean(
                "--use-threads",
                default=None,
                help=f"False works on one object at a time; True, and leaving the option out, on {PARALLEL}.",
            ),
            click.option(
                "--parallel",
                type=click.IntRange(1, 256),
                help=f"How many objects are worked on at a time.  [default: {PARALLEL}]",
            ),
            options.tracking_uri_option,
            click.option(
                "--resume", is_flag=True, help="Go on with an interrupted export at the same place; not for tarballs."
            ),
            options.dry_run_option,
            options.artifact_root_option,
            options.storage_option,
            options.artifact_option,
            options.output_option(progress=True),
        ),
        (*_SHARED, *(name for name, _ in own)),
        "export",
        _export,
    )


def _export(
    *,
    use_threads: bool | None,
    parallel: int | None,
    artifact_roots: tuple[tuple[str, str], ...],
    **others: Any,
) -> Export:
    return Export(parallelism=parallelism(use_threads, parallel), artifact_roots=dict(artifact_roots), **others)


def parallelism(use_threads: bool | None, parallel: int | None) -> int:
    """Return how many objects are worked on at a time.

    Raises:
        click.UsageError: The two options contradict each other.
    """
    if use_threads is False:
        if parallel not in (None, 1):
            raise click.UsageError(f"--use-threads False and --parallel {parallel} contradict each other.")
        return 1
    return PARALLEL if parallel is None else parallel


def read_formats(ctx: click.Context, param: click.Parameter, value: str) -> tuple[str, ...]:
    """Return the forms of a notebook that the value of an option lists, each once; a callback for it."""
    words = tuple(dict.fromkeys(word.strip().upper() for word in value.split(",") if word.strip()))
    for word in words:
        if word not in NOTEBOOK_FORMATS:
            known = ", ".join(NOTEBOOK_FORMATS)
            raise click.BadParameter(f"{word!r} is no form of a notebook; there are {known}.", ctx, param)
    return words


_notebook_formats_option = click.option(
    "--notebook-formats",
    metavar="FORM[,FORM...]",
    default="",
    callback=read_formats,
    help="Of a Databricks workspace: store the notebook revision of each run with its files, in these forms: "
    f"{', '.join(NOTEBOOK_FORMATS)}.",
)

_export_permissions_option = boolean(
    "--export-permissions",
    help="Of a Databricks workspace: store the permissions of experiments and registered models.",
)


def _source_tags_option() -> Callable[[F], F]:
    return options.gather(
        options.together(
            boolean(
                "--export-source-tags",
                help="Have an import write what an object was at its source (ids, user, times, mlflow.* tags) into its "
                "tags. The archive has all of it in any case, and an import can be asked as well.",
            ),
            click.option(
                "--source-tags-prefix",
                type=click.Choice(SOURCE_TAGS),
                default=SOURCE_TAGS[0],
                show_default=True,
                help="How these tags begin: mlflow_archive.source, or as mlflow-export-import wrote them, newly or of "
                "old.",
            ),
        ),
        ("export_source_tags", "source_tags_prefix"),
        "source_tags",
        lambda export_source_tags, source_tags_prefix: source_tags_prefix if export_source_tags else None,
    )
