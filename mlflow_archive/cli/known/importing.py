"""What all import commands share: their options beside what they import, and the one call behind them.

An import is a restore: of an archive of this package, or of a folder that mlflow-export-import wrote; what it is, the
restore finds out. Nothing is imported twice: a second import finds what the first one made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from mlflow_archive.cli import options
from mlflow_archive.cli.command import Command
from mlflow_archive.cli.known import KNOWN
from mlflow_archive.cli.known.bools import boolean
from mlflow_archive.cli.known.exporting import PARALLEL, parallelism
from mlflow_archive.cli.known.workspace import only_at_workspace
from mlflow_archive.cli.output import Output
from mlflow_archive.errors import NotFoundError, UsageError

if TYPE_CHECKING:
    from mlflow_archive.operations.browsing import Archive
    from mlflow_archive.spec.renaming import Renaming

F = TypeVar("F", bound=Callable[..., Any])

#: What Ctrl-C leaves behind.
INTERRUPTED = "What is at the target stays; the same command again finds it there and goes on."

_SHARED = (
    "input_dir",
    "tracking_uri",
    "use_threads",
    "parallel",
    "dry_run",
    "artifact_roots",
    "storage_options",
    "artifact_options",
    "output",
)


@dataclass(frozen=True, slots=True)
class Import:
    """Where an import comes from and goes to, and how; `run` says what."""

    input_dir: str
    tracking_uri: str | None
    parallelism: int
    dry_run: bool
    artifact_roots: Mapping[str, str]
    storage_options: Mapping[str, Any]
    artifact_options: Mapping[str, Any]
    output: Output

    def run(
        self, *, verbose: bool = False, permissions: bool = False, notebook_folder: str | None = None, **wishes: Any
    ) -> int:
        """Import what the wishes want, as they want it (`mlflow_archive.operations.policies.Bringing`).

        Args:
            verbose: Name every object in the summary.
            permissions: Set permissions; said to be impossible where the target is no Databricks workspace.
            notebook_folder: Import notebooks into this folder; likewise.
            wishes: Further arguments of `mlflow_archive.api.restore`.

        Returns:
            The exit code.
        """
        from mlflow_archive import api
        from mlflow_archive.cli.summary import show_report

        asked = {
            "permissions": ("--import-permissions", permissions),
            "notebook_folder": ("--dst-notebook-dir", notebook_folder),
        }
        beyond = only_at_workspace(self.tracking_uri, self.output, asked)
        with self.output.watching() as observer:
            report = api.restore(
                self.input_dir,
                self.tracking_uri,
                parallelism=self.parallelism,
                dry_run=self.dry_run,
                artifact_roots=self.artifact_roots,
                storage_options=self.storage_options,
                artifact_options=self.artifact_options,
                observer=observer,
                **beyond,
                **wishes,
            )
        return show_report(report, self.output, losses_in="printed by --json", verbose=verbose)

    def the_experiment(self, name: str) -> str:
        """Return the name of the one experiment that the archive holds, or of that one of several which has the name.

        Raises:
            UsageError: There are several, and none has the name.
            NotFoundError: There is none.
        """
        return self._the_one(name, "experiment", lambda archive: (found.name for found in archive.experiments()))

    def the_model(self, name: str) -> str:
        """Return the same for the one registered model."""
        return self._the_one(name, "registered model", lambda archive: (found.name for found in archive.models()))

    def the_prompt(self, name: str | None) -> str:
        """Return the same for the one prompt."""
        return self._the_one(name, "prompt", lambda archive: (found.name for found in archive.prompts()))

    def the_dataset(self, name: str | None) -> str:
        """Return the same for the one evaluation dataset."""
        return self._the_one(
            name, "evaluation dataset", lambda archive: (found.name for found in archive.evaluation_datasets())
        )

    def _the_one(self, name: str | None, what: str, listed: Callable[[Archive], Iterable[str]]) -> str:
        from mlflow_archive import api

        with api.open(self.input_dir, storage_options=self.storage_options) as archive:
            names = {*listed(archive)}
            place = archive.url
        if name in names:
            return name
        if len(names) > 1:
            none = f", and none is named {name!r}" if name else ""
            raise UsageError(
                f"{place} holds {len(names)} {what}s{none}: import them all with the command for many, or choose one "
                "with `mlflow-archive restore`."
            )
        if not names:
            raise NotFoundError(f"{place} holds no {what}.")
        return names.pop()


def import_command(name: str) -> Callable[[Callable[..., int]], click.Command]:
    """Make a function the command of this name."""
    return click.command(name, cls=Command, short_help=KNOWN[name].help, interrupted=INTERRUPTED)


def import_options() -> Callable[[F], F]:
    """Add the options of every import; the command gets ``bring``."""
    return options.gather(
        options.together(
            click.option(
                "--input-dir",
                metavar="URL",
                required=True,
                help="What to import: an archive, or a folder that mlflow-export-import wrote; a local path or a URL "
                "(s3://, abfs://, gs://, dbfs:/).",
            ),
            boolean(
                "--use-threads",
                default=None,
                help=f"False works on one object at a time; True, or without the option, on {PARALLEL}.",
            ),
            click.option(
                "--parallel",
                type=click.IntRange(1, 256),
                help=f"How many objects are worked on at a time.  [default: {PARALLEL}]",
            ),
            options.tracking_uri_option,
            options.dry_run_option,
            options.artifact_root_option,
            options.storage_option,
            options.artifact_option,
            options.output_option(progress=True),
        ),
        _SHARED,
        "bring",
        _import,
    )


def _import(
    *, use_threads: bool | None, parallel: int | None, artifact_roots: tuple[tuple[str, str], ...], **others: Any
) -> Import:
    return Import(parallelism=parallelism(use_threads, parallel), artifact_roots=dict(artifact_roots), **others)


experiment_name_option = click.option(
    "--experiment-name",
    metavar="NAME",
    required=True,
    help="The experiment of the target that it goes into; made if it is not there.",
)

permissions_option = boolean(
    "--import-permissions",
    "permissions",
    help="Set the permissions that were exported. Only a Databricks workspace has such.",
)

user_option = boolean(
    "--use-src-user-id",
    "keep_user",
    help="The user of a run stays that of the source; otherwise it is who imports. A Databricks workspace takes no "
    "other user than the importing one, and the summary says so.",
)

verbose_option = boolean("--verbose", help="Name every object in the summary, with its id at the target.")

mlmodel_option = boolean(
    "--mlmodel-fix",
    "edit_mlmodels",
    default=True,
    help="Put the new ids into the MLmodel files; False leaves these files as they are.",
)

notebook_option = click.option(
    "--dst-notebook-dir",
    "notebook_folder",
    metavar="FOLDER",
    help="Folder of the Databricks workspace that notebooks are imported into which were exported in the form SOURCE.",
)


def source_tags_option() -> Callable[[F], F]:
    """Add the options for tags that tell of the source; the command gets ``source_tags``."""
    return options.gather(
        options.together(
            boolean(
                "--import-source-tags",
                "import_source_tags",
                help="Write what an object was at its source (ids, user, times, mlflow.* tags) into its tags.",
            ),
            click.option(
                "--source-tags-prefix",
                type=click.Choice(["mlflow_archive", "mlflow_exim", "mlflow_export_import"]),
                default="mlflow_archive",
                show_default=True,
                help="How these tags begin: mlflow_archive.source, or as mlflow-export-import wrote them, newly or of "
                "old.",
            ),
        ),
        ("import_source_tags", "source_tags_prefix"),
        "source_tags",
        lambda import_source_tags, source_tags_prefix: source_tags_prefix if import_source_tags else None,
    )


def rename_option(name: str, into: str, *, what: str) -> Callable[[F], F]:
    """Return an option that names a file of renamings and gives what is in it; None where it is not given."""
    return click.option(
        name,
        into,
        metavar="FILE",
        callback=_renaming,
        help=f"A file with a line old,new for each {what} that gets another name, CSV; what the name begins with, up "
        "to a slash, can be given as well.",
    )


def _renaming(ctx: click.Context, param: click.Parameter, place: str | None) -> Renaming | None:
    if place is None:
        return None
    from mlflow_archive.spec.renaming import Renaming

    try:
        text = Path(place).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise click.BadParameter(f"{place!r} cannot be read: {reason}.", ctx, param) from error
    try:
        return Renaming.from_file(text)
    except UsageError as error:
        raise click.BadParameter(f"{place!r}: {error}", ctx, param) from error


def replace_option(name: str, *, what: str) -> Callable[[F], F]:
    """Return an option that asks for the target's object of the name to be deleted first."""
    return boolean(
        name, help=f"Delete the {what} that the target has under the name, once, before the import makes it."
    )


def replaced(**wishes: bool) -> list[str]:
    """Return the kinds, by the word of each, that are to be replaced."""
    return [kind for kind, wished in wishes.items() if wished]
