"""Options that say how objects are brought to a server, each defined once; the command gets ``how``.

What they mean is `mlflow_archive.operations.policies.Policies`, and `mlflow_archive.api.restore` for the renames.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from mlflow_archive.cli import options
from mlflow_archive.cli.values import Pair, Words
from mlflow_archive.errors import UsageError

if TYPE_CHECKING:
    from mlflow_archive.spec.renaming import Renaming

F = TypeVar("F", bound=Callable[..., Any])

_REPLACEABLE = ("models", "prompts", "evaluation-datasets")
_SOURCE_TAGS = ("mlflow_archive", "mlflow_exim", "mlflow_export_import")


def renaming_in(place: str) -> Renaming:
    """Return the renaming that a file tells.

    Raises:
        UsageError: The file cannot be read, or one of its lines.
    """
    from mlflow_archive.spec.renaming import Renaming

    try:
        text = Path(place).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise UsageError(f"The rename file {place!r} cannot be read: {reason}.") from error
    try:
        return Renaming.from_file(text)
    except UsageError as error:
        raise UsageError(f"{place}: {error}") from error


def policy_options() -> Callable[[F], F]:
    """Add the options of how objects are brought to a server."""
    names: tuple[str, ...] = (
        "rename_experiments",
        "rename_experiment_file",
        "rename_models",
        "rename_model_file",
        "into_experiment",
    )
    names += ("experiment_prefix", "replace", "source_tags", "restoring_user")
    return options.gather(
        options.together(
            *_renames("experiment", "an experiment"), *_renames("model", "a registered model or a prompt"), *_OTHERS
        ),
        names,
        "how",
        _policies,
    )


def _renames(word: str, what: str) -> tuple[Callable[[F], F], Callable[[F], F]]:
    return (
        click.option(
            f"--rename-{word}",
            f"rename_{word}s",
            type=Pair("OLD", "NEW"),
            multiple=True,
            help=f"Restore {what} under another name. Repeatable.",
        ),
        click.option(
            f"--rename-{word}-file",
            f"rename_{word}_file",
            metavar="FILE",
            help="A file with a line OLD,NEW for each other name, CSV. OLD can also be what names begin with, up to a "
            "slash: /Users/me,/Users/you. Whole names come first, then the first line that fits.",
        ),
    )


_OTHERS: tuple[Callable[..., Any], ...] = (
    click.option(
        "--into-experiment",
        metavar="NAME",
        help="Bring everything of every experiment into this one, which is made if it is not there.",
    ),
    click.option(
        "--experiment-prefix",
        metavar="TEXT",
        default="",
        help="Put this before the name of every experiment, after renaming.",
    ),
    click.option(
        "--replace",
        type=Words("KIND[,KIND...]", _REPLACEABLE),
        multiple=True,
        help=f"Of these kinds ({', '.join(_REPLACEABLE)}), delete what the target has under the same name before it is "
        "restored; not if the archive's cannot be read. Repeatable.",
    ),
    click.option(
        "--source-tags",
        type=click.Choice(_SOURCE_TAGS),
        help="Write what experiments, runs, registered models and versions were at their source into their tags: as "
        "mlflow_archive.source.*, or as mlflow-export-import did. What has such tags already keeps them.",
    ),
    click.option(
        "--restoring-user",
        is_flag=True,
        help="Make who restores the user of the runs. Without it they keep the user of their source.",
    ),
)


def _policies(
    *,
    rename_experiments: tuple[tuple[str, str], ...],
    rename_experiment_file: str | None,
    rename_models: tuple[tuple[str, str], ...],
    rename_model_file: str | None,
    replace: tuple[tuple[str, ...], ...],
    restoring_user: bool,
    **others: Any,
) -> dict[str, Any]:
    return {
        **others,
        "rename_experiments": _renaming(rename_experiment_file, dict(rename_experiments)),
        "rename_models": _renaming(rename_model_file, dict(rename_models)),
        "replace": tuple(word for words in replace for word in words),
        "keep_user": not restoring_user,
    }


def _renaming(place: str | None, exact: dict[str, str]) -> Renaming | dict[str, str]:
    return exact if place is None else renaming_in(place).with_names(exact)
