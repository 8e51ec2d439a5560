"""From an error to one sentence and an exit code."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from mlflow_archive.cli.command import Interrupted
from mlflow_archive.errors import IntegrityError, MlflowArchiveError

if TYPE_CHECKING:
    from mlflow_archive.spec.canonical import JSONObject

#: How many violated rules are named on a terminal; JSON has them all.
PROBLEMS_SHOWN = 10


def report_failure(error: click.ClickException | MlflowArchiveError | OSError, arguments: Sequence[str]) -> int:
    """Tell the user what went wrong.

    One sentence goes to standard error; with ``--json`` the error is also the one document on standard output,
    with ``--events`` it is a last line of JSON instead of the sentence.

    Args:
        error: What was raised.
        arguments: The command line, to know in which form the user wants to hear it.

    Returns:
        The exit code.
    """
    _, message, exit_code = _classify(error)
    if asked(arguments, "--json"):
        click.echo(json.dumps({"error": _described(error)}, indent=2, sort_keys=True))
    if asked(arguments, "--events"):
        click.echo(error_event(error), err=True)
        return exit_code
    problems = error.problems if isinstance(error, IntegrityError) else ()
    if isinstance(error, click.UsageError) and error.ctx is not None:
        click.echo(error.ctx.get_usage(), err=True)
        click.echo(f"Try '{error.ctx.command_path} --help' for help.\n", err=True)
    click.echo(message if isinstance(error, Interrupted) else f"Error: {message}", err=True)
    for problem in problems[:PROBLEMS_SHOWN]:
        click.echo(f"  {one_line(str(problem))}", err=True)
    if len(problems) > PROBLEMS_SHOWN:
        click.echo(f"  ... and {len(problems) - PROBLEMS_SHOWN} more; --json lists all.", err=True)
    return exit_code


def error_event(error: click.ClickException | MlflowArchiveError | OSError) -> str:
    """Return the line of JSON that is the last of the events of a command that failed."""
    return json.dumps({"event": "error", **_described(error)}, sort_keys=True)


def _described(error: click.ClickException | MlflowArchiveError | OSError) -> JSONObject:
    code, message, exit_code = _classify(error)
    described: JSONObject = {"code": code, "message": message, "exit_code": exit_code}
    if isinstance(error, IntegrityError) and error.problems:
        described["problems"] = [{"rule": p.rule, "path": p.path, "message": p.message} for p in error.problems]
    return described


def _classify(error: click.ClickException | MlflowArchiveError | OSError) -> tuple[str, str, int]:
    """Return the stable code, the sentence and the exit code."""
    if isinstance(error, MlflowArchiveError):
        return error.code, one_line(str(error)), int(error.exit_code)
    if isinstance(error, Interrupted):
        return "interrupted", error.message, error.exit_code
    if isinstance(error, click.UsageError):
        return "usage", one_line(error.format_message()), 2
    if isinstance(error, click.ClickException):
        return "failed", one_line(error.format_message()), error.exit_code
    where = f": {error.filename}" if error.filename else ""
    return "failed", one_line(f"{error.strerror or error}{where}."), 1


def one_line(message: str) -> str:
    """Return a message without line breaks or control characters: servers put all sorts of things into theirs."""
    text = " ".join(message.split())
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)


def asked(arguments: Sequence[str], *flags: str) -> bool:
    """Tell whether one of the flags is on a command line: for what happens where no command has read it yet."""
    before = arguments[: arguments.index("--")] if "--" in arguments else arguments
    return any(flag in before for flag in flags)


def forget_output() -> None:
    """Stop writing to a pipe whose reader has gone, also in the interpreter's last flush."""
    sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123 - stays open to the end
