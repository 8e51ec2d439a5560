"""A store without a server: a private MLflow server in a child process, on this machine, for us alone.

MLflow migrates what it opens. So a SQLite file that is only read is copied first and the copy is opened; the original
keeps every byte. A target is opened itself, if its schema is the installed MLflow's or it is empty. Of other databases
there is no copy: what is only read there is opened through connections that cannot write, and in place of an empty one
a new SQLite file is.
"""

from __future__ import annotations

import os
import secrets
import shutil
import weakref
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

from mlflow_archive.errors import NotAuthorisedError, UsageError
from mlflow_archive.tracking.child import end, environment_of, private_folder, start
from mlflow_archive.tracking.http_client import HttpClient
from mlflow_archive.tracking.sending import PrivateSender
from mlflow_archive.tracking.sqlite_file import DatabaseFacts, copy_database, read_experiment_ids, read_facts
from mlflow_archive.tracking.transport import RetryPolicy

if TYPE_CHECKING:
    from mlflow_archive.tracking.database.addresses import DatabaseAddress

_SERVER = "mlflow_archive.tracking.embedded_server"
_PROXY = "mlflow-artifacts:/"


class EmbeddedClient(HttpClient):
    """The client of a private server; closing it ends the server and removes the copy.

    Attributes:
        invented_experiment_ids: Experiments that MLflow made when it opened our copy; the original has none of them.
        artifact_roots: Of a SQLite file: relative paths begin where it is, and behind ``mlflow-artifacts:`` is the
            folder that ``mlflow server`` makes beside it, if it is there. Other databases tell nothing.
        needs_destination: New experiments get addresses ``mlflow-artifacts:/...``, and nothing here says where those
            lead.
    """

    local = True
    needs_destination = False

    def __init__(
        self,
        database: Path | DatabaseAddress,
        *,
        read_only: bool,
        parallelism: int = 8,
        work_directory: Path | None = None,
    ) -> None:
        """Start the server.

        Args:
            database: A SQLite file, or the address of another database.
            read_only: True for what must not be changed. False for a target: open it, make it if need be.
            parallelism: How many requests may be under way at once.
            work_directory: Where the private folder with a copy is made; by default the system's temporary folder.

        Raises:
            NotFoundError: A SQLite file to read that is not there.
            UsageError: It is not an MLflow database.
            UnsupportedError: Its schema is newer than the installed MLflow's; or older, and it must not be migrated.
            NotAuthorisedError: The database refuses the user.
            UnavailableError: It cannot be read, or the server did not come up.
        """
        self._scratch = private_folder(work_directory)
        self._end_scratch = weakref.finalize(self, shutil.rmtree, self._scratch, ignore_errors=True)
        try:
            if isinstance(database, Path):
                store = _file_store(database.absolute(), self._scratch, read_only=read_only)
            else:
                store = _database_store(database, self._scratch, read_only=read_only)
            self.artifact_roots = store.artifact_roots
            self.needs_destination = store.artifact_root == _PROXY
            token = secrets.token_urlsafe(32)
            self._child, answer = start(
                _SERVER,
                {"uri": store.uri, "shown": store.shown, "token": token, "migrate": store.migrate},
                subject=store.shown,
                scratch=self._scratch,
                environment=_environment(store),
                hidden=store.hidden,
            )
            self._end_child = weakref.finalize(self, end, self._child)
            sender = PrivateSender(f"http://127.0.0.1:{int(answer['port'])}", token, parallelism=parallelism)
            super().__init__(store.shown, sender, parallelism=parallelism, policy=RetryPolicy(timeout_seconds=600))
            if store.copy is not None and store.facts is not None:
                self.invented_experiment_ids = read_experiment_ids(store.copy) - store.facts.experiment_ids
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


@dataclass(frozen=True)
class _Store:
    """What the child opens.

    Attributes:
        uri: For MLflow, with a password; goes over standard input alone.
        shown: For people.
        artifact_root: Where the artifacts of new experiments are.
        artifact_roots: As of `EmbeddedClient`.
        migrate: Whether it may be brought to the installed MLflow's schema: it is our copy.
        facts: What was seen of it; None if it is empty.
        copy: The file with our copy.
        hidden: What must be in no message.
    """

    uri: str
    shown: str
    artifact_root: str
    artifact_roots: dict[str, str]
    migrate: bool = False
    facts: DatabaseFacts | None = None
    copy: Path | None = None
    hidden: tuple[str, ...] = ()


def _file_store(path: Path, scratch: Path, *, read_only: bool) -> _Store:
    facts = _facts(path, read_only=read_only)
    roots = sqlite_artifact_roots(path.parent)
    shown = f"sqlite:///{path}"
    if not read_only:
        return _Store(shown, shown, str(path.parent / "mlruns"), roots, facts=facts)
    copy = scratch / "copy.db"
    copy_database(path, copy)
    return _Store(f"sqlite:///{copy}", shown, str(scratch / "mlruns"), roots, migrate=True, facts=facts, copy=copy)


def _database_store(address: DatabaseAddress, scratch: Path, *, read_only: bool) -> _Store:
    from mlflow_archive.tracking.database.looking import look, without_writing

    facts = look(address)
    if read_only and facts is None:
        return _Store(f"sqlite:///{scratch / 'empty.db'}", address.shown, _PROXY, {})
    url = without_writing(address) if read_only else address.url
    password = str(address.url.password or "")
    hidden = tuple({password, quote(password, safe=""), quote_plus(password)} - {""})
    uri = url.render_as_string(hide_password=False)
    return _Store(uri, address.shown, _PROXY, {}, facts=facts, hidden=hidden)


def sqlite_artifact_roots(folder: Path) -> dict[str, str]:
    """Return where the paths of a server lead that was started in a folder and keeps its database there."""
    roots = {"./": str(folder), "mlruns": str(folder / "mlruns"), "mlartifacts": str(folder / "mlartifacts")}
    destination = folder / "mlartifacts"
    return {**roots, _PROXY: str(destination)} if destination.is_dir() else roots


def _facts(path: Path, *, read_only: bool) -> DatabaseFacts | None:
    if not read_only:
        if not path.parent.is_dir():
            raise UsageError(f"There is no folder {path.parent} for the database {path.name}: make it first.")
        if not os.access(path if path.exists() else path.parent, os.W_OK):
            raise NotAuthorisedError(f"There is no permission to write {path}: check the rights.")
        if not path.exists() or (path.is_file() and path.stat().st_size == 0):
            return None
    return read_facts(path)


def _environment(store: _Store) -> dict[str, str]:
    own = {
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        # The token guards better, and no browser is meant to come.
        "MLFLOW_SERVER_DISABLE_SECURITY_MIDDLEWARE": "true",
        "_MLFLOW_SERVER_ARTIFACT_ROOT": store.artifact_root,
    }
    if store.facts is not None and store.facts.workspaces:
        own["MLFLOW_ENABLE_WORKSPACES"] = "true"
    destination = store.artifact_roots.get(_PROXY)
    if destination is not None:
        own["_MLFLOW_SERVER_SERVE_ARTIFACTS"] = "true"
        own["_MLFLOW_SERVER_ARTIFACT_DESTINATION"] = destination
    return environment_of(own)
