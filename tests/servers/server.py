"""One real ``mlflow server`` in a process group of its own."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType

from tests.servers.database import EmptyDatabases, with_driver

READY_SECONDS = 180.0
STOP_SECONDS = 10.0
#: The Python whose MLflow serves, fills servers and compares them: the running one, unless the suite runs with an older
#: MLflow installed. The package then meets the newest server with that older MLflow on its own side.
SERVER_PYTHON = os.environ.get("TEST_SERVER_PYTHON") or sys.executable
#: Runs a command, and ends its whole process group when standard input closes: when whoever started it is gone,
#: however that came.
WITH_ITS_STARTER = 'exec 3<&0; { read -r _ <&3; kill -s KILL -- -$$; } & exec 3<&-; "$@" </dev/null'
#: Encrypts the secrets of webhooks; of no use to anybody.
WEBHOOK_KEY = "dGVzdHMga2VlcCBubyBzZWNyZXRzIG9mIGFueW9uZSE="


class ServerFailedError(RuntimeError):
    """A server did not come up; the message ends with its log."""


def free_port() -> int:
    """Return a port of the loopback interface that nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class MlflowServer:
    """A context manager around ``mlflow server``: SQLite or a given database, artifacts on local disk, one worker, no
    jobs.

    Args:
        directory: Where database, artifacts and log are; may hold those of an earlier server.
        python: The Python whose MLflow serves.
        serve_artifacts: True: clients reach artifacts through the server (``mlflow-artifacts:``).
            False: they reach the local directory themselves.
        backend_uri: A database, of any dialect, in place of `database`; needs its driver in that Python.
        databases: Gives the empty database if ``directory`` has none; without it the server makes its own, slowly.
        env: Further environment variables.
        options: Further options of ``mlflow server``.
    """

    def __init__(
        self,
        directory: Path,
        *,
        python: str = SERVER_PYTHON,
        serve_artifacts: bool = True,
        backend_uri: str = "",
        databases: EmptyDatabases | None = None,
        env: dict[str, str] | None = None,
        options: tuple[str, ...] = (),
    ) -> None:
        self.directory = directory
        self.python = python
        self.serve_artifacts = serve_artifacts
        self.uri = ""
        self.version = ""
        self._backend_uri = backend_uri
        self._databases = databases
        self._env = env or {}
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def database(self) -> Path:
        """The SQLite file; not there with a given ``backend_uri``."""
        return self.directory / "mlflow.db"

    @property
    def artifacts(self) -> Path:
        """The directory that holds all artifacts."""
        return self.directory / "artifacts"

    @property
    def log_path(self) -> Path:
        """What the server printed, the access log included."""
        return self.directory / "server.log"

    @property
    def log(self) -> str:
        """The text of the log so far."""
        return self.log_path.read_text(encoding="utf-8", errors="replace") if self.log_path.exists() else ""

    def start(self) -> MlflowServer:
        """Start the server and wait until it answers.

        Raises:
            ServerFailedError: It ended, or did not answer in time.
        """
        self.artifacts.mkdir(parents=True, exist_ok=True)
        if self._databases is not None and not self._backend_uri and not self.database.exists():
            root = "mlflow-artifacts:/" if self.serve_artifacts else str(self.artifacts)
            self._databases.copy_to(self.database, self.python, root)
        port = free_port()
        self.uri = f"http://127.0.0.1:{port}"
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                ["sh", "-c", WITH_ITS_STARTER, "sh", *self._command(port)],
                cwd=self.directory,
                env=self._environment(),
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.PIPE,
                start_new_session=True,
            )
        try:
            self.version = self._wait()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """End the server and everything it started; may be called twice."""
        process, self._process = self._process, None
        if process is None:
            return
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(STOP_SECONDS)
            if process.poll() is not None and not self._group_alive(process.pid):
                break
        if process.stdin is not None:
            process.stdin.close()

    def __enter__(self) -> MlflowServer:
        return self if self._process is not None else self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @staticmethod
    def _group_alive(group: int) -> bool:
        """Tell whether a process of the group is left; gives the last ones a moment to go."""
        for _ in range(20):
            try:
                os.killpg(group, 0)
            except (ProcessLookupError, PermissionError):
                return False
            time.sleep(0.1)
        return True

    def _command(self, port: int) -> list[str]:
        artifacts = (
            ["--serve-artifacts", "--artifacts-destination", str(self.artifacts)]
            if self.serve_artifacts
            else ["--no-serve-artifacts", "--default-artifact-root", str(self.artifacts)]
        )
        backend = ["--backend-store-uri", with_driver(self._backend_uri) or f"sqlite:///{self.database}"]
        address = ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
        return [self.python, "-m", "mlflow", "server", *backend, *artifacts, *address, *self._options]

    def _environment(self) -> dict[str, str]:
        env = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "_MLFLOW_"))}
        if self.python != sys.executable:
            env.pop("PYTHONPATH", None)
        env["PATH"] = os.pathsep.join([str(Path(self.python).parent), env.get("PATH", "")])
        env.update(
            MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false",
            MLFLOW_DISABLE_TELEMETRY="true",
            # Webhooks of tests point to this machine, and their secrets must survive a restart.
            MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS="true",
            MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY=WEBHOOK_KEY,
            PYTHONUNBUFFERED="1",
            PYTHONWARNINGS="ignore",
        )
        return env | self._env

    def _wait(self) -> str:
        process = self._process
        assert process is not None
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            if process.poll() is not None:
                raise ServerFailedError(f"mlflow server ended with {process.returncode}:\n{self.log[-4000:]}")
            try:
                with urllib.request.urlopen(f"{self.uri}/version", timeout=5) as answer:
                    return str(answer.read().decode()).strip()
            except (urllib.error.URLError, OSError):
                time.sleep(0.2)
        raise ServerFailedError(f"mlflow server did not answer within {READY_SECONDS:.0f} s:\n{self.log[-4000:]}")
