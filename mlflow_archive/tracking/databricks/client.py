"""A `ServerClient` for a Databricks workspace.

Its MLflow API is that of an open-source server but for these differences, which are met here:

- There is no ``/version`` and no ``/ajax-api``.
- The name of an experiment is a path in the workspace, and the folder above must be there: it is made.
- Models called ``catalog.schema.model`` are Unity Catalog's, under other paths (`unity_catalog`).
- Files are read and written by signed addresses, which go without the workspace's credentials.
"""

from __future__ import annotations

import posixpath
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from mlflow_archive.errors import NotAuthorisedError, NotFoundError, UsageError
from mlflow_archive.spec.canonical import JSONObject
from mlflow_archive.spec.kinds import Kind
from mlflow_archive.tracking.databricks.credentials import WorkspaceSender, profile_in
from mlflow_archive.tracking.databricks.unity_catalog import UnityCatalog
from mlflow_archive.tracking.http_client import HttpClient, chunks_of
from mlflow_archive.tracking.paging import objects, text
from mlflow_archive.tracking.sending import Request
from mlflow_archive.tracking.transport import RetryPolicy

#: What the workspace's API is known to have; it tells no version.
_LEVEL = "3.2"
_CREATE_EXPERIMENT = "/api/2.0/mlflow/experiments/create"
_SEARCH_EXPERIMENTS = "/api/2.0/mlflow/experiments/search"
#: Where experiments go that this package makes for itself.
_SHARED = "/Shared/"
_LOCATIONS = "get-download-uri"


class DatabricksClient(HttpClient):
    """Speaks REST with one workspace. See `ServerClient` for what its methods promise.

    Attributes:
        profile: The profile of ``~/.databrickscfg``; None is where the SDK looks.
        version_at: Artifact address -> registered model and version that it was given out for.
    """

    only_kinds = frozenset({Kind.EXPERIMENT, Kind.RUN, Kind.LOGGED_MODEL, Kind.REGISTERED_MODEL})
    """Of traces, prompts and evaluation datasets a workspace has other forms."""

    def __init__(
        self,
        sender: WorkspaceSender,
        *,
        profile: str | None,
        unity_only: bool = False,
        parallelism: int = 8,
        policy: RetryPolicy | None = None,
    ) -> None:
        """Ask the workspace whether it takes the credentials.

        Raises:
            NotAuthorisedError: It does not.
            UnavailableError: Nobody answers.
        """
        self.profile = profile
        self.version_at: dict[str, tuple[str, str]] = {}
        self._folders: set[str] = set()
        self._folders_lock = threading.Lock()
        self._unity = UnityCatalog(self._plain_call, unity_only=unity_only)
        super().__init__(sender.host, sender, parallelism=parallelism, policy=policy)
        self.version = "databricks"

    @classmethod
    def of(cls, uri: str, *, parallelism: int = 8, policy: RetryPolicy | None = None) -> DatabricksClient:
        """Connect to the workspace of a URI; see `profile_in`."""
        profile, unity_only = profile_in(uri)
        sender = WorkspaceSender(profile, parallelism=parallelism)
        return cls(sender, profile=profile, unity_only=unity_only, parallelism=parallelism, policy=policy)

    @property
    def unity(self) -> UnityCatalog:
        """The registry of models called ``catalog.schema.model``."""
        return self._unity

    def call(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, object] | list[tuple[str, str]] | None = None,
        body: JSONObject | None = None,
        workspace: str | None = None,
        repeatable: bool = True,
    ) -> JSONObject:
        """Send one request and return the JSON object of the answer."""
        if path.startswith("/ajax-api/"):
            raise NotFoundError(f"A workspace has no {path}.", code="endpoint_not_found")
        asked = dict(params or {})
        if self._unity.wants(path, body if body is not None else asked):
            answer = self._unity.call(method, path, asked, body)
        else:
            if path == _CREATE_EXPERIMENT and body is not None:
                body = {**body, "name": self._placed(str(body.get("name") or ""))}
            elif path.endswith("/experiments/get-by-name"):
                params = {**asked, "experiment_name": _shared(str(asked.get("experiment_name") or ""))}
            elif path == _SEARCH_EXPERIMENTS and body is not None:
                body = {**body, "order_by": ["name ASC"]}
            answer = self._plain_call(
                method, path, params=params, body=body, workspace=workspace, repeatable=repeatable
            )
        if path == _SEARCH_EXPERIMENTS:
            for row in objects(answer.get("experiments")):
                row["name"] = _unshared(text(row.get("name")))
        if path.endswith(_LOCATIONS):
            self.version_at[str(answer.get("artifact_uri"))] = (str(asked.get("name")), str(asked.get("version")))
        return answer

    @contextmanager
    def fetch(self, address: str, headers: Mapping[str, str], shown: str) -> Iterator[Iterator[bytes]]:
        """Open a file at an address that the workspace signed.

        Args:
            address: It holds a signature, and must be in no message.
            headers: What the workspace wants sent along.
            shown: The file's name, for messages.
        """
        request = Request("GET", address, headers={"Accept-Encoding": "identity", **headers}, stream=True)
        with self._transport.exchange(request) as response:
            chunks = chunks_of(response, shown)
            try:
                yield chunks
            finally:
                chunks.close()

    def make_folder(self, path: str) -> None:
        """Make a folder of the workspace with those above it; one that is there is left alone.

        Raises:
            MlflowArchiveError: The workspace refuses.
        """
        if path in ("", "/"):
            return
        with self._folders_lock:
            if path in self._folders:
                return
        self._plain_call("POST", "/api/2.0/workspace/mkdirs", body={"path": path})
        with self._folders_lock:
            self._folders.add(path)

    def _plain_call(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, object] | list[tuple[str, str]] | None = None,
        body: JSONObject | None = None,
        workspace: str | None = None,
        repeatable: bool = True,
    ) -> JSONObject:
        try:
            return super().call(method, path, params=params, body=body, workspace=workspace, repeatable=repeatable)
        except NotAuthorisedError as error:
            raise self._refused(error) from None

    def _refused(self, error: NotAuthorisedError) -> NotAuthorisedError:
        """Return the error with what helps at a workspace."""
        if error.forbidden and "access token" not in str(error).lower():
            return error
        profile = f"the profile {self.profile!r}" if self.profile else "DATABRICKS_TOKEN or the profile"
        return NotAuthorisedError(f"Databricks refused the credentials for {self.uri}: check {profile}.")

    def _ask_version(self) -> str:
        self._plain_call("POST", _SEARCH_EXPERIMENTS, body={"max_results": 1})
        return _LEVEL

    def _placed(self, name: str) -> str:
        """Return the path of a new experiment, of which the folder is there."""
        path = _shared(name)
        if not path.startswith("/"):
            raise UsageError(
                f"An experiment of a workspace is called by a path, which {name!r} is not: rename it, e.g. by "
                "--experiment-prefix /Shared/.",
                code="experiment_name",
            )
        self.make_folder(posixpath.dirname(path))
        return path


def _shared(name: str) -> str:
    """Return the path of an experiment that this package makes for itself; every other name is a path already."""
    from mlflow_archive.tracking.sinks.versions import CARRIER_EXPERIMENT

    return _SHARED + name if name == CARRIER_EXPERIMENT else name


def _unshared(path: str) -> str:
    name = path.removeprefix(_SHARED)
    return name if _shared(name) == path else path
