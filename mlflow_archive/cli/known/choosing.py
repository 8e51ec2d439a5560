"""Options of several exports that say which runs and versions are wanted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from mlflow_archive.cli import options
from mlflow_archive.cli.known.bools import boolean

F = TypeVar("F", bound=Callable[..., Any])

STAGES = ("None", "Staging", "Production", "Archived")


def window_options() -> Callable[[F], F]:
    """Add the times that choose runs; the command gets ``window``, wishes for the library."""
    return options.gather(
        options.together(
            click.option(
                "--run-start-time",
                "since",
                metavar="TIME",
                help="Only runs (and traces and logged models) begun at this time or later. UTC: YYYY-MM-DD or "
                "YYYY-MM-DD HH:MM:SS.",
            ),
            click.option(
                "--runs-until",
                "until",
                metavar="TIME",
                help="Only runs (and traces and logged models) begun before this time. UTC, in the same form.",
            ),
        ),
        ("since", "until"),
        "window",
        dict,
    )


export_deleted_runs_option = boolean(
    "--export-deleted-runs",
    help="Also what is deleted: runs, logged models, and experiments with all that is below them.",
)

check_nested_runs_option = boolean(
    "--check-nested-runs", help="With the runs that are named also those nested below them, at any depth."
)

export_version_model_option = boolean(
    "--export-version-model",
    "--vrm-export-version-model",
    "export_version_model",
    help="Store the registry's own files of every version as well, which its run or logged model mostly has too.",
)


def registry_options() -> Callable[[F], F]:
    """Add what chooses versions of registered models; the command gets ``registry``, wishes for the library."""
    return options.gather(
        options.together(
            click.option(
                "--stages",
                metavar="STAGE[,STAGE...]",
                default="",
                callback=_stages,
                help=f"Of registered models only versions in these stages: {', '.join(STAGES)}.",
            ),
            boolean(
                "--export-latest-versions",
                "latest_versions",
                help="Of each registered model only the newest version of each stage.",
            ),
            export_version_model_option,
        ),
        ("stages", "latest_versions", "export_version_model"),
        "registry",
        lambda export_version_model, **others: {**others, "version_files": export_version_model},
    )


def _stages(ctx: click.Context, param: click.Parameter, value: str) -> tuple[str, ...]:
    words = tuple(dict.fromkeys(word.strip() for word in value.split(",") if word.strip()))
    known = {stage.lower() for stage in STAGES}
    for word in words:
        if word.lower() not in known:
            raise click.BadParameter(f"{word!r} is no stage; there are {', '.join(STAGES)}.", ctx, param)
    return words
