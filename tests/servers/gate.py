"""A door with a lock before a real server: basic authentication or a token, checked on every request."""

from __future__ import annotations

import base64
import http.client
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from urllib.parse import urlsplit

_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "host", "authorization", "content-length"}


class Gate:
    """Passes requests with the right credential on, and answers 401 to all others.

    Args:
        uri: The server behind it.
        user: With ``password``: who may pass.
        password: The password.
        token: In their place: the bearer token.
    """

    def __init__(self, uri: str, *, user: str = "", password: str = "", token: str = "") -> None:
        pair = base64.b64encode(f"{user}:{password}".encode()).decode()
        self.expected = f"Bearer {token}" if token else f"Basic {pair}"
        self.seen: set[str] = set()
        """All credentials that were shown, right ones and wrong ones."""
        self.refused = 0
        self._behind = urlsplit(uri).netloc
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)
        self.uri = f"http://127.0.0.1:{self._http.server_address[1]}"

    def __enter__(self) -> Gate:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.shutdown()
        self._http.server_close()

    def passed(self, method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
        """Send a request to the server behind and return its answer."""
        connection = http.client.HTTPConnection(self._behind, timeout=120)
        try:
            connection.request(method, path, body or None, headers)
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()
        finally:
            connection.close()


def _handler(gate: Gate) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def log_message(self, *_: object) -> None:
            pass

        def _serve(self) -> None:
            body = self._body()
            shown = self.headers.get("Authorization", "")
            gate.seen.add(shown)
            if shown != gate.expected:
                gate.refused += 1
                self._answer(401, {"WWW-Authenticate": 'Basic realm="mlflow"'}, b"You are not authenticated.")
                return
            kept = {name: value for name, value in self.headers.items() if name.lower() not in _HOP_BY_HOP}
            status, headers, data = gate.passed(self.command, self.path, kept, body)
            self._answer(status, {n: v for n, v in headers.items() if n.lower() not in _HOP_BY_HOP}, data)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815

        def _answer(self, status: int, headers: dict[str, str], data: bytes) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def _body(self) -> bytes:
            if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
                return self.rfile.read(int(self.headers.get("Content-Length", 0)))
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return body

    return Handler
