"""Help texts: complete, and there before anything heavy is imported."""

from __future__ import annotations

import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from mlflow_archive.cli.exit_status import ROWS
from mlflow_archive.cli.main import COMMANDS, cli
from mlflow_archive.errors import ExitCode

HEAVY = ("mlflow", "fsspec", "rich", "pydantic", "zstandard", "sqlalchemy", "requests")


def command(name: str) -> click.Command:
    found = cli.get_command(click.Context(cli), name)
    assert found is not None
    return found


@pytest.mark.parametrize("arguments", [[], *([name] for name in COMMANDS)], ids=["the group", *COMMANDS])
def test_help_ends_with_the_exit_codes(arguments: list[str]) -> None:
    result = CliRunner().invoke(cli, [*arguments, "--help"])

    assert result.exit_code == 0, result.output
    lines = [line.split(maxsplit=1) for line in result.output.rstrip().splitlines()[-len(ROWS) :]]
    assert [line[0] for line in lines] == [code for code, _ in ROWS]
    assert "Exit status:" in result.output


def test_every_exit_code_is_explained() -> None:
    assert [code for code, _ in ROWS] == [str(int(code)) for code in ExitCode]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_and_command_is_documented(name: str) -> None:
    options = [param for param in command(name).params if isinstance(param, click.Option)]

    undocumented = [option.name for option in options if not option.help]
    assert undocumented == []
    assert command(name).get_short_help_str()


@pytest.mark.parametrize("name", COMMANDS)
def test_boolean_options_are_plain_flags(name: str) -> None:
    flags = [p for p in command(name).params if isinstance(p, click.Option) and p.is_flag]

    assert [
        flag.name for flag in flags if flag.secondary_opts or flag.to_info_dict()["default"] not in (None, False)
    ] == []


def test_the_commands_are_listed_in_their_order() -> None:
    output = CliRunner().invoke(cli, ["--help"]).output

    places = [output.index(f"\n  {name} ") for name in COMMANDS]
    assert places == sorted(places)


def test_no_command_shows_the_help() -> None:
    result = CliRunner().invoke(cli, [])

    assert "Usage:" in result.output + result.stderr


def test_version() -> None:
    from mlflow_archive import __version__

    result = CliRunner().invoke(cli, ["--version"])

    assert (result.exit_code, result.output) == (0, f"mlflow-archive, version {__version__}\n")


@pytest.mark.parametrize("arguments", [["--help"], *([name, "--help"] for name in COMMANDS)])
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    program = f"""
import sys
from mlflow_archive.cli.main import main
sys.argv = ["mlflow-archive", *{arguments!r}]
try:
    main()
finally:
    heavy = sorted({{name.partition(".")[0] for name in sys.modules}} & set({HEAVY!r}))
    print("heavy:", ",".join(heavy))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout.splitlines()[-1] == "heavy: "


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script_and_where_to_put_it(shell: str) -> None:
    result = CliRunner().invoke(cli, ["completion", shell])

    assert result.exit_code == 0
    assert "_MLFLOW_ARCHIVE_COMPLETE" in result.output
    assert "# To install: " in result.output
    assert (result.output.startswith("#compdef mlflow-archive")) == (shell == "zsh")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("mlflow-archive ", {"plain,backup", "plain,restore", "plain,completion"}),
        ("mlflow-archive backup --dr", {"plain,--dry-run"}),
        ("mlflow-archive restore a --if-exists d", {"plain,duplicate"}),
        ("mlflow-archive backup b --without traces,art", {"plain,traces,artifacts"}),
    ],
)
def test_completion_completes(words: str, expected: set[str]) -> None:
    environment = {
        "_MLFLOW_ARCHIVE_COMPLETE": "bash_complete",
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split(" ")) - 1),
    }

    result = CliRunner().invoke(cli, [], env=environment, prog_name="mlflow-archive")

    assert expected <= set(result.output.splitlines())
