"""The old names on the command line: each console script runs the command of mlflow-archive of the same name.

The entry of a script is the attribute named like it with underscores: ``export_all`` is ``export-all``. So a script
keeps its meaning when it is linked to or copied under another name.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from typing import NoReturn


def run(command: str) -> NoReturn:
    """Run a command of mlflow-archive with the arguments of this process."""
    from mlflow_archive.cli.main import main

    sys.argv.insert(1, command)
    main()


def __getattr__(name: str) -> Callable[[], NoReturn]:
    """Return the entry of a console script."""
    if name.startswith("_"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return partial(run, name.replace("_", "-"))
