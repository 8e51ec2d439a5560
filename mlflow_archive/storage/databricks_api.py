"""Requests to a Databricks workspace: credentials by its SDK, everything else by our own hands.

The SDK finds the credentials (options, ``DATABRICKS_*``, ``~/.databrickscfg``, cloud identities) and renews them.
The requests are ours, because the SDK repeats blocks that may have been written already, and knows no ranges.
"""

from __future__ import annotations

import importlib.util
import json
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, BinaryIO, TypeVar

import requests
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt

from mlflow_archive.errors import (
    ConflictError,
    MlflowArchiveError,
    NotAuthorisedError,
    NotFoundError,
    UnavailableError,
    UnsupportedError,
    UsageError,
)
from mlflow_archive.storage.databricks_profile import configuration

_T = TypeVar("_T")

#: What of a ``--storage-option`` has a meaning here; all else comes from where the SDK looks.
OPTIONS = ("host", "token", "profile")
#: The Files API takes ten requests at a time from one user, DBFS some thirty a second.
_MOST_AT_ONCE = 8
_CONNECT_SECONDS, _READ_SECONDS = 10.0, 120.0
_SHORTEST_IN_PARTS = 8 << 20
_LONGEST_RETRY_AFTER_SECONDS = 120.0
_LONGEST_MESSAGE = 200
_ABSENT = frozenset({"RESOURCE_DOES_NOT_EXIST", "NOT_FOUND"})
_EXISTS = frozenset({"RESOURCE_ALREADY_EXISTS", "ALREADY_EXISTS"})


class FaultError(Exception):
    """A request that failed; `told` makes one of our errors of it.

    Attributes:
        status: HTTP status, 0 if there was no answer.
        code: Databricks' ``error_code``, empty if it gave none.
        said: A reason for people, without credentials.
        hopeful: True if the same request may succeed later.
    """

    def __init__(self, status: int, code: str, said: str, *, hopeful: bool, pause_seconds: float | None = None) -> None:
        """See the class; ``pause_seconds`` is what the server asked for."""
        super().__init__(said)
        self.status = status
        self.code = code
        self.said = said
        self.hopeful = hopeful
        self.pause_seconds = pause_seconds

    @property
    def absent(self) -> bool:
        """True if the object is not there; a 404 that does not come from Databricks' API says nothing of it."""
        return self.code in _ABSENT

    @property
    def exists(self) -> bool:
        """True if something is where nothing was to be."""
        return self.status == 409 or self.code in _EXISTS


@dataclass(frozen=True, slots=True)
class Patience:
    """How often a request is sent at most, and the pauses between; half of a pause is chance."""

    attempts: int = 6
    first_pause_seconds: float = 0.5
    longest_pause_seconds: float = 15.0
    sleep: Callable[[float], None] = field(default=time.sleep, compare=False)


class DatabricksApi:
    """A workspace; safe to use from several threads. Nothing is asked of it before the first request.

    Args:
        options: ``host``, ``token``, ``profile``; what is missing comes from the environment and ``~/.databrickscfg``.
        patience: How stubborn it is.

    Raises:
        UsageError: There is an option without a meaning.
        UnsupportedError: databricks-sdk is not installed.
    """

    def __init__(self, options: Mapping[str, object], *, patience: Patience | None = None) -> None:
        """See the class."""
        unknown = sorted(set(options) - set(OPTIONS))
        if unknown:
            raise UsageError(f"DBFS has no storage option {unknown[0]!r}; it has {', '.join(OPTIONS)}.")
        _require_sdk()
        self._options = {name: str(value) for name, value in options.items()}
        self._patience = patience or Patience()
        self._permits = threading.BoundedSemaphore(_MOST_AT_ONCE)
        self._lock = threading.Lock()
        self._config: Any = None
        self._workspace: Any = None
        self._session: requests.Session | None = None

    def call(
        self, verb: str, path: str, *, query: Mapping[str, Any] | None = None, body: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Send a request until it succeeds or there is no hope; return the JSON of the answer.

        Raises:
            FaultError: It failed.
        """
        return self.repeat(lambda: self.once(verb, path, query=query, body=body))

    def once(
        self, verb: str, path: str, *, query: Mapping[str, Any] | None = None, body: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Send a request one time; return the JSON of the answer."""
        with self.send(verb, path, query=query, json=body) as response:
            if not response.content:
                return {}
            with suppress(ValueError):
                answer = response.json()
                if isinstance(answer, dict):
                    return answer
        raise _no_workspace()

    def send(
        self,
        verb: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        **body: Any,
    ) -> requests.Response:
        """Send a request one time; return the answer, which the caller closes, if it is no error.

        Args:
            verb: HTTP method.
            path: From the root of the host; already quoted.
            query: Parameters.
            headers: More headers.
            **body: ``json``, ``data`` or ``stream``, as requests has them.
        """
        session, host = self._ready()
        try:
            with self._permits:
                response = session.request(
                    verb,
                    f"{host}{path}",
                    params=query,
                    headers=headers,
                    timeout=(_CONNECT_SECONDS, _READ_SECONDS),
                    allow_redirects=False,
                    **body,
                )
        except requests.RequestException as error:
            raise broken(error) from None
        if response.status_code < 300:
            return response
        with response:
            raise self._refusal(response)

    def repeat(self, attempt: Callable[[], _T]) -> _T:
        """Return what an attempt returns, which is made again as long as there is hope."""
        patience = self._patience

        def pause(state: RetryCallState) -> float:
            error = state.outcome.exception() if state.outcome is not None else None
            asked = error.pause_seconds if isinstance(error, FaultError) else None
            own: float = min(
                patience.first_pause_seconds * 2 ** (state.attempt_number - 1), patience.longest_pause_seconds
            )
            return max(asked or 0.0, own * (0.5 + random.random() / 2))  # noqa: S311  (chance, not secrecy)

        return Retrying(
            stop=stop_after_attempt(patience.attempts),
            wait=pause,
            retry=retry_if_exception(lambda error: isinstance(error, FaultError) and error.hopeful),
            sleep=patience.sleep,
            reraise=True,
        )(attempt)

    def upload(self, path: str, stream: BinaryIO, *, overwrite: bool, part_bytes: int) -> None:
        """Send a file of any size to a Unity Catalog volume in pieces, by the SDK; blocks until it is there.

        Never in parallel: a stream that raises would leave the SDK's threads waiting for ever.
        """
        self._ready()
        files = self._workspace.files
        try:
            files.upload(path, stream, overwrite=overwrite, part_size=part_bytes, use_parallel=False)
        except (OSError, ValueError, RuntimeError) as error:
            raise _fault_of_sdk(error) from None

    def close(self) -> None:
        """End the connections."""
        with self._lock:
            if self._session is not None:
                self._session.close()

    def _ready(self) -> tuple[requests.Session, str]:
        with self._lock:
            if self._session is None:
                self._config, self._workspace = _log_in(self._options)
                self._session = self._connected()
            return self._session, str(self._config.host).rstrip("/")

    def _connected(self) -> requests.Session:
        session = requests.Session()
        session.headers["Accept-Encoding"] = "identity"  # a size must be the file's
        session.auth = self._sign
        adapter = requests.adapters.HTTPAdapter(pool_maxsize=2 * _MOST_AT_ONCE)
        session.mount("https://", adapter)
        session.mount("http://", adapter)
        return session

    def _sign(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        try:
            headers = dict(self._config.authenticate())
        except (OSError, ValueError, RuntimeError):
            said = "the credentials could not be renewed"
            raise FaultError(401, "", said, hopeful=False) from None
        if any(not value.isprintable() for value in headers.values()):
            raise FaultError(401, "", "the token has characters that no token has", hopeful=False)
        if self._config.workspace_id:
            headers["X-Databricks-Workspace-Id"] = str(self._config.workspace_id)
        request.headers.update(headers)
        return request

    def _refusal(self, response: requests.Response) -> FaultError:
        status = response.status_code
        if status < 400:
            return _no_workspace()
        code, message = "", ""
        with suppress(ValueError, requests.RequestException):
            answer = json.loads(response.content)
            if isinstance(answer, dict):
                code, message = str(answer.get("error_code") or ""), str(answer.get("message") or "")
        if status == 404 and not code and response.request.method == "HEAD":
            code = "NOT_FOUND"
        hopeful = status in (408, 429) or (status >= 500 and status != 501)
        pause = _retry_after_seconds(response)
        if pause is not None and pause > _LONGEST_RETRY_AFTER_SECONDS:
            hopeful = False
        secret = str(response.request.headers.get("Authorization", "")).rpartition(" ")[2]
        said = _first_line(message.replace(secret, "***") if secret else message)
        if not said:
            said = _no_workspace().said if status == 404 and not code else f"the workspace answers {status}"
        return FaultError(status, code, said, hopeful=hopeful, pause_seconds=pause)


@contextmanager
def told(place: str, *, writing: bool = False) -> Iterator[None]:
    """Turn a `FaultError` into one of our errors.

    Args:
        place: URL of the object, for the sentence.
        writing: True where a missing folder is a fault of the store and not an absent object.
    """
    try:
        yield
    except FaultError as fault:
        raise _meaning(fault, place, writing=writing) from None


def broken(error: requests.RequestException) -> FaultError:
    """Return the fault of a connection that broke; never with the exception's own words, which may hold a secret."""
    text = repr(error)
    for sign, said in _REASONS:
        if sign in text:
            return FaultError(0, "", said, hopeful=sign not in _HOPELESS)
    said = "no answer in time" if isinstance(error, requests.Timeout) else "the connection broke"
    return FaultError(0, "", said, hopeful=not isinstance(error, (ValueError, requests.exceptions.InvalidHeader)))


_REASONS = (
    ("ProxyError", "the proxy refused the connection"),
    ("CERTIFICATE_VERIFY_FAILED", "the workspace's TLS certificate cannot be verified"),
    ("NameResolutionError", "the workspace's host name is not known"),
    ("Name or service not known", "the workspace's host name is not known"),
    ("Connection refused", "the connection was refused"),
)
_HOPELESS = frozenset({"CERTIFICATE_VERIFY_FAILED"})


def _meaning(fault: FaultError, place: str, *, writing: bool) -> MlflowArchiveError:
    if fault.status == 401 or (fault.status == 403 and "access token" in fault.said):
        return NotAuthorisedError(
            f"Databricks refused the credentials for {place}: {fault.said}; check the token or the profile."
        )
    if fault.status == 403:
        verb = "write" if writing else "read"
        return NotAuthorisedError(f"There is no permission to {verb} {place}: {fault.said}.")
    if fault.exists:
        return ConflictError(f"There is already something at {place}.")
    if fault.absent and not writing:
        return NotFoundError(f"There is no {place}.")
    return UnavailableError(f"{place} could not be {'written' if writing else 'read'}: {fault.said}.")


def _require_sdk() -> None:
    try:
        found = importlib.util.find_spec("databricks.sdk") is not None
    except ModuleNotFoundError:
        found = False
    if not found:
        raise UnsupportedError(
            "The package for dbfs:/ is not installed: run pip install 'mlflow-archive[databricks]'.",
            code="missing_package",
        )


def _log_in(options: Mapping[str, str]) -> tuple[Any, Any]:
    from databricks.sdk import WorkspaceClient

    host = None
    # The SDK's words list the whole configuration, so none of them are shown.
    with suppress(OSError, ValueError, RuntimeError):
        config = configuration(options)
        config.files_ext_multipart_upload_min_stream_size = _SHORTEST_IN_PARTS  # what it reads ahead of every upload
        config.authenticate()
        host = config.host
    if not host:
        profile = f"the profile {options['profile']!r}" if "profile" in options else "a profile"
        raise NotAuthorisedError(
            "There are no credentials for Databricks that work: set DATABRICKS_HOST and DATABRICKS_TOKEN, "
            f"have {profile} in ~/.databrickscfg, or give the storage options host and token.",
            code="no_credentials",
        )
    return config, WorkspaceClient(config=config)


def _fault_of_sdk(error: Exception) -> FaultError:
    from databricks.sdk import errors
    from databricks.sdk.core import DatabricksError

    statuses = {
        errors.Unauthenticated: 401,
        errors.PermissionDenied: 403,
        errors.NotFound: 404,
        errors.ResourceConflict: 409,
    }
    status = next((status for kind, status in statuses.items() if isinstance(error, kind)), 0)
    code = str(getattr(error, "error_code", "") or "")
    said = "the upload was refused" if isinstance(error, DatabricksError) else "the upload broke off"
    return FaultError(status, code, said, hopeful=False)


def _no_workspace() -> FaultError:
    return FaultError(404, "", "no Databricks workspace answers at the host", hopeful=False)


def _first_line(message: str) -> str:
    line = message.strip().splitlines()[0].strip() if message.strip() else ""
    return line[:_LONGEST_MESSAGE].rstrip(". ")


def _retry_after_seconds(response: requests.Response) -> float | None:
    value = response.headers.get("Retry-After", "").strip()
    return float(value) if value.isdigit() else None
