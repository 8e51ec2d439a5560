"""A server in a process of its own, which ends with whoever started it."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.servers.server import WITH_ITS_STARTER

READY_SECONDS = 90.0


class EmulatorError(RuntimeError):
    """An emulator did not come up; the message ends with its log."""


@contextlib.contextmanager
def running(command: Sequence[str], port: int, log_path: Path, env: dict[str, str] | None = None) -> Iterator[None]:
    """Run a server until the context is left; entered when it takes connections at its port of this machine.

    It runs in the folder of its log.

    Raises:
        EmulatorError: It ended, or took no connections in time.
    """
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            ["sh", "-c", WITH_ITS_STARTER, "sh", *command],
            cwd=log_path.parent,
            env={**os.environ, **(env or {})},
            stdout=log,
            stderr=subprocess.STDOUT,
            stdin=subprocess.PIPE,
            start_new_session=True,
        )
    try:
        _wait(process, port, log_path)
        yield
    finally:
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(5)
                break
        assert process.stdin is not None
        process.stdin.close()


def _wait(process: subprocess.Popen[bytes], port: int, log_path: Path) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        if process.poll() is not None:
            break
        time.sleep(0.1)
    raise EmulatorError(f"{process.args!r} is not there:\n{log_path.read_text(errors='replace')[-4000:]}")
