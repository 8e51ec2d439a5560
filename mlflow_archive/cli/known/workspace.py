"""Options for what only a Databricks workspace has; another server has none of it, and the command goes on and says so.

A job that is run on servers of both kinds can keep its command line.
"""

from __future__ import annotations

from typing import Any

from mlflow_archive.cli.output import Output


def at_workspace(tracking_uri: str | None) -> bool:
    """Tell whether the server is a Databricks workspace."""
    return (tracking_uri or "").strip().lower().startswith("databricks")


def only_at_workspace(tracking_uri: str | None, output: Output, asked: dict[str, tuple[str, Any]]) -> dict[str, Any]:
    """Return the arguments of the library for what is asked of a workspace; none for another server, which is told.

    Args:
        tracking_uri: The server.
        output: Where to say what the server does not have.
        asked: Argument of the library -> the option, and its value; an empty value asks for nothing.
    """
    wanted = {argument: (option, value) for argument, (option, value) in asked.items() if value}
    if at_workspace(tracking_uri):
        return {argument: value for argument, (_, value) in wanted.items()}
    if wanted:
        named = " and ".join(option for option, _ in wanted.values())
        does = "does" if len(wanted) == 1 else "do"
        output.warn(
            f"Note: {named} {does} nothing here: only a Databricks workspace has that, and this server is none."
        )
    return {}
