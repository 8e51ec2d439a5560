"""Runs a command and says what it cost."""

from __future__ import annotations

import os
import re
import subprocess
import time
from dataclasses import dataclass

from tests.servers import MlflowServer

REQUEST = re.compile(r'"(?:GET|POST|PUT|PATCH|DELETE|HEAD) \S+ HTTP/')


@dataclass(frozen=True)
class Cost:
    """What one command cost, itself and at the server."""

    seconds: float
    cpu_seconds: float
    peak_rss_mib: float
    requests: int


def measure(command: list[str], server: MlflowServer, env: dict[str, str] | None = None) -> Cost:
    """Run a command to its end; its requests are those in the server's access log.

    Raises:
        RuntimeError: It ended with another exit code than 0 or 3 (done with losses).
    """
    before = len(REQUEST.findall(server.log))
    began = time.monotonic()
    with (server.directory / "command.log").open("wb") as output:
        process = subprocess.Popen(command, env={**os.environ, **(env or {})}, stdout=output, stderr=subprocess.STDOUT)
        # wait4 gives the resources of this one process, the largest of it and its children.
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.monotonic() - began
    if process.returncode not in (0, 3):
        said = (server.directory / "command.log").read_text(errors="replace")[-2000:]
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}:\n{said}")
    # The access log is written when an answer has been sent.
    time.sleep(1)
    requests = len(REQUEST.findall(server.log)) - before
    return Cost(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, requests)


def table(rows: list[tuple[str, ...]]) -> str:
    """Return rows as a Markdown table; the first row is the head."""
    head, *body = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([head, "|" + "---|" * len(rows[0]), *body])
