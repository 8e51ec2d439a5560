"""S3 services that answer ``If-None-Match`` with an error, as some that imitate S3 do: a proxy before another one."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import urlsplit

from tests.storage.emulators.dbfs import QuietServer
from tests.storage.emulators.s3 import S3Service

_BODY = "<Error><Code>{code}</Code><Message>A header you provided is not supported.</Message></Error>"


@contextmanager
def unconditional(service: S3Service, status: int, code: str) -> Iterator[S3Service]:
    """Serve what ``service`` has, which must not check signatures, and answer conditions with an error."""
    place = urlsplit(service.endpoint)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if "If-None-Match" in self.headers:
                self._answer(status, {}, _BODY.format(code=code).encode())
                return
            connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=30)
            headers = {name: value for name, value in self.headers.items() if name != "Expect"}
            connection.request(self.command, self.path, body, headers)
            answer = connection.getresponse()
            self._answer(answer.status, dict(answer.headers), answer.read())
            connection.close()

        def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
            self.send_response_only(status)
            for name, value in headers.items():
                if name.lower() not in ("content-length", "connection", "transfer-encoding"):
                    self.send_header(name, value)
            length = headers.get("Content-Length", "0") if self.command == "HEAD" else str(len(body))
            self.send_header("Content-Length", length)
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _serve  # noqa: N815

        def log_message(self, *_: Any) -> None:
            pass

    with QuietServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield replace(service, endpoint=f"http://127.0.0.1:{server.server_address[1]}", _file_system=None)
        finally:
            server.shutdown()
            thread.join()
