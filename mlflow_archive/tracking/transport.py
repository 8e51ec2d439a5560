"""Requests that are repeated when it helps, and no more of them at once than agreed.

The one place that knows what may be sent again, how long to wait, and how many requests are under way.
"""

from __future__ import annotations

import email.utils
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TypeVar

import requests
from tenacity import RetryCallState, Retrying
from urllib3.exceptions import NewConnectionError

from mlflow_archive.errors import UNREACHABLE, MlflowArchiveError, UnavailableError, UnsupportedError
from mlflow_archive.tracking.answers import error_of, is_broken_by_design
from mlflow_archive.tracking.sending import Request, Sender

_T = TypeVar("_T")

#: Any server answers this at once, without asking its database.
_PROBE = Request("GET", "/version", timeout_seconds=30.0)
#: So much longer than for a request it is waited for a server that may be starting again: some 20 seconds in all.
_MORE_ATTEMPTS = 2
#: What reverse proxies (from 520 on, Cloudflare's) answer when nobody is behind them.
_GATEWAY_STATUSES = frozenset({502, 503, 504, *range(520, 528)})


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How stubborn a client is.

    Attributes:
        attempts: How often a request is sent at most.
        first_pause_seconds: Before the second attempt; it doubles each time, and half of it is chance.
        longest_pause_seconds: No pause of ours is longer.
        longest_retry_after_seconds: A server that asks for a longer pause than this is given up at once.
        timeout_seconds: Without a byte for so long a request counts as failed; None leaves it to MLflow
            (``MLFLOW_HTTP_REQUEST_TIMEOUT``, two minutes).
    """

    attempts: int = 5
    first_pause_seconds: float = 0.5
    longest_pause_seconds: float = 15.0
    longest_retry_after_seconds: float = 300.0
    timeout_seconds: float | None = None
    sleep: Callable[[float], None] = field(default=time.sleep, compare=False)


class _AttemptError(Exception):
    """One attempt failed; says whether another may help."""

    def __init__(
        self,
        error: MlflowArchiveError,
        *,
        hopeful: bool,
        unheard: bool = False,
        doubtful: bool = False,
        pause_seconds: float | None = None,
        most_attempts: int | None = None,
    ) -> None:
        super().__init__(str(error))
        self.error = error
        self.hopeful = hopeful
        self.unheard = unheard
        """The server surely did nothing."""
        self.doubtful = doubtful
        """Perhaps there is no server: none answered, or a gateway did in its place."""
        self.pause_seconds = pause_seconds
        self.most_attempts = most_attempts


class Transport:
    """Sends requests for one client; safe to use from several threads."""

    def __init__(self, sender: Sender, address: str, *, parallelism: int, policy: RetryPolicy) -> None:
        """Wrap a sender; ``address`` is the server's as a person may see it."""
        self._sender = sender
        self._address = address
        self._policy = policy
        self._permits = threading.BoundedSemaphore(max(1, parallelism))
        self._holders: set[int] = set()
        self._lock = threading.Lock()
        self._request_count = 0

    @property
    def request_count(self) -> int:
        """How many requests were sent, retries included."""
        with self._lock:
            return self._request_count

    @contextmanager
    def exchange(
        self, request: Request, *, repeatable: bool = True, spent: Callable[[], bool] = lambda: False
    ) -> Iterator[requests.Response]:
        """Send a request until it succeeds or there is no hope; the connection is free after the context.

        Args:
            request: What to send.
            repeatable: False if it may be sent again only when the server surely did nothing.
            spent: Tells that the body was begun and cannot be sent again.

        Raises:
            MlflowArchiveError: As `ServerClient.call` says.
        """

        def attempt() -> tuple[requests.Response, int | None]:
            permit = self._acquire()
            try:
                return self._attempt(request), permit
            except BaseException:
                self._release(permit)
                raise

        def again(failure: _AttemptError) -> bool:
            return failure.hopeful and (repeatable or failure.unheard) and not spent()

        try:
            response, permit = _repeated(attempt, again, self._policy)
        except _AttemptError as failure:
            if failure.doubtful and failure.error.code != UNREACHABLE and request.path != _PROBE.path:
                self._require_server()
            raise failure.error from None
        try:
            yield response
        finally:
            response.close()
            self._release(permit)

    def close(self) -> None:
        """End the connections."""
        self._sender.close()

    def _attempt(self, request: Request) -> requests.Response:
        with self._lock:
            self._request_count += 1
        try:
            if request.timeout_seconds is None:
                request = replace(request, timeout_seconds=self._policy.timeout_seconds)
            response = self._sender.send(request)
            if not request.stream:
                check_length(response)
        except requests.RequestException as error:
            raise self._no_answer(error) from None
        if response.status_code < 400:
            return response
        with response:
            raise _refusal(response, self._policy)

    def _no_answer(self, error: requests.RequestException) -> _AttemptError:
        unheard = _never_connected(error)
        if unheard:
            sentence = (
                f"No MLflow server answers at {self._address}: {reason_of(error)}; check the address or start it."
            )
        else:
            sentence = f"The MLflow server at {self._address} broke off: {reason_of(error)}."
        hopeful = not isinstance(error, (requests.exceptions.SSLError, requests.exceptions.InvalidURL))
        code = UNREACHABLE if unheard else None
        return _AttemptError(UnavailableError(sentence, code=code), hopeful=hopeful, unheard=unheard, doubtful=True)

    def _require_server(self) -> None:
        """Raise `UnavailableError` with the code `UNREACHABLE` if no server answers anything any more.

        One request that is too much for a server fails in the same way, and may bring the server down for as long as
        it takes to start again: so this is more patient than any other request.
        """
        attempts = self._policy.attempts + _MORE_ATTEMPTS
        patient = replace(self._policy, attempts=attempts, longest_retry_after_seconds=0.0)
        try:
            _repeated(lambda: self._attempt(_PROBE), lambda failure: failure.doubtful, patient).close()
        except _AttemptError as failure:
            if failure.doubtful:
                reason = str(failure.error).rstrip(".")
                raise UnavailableError(
                    f"The MLflow server at {self._address} is gone: {reason}; start it.", code=UNREACHABLE
                ) from None

    def _acquire(self) -> int | None:
        """Take a place; None where this thread has one already, which keeps it from waiting for itself."""
        me = threading.get_ident()
        with self._lock:
            if me in self._holders:
                return None
        self._permits.acquire()
        with self._lock:
            self._holders.add(me)
        return me

    def _release(self, permit: int | None) -> None:
        if permit is None:
            return
        with self._lock:
            self._holders.discard(permit)
        self._permits.release()


def _repeated(attempt: Callable[[], _T], again: Callable[[_AttemptError], bool], policy: RetryPolicy) -> _T:
    """Return what the first attempt that succeeds returns, or raise the last `_AttemptError`."""

    def hopeful(state: RetryCallState) -> bool:
        failure = _failure(state)
        return failure is not None and again(failure)

    def enough(state: RetryCallState) -> bool:
        failure = _failure(state)
        most = failure.most_attempts if failure is not None else None
        return state.attempt_number >= min(policy.attempts, most or policy.attempts)

    def pause(state: RetryCallState) -> float:
        pause: float = min(policy.first_pause_seconds * 2 ** (state.attempt_number - 1), policy.longest_pause_seconds)
        jittered = pause * (0.5 + random.random() / 2)  # noqa: S311  (chance, not secrecy)
        failure = _failure(state)
        asked = failure.pause_seconds if failure is not None else None
        return max(asked, jittered) if asked and asked <= policy.longest_retry_after_seconds else jittered

    return Retrying(stop=enough, wait=pause, retry=hopeful, sleep=policy.sleep, reraise=True)(attempt)


def check_length(response: requests.Response) -> None:
    """Raise `requests.ConnectionError` if a whole answer is shorter than it was announced."""
    announced = response.headers.get("Content-Length", "")
    request_method = response.request.method if response.request is not None else ""
    if not announced.isdigit() or response.headers.get("Content-Encoding") or request_method == "HEAD":
        return
    if len(response.content) < int(announced):
        raise requests.ConnectionError("the answer was cut off")


def reason_of(error: requests.RequestException) -> str:
    """Say in a few words what failed; never the exception's own text, which may show a proxy's password."""
    text = repr(error)
    for sign, reason in _REASONS:
        if sign in text:
            return reason
    if isinstance(error, requests.exceptions.Timeout):
        return "no answer in time"
    return "the connection broke"


_REASONS = (
    ("ProxyError", "the proxy refused the connection"),
    ("CERTIFICATE_VERIFY_FAILED", "its TLS certificate cannot be verified (see MLFLOW_TRACKING_SERVER_CERT_PATH)"),
    ("SSLError", "the TLS handshake failed"),
    ("NameResolutionError", "the host name is not known"),
    ("Name or service not known", "the host name is not known"),
    ("Temporary failure in name resolution", "the host name is not known"),
    ("Connection refused", "the connection was refused"),
    ("No route to host", "there is no route to the host"),
    ("Network is unreachable", "the network is unreachable"),
    ("ConnectTimeout", "no connection in time"),
    ("IncompleteRead", "the answer was cut off"),
    ("cut off", "the answer was cut off"),
    ("Connection reset", "the connection was reset"),
    ("ConnectionResetError", "the connection was reset"),
)


def _never_connected(error: requests.RequestException) -> bool:
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return True
    cause = error.args[0] if error.args else None
    return isinstance(getattr(cause, "reason", cause), NewConnectionError)


def _refusal(response: requests.Response, policy: RetryPolicy) -> _AttemptError:
    status = response.status_code
    error = error_of(response)
    asked = _retry_after_seconds(response)
    patient = asked is None or asked <= policy.longest_retry_after_seconds
    return _AttemptError(
        error,
        hopeful=patient and not isinstance(error, UnsupportedError) and (status in (408, 429) or status >= 500),
        unheard=status in (429, 503),
        doubtful=status in _GATEWAY_STATUSES,
        pause_seconds=asked,
        most_attempts=2 if is_broken_by_design(response) else None,
    )


def _retry_after_seconds(response: requests.Response) -> float | None:
    value = response.headers.get("Retry-After", "").strip()
    if not value:
        return None
    if value.isdigit():
        return float(value)
    try:
        moment = email.utils.parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(0.0, moment.timestamp() - time.time())


def _failure(state: RetryCallState) -> _AttemptError | None:
    error = state.outcome.exception() if state.outcome is not None else None
    return error if isinstance(error, _AttemptError) else None
