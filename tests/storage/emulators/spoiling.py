"""An S3 service behind a proxy that takes down what comes, and spoils answers as a test has it."""

from __future__ import annotations

import http.client
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

OBSTORE = "object_store/"


@dataclass(frozen=True)
class Seen:
    """A request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]

    @property
    def by_obstore(self) -> bool:
        """Whether obstore has sent it."""
        return self.headers.get("user-agent", "").startswith(OBSTORE)


@dataclass
class Spoiler:
    """What came, and what is to be done with the answers to come."""

    endpoint: str = ""
    seen: list[Seen] = field(default_factory=list)
    #: One for each request to come, in order; then all are served rightly. See the functions below.
    faults: deque[Callable[[Any, Answer], None] | None] = field(default_factory=deque)

    def engines(self) -> list[str]:
        """Return method and engine of all requests until now, and forget them."""
        seen, self.seen[:] = [*self.seen], []
        return [f"{one.method} {'obstore' if one.by_obstore else 's3fs'}" for one in seen]


@dataclass
class Answer:
    """What the service answered."""

    status: int
    headers: dict[str, str]
    body: bytes


def status(number: int, code: str = "") -> Callable[[Any, Answer], None]:
    """Answer with a status and no object."""

    def fault(handler: Any, answer: Answer) -> None:
        body = f"<Error><Code>{code}</Code><Message>no</Message></Error>".encode() if code else b""
        handler.answer(Answer(number, {}, body))

    return fault


def cut(handler: Any, answer: Answer) -> None:
    """Break off in the middle of the body."""
    handler.answer(answer, cut=True)


def hang_up(handler: Any, answer: Answer) -> None:
    """Answer nothing."""
    handler.close_connection = True


def other_range(handler: Any, answer: Answer) -> None:
    """Answer with fewer bytes than are there, rightly labelled."""
    total = answer.headers["Content-Range"].rpartition("/")[2]
    headers = {**answer.headers, "Content-Range": f"bytes 0-1/{total}"}
    handler.answer(Answer(206, headers, answer.body[:2]))


@contextmanager
def spoiling(endpoint: str) -> Iterator[Spoiler]:
    """Stand before a service that does not check signatures."""
    place, spoiler = urlsplit(endpoint), Spoiler()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            spoiler.seen.append(Seen(self.command, self.path, headers))
            connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=30)
            sent = {name: value for name, value in headers.items() if name != "expect"}
            connection.request(self.command, self.path, body, sent)
            got = connection.getresponse()
            answer = Answer(got.status, dict(got.headers), got.read())
            connection.close()
            fault = spoiler.faults.popleft() if spoiler.faults else None
            if fault is None:
                self.answer(answer)
            else:
                fault(self, answer)

        def answer(self, answer: Answer, *, cut: bool = False) -> None:
            self.send_response_only(answer.status)
            for name, value in answer.headers.items():
                if name.lower() not in ("content-length", "connection", "transfer-encoding"):
                    self.send_header(name, value)
            length = answer.headers.get("Content-Length", "0") if self.command == "HEAD" else str(len(answer.body))
            self.send_header("Content-Length", length)
            self.end_headers()
            self.wfile.write(answer.body[: len(answer.body) // 2] if cut else answer.body)
            self.close_connection = self.close_connection or cut

        do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _serve  # noqa: N815

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        spoiler.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
        try:
            yield spoiler
        finally:
            server.shutdown()
            thread.join()
