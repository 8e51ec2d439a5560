"""The client against a server that misbehaves on purpose."""

from __future__ import annotations

import math
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from email.utils import formatdate
from time import time

import pytest

from mlflow_archive.errors import (
    UNREACHABLE,
    ConflictError,
    MlflowArchiveError,
    NotAuthorisedError,
    NotFoundError,
    UnavailableError,
    UnsupportedError,
    UsageError,
)
from mlflow_archive.tracking.http_client import HttpClient
from mlflow_archive.tracking.transport import RetryPolicy
from tests.tracking.fault_server import RESET, Answer, FaultServer

PATH = "/api/2.0/mlflow/runs/search"


class Clock:
    """Sleeps in no time, and remembers for how long it should have."""

    def __init__(self) -> None:
        self.pauses: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with FaultServer() as running:
        yield running


@pytest.fixture
def client(server: FaultServer, clock: Clock) -> Iterator[HttpClient]:
    connected = HttpClient.at(server.uri, parallelism=4, policy=RetryPolicy(timeout_seconds=10, sleep=clock.sleep))
    yield connected
    connected.close()


def test_says_who_it_talks_to(client: HttpClient, server: FaultServer) -> None:
    assert (client.uri, client.version, client.local) == (server.uri, "3.17.2", False)
    assert client.at_least("2.9")
    assert client.at_least("3.17.2")
    assert not client.at_least("3.18")


def test_a_release_candidate_counts_as_its_release(clock: Clock) -> None:
    with FaultServer(version="3.18.0rc0") as server:
        client = HttpClient.at(server.uri)
        assert client.at_least("3.18")
        client.close()


def test_sends_json_and_parameters(client: HttpClient, server: FaultServer) -> None:
    client.call("POST", PATH, body={"filter": "ü", "max_results": 5}, workspace="team")
    client.call("GET", PATH, params=[("run_id", "a"), ("run_id", "b")])
    client.call("GET", PATH, params={"deep": True, "path": "a b"})
    first, second, third = server.asked
    assert first.body.decode() == '{"filter": "ü", "max_results": 5}'
    assert first.headers["Content-Type"] == "application/json"
    assert first.headers["X-MLFLOW-WORKSPACE"] == "team"
    assert second.target == f"{PATH}?run_id=a&run_id=b"
    assert third.target == f"{PATH}?deep=true&path=a+b"
    assert "X-MLFLOW-WORKSPACE" not in second.headers


def test_the_workspace_of_the_environment_is_not_ours(
    client: HttpClient, server: FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_WORKSPACE", "somewhere")
    client.call("GET", PATH)
    assert not server.asked[0].headers.get("X-MLFLOW-WORKSPACE")


def test_bare_nan_and_infinity_are_floats(client: HttpClient, server: FaultServer) -> None:
    server.queue = [Answer(body=b'{"a": NaN, "b": -Infinity, "c": 12345678901234567890}')]
    answer = client.call("GET", PATH)
    assert isinstance(answer["a"], float)
    assert math.isnan(answer["a"])
    assert answer["b"] == -math.inf
    assert answer["c"] == 12345678901234567890


@pytest.mark.parametrize(
    ("answer", "error", "code"),
    [
        (Answer.error(404, "RESOURCE_DOES_NOT_EXIST", "No run"), NotFoundError, "resource_does_not_exist"),
        (Answer.error(400, "RESOURCE_DOES_NOT_EXIST", "No run"), NotFoundError, "resource_does_not_exist"),
        (Answer.html(404), NotFoundError, "endpoint_not_found"),
        (Answer.error(400, "RESOURCE_ALREADY_EXISTS", "Taken"), ConflictError, "resource_already_exists"),
        (Answer.error(400, "INVALID_PARAMETER_VALUE", "Bad"), UsageError, "invalid_parameter_value"),
        (Answer.html(400), UsageError, "usage"),
        (Answer(401, b"You are not authenticated."), NotAuthorisedError, "not_authorised"),
        (Answer.error(403, "PERMISSION_DENIED", "Permission denied"), NotAuthorisedError, "forbidden"),
        (Answer.error(501, "NOT_IMPLEMENTED", "Not here"), UnsupportedError, "not_implemented"),
        (Answer.html(200), UsageError, "not_json"),
        (Answer(body=b"[1]"), UsageError, "not_json"),
        (Answer(body=b"[" * 100_000 + b"]" * 100_000), UsageError, "not_json"),
        (Answer.json({"detail": "nope"}, 422), UsageError, "usage"),
    ],
)
def test_refusals_become_errors_at_once(
    client: HttpClient, server: FaultServer, answer: Answer, error: type[MlflowArchiveError], code: str
) -> None:
    server.queue = [answer]
    with pytest.raises(error) as caught:
        client.call("POST", PATH)
    assert caught.value.code == code
    assert len(server.asked) == 1


def test_messages_are_mlflows_own(client: HttpClient, server: FaultServer) -> None:
    server.queue = [Answer.error(400, "INVALID_PARAMETER_VALUE", "max_results is too large")]
    with pytest.raises(UsageError, match=r"^max_results is too large$"):
        client.call("POST", PATH)


def test_an_empty_answer_is_an_empty_object(client: HttpClient, server: FaultServer) -> None:
    server.queue = [Answer(body=b"")]
    assert client.call("POST", PATH) == {}


@pytest.mark.parametrize(
    "fault", [Answer(503), Answer(502), Answer(504), Answer(429), RESET, Answer(body=b"{}..", cut=1)]
)
def test_what_passes_is_tried_again(client: HttpClient, server: FaultServer, clock: Clock, fault: Answer) -> None:
    server.queue = [fault, fault, Answer.json({"good": 1})]
    before = client.request_count
    assert client.call("GET", PATH) == {"good": 1}
    assert client.request_count - before == 3
    assert len(clock.pauses) == 2
    assert 0.25 <= clock.pauses[0] <= 0.5 <= clock.pauses[1] <= 1.0


def test_gives_up_after_five(client: HttpClient, server: FaultServer) -> None:
    server.queue = [Answer(503, b"maintenance", {"Content-Type": "text/plain"})] * 9
    with pytest.raises(UnavailableError, match="503: maintenance") as caught:
        client.call("GET", PATH)
    assert len(server.asked) == 5
    assert caught.value.retryable


def test_mlflows_own_failure_is_tried_only_twice(client: HttpClient, server: FaultServer) -> None:
    server.queue = [Answer.error(500, "INTERNAL_ERROR", "list index out of range")] * 9
    with pytest.raises(UnavailableError, match="list index out of range"):
        client.call("GET", PATH)
    assert len(server.asked) == 2


def test_a_server_that_lacks_a_package_is_not_asked_again(client: HttpClient, server: FaultServer) -> None:
    server.queue = [Answer.error(500, "INTERNAL_ERROR", "No module named 'pandas'")] * 9
    with pytest.raises(UnsupportedError, match="lacks the Python package pandas: install it") as caught:
        client.call("GET", PATH)
    assert caught.value.code == "missing_package"
    assert not caught.value.retryable
    assert len(server.asked) == 1


@pytest.mark.parametrize("as_date", [False, True])
def test_retry_after_is_respected(client: HttpClient, server: FaultServer, clock: Clock, as_date: bool) -> None:
    asked = formatdate(time() + 60, usegmt=True) if as_date else "60"
    server.queue = [Answer(429, headers={"Retry-After": asked})]
    assert client.call("GET", PATH) == {}
    assert 45 <= clock.pauses[0] <= 60


def test_nobody_waits_an_hour(client: HttpClient, server: FaultServer, clock: Clock) -> None:
    server.queue = [Answer(429, headers={"Retry-After": "3600"})]
    with pytest.raises(UnavailableError):
        client.call("GET", PATH)
    assert clock.pauses == []


@pytest.mark.parametrize("fault", [Answer(500), Answer(502), Answer(504), RESET, Answer(body=b"{}..", cut=1)])
def test_what_creates_is_not_repeated_when_it_may_have_happened(
    client: HttpClient, server: FaultServer, fault: Answer
) -> None:
    server.queue = [fault]
    with pytest.raises(UnavailableError):
        client.call("POST", PATH, repeatable=False)
    assert len(server.asked) == 1


@pytest.mark.parametrize("fault", [Answer(503), Answer(429)])
def test_what_creates_is_repeated_when_it_surely_did_not_happen(
    client: HttpClient, server: FaultServer, fault: Answer
) -> None:
    server.queue = [fault, Answer.json({"id": 1})]
    assert client.call("POST", PATH, repeatable=False) == {"id": 1}


def test_a_slow_answer_counts_as_none(server: FaultServer, clock: Clock) -> None:
    client = HttpClient.at(server.uri, policy=RetryPolicy(attempts=2, timeout_seconds=0.2, sleep=clock.sleep))
    server.queue = [Answer(delay_seconds=1.0)]
    assert client.call("GET", PATH) == {}
    assert len(server.asked) == 2
    client.close()


def test_nobody_there(clock: Clock) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with pytest.raises(UnavailableError) as caught:
        HttpClient.at(f"http://127.0.0.1:{port}", policy=RetryPolicy(sleep=clock.sleep))
    assert str(caught.value) == (
        f"No MLflow server answers at http://127.0.0.1:{port}: the connection was refused; "
        "check the address or start it."
    )
    assert caught.value.code == UNREACHABLE
    assert len(clock.pauses) == 4


@pytest.mark.parametrize(
    "dead", [Answer(502), Answer(504), Answer(503), Answer(521), Answer(503, headers={"Retry-After": "3600"}), RESET]
)
def test_a_gateway_without_a_server_behind_it(
    client: HttpClient, server: FaultServer, clock: Clock, dead: Answer
) -> None:
    server.queue, server.gateway = [dead] * 9, [dead]
    with pytest.raises(UnavailableError, match=r"^The MLflow server at \S+ is gone: .*; start it\.$") as caught:
        client.call("GET", PATH)
    assert caught.value.code == UNREACHABLE
    assert sum(clock.pauses) < 60


@pytest.mark.parametrize("fault", [Answer(502), Answer(504), Answer(503), RESET])
def test_a_request_that_brings_the_server_down_for_a_moment_fails_alone(
    client: HttpClient, server: FaultServer, fault: Answer
) -> None:
    server.queue, server.gateway = [fault] * 5, [Answer(502), Answer(502), Answer(502), Answer(200, b"3.17.2")]
    with pytest.raises(UnavailableError) as caught:
        client.call("GET", PATH)
    assert caught.value.code == "unavailable"
    assert client.call("GET", PATH) == {}


def test_something_else_there() -> None:
    with FaultServer(version="") as server, pytest.raises(UsageError, match="not an MLflow server"):
        HttpClient.at(server.uri)


def test_credentials_of_the_address_are_sent_and_not_shown(clock: Clock) -> None:
    with FaultServer() as server:
        secret = server.uri.replace("http://", "http://ann%40x:pa%2Fss@")
        client = HttpClient.at(secret + "/", policy=RetryPolicy(sleep=clock.sleep))
        server.queue = [Answer(401, b"no")]
        with pytest.raises(NotAuthorisedError) as refused:
            client.call("GET", PATH)
        server.queue = [RESET] * 5
        with pytest.raises(UnavailableError) as broken:
            client.call("GET", PATH)
        client.close()
        assert client.uri == server.uri
        assert server.asked[0].headers["Authorization"] == "Basic YW5uQHg6cGEvc3M="
        for error in (refused.value, broken.value):
            chain = f"{error!r} {error.__cause__!r} {error.__suppress_context__}"
            assert "pa/ss" not in chain
            assert "pa%2Fss" not in chain
            assert "YW5u" not in chain


def test_a_token_comes_from_the_environment(server: FaultServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "t0ken")
    client = HttpClient.at(server.uri)
    client.call("GET", PATH)
    client.close()
    assert server.asked[0].headers["Authorization"] == "Bearer t0ken"


def test_no_more_requests_at_once_than_agreed(server: FaultServer) -> None:
    client = HttpClient.at(server.uri, parallelism=3)
    server.answer = lambda asked: Answer(delay_seconds=0.05)
    with ThreadPoolExecutor(12) as pool:
        list(pool.map(lambda _: client.call("GET", PATH), range(24)))
    client.close()
    assert server.most_under_way == 3
    assert client.request_count == 25


def test_a_thread_that_downloads_may_ask(server: FaultServer) -> None:
    client = HttpClient.at(server.uri, parallelism=1)
    server.queue = [Answer(body=b"x" * 10)]
    with client.download("/file") as chunks:
        assert client.call("GET", PATH) == {}
        assert b"".join(chunks) == b"x" * 10
    done = threading.Event()
    other = threading.Thread(target=lambda: (client.call("GET", PATH), done.set()))
    other.start()
    assert done.wait(10)
    other.join()
    client.close()


def test_downloads_in_chunks(client: HttpClient, server: FaultServer) -> None:
    content = bytes(range(256)) * 20_000
    server.queue = [Answer(body=content)]
    with client.download("/file", params={"path": "a+b c"}) as chunks:
        parts = list(chunks)
    assert b"".join(parts) == content
    assert max(map(len, parts)) <= 1 << 20
    assert server.asked[0].target == "/file?path=a%2Bb+c"
    assert server.asked[0].headers["Accept-Encoding"] == "identity"


def test_a_download_that_ends_early_is_an_error(client: HttpClient, server: FaultServer) -> None:
    server.queue = [Answer(body=b"x" * 3_000_000, cut=2_000_000)]
    with client.download("/file") as chunks, pytest.raises(UnavailableError, match="broke off"):
        b"".join(chunks)


def test_a_download_is_opened_again_and_refused_like_a_call(client: HttpClient, server: FaultServer) -> None:
    server.queue = [Answer(503), Answer(body=b"good"), Answer.error(404, "RESOURCE_DOES_NOT_EXIST", "gone")]
    with client.download("/file") as chunks:
        assert b"".join(chunks) == b"good"
    with pytest.raises(NotFoundError, match="gone"), client.download("/file"):
        pass


def test_bytes_are_uploaded_again(client: HttpClient, server: FaultServer) -> None:
    server.queue = [Answer(503), RESET, Answer(body=b"done")]
    assert client.upload("POST", "/v1/traces", b"abc", headers={"Content-Type": "application/x-protobuf"}) == b"done"
    assert [asked.body for asked in server.asked] == [b"abc"] * 3
    assert server.asked[2].headers["Content-Type"] == "application/x-protobuf"


@pytest.mark.parametrize("length", [None, "6"])
def test_an_iterator_is_uploaded_once(client: HttpClient, server: FaultServer, length: str | None) -> None:
    headers = {} if length is None else {"Content-Length": length}
    client.upload("PUT", "/file", iter([b"abc", b"def"]), headers=headers)
    assert server.asked[0].body == b"abcdef"
    assert ("Transfer-Encoding" in server.asked[0].headers) == (length is None)
    for fault in (Answer(502), Answer(503), Answer(429), RESET):
        server.asked.clear()
        server.queue = [fault]
        with pytest.raises(UnavailableError):
            client.upload("PUT", "/file", iter([b"abc", b"def"]), headers=headers)
        assert len(server.asked) == 1


def test_an_empty_iterator_is_uploaded(client: HttpClient, server: FaultServer) -> None:
    client.upload("PUT", "/file", iter(()), headers={"Content-Length": "0"})
    assert server.asked[0].headers["Content-Length"] == "0"
    assert "Transfer-Encoding" not in server.asked[0].headers


@pytest.mark.parametrize("headers", [{}, {"Content-Length": "1000"}])
@pytest.mark.parametrize("error", [NotFoundError, UnavailableError, NotAuthorisedError, ZeroDivisionError])
def test_what_a_body_raises_comes_out(
    client: HttpClient, server: FaultServer, headers: dict[str, str], error: type[Exception]
) -> None:
    def broken() -> Iterator[bytes]:
        yield b"x" * 10
        raise error("The source lost it.")

    with pytest.raises(error, match="lost it"):
        client.upload("PUT", "/file", broken(), headers=headers)
    assert not any(asked.complete for asked in server.asked)


@pytest.mark.parametrize("chunks", [[b"x" * 5], [b"x" * 11]])
def test_a_body_of_another_length_is_an_error(client: HttpClient, server: FaultServer, chunks: list[bytes]) -> None:
    with pytest.raises(UsageError, match="announced with 10 bytes"):
        client.upload("PUT", "/file", iter(chunks), headers={"Content-Length": "10"})
    assert not any(asked.complete for asked in server.asked)
