"""Command lines in forks of one process that has imported everything: quick to start, and killed past the imports.

``python -m tests.tracking.database.exact.forking`` is that process; `Forks` starts it and talks to it.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, NoReturn

from tests.roundtrip.killing import Ended

if TYPE_CHECKING:
    from typing_extensions import Self

#: Longer than anything takes.
SECONDS = 300.0


class Forks:
    """A context manager around the process. Each fork is the leader of a process group of its own."""

    def __init__(self, folder: Path) -> None:
        """Keep what the forks say in ``folder``."""
        self._folder = folder
        self._number = 0
        self._heard = b""

    def __enter__(self) -> Self:
        env = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0, env=env
        )
        assert self._answer(SECONDS) == "ready"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()
        self._process.wait()

    def run(self, *arguments: str, kill_after: float | None = None) -> Ended:
        """Run ``mlflow-archive``; kill it and its children after ``kill_after`` seconds, unless it is done by then."""
        return self._run("mlflow-archive", arguments, {}, kill_after)

    def run_mlflow(self, *arguments: str, tracking_uri: str) -> Ended:
        """Run ``mlflow``."""
        return self._run("mlflow", arguments, {"MLFLOW_TRACKING_URI": tracking_uri}, None)

    def _run(self, program: str, arguments: tuple[str, ...], env: dict[str, str], kill_after: float | None) -> Ended:
        self._number += 1
        said = self._folder / f"said{self._number}"
        asked = {"program": program, "arguments": arguments, "env": env, "said": str(said)}
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(asked).encode() + b"\n")
        pid = self._answer(SECONDS)
        assert pid is not None
        began = time.monotonic()
        status = self._answer(SECONDS if kill_after is None else kill_after)
        seconds = time.monotonic() - began
        if status is None:
            os.killpg(int(pid), signal.SIGKILL)
            status = self._answer(SECONDS)
        assert status is not None
        code = os.waitstatus_to_exitcode(int(status))
        return Ended(None if code < 0 else code, said.read_text(encoding="utf-8", errors="replace"), seconds)

    def _answer(self, seconds: float) -> str | None:
        """Return the next line; None if there is none in time."""
        assert self._process.stdout is not None
        deadline = time.monotonic() + seconds
        while b"\n" not in self._heard:
            if not select.select([self._process.stdout], [], [], max(0.0, deadline - time.monotonic()))[0]:
                return None
            more = os.read(self._process.stdout.fileno(), 4096)
            assert more, "the process that forks has ended"
            self._heard += more
        line, _, self._heard = self._heard.partition(b"\n")
        return line.decode()


def main() -> None:
    """Import everything, then fork for each line of standard input: tell the fork's id, and its status at its end."""
    import sqlalchemy as sa
    from mlflow.cli import cli  # noqa: F401

    from mlflow_archive.cli.commands.restore import restore  # noqa: F401
    from mlflow_archive.operations.exact import restore_exactly  # noqa: F401
    from mlflow_archive.tracking.database.exact import schema, sink  # noqa: F401

    # What the first use of MLflow's tables costs is of no interest either.
    with sa.create_engine("sqlite://").begin() as connection:
        schema.create(connection, schema.head())
    _tell("ready")
    for line in sys.stdin:
        asked = json.loads(line)
        pid = os.fork()
        if pid == 0:
            _become(asked)
        _tell(str(pid))
        _tell(str(os.waitpid(pid, 0)[1]))


def _become(asked: dict[str, object]) -> NoReturn:
    """Be the program that is asked for."""
    os.setsid()
    out = os.open(str(asked["said"]), os.O_WRONLY | os.O_CREAT)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for number, file in enumerate((nothing, out, out)):
        os.dup2(file, number)
    os.environ.update(asked["env"])  # type: ignore[call-overload]
    arguments = list(asked["arguments"])  # type: ignore[call-overload]
    if asked["program"] == "mlflow":
        from mlflow.cli import cli

        cli(arguments)
    else:
        from mlflow_archive.cli.main import main as run

        sys.argv[1:] = arguments
        run()
    raise SystemExit(0)


def _tell(line: str) -> None:
    os.write(1, line.encode() + b"\n")


if __name__ == "__main__":
    main()
