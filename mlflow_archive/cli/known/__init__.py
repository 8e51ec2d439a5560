"""The commands that users of mlflow-export-import know: the same names, options and meaning, done by this package.

Each command is a thin mapping of its options onto one call of `mlflow_archive.api`. Nothing of a command is imported
before it is asked for: the table here is all that the help of ``mlflow-archive`` needs.
"""

from __future__ import annotations

from typing import NamedTuple


class Known(NamedTuple):
    """One command.

    Attributes:
        module: The module in this folder that has it, as the attribute named like the command with underscores.
        help: Its line in the list of commands.
    """

    module: str
    help: str


#: In the order of the help text.
KNOWN: dict[str, Known] = {
    "export-experiment": Known("export_experiments", "Write an experiment into an archive."),
}
