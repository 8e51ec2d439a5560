"""Fills a server with every kind of object and oddity its version knows.

Runs in a child process of any Python with MLflow (2.9 or later), so that an old server is filled by its own client:
``python -m tests.seeding URI``, or by path, ``/other/bin/python tests/seeding URI``.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Protocol


class Filled(Protocol):
    """A running server: an `MlflowServer`, or what has its address."""

    @property
    def uri(self) -> str: ...

    @property
    def python(self) -> str: ...

    @property
    def directory(self) -> Path: ...


class SeedingError(RuntimeError):
    """A server could not be filled; the message ends with what the child process said."""


def seed_server(server: Filled, *, small: bool = False) -> dict[str, int]:
    """Fill ``server`` with the client of its own Python.

    Args:
        server: A running server.
        small: Leave out what is only large (30,000 points, 300 files, 20 MB), for tests in a hurry.

    Returns:
        How many objects of each kind there are now.

    Raises:
        SeedingError: The script failed.
    """
    command = [server.python, str(Path(__file__).parent), server.uri, *(["--small"] if small else [])]
    env = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "PYTHONPATH"))}
    done = subprocess.run(command, env=env, cwd=server.directory, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SeedingError(f"{' '.join(command)}\n{done.stdout[-2000:]}\n{done.stderr[-6000:]}")
    inventory: dict[str, int] = json.loads(done.stdout.splitlines()[-1])
    return inventory
