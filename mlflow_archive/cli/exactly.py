"""The options of an exact restore."""

from __future__ import annotations

import click

from mlflow_archive.cli import options
from mlflow_archive.cli.values import Pair

exact_options = options.together(
    click.option(
        "--exact",
        is_flag=True,
        help="Bring the archive into the empty database that --tracking-uri names (sqlite:///..., postgresql://..., "
        "mysql://...): every id and time stays. From its tables; where it has none, or a part of it is asked for, from "
        "its objects. Repeated, it goes on where it was interrupted; from objects it begins anew.",
    ),
    click.option(
        "--move-artifacts",
        "move_artifacts",
        type=Pair("OLD", "NEW", last=True),
        multiple=True,
        help="With --exact: artifact addresses that begin with OLD begin with NEW instead, and the files go there. "
        "Repeatable.",
    ),
    click.option(
        "--start-over",
        is_flag=True,
        help="With --exact: clear what an interrupted exact restore left, even that of another archive.",
    ),
    click.option(
        "--auth-database",
        metavar="URI",
        help="With --exact: bring the users and permissions of the archive into this empty database of MLflow's basic "
        "authentication (sqlite:///basic_auth.db); may be the same one.",
    ),
)
