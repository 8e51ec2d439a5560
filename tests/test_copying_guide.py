"""docs/copying.md tells the truth: its commands parse, its names are those of the program."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from mlflow_archive import api
from mlflow_archive.cli.main import cli
from mlflow_archive.tracking.settings import PREFIXES, SETTINGS
from tests.test_readme import command_lines

GUIDE = (Path(__file__).parent.parent / "docs" / "copying.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(bash)\n(.*?)^```$", GUIDE, flags=re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("words", command_lines(BLOCKS), ids=" ".join)
def test_every_command_parses(words: list[str]) -> None:
    command = cli.get_command(click.Context(cli), words[0])
    assert command is not None
    assert command.make_context(words[0], words[1:], resilient_parsing=False).params


def test_the_commands_and_calls_are_there() -> None:
    named = re.findall(r"^\| `(copy-[\w-]+)` \| `(\w+)` \|", GUIDE, flags=re.MULTILINE)
    assert [command.replace("-", "_") for command, _ in named] == [call for _, call in named]
    assert len(named) == 4
    assert {call for _, call in named} <= set(api.__all__)


def test_the_settings_are_the_programs() -> None:
    table = GUIDE.partition("| name | what |")[2].partition("```")[0]
    assert sorted(re.findall(r"`(MLFLOW_\w+)`", table)) == sorted(SETTINGS)
    assert all(prefix in GUIDE for prefix in PREFIXES.values())


def test_every_option_that_is_named_is_there() -> None:
    commands = [
        cli.get_command(click.Context(cli), name) for name, _ in re.findall(r"`(copy-[\w-]+)` \| `(\w+)`", GUIDE)
    ]
    there = {opt for command in commands if command is not None for param in command.params for opt in param.opts}
    assert set(re.findall(r"`?(--[a-z][\w-]+)", GUIDE)) - {"--json"} <= there
