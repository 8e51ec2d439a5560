"""How every command behaves: help that ends with the exit codes, and an answer to Ctrl-C."""

from __future__ import annotations

from typing import Any

import click

from mlflow_archive.cli.exit_status import ROWS
from mlflow_archive.errors import ExitCode


class Interrupted(click.ClickException):
    """The user, or the system, asked the command to stop; the message says how to go on."""

    exit_code = int(ExitCode.INTERRUPTED)


def write_exit_status(formatter: click.HelpFormatter) -> None:
    """Write the table of exit codes at the end of a help text."""
    with formatter.section("Exit status"):
        formatter.write_dl(ROWS)


class Command(click.Command):
    """A command of this tool.

    Attributes:
        interrupted: The sentence printed after Ctrl-C: what is there now and how to go on.
    """

    def __init__(self, *args: Any, interrupted: str = "Nothing was changed.", **kwargs: Any) -> None:
        kwargs.setdefault("context_settings", {})
        kwargs["context_settings"].setdefault("max_content_width", 100)
        super().__init__(*args, **kwargs)
        self.interrupted = interrupted

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; an interrupt becomes one sentence."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            raise Interrupted(
                f"Interrupted. {self.interrupted}",
            ) from error

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the epilog, then the exit codes."""
        super().format_epilog(ctx, formatter)
        write_exit_status(formatter)
