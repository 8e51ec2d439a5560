"""``mlflow-archive completion SHELL``."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from mlflow_archive.cli.command import Command

INSTALL = {
    "bash": "mlflow-archive completion bash > ~/.local/share/bash-completion/completions/mlflow-archive",
    "zsh": 'mlflow-archive completion zsh > "${fpath[1]}/_mlflow-archive"',
    "fish": "mlflow-archive completion fish > ~/.config/fish/completions/mlflow-archive.fish",
}


@click.command(cls=Command, short_help="Print a shell completion script.")
@click.argument("shell", type=click.Choice(list(INSTALL)))
def completion(shell: str) -> None:
    r"""Print the completion script for SHELL: bash, zsh or fish.

    \b
    To install it for good:
      mlflow-archive completion bash > ~/.local/share/bash-completion/completions/mlflow-archive
      mlflow-archive completion zsh > "${fpath[1]}/_mlflow-archive"
      mlflow-archive completion fish > ~/.config/fish/completions/mlflow-archive.fish

    For this shell only:  eval "$(mlflow-archive completion bash)"
    """
    click.echo(script(shell))


def script(shell: str) -> str:
    """Return the script, with a first line that says where to put it."""
    from mlflow_archive.cli.main import cli

    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"There is no completion for {shell}.")
    source = kind(cli, {}, "mlflow-archive", "_MLFLOW_ARCHIVE_COMPLETE").source()
    note = f"# To install: {INSTALL[shell]}"
    # zsh reads what a completion file is for from its first line.
    first, newline, rest = source.partition("\n")
    return f"{first}{newline}{note}\n{rest}" if first.startswith("#compdef") else f"{note}\n{source}"
