"""The console entry: ``mlflow-archive COMMAND ...``."""

from __future__ import annotations

import logging
import os
import signal
import sys
import warnings
from collections.abc import Sequence
from importlib import import_module
from types import FrameType
from typing import Any, NoReturn

import click

from mlflow_archive import __version__
from mlflow_archive.cli.allocator import share_arenas
from mlflow_archive.cli.command import Interrupted, write_exit_status
from mlflow_archive.cli.failing import forget_output, report_failure
from mlflow_archive.cli.heard import warnings_told
from mlflow_archive.cli.known import KNOWN
from mlflow_archive.errors import ExitCode, MlflowArchiveError

#: In the order of the help text. Each is ``mlflow_archive.cli.commands.<name>.<name>``.
COMMANDS = ("backup", "restore", "verify", "ls", "show", "diff", "repack", "doctor", "demo", "completion")


class Application(click.Group):
    """The group of all commands: loads a command when it is asked for, and turns errors into exit codes."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        return [*COMMANDS, *KNOWN]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a command, None if there is none of that name."""
        if cmd_name in COMMANDS:
            module = import_module(f"mlflow_archive.cli.commands.{cmd_name}")
        elif cmd_name in KNOWN:
            module = import_module(f"mlflow_archive.cli.known.{KNOWN[cmd_name].module}")
        else:
            return None
        command: click.Command = getattr(module, cmd_name.replace("-", "_"))
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands; of those that are known from elsewhere without importing them."""
        width = formatter.width - 6 - max(len(name) for name in COMMANDS)
        own = [(name, self.get_command(ctx, name)) for name in COMMANDS]
        with formatter.section("Commands"):
            formatter.write_dl([(name, found.get_short_help_str(width)) for name, found in own if found is not None])
        with formatter.section("Commands by the names and options of mlflow-export-import"):
            formatter.write_dl([(name, known.help) for name, known in KNOWN.items()])

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the epilog, then the exit codes."""
        super().format_epilog(ctx, formatter)
        write_exit_status(formatter)

    def main(self, args: Sequence[str] | None = None, prog_name: str | None = None, **extra: Any) -> NoReturn:  # type: ignore[override]
        """Run a command line and exit; never shows a traceback for what a user can cause."""
        arguments = list(sys.argv[1:] if args is None else args)
        extra["standalone_mode"] = False
        try:
            with warnings_told(arguments):
                code = super().main(args=arguments, prog_name=prog_name, **extra)
            sys.stdout.flush()
        except BrokenPipeError:
            forget_output()
            code = ExitCode.FAILED
        except (click.exceptions.Abort, KeyboardInterrupt):
            code = report_failure(Interrupted("Interrupted. Nothing was changed."), arguments)
        except (click.ClickException, MlflowArchiveError, OSError) as error:
            code = report_failure(error, arguments)
        sys.exit(int(code or 0))


@click.group(
    cls=Application,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    no_args_is_help=True,
)
@click.version_option(__version__, "--version", prog_name="mlflow-archive")
def cli() -> None:
    """Back up, restore, check and compare everything an MLflow server has.

    An archive is a directory or a tarball, at a local path or a URL (s3://, abfs://, gs://, dbfs:/ and others).
    """


def main() -> NoReturn:
    """Run the command line of this process."""
    share_arenas()
    quiet_libraries()
    open_missing_streams()
    signal.signal(signal.SIGTERM, _interrupt)
    cli.main(prog_name="mlflow-archive")


def quiet_libraries() -> None:
    """Keep the talk of libraries out of ours; ``MLFLOW_LOGGING_LEVEL`` and ``python -W`` bring it back."""
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "ERROR")
    for name in ("alembic", "urllib3", "botocore", "aiobotocore", "azure", "fsspec"):
        logging.getLogger(name).setLevel(logging.ERROR)
    if not sys.warnoptions:
        warnings.simplefilter("ignore")


def open_missing_streams() -> None:
    """Give a process that was started with a closed standard output or error (``>&-``) one that goes nowhere."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115, PTH123 - stays open to the end


def _interrupt(_signum: int, _frame: FrameType | None) -> NoReturn:
    """Treat a request of the system to stop like Ctrl-C: connections and child processes are ended in order."""
    raise KeyboardInterrupt
