"""Many MLflow servers, each up in a second: one process has MLflow imported, and a copy of it becomes a server.

What answers is the application that ``mlflow server`` runs, under the same uvicorn. What `MlflowServer` starts is the
command itself; this is for tests that look into many databases, one after the other.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.servers.database import with_driver
from tests.servers.server import (
    READY_SECONDS,
    SERVER_PYTHON,
    WEBHOOK_KEY,
    ServerFailedError,
    free_port,
)

_CHILD = Path(__file__).with_name("quick_child.py")


class QuickServers:
    """A context manager around the process that becomes servers; leaving it ends all of them.

    Args:
        directory: Where its logs are.
        python: The Python whose MLflow serves: 3.5 or later.
    """

    def __init__(self, directory: Path, python: str = SERVER_PYTHON) -> None:
        self.python = python
        self.version = ""
        self._directory = directory
        self._number = 0
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> QuickServers:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "_MLFLOW_"))}
        kept.pop("PYTHONPATH", None)
        settings = {
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "MLFLOW_ENABLE_ASYNC_TRACE_LOGGING": "false",
            "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
            "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            "MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS": "true",
            "MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY": WEBHOOK_KEY,
            "PYTHONWARNINGS": "ignore",
            "_MLFLOW_SGI_NAME": "uvicorn",
        }
        with (self._directory / "quick.log").open("ab") as log:
            self._process = subprocess.Popen(
                [self.python, str(_CHILD)],
                cwd=self._directory,
                env=kept | settings,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
            )
        self.version = str(self._answer()["version"])
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        process, self._process = self._process, None
        if process is not None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()

    @contextmanager
    def serving(self, uri: str, artifacts: Path, *, workspaces: bool = False) -> Iterator[str]:
        """Serve a database as long as the context lasts; gives the server's address.

        Args:
            uri: The database.
            artifacts: The folder behind ``mlflow-artifacts:/``.
            workspaces: As by ``--enable-workspaces``.

        Raises:
            ServerFailedError: It did not come up.
        """
        port = free_port()
        env = {
            "_MLFLOW_SERVER_FILE_STORE": with_driver(uri),
            "_MLFLOW_SERVER_ARTIFACT_ROOT": "mlflow-artifacts:/",
            "_MLFLOW_SERVER_SERVE_ARTIFACTS": "true",
            "_MLFLOW_SERVER_ARTIFACT_DESTINATION": str(artifacts),
            "MLFLOW_ENABLE_WORKSPACES": str(workspaces).lower(),
        }
        log = self._log()
        id = self._ask(do="serve", port=port, env=env, log=str(log))["id"]
        try:
            address = f"http://127.0.0.1:{port}"
            _wait(address, log)
            yield address
        finally:
            self._ask(do="end", id=id)

    def call(self, function: str, uri: str, target: Path | str = "") -> None:
        """Call ``module:function`` of the tests with a server's address and a file, beside MLflow.

        Raises:
            AssertionError: It failed; the message ends with what it said.
        """
        log = self._log()
        failed = self._ask(do="call", function=function, uri=uri, target=str(target), log=str(log))["failed"]
        assert not failed, log.read_text(encoding="utf-8", errors="replace")[-6000:]

    def rows(self, uri: str) -> list[dict[str, Any]]:
        """Return everything that MLflow's client shows of a server; see `tests.comparison.dump`."""
        target = self._directory / f"rows-{self._number}.jsonl"
        self.call("tests.comparison.dump:write", uri, target)
        with target.open(encoding="utf-8") as lines:
            return [json.loads(line) for line in lines]

    def _log(self) -> Path:
        self._number += 1
        return self._directory / f"quick-{self._number}.log"

    def _ask(self, **order: object) -> dict[str, Any]:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process is not None
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise ServerFailedError((self._directory / "quick.log").read_text(encoding="utf-8")[-4000:])
        answer: dict[str, Any] = json.loads(line)
        return answer


def _wait(address: str, log: Path) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"{address}/version", timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
    raise ServerFailedError(f"No server at {address}:\n{log.read_text(encoding='utf-8')[-4000:]}")
