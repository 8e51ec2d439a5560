"""A SQLite store without a server: a private MLflow server in a child process, on this machine, for us alone.

A source is copied first and the copy is opened, because MLflow migrates what it opens; the original keeps every byte.
A target is opened itself.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import weakref
from pathlib import Path
from typing import Any

from mlflow_archive.errors import (
    MlflowArchiveError,
    NotAuthorisedError,
    UnavailableError,
    UnsupportedError,
    UsageError,
)
from mlflow_archive.tracking.http_client import HttpClient
from mlflow_archive.tracking.sending import PrivateSender
from mlflow_archive.tracking.sqlite_file import (
    DatabaseFacts,
    copy_database,
    read_experiment_ids,
    read_facts,
)
from mlflow_archive.tracking.transport import RetryPolicy

_END_SECONDS = 10.0


class EmbeddedClient(HttpClient):
    """The client of a private server; closing it ends the server and removes the copy.

    Attributes:
        invented_experiment_ids: Experiments that MLflow made when it opened our copy; the original has none of them.
        artifact_roots: Relative paths begin where the database is. Behind ``mlflow-artifacts:`` is the folder that
            ``mlflow server`` makes beside its database, if it is there.
    """

    local = True

    def __init__(
        self, path: Path, *, read_only: bool, parallelism: int = 8, work_directory: Path | None = None
    ) -> None:
        """Start the server.

        Args:
            path: The SQLite file.
            read_only: True for a source: work on a copy. False for a target: open the file, make it if need be.
            parallelism: How many requests may be under way at once.
            work_directory: Where the private folder with the copy is made; by default the system's temporary folder.

        Raises:
            NotFoundError: A source that is not there.
            UsageError: The file is not an MLflow database.
            UnsupportedError: Its schema is newer than the installed MLflow's; or older, for a target.
            UnavailableError: It cannot be read, or the server did not come up.
        """
        path = path.absolute()
        self._folder = path.parent
        self.artifact_roots = _artifact_roots(self._folder)
        facts = _facts(path, read_only=read_only)
        self._scratch = _private_folder(work_directory)
        self._end_scratch = weakref.finalize(self, shutil.rmtree, self._scratch, ignore_errors=True)
        try:
            database = path
            if read_only:
                database = self._scratch / "copy.db"
                copy_database(path, database)
            self._child, port, token = _start(database, self._scratch, self._environment(database, facts, read_only))
            self._end_child = weakref.finalize(self, _end, self._child)
            sender = PrivateSender(f"http://127.0.0.1:{port}", token, parallelism=parallelism)
            super().__init__(
                f"sqlite:///{path}", sender, parallelism=parallelism, policy=RetryPolicy(timeout_seconds=600)
            )
            if read_only and facts is not None:
                self.invented_experiment_ids = read_experiment_ids(database) - facts.experiment_ids
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End the server and remove the copy; may be called twice."""
        if hasattr(self, "_transport"):
            super().close()
        if hasattr(self, "_end_child"):
            self._end_child()
        self._end_scratch()

    def _environment(self, database: Path, facts: DatabaseFacts | None, read_only: bool) -> dict[str, str]:
        environment = {name: value for name, value in os.environ.items() if not _is_for_another_server(name)}
        environment.update(
            PYTHONPATH=_python_path(),
            PYTHONUNBUFFERED="1",
            MLFLOW_DISABLE_TELEMETRY="true",
            MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false",
            # The token guards better, and no browser is meant to come.
            MLFLOW_SERVER_DISABLE_SECURITY_MIDDLEWARE="true",
            _MLFLOW_SERVER_FILE_STORE=f"sqlite:///{database}",
            _MLFLOW_SERVER_ARTIFACT_ROOT=str((self._scratch if read_only else self._folder) / "mlruns"),
        )
        if facts is not None and facts.workspaces:
            environment["MLFLOW_ENABLE_WORKSPACES"] = "true"
        destination = self.artifact_roots.get("mlflow-artifacts:/")
        if destination is not None:
            environment["_MLFLOW_SERVER_SERVE_ARTIFACTS"] = "true"
            environment["_MLFLOW_SERVER_ARTIFACT_DESTINATION"] = destination
        return environment


def _artifact_roots(folder: Path) -> dict[str, str]:
    roots = {"./": str(folder), "mlruns": str(folder / "mlruns"), "mlartifacts": str(folder / "mlartifacts")}
    destination = folder / "mlartifacts"
    return {**roots, "mlflow-artifacts:/": str(destination)} if destination.is_dir() else roots


def _facts(path: Path, *, read_only: bool) -> DatabaseFacts | None:
    if not read_only:
        if not path.parent.is_dir():
            raise UsageError(f"There is no folder {path.parent} for the database {path.name}: make it first.")
        if not os.access(path if path.exists() else path.parent, os.W_OK):
            raise NotAuthorisedError(f"There is no permission to write {path}: check the rights.")
        if not path.exists() or (path.is_file() and path.stat().st_size == 0):
            return None
    return read_facts(path)


def _private_folder(work_directory: Path | None) -> Path:
    try:
        return Path(tempfile.mkdtemp(prefix="mlflow-archive-", dir=work_directory)).absolute()
    except OSError as error:
        where = work_directory or tempfile.gettempdir()
        raise UsageError(
            f"No private folder can be made in {where}: {error.strerror}.", code="work_directory"
        ) from None


def _start(database: Path, scratch: Path, environment: dict[str, str]) -> tuple[subprocess.Popen[bytes], int, str]:
    """Start the child and wait for its port."""
    token = secrets.token_urlsafe(32)
    log = scratch / "server.log"
    with log.open("wb") as log_file:
        child = subprocess.Popen(
            [sys.executable, "-m", "mlflow_archive.tracking.embedded_server"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log_file,
            cwd=scratch,
            env=environment,
            # Ctrl-C is for us: the server must live until what is under way has been settled.
            start_new_session=True,
        )
    migrate = database.parent == scratch
    order = {"database": str(database), "token": token, "migrate": migrate, "scratch": str(scratch)}
    try:
        port = _agree(child, order, log)
    except BaseException:
        _end(child)
        raise
    return child, port, token


def _agree(child: subprocess.Popen[bytes], order: dict[str, object], log: Path) -> int:
    """Give the child its order and return the port it answers with."""
    line = b""
    if child.stdin is not None and child.stdout is not None:
        try:
            child.stdin.write(json.dumps(order).encode() + b"\n")
            child.stdin.flush()
            line = child.stdout.readline()
        except BrokenPipeError:
            line = b""
    if not line:
        tail = log.read_text(encoding="utf-8", errors="replace").strip().rpartition("\n")[2][:500]
        raise UnavailableError(
            f"MLflow could not open {order['database']}: {tail or 'it gave no reason'}.", code="embedded"
        )
    answer: dict[str, Any] = json.loads(line)
    if "error" in answer:
        raise _refusal(str(answer["error"]), str(answer["code"]))
    return int(answer["port"])


def _refusal(message: str, code: str) -> MlflowArchiveError:
    return UnsupportedError(message, code=code)


def _end(child: subprocess.Popen[bytes]) -> None:
    """Close the pipe, upon which the child ends, and see to it that it does."""
    for pipe in (child.stdin, child.stdout):
        if pipe is not None:
            pipe.close()
    try:
        child.wait(_END_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def _python_path() -> str:
    """Return where the child finds what we found: relative entries would mean another folder there."""
    return os.pathsep.join(str(Path(entry or ".").absolute()) for entry in sys.path)


def _is_for_another_server(name: str) -> bool:
    """Tell whether a variable says where and how to reach, or how to run, a server that is not this one."""
    return name.startswith(
        ("MLFLOW_TRACKING_", "MLFLOW_REGISTRY_", "MLFLOW_SERVER_", "_MLFLOW_", "MLFLOW_WORKSPACE", "MLFLOW_EXPERIMENT_")
    ) or name in (
        "MLFLOW_RUN_ID",
        "MLFLOW_BACKEND_STORE_URI",
        "MLFLOW_ARTIFACTS_DESTINATION",
        "prometheus_multiproc_dir",
    )
