"""Options that name several objects: ``all``, a comma list, ``prefix*``, a file, or the option given several times."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from mlflow_archive.spec.patterns import EVERYTHING

F = TypeVar("F", bound=Callable[..., Any])

#: How a name may be given, for help texts.
FORMS = (
    "A comma list (a name that has a comma stands in double quotes), 'all', 'prefix*', or 'file.txt' with one name in "
    "each line. Repeatable; then each value is one name as it stands."
)


def names_option(name: str, into: str, *, what: str, required: bool = True) -> Callable[[F], F]:
    """Return an option that gives a tuple of names and globs; empty where it is not given.

    Args:
        name: The option, with its dashes.
        into: The name of the argument.
        what: What is named, for the help text: one sentence.
        required: The option has to be given.
    """
    return click.option(
        name, into, metavar="NAMES", multiple=True, required=required, callback=_names, help=f"{what} {FORMS}"
    )


def ids_option(name: str, into: str, *, help: str, required: bool = False) -> Callable[[F], F]:
    """Return an option that gives a tuple of ids or other words without commas; empty where it is not given."""
    return click.option(
        name,
        into,
        metavar="ID[,ID...]",
        multiple=True,
        required=required,
        callback=_ids,
        help=f"{help} A comma list; repeatable.",
    )


def numbers_option(name: str, into: str, *, help: str) -> Callable[[F], F]:
    """Return an option that gives a tuple of numbers; empty where it is not given."""
    return click.option(
        name, into, metavar="N[,N...]", multiple=True, callback=_numbers, help=f"{help} A comma list; repeatable."
    )


def read_names(values: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names that the values of an option give, each once, in their order.

    Raises:
        ValueError: A file cannot be read, or nothing is named.
    """
    if len(values) > 1:
        return tuple(dict.fromkeys(value for value in values if value))
    (value,) = values
    if value.strip() == "all":
        return (EVERYTHING,)
    found = _lines(value) if value.endswith(".txt") else next(csv.reader([value], skipinitialspace=True), [])
    names = tuple(dict.fromkeys(word.strip() for word in found if word.strip()))
    if not names:
        raise ValueError(f"{value!r} names nothing; write 'all' for everything.")
    return names


def _lines(place: str) -> list[str]:
    try:
        return Path(place).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ValueError(f"{place!r} is read as a file with a name in each line, and cannot be: {reason}.") from error


def _names(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    try:
        return read_names(values) if values else ()
    except ValueError as error:
        raise click.BadParameter(str(error), ctx, param) from error


def _split_all(values: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(word.strip() for value in values for word in value.split(",") if word.strip()))


def _ids(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    words = _split_all(values)
    if values and not words:
        raise click.BadParameter("it names nothing.", ctx, param)
    return words


def _numbers(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> tuple[int, ...]:
    words = _split_all(values)
    if values and not words:
        raise click.BadParameter("there is no number in it.", ctx, param)
    for word in words:
        if not word.isdecimal():
            raise click.BadParameter(f"{word!r} is not a number.", ctx, param)
    return tuple(int(word) for word in words)
