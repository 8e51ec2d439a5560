"""The one narrow face to an MLflow server: raw REST, page by page, with MLflow's own transport.

Authentication, TLS, proxies and headers are MLflow's (`mlflow.utils.rest_utils.http_request` with host credentials
of its own making), passed per client, never through a global URI, so that source and target may differ.
A store without a server (``sqlite:///mlflow.db``) is reached through a private server of our own in a child
process (`mlflow_archive.tracking.embedded`); everything above this module is the same for both.

Retries are here and nowhere else: connection errors, 429 (``Retry-After`` respected) and 5xx are retried with
growing, jittered pauses, for calls that may be repeated. At most ``parallelism`` requests are under way at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Protocol

from mlflow_archive.spec.canonical import JSONObject


def is_steady(client: ServerClient) -> bool:
    """Tell whether nothing can change at this client while it is read: it answers from a snapshot."""
    return getattr(client, "steady", False)


def shows_all(client: ServerClient) -> bool:
    """Tell whether its searches hide nothing that MLflow's do: inputs of runs that are models, deleted logged models.

    So nothing has to be asked for a second time, one by one.
    """
    return getattr(client, "shows_all", False)


def notes_of(client: ServerClient) -> tuple[str, ...]:
    """Return sentences on what is there and in none of its answers, as far as it can tell: that of a database can."""
    tell: Callable[[], tuple[str, ...]] = getattr(client, "notes", tuple)
    return tell()


class ServerClient(Protocol):
    """An MLflow server, for those who read and write its objects. Safe to use from several threads."""

    uri: str
    """Of the server or store, for people: no user, password, token or query."""
    version: str
    """The server's MLflow version, e.g. ``3.17.2``; of an embedded store, the installed MLflow's."""
    local: bool
    """True if the server's local artifact paths are paths of this machine."""
    invented_experiment_ids: frozenset[str]
    """Experiments that are only in our copy of a store, made by MLflow on opening it; the store itself has none."""
    artifact_roots: Mapping[str, str]
    """Beginnings of artifact addresses that lead to folders of this machine, as far as the client knows."""

    @property
    def request_count(self) -> int:
        """How many HTTP requests were sent so far, retries included."""
        ...

    def at_least(self, version: str) -> bool:
        """Tell whether the server is of this MLflow version or a later one."""
        ...

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
        """Send one request and return the JSON object of the answer.

        Bare ``NaN`` and ``Infinity`` in an answer (the bulk history endpoint writes them) come back as floats.

        Args:
            method: ``GET``, ``POST``, ``PATCH``, ``PUT`` or ``DELETE``.
            path: Below the server's root, e.g. ``/api/2.0/mlflow/runs/search``.
            params: Query parameters.
            body: The JSON body; a GET may have one.
            workspace: The workspace the request is for; None sends no header.
            repeatable: False for calls that create something: then a request is repeated only if it surely did not
                reach the server (refused connection, 429, 503).

        Raises:
            NotFoundError: 404 or RESOURCE_DOES_NOT_EXIST.
            NotAuthorisedError: 401, 403.
            ConflictError: RESOURCE_ALREADY_EXISTS.
            UsageError: Any other 4xx; ``code`` is MLflow's error code in lower case, the message MLflow's own.
            UnavailableError: No answer, 429 or 5xx after all retries.
        """
        ...

    def download(
        self, path: str, *, params: Mapping[str, str] | None = None, workspace: str | None = None
    ) -> AbstractContextManager[Iterator[bytes]]:
        """Open a streamed GET; chunks of at most 1 MiB. A length shorter than announced raises `UnavailableError`."""
        ...

    def upload(
        self,
        method: str,
        path: str,
        data: Iterator[bytes] | bytes,
        *,
        headers: Mapping[str, str] | None = None,
        workspace: str | None = None,
    ) -> bytes:
        """Send a streamed body and return the answer's body. Bytes are retried, an iterator is not.

        With a ``Content-Length`` header an iterator is sent as so many bytes, else in chunks.
        """
        ...

    def close(self) -> None:
        """End connections and the child process, if any."""
        ...
