"""Starts the command line and ends it with SIGKILL, which no program can see coming."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass

#: Exit codes of a command that did its work: all done, done with losses.
DONE = (0, 3)


@dataclass(frozen=True)
class Ended:
    """How a command ended: its exit code, or None if it was killed; what it said; how long it took."""

    code: int | None
    said: str
    seconds: float


def run(*arguments: str, kill_after: float | None = None) -> Ended:
    """Run ``mlflow-archive``; kill it and its children after ``kill_after`` seconds, unless it is done by then."""
    began = time.monotonic()
    with subprocess.Popen(
        [sys.executable, "-m", "mlflow_archive", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            said, _ = process.communicate(timeout=kill_after if kill_after is not None else 600)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            said, _ = process.communicate()
            return Ended(None, said, time.monotonic() - began)
    return Ended(process.returncode, said, time.monotonic() - began)
