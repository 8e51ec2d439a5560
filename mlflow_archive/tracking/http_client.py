"""A `ServerClient` for a server that speaks HTTP."""

from __future__ import annotations

import json
import threading
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from types import MappingProxyType

import requests
from packaging.version import InvalidVersion, Version

from mlflow_archive.errors import MlflowArchiveError, UnavailableError, UsageError
from mlflow_archive.spec.canonical import JSONObject
from mlflow_archive.storage.store import CHUNK_BYTES
from mlflow_archive.tracking.answers import json_object
from mlflow_archive.tracking.sending import (
    MlflowSender,
    Params,
    Request,
    Sender,
    without_credentials,
    workspace_header,
)
from mlflow_archive.tracking.transport import RetryPolicy, Transport, reason_of

#: A server may pass a large upload on to its object store before it answers.
_UPLOAD_TIMEOUT_SECONDS = 3600.0


class HttpClient:
    """Speaks REST with one server. See `ServerClient` for what its methods promise."""

    invented_experiment_ids: frozenset[str] = frozenset()
    artifact_roots: Mapping[str, str] = MappingProxyType({})
    local = False

    def __init__(self, uri: str, sender: Sender, *, parallelism: int, policy: RetryPolicy | None = None) -> None:
        """Ask the server for its version.

        Args:
            uri: The server as a person may see it.
            sender: Sends the requests; closed by this client.
            parallelism: How many requests may be under way at once.
            policy: How stubborn to be.

        Raises:
            UnavailableError: Nobody answers.
            UsageError: Somebody answers who is not an MLflow server.
        """
        self.uri = uri
        self._transport = Transport(sender, uri, parallelism=parallelism, policy=policy or RetryPolicy())
        self._closed = threading.Event()
        try:
            self.version = self._ask_version()
        except BaseException:
            self._transport.close()
            raise
        self._parsed_version = Version(self.version)

    @classmethod
    def at(
        cls,
        uri: str,
        *,
        parallelism: int = 8,
        policy: RetryPolicy | None = None,
        own: Mapping[str, str] | None = None,
    ) -> HttpClient:
        """Connect to an address with the user and password it holds, its own settings, or MLflow's credentials."""
        sender = MlflowSender(uri, parallelism=parallelism, own=own)
        return cls(without_credentials(uri), sender, parallelism=parallelism, policy=policy)

    @property
    def request_count(self) -> int:
        """How many HTTP requests were sent so far, retries included."""
        return self._transport.request_count

    def at_least(self, version: str) -> bool:
        """Tell whether the server is of this MLflow version or a later one; its pre-releases count."""
        return Version(self._parsed_version.base_version) >= Version(version)

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
        headers = workspace_header(workspace)
        data = None
        if body is not None:
            headers["Content-Type"] = "application/json"
            data = json.dumps(body, ensure_ascii=False).encode("utf-8", "surrogatepass")
        request = Request(method, path, _plain(params), data, headers)
        with self._transport.exchange(request, repeatable=repeatable) as response:
            return json_object(response)

    @contextmanager
    def download(
        self, path: str, *, params: Mapping[str, str] | None = None, workspace: str | None = None
    ) -> Iterator[Iterator[bytes]]:
        """Open a streamed GET."""
        headers = {"Accept-Encoding": "identity", **workspace_header(workspace)}
        with self._transport.exchange(Request("GET", path, params, headers=headers, stream=True)) as response:
            chunks = chunks_of(response, path)
            try:
                yield chunks
            finally:
                chunks.close()

    def upload(
        self,
        method: str,
        path: str,
        data: Iterator[bytes] | bytes,
        *,
        headers: Mapping[str, str] | None = None,
        workspace: str | None = None,
    ) -> bytes:
        """Send a streamed body and return the answer's body.

        Args:
            method: ``PUT`` or ``POST``.
            path: Below the server's root, percent-encoded.
            data: The body. An iterator is sent as it comes: with a ``Content-Length`` header as so many bytes,
                else in chunks. What it raises comes out of this call, and the server gets no complete request.
            headers: Further headers.
            workspace: The workspace the request is for.
        """
        sent = {**(headers or {}), **workspace_header(workspace)}
        length = {name.lower(): value for name, value in sent.items()}.get("content-length")
        if not isinstance(data, bytes) and length == "0":
            data = b"".join(data)  # an iterator of no bytes would be sent in chunks
        request = Request(method, path, None, None, sent, timeout_seconds=_UPLOAD_TIMEOUT_SECONDS)
        if isinstance(data, bytes):
            with self._transport.exchange(replace(request, body=data)) as response:
                return response.content
        watched = _Watched(data)
        request = replace(request, body=watched if length is None else _Measured(watched, int(length)))
        try:
            with self._transport.exchange(request, spent=lambda: watched.started) as response:
                return response.content
        except MlflowArchiveError:
            if watched.error is not None:
                raise watched.error from None
            raise

    def close(self) -> None:
        """End the connections; may be called twice."""
        if not self._closed.is_set():
            self._closed.set()
            self._transport.close()

    def _ask_version(self) -> str:
        with self._transport.exchange(Request("GET", "/version")) as response:
            text = response.text.strip()[:50]
        try:
            Version(text)
        except InvalidVersion:
            raise UsageError(
                f"What answers at {self.uri} is not an MLflow server: /version did not give a version. "
                "Give the address that MLFLOW_TRACKING_URI would have.",
                code="not_mlflow",
            ) from None
        return text


def _plain(params: Mapping[str, object] | list[tuple[str, str]] | None) -> Params | None:
    """Return the parameters with booleans as MLflow reads them."""
    if not isinstance(params, Mapping):
        return params
    return {name: str(value).lower() if isinstance(value, bool) else value for name, value in params.items()}


class _Watched:
    """An iterator that remembers whether it was begun, and what it raised.

    Our errors are OSErrors too, which the HTTP library takes for its own and hides.
    """

    def __init__(self, data: Iterator[bytes]) -> None:
        self._data = data
        self.started = False
        self.error: BaseException | None = None

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        self.started = True
        try:
            return next(self._data)
        except StopIteration:
            raise
        except BaseException as error:
            self.error = error
            raise


class _Measured:
    """An iterable that `requests` sends with a length instead of in chunks."""

    def __init__(self, data: Iterator[bytes], size_bytes: int) -> None:
        self._data = data
        self._size_bytes = size_bytes

    def __len__(self) -> int:
        return self._size_bytes

    def __iter__(self) -> Iterator[bytes]:
        sent = 0
        for chunk in self._data:
            sent += len(chunk)
            if sent > self._size_bytes:
                break
            yield chunk
        if sent != self._size_bytes:
            raise UsageError(f"The body was announced with {self._size_bytes} bytes and is not so long.", code="length")


def chunks_of(response: requests.Response, path: str) -> Generator[bytes, None, None]:
    """Yield the body in chunks and see to it that all of it came."""
    announced = response.headers.get("Content-Length", "")
    expected = int(announced) if announced.isdigit() and not response.headers.get("Content-Encoding") else None
    received = 0
    try:
        for chunk in response.iter_content(CHUNK_BYTES):
            received += len(chunk)
            yield chunk
    except requests.RequestException as error:
        raise UnavailableError(
            f"The download of {path} broke off after {received} bytes: {reason_of(error)}."
        ) from None
    if expected is not None and received < expected:
        raise UnavailableError(f"The download of {path} broke off: {received} of {expected} bytes came.")
