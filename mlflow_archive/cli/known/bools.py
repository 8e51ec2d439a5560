"""Options that are yes or no: ``--use-threads``, ``--use-threads True`` and ``--use-threads=false`` all work."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


def boolean(name: str, *more: str, help: str, default: bool | None = False) -> Callable[[F], F]:
    """Return an option that is False where it is not given, True where it stands alone, else what its value says.

    Args:
        name: The option, with its dashes.
        more: Other spellings of it, or the name of the argument.
        help: What True does.
        default: The value where the option is not given; None lets the command tell that from False.
    """

    def given(_ctx: click.Context, _param: click.Parameter, value: bool | None) -> bool | None:
        return default if value is None else value

    # click 8.3 lets the value of an option be left out only where it knows of no default.
    return click.option(
        name,
        *more,
        type=click.BOOL,
        is_flag=False,
        flag_value="true",
        callback=given,
        metavar="[BOOLEAN]",
        help=f"{help}  [default: True]" if default else help,
    )
