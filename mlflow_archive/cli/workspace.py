"""Options for what only a Databricks workspace has; for another server they are an error."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

_F = TypeVar("_F", bound=Callable[..., Any])


def of_source(command: _F) -> _F:
    """Add ``--notebook-formats`` and ``--permissions`` to a command that reads a server."""
    formats = click.option(
        "--notebook-formats",
        metavar="FORM[,FORM...]",
        default="",
        callback=lambda _ctx, _param, value: tuple(word for word in value.split(",") if word.strip()),
        help="Of a Databricks workspace: store the notebook revision of each run with its files, in these forms: "
        "SOURCE, HTML, JUPYTER, DBC.",
    )
    permissions = click.option(
        "--permissions",
        is_flag=True,
        help="Of a Databricks workspace: store the direct permissions of experiments and registered models.",
    )
    return formats(permissions(command))


def of_target(command: _F) -> _F:
    """Add ``--notebook-folder`` and ``--permissions`` to a command that writes to a server."""
    folder = click.option(
        "--notebook-folder",
        metavar="PATH",
        help="At a Databricks workspace: import notebooks that were stored in the form SOURCE into this folder.",
    )
    permissions = click.option(
        "--permissions",
        is_flag=True,
        help="At a Databricks workspace: set the permissions that the archive has of what is made.",
    )
    return folder(permissions(command))
