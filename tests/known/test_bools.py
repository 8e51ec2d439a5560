"""Booleans work as a flag and with a value."""

from __future__ import annotations

import click
import pytest
from click.testing import CliRunner, Result

from mlflow_archive.cli.known.bools import boolean


def parse(*arguments: str, default: bool | None = False) -> Result:
    @click.command()
    @boolean("--use-threads", default=default, help="In parallel.")
    @click.option("--other")
    def command(use_threads: bool | None, other: str | None) -> None:
        click.echo(f"{use_threads!r} {other!r}")

    return CliRunner().invoke(command, arguments)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((), "False None"),
        (("--use-threads",), "True None"),
        (("--use-threads", "--other", "x"), "True 'x'"),
        (("--other", "x", "--use-threads"), "True 'x'"),
        (("--use-threads", "True"), "True None"),
        (("--use-threads", "true", "--other", "x"), "True 'x'"),
        (("--use-threads=false",), "False None"),
        (("--use-threads", "False"), "False None"),
        (("--use-threads", "0"), "False None"),
        (("--use-threads=yes",), "True None"),
        (("--use-threads=True", "--use-threads=False"), "False None"),
    ],
)
def test_with_and_without_a_value(arguments: tuple[str, ...], expected: str) -> None:
    result = parse(*arguments)

    assert (result.exit_code, result.output.strip()) == (0, expected)


def test_not_given_can_be_told_from_false() -> None:
    assert parse(default=None).output.strip() == "None None"


def test_default_true() -> None:
    assert parse(default=True).output.strip() == "True None"
    assert "[default: True]" in parse("--help", default=True).output


def test_another_word_is_refused() -> None:
    result = parse("--use-threads", "maybe")

    assert result.exit_code == 2
    assert "'maybe' is not a valid boolean" in result.output
