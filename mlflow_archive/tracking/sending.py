"""How one HTTP request leaves this process: with MLflow's own credentials, or to the private server of a child.

Both raise `requests` exceptions only (or an error of ours that the request's body raised), so that the retries
above them need to know nothing else.
"""

from __future__ import annotations

import base64
import itertools
import os
import socket
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit, urlunsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from mlflow_archive.errors import UsageError
from mlflow_archive.tracking.settings import host_credentials

#: Query parameters, in the two forms that `requests` takes.
Params = Mapping[str, object] | Sequence[tuple[str, str]]
#: A request's body.
Body = bytes | Iterable[bytes] | None

_WORKSPACE_HEADER = "X-MLFLOW-WORKSPACE"
#: MLflow's header plugins are asked again after so long; those that hand out tokens renew them in time.
HEADER_SECONDS = 10.0
#: MLflow keeps one session for each set of retry codes; numbers that no server answers make ours private.
_PRIVATE_CODES = itertools.count(10_000)


@dataclass(frozen=True, slots=True)
class Request:
    """One request, as often as it may be sent.

    Attributes:
        method: The HTTP method.
        path: Below the server's root, percent-encoded.
        params: Query parameters.
        body: The body; an iterable is sent as it comes.
        headers: Headers beside those of authentication.
        stream: True if the answer's body is read later, piece by piece.
        timeout_seconds: Without a byte for so long it failed; None is MLflow's own setting.
    """

    method: str
    path: str
    params: Params | None = None
    body: Body = None
    headers: Mapping[str, str] = field(default_factory=dict)
    stream: bool = False
    timeout_seconds: float | None = None


class Sender(Protocol):
    """Sends one request once."""

    def send(self, request: Request) -> requests.Response:
        """Send and return the answer, whatever its status; raises `requests.RequestException`."""
        ...

    def close(self) -> None:
        """End the connections."""
        ...


class MlflowSender:
    """Sends through MLflow's ``http_request``: its authentication, plugins, TLS settings and headers."""

    def __init__(self, uri: str, *, parallelism: int, own: Mapping[str, str] | None = None) -> None:
        """Resolve the credentials for the server; user and password in the URI win over all others.

        Args:
            uri: The server's address.
            parallelism: How many requests may be under way at once.
            own: Its own settings (`mlflow_archive.tracking.settings`); None is MLflow's, of the environment.
        """
        from mlflow.utils.rest_utils import http_request

        parts = urlsplit(uri)
        self._http_request = http_request
        self._credentials = host_credentials(without_credentials(uri), own)
        if parts.username:
            self._credentials.username = unquote(parts.username)
            self._credentials.password = unquote(parts.password or "")
        self._retry_codes = frozenset({next(_PRIVATE_CODES)})
        self._session = self._prepare_session(parallelism)
        self._plain = PlainSending(self._credentials, self._session) if is_plain(self._credentials) else None

    def _prepare_session(self, parallelism: int) -> requests.Session:
        # MLflow's pool holds ten connections and suffers the 40 ms stall; this one only makes it faster, so
        # losing it (MLflow forgets the session after 64 others) does no harm.
        from mlflow.utils.request_utils import _get_request_session

        session: requests.Session = _get_request_session(0, 0, 0.0, self._retry_codes, False, False)
        mount_quick_adapter(session, parallelism)
        return session

    def send(self, request: Request) -> requests.Response:
        """Send through MLflow, without MLflow's retries."""
        from mlflow.exceptions import MlflowException

        extra = dict(request.headers)
        if _workspace_in_environment():
            # Without a header of ours MLflow would add the environment's workspace; empty means the default one.
            extra.setdefault(_WORKSPACE_HEADER, "")
        if self._plain is not None:
            return self._plain.send(request, extra)
        try:
            response: requests.Response = self._http_request(
                self._credentials,
                request.path,
                request.method,
                max_retries=0,
                backoff_factor=0,
                backoff_jitter=0.0,
                retry_codes=self._retry_codes,
                raise_on_status=False,
                respect_retry_after_header=False,
                extra_headers=extra,
                timeout=request.timeout_seconds,
                params=request.params,
                data=request.body,
                stream=request.stream,
            )
        except MlflowException as error:
            raise _cause(error) from None
        return response

    def close(self) -> None:
        """End the connections; MLflow makes new ones should it need the session again."""
        self._session.close()


def is_plain(credentials: Any) -> bool:
    """Tell whether MLflow would add nothing to a request but headers: no signature, no plugin, no Databricks."""
    special = ("use_databricks_sdk", "client_secret", "workspace_id", "aws_sigv4", "auth")
    return not any(getattr(credentials, name, None) for name in special)


class PlainSending:
    """Does what MLflow's ``http_request`` does for a server with basic, bearer or no authentication.

    MLflow asks all its header plugins at each request, of which the one for Databricks alone takes longer than a
    small file (it tries to import what is not there); here they are asked every `HEADER_SECONDS`.
    """

    def __init__(self, credentials: Any, session: requests.Session) -> None:
        """Send through ``session``, which stays the caller's to close."""
        self._host = str(credentials.host).rstrip("/")
        self._session = session
        self._verify = credentials.verify
        self._certificate = credentials.client_cert_path
        self._authorization = _authorization(credentials)
        self._headers: dict[str, str] = {}
        self._asked = float("-inf")

    def send(self, request: Request, extra_headers: Mapping[str, str]) -> requests.Response:
        """Send once; raises `requests.RequestException`, or what the body raised."""
        from mlflow.environment_variables import MLFLOW_HTTP_REQUEST_TIMEOUT

        timeout = request.timeout_seconds
        return self._session.request(
            request.method,
            self._host + request.path,
            params=request.params,  # type: ignore[arg-type]  # values of any type are turned into strings by requests
            data=request.body,
            headers={**self._provided(), **extra_headers, **self._authorization},
            stream=request.stream,
            timeout=MLFLOW_HTTP_REQUEST_TIMEOUT.get() if timeout is None else timeout,
            verify=self._verify,
            cert=self._certificate,
            allow_redirects=os.environ.get("MLFLOW_ALLOW_HTTP_REDIRECTS", "true").lower() in ("true", "1"),
        )

    def _provided(self) -> dict[str, str]:
        now = time.monotonic()
        if now - self._asked > HEADER_SECONDS:
            from mlflow.tracking.request_header.registry import resolve_request_headers

            self._headers = dict(resolve_request_headers())
            self._asked = now
        return self._headers


def _authorization(credentials: Any) -> dict[str, str]:
    if credentials.username and credentials.password:
        pair = f"{credentials.username}:{credentials.password}".encode()
        return {"Authorization": "Basic " + base64.standard_b64encode(pair).decode("ascii")}
    return {"Authorization": f"Bearer {credentials.token}"} if credentials.token else {}


class PrivateSender:
    """Sends to a server of our own on this machine: bearer token, no proxy, no ``.netrc``, no MLflow import."""

    def __init__(self, uri: str, token: str, *, parallelism: int) -> None:
        """Prepare a session; no connection is made yet."""
        self._uri = uri
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.headers["Authorization"] = f"Bearer {token}"
        mount_quick_adapter(self._session, parallelism)

    def send(self, request: Request) -> requests.Response:
        """Send to the private server."""
        return self._session.request(
            request.method,
            self._uri + request.path,
            params=request.params,  # type: ignore[arg-type]  # values of any type are turned into strings by requests
            data=request.body,
            headers=dict(request.headers),
            stream=request.stream,
            timeout=request.timeout_seconds,
        )

    def close(self) -> None:
        """End the connections."""
        self._session.close()


def without_credentials(uri: str) -> str:
    """Return the address without user, password, query and trailing slash: what a person may see."""
    parts = urlsplit(uri)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme.lower(), host, parts.path.rstrip("/"), "", ""))


def workspace_header(workspace: str | None) -> dict[str, str]:
    """Return the header that directs a request to a workspace; none for the default one."""
    return {} if workspace is None else {_WORKSPACE_HEADER: workspace}


def _workspace_in_environment() -> bool:
    try:
        from mlflow.utils.workspace_context import get_request_workspace
    except ImportError:
        return False
    return get_request_workspace() is not None


def _cause(error: BaseException) -> Exception:
    """Return what really went wrong below an exception of MLflow's: what the request or its body raised."""
    inner: BaseException | None = error.__cause__ or error.__context__
    if inner is None:
        return UsageError(f"MLflow could not send the request: {error}", code="client")
    return inner if isinstance(inner, Exception) else RuntimeError("the request was interrupted")


class _QuickConnection(HTTPConnection):
    def getresponse(self) -> Any:
        _acknowledge_quickly(self.sock)
        return super().getresponse()


class _QuickTLSConnection(HTTPSConnection):
    def getresponse(self) -> Any:
        _acknowledge_quickly(self.sock)
        return super().getresponse()


class _QuickPool(HTTPConnectionPool):
    ConnectionCls = _QuickConnection


class _QuickTLSPool(HTTPSConnectionPool):
    ConnectionCls = _QuickTLSConnection


class _QuickAdapter(HTTPAdapter):
    """An adapter whose connections do not wait 40 ms for a server's second packet.

    A server that sends head and body in two packets without TCP_NODELAY (MLflow's, with several workers) waits for
    the acknowledgement of the first, which Linux delays by 40 ms. The kernel forgets the option, hence each time.
    """

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **pool_options: Any) -> None:
        super().init_poolmanager(connections, maxsize, block, **pool_options)
        self.poolmanager.pool_classes_by_scheme = {"http": _QuickPool, "https": _QuickTLSPool}


def mount_quick_adapter(session: requests.Session, parallelism: int) -> None:
    """Give the session a pool for ``parallelism`` connections that acknowledge quickly."""
    adapter = _QuickAdapter(pool_connections=4, pool_maxsize=max(1, parallelism), max_retries=0)
    session.mount("http://", adapter)
    session.mount("https://", adapter)


def _acknowledge_quickly(sock: Any) -> None:
    option = getattr(socket, "TCP_QUICKACK", None)
    if option is not None and sock is not None:
        sock.setsockopt(socket.IPPROTO_TCP, option, 1)
