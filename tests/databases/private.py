"""A database server of the suite's own: a folder of its own, a port of its own, and an end with whoever started it."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tests.databases.installing import program
from tests.servers.server import WITH_ITS_STARTER, free_port

if TYPE_CHECKING:
    from typing_extensions import Self

READY_SECONDS = 90.0
#: Database servers refuse to be root's; this user owns nothing else.
UNPRIVILEGED = "nobody"
USER, PASSWORD = "mlflow", "not a secret/of anybody"


class DatabaseServerError(RuntimeError):
    """A database server did not come up; the message ends with its log."""


class PrivateServer(ABC):
    """A context manager around one server, of which `new_database` gives out databases.

    Their owner `USER` may do everything in them and nothing beside. Data is lost when the machine stops: nothing is
    ever waited for to be on disk.
    """

    #: As in the URIs of SQLAlchemy.
    dialect: str

    def __init__(self) -> None:
        self.port = 0
        self.folder = Path()
        self._process: subprocess.Popen[bytes] | None = None
        self._number = 0

    @abstractmethod
    def new_database(self) -> str:
        """Make an empty database and return its URI for SQLAlchemy."""

    @abstractmethod
    def copy(self, uri: str) -> str:
        """Make a database that holds what one of this server holds, and return its URI; nobody may be using that."""

    @abstractmethod
    def drop_database(self, uri: str) -> None:
        """Drop a database of this server, and the connections to it."""

    def start(self) -> Self:
        """Make the server, start it, and wait until it answers.

        Raises:
            DatabaseServerError: It is not installed, ended, or did not answer in time.
        """
        # Not below pytest's own folder, which lets nobody but its user pass.
        self.folder = Path(tempfile.mkdtemp(prefix=f"mlflow-archive-{self.dialect}-"))
        try:
            (self.folder / "temporary").mkdir()
            if os.geteuid() == 0:
                for folder in (self.folder, self.folder / "temporary"):
                    shutil.chown(folder, UNPRIVILEGED)
            self._make()
            self.port = free_port()
            with self._log_path.open("ab") as log:
                self._process = subprocess.Popen(
                    ["sh", "-c", WITH_ITS_STARTER, "sh", *self._command()],
                    cwd=self.folder,
                    env=self._environment(),
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    stdin=subprocess.PIPE,
                    start_new_session=True,
                    **_as_whom(),
                )
            self._wait()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """End the server and remove its folder; may be called twice."""
        process, self._process = self._process, None
        if process is not None:
            self._end()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(5)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            assert process.stdin is not None
            process.stdin.close()
        for _ in range(50):
            shutil.rmtree(self.folder, ignore_errors=True)
            if not self.folder.exists():
                return
            time.sleep(0.1)

    def __enter__(self) -> Self:
        return self if self._process is not None else self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def log(self) -> str:
        """The text of the log so far."""
        return self._log_path.read_text(encoding="utf-8", errors="replace") if self._log_path.exists() else ""

    @property
    def _log_path(self) -> Path:
        return self.folder / "server.log"

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    @abstractmethod
    def _make(self) -> None:
        """Make the data folder."""

    @abstractmethod
    def _command(self) -> list[str]:
        """Return the command that runs the server."""

    @abstractmethod
    def _prepare(self) -> None:
        """Connect, and make the owner of databases; raises `OSError` as long as nobody answers."""

    @abstractmethod
    def _end(self) -> None:
        """Ask the server to end at once; nothing of it is needed any more."""

    def _environment(self) -> dict[str, str]:
        others = ("PG", "MYSQL", "MARIADB", "LC_")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(others)}
        # Servers that share a folder for temporary files delete each other's when they start.
        return {**kept, "LANG": "C.UTF-8", "HOME": str(self.folder), "TMPDIR": str(self.folder / "temporary")}

    def _next_name(self) -> str:
        self._number += 1
        return f"db{self._number}"

    def _name_of(self, uri: str) -> str:
        parts = urlsplit(uri)
        assert parts.port == self.port, "a database of another server"
        return parts.path.lstrip("/")

    def _run(self, command: Sequence[str | Path]) -> None:
        """Run one of the server's programs as the server's user."""
        done = subprocess.run(
            [str(part) for part in command],
            cwd=self.folder,
            env=self._environment(),
            capture_output=True,
            text=True,
            check=False,
            **_as_whom(),
        )
        if done.returncode != 0:
            raise DatabaseServerError(f"{command[0]} failed:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")

    def _wait(self) -> None:
        process = self._process
        assert process is not None
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            if process.poll() is not None:
                break
            try:
                return self._prepare()
            except OSError:
                time.sleep(0.1)
        raise DatabaseServerError(f"The server of {self.dialect} is not there:\n{self.log[-4000:]}")


def needed(name: str) -> Path:
    """Return where a program of a database server is.

    Raises:
        DatabaseServerError: It is not installed.
    """
    found = program(name)
    if found is None:
        how = "run 'python -m tests.storage.emulators.installing' in the checkout"
        raise DatabaseServerError(f"The tests need the program {name!r}, which is not installed: {how}.")
    return found


def _as_whom() -> dict[str, object]:
    return {"user": UNPRIVILEGED, "extra_groups": []} if os.geteuid() == 0 else {}
