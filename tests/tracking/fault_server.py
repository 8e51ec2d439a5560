"""A tiny HTTP server that answers as it is told: badly."""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Answer:
    """One answer.

    ``cut`` sends only so many bytes of the body, then ends the connection; ``reset`` ends it without a word.
    """

    status: int = 200
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict)
    cut: int | None = None
    reset: bool = False
    delay_seconds: float = 0.0

    @classmethod
    def json(cls, value: Any, status: int = 200, **headers: str) -> Answer:
        return cls(status, json.dumps(value).encode(), {"Content-Type": "application/json", **headers})

    @classmethod
    def error(cls, status: int, code: str, message: str) -> Answer:
        return cls.json({"error_code": code, "message": message}, status)

    @classmethod
    def html(cls, status: int) -> Answer:
        page = b"<!doctype html><html><title>Not Found</title></html>"
        return cls(status, page, {"Content-Type": "text/html; charset=utf-8"})


RESET = Answer(reset=True)


@dataclass
class Asked:
    """One request as the server saw it; ``complete`` is False if its body broke off."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    complete: bool


class FaultServer:
    """Answers ``/version`` well, and other requests with the next answer of the queue, then with ``{}``."""

    def __init__(self, version: str = "3.17.2") -> None:
        self.version = version
        self.queue: list[Answer] = []
        self.asked: list[Asked] = []
        self.under_way = 0
        self.most_under_way = 0
        self.answer: Callable[[Asked], Answer] = lambda asked: self.queue.pop(0) if self.queue else Answer()
        self.gateway: list[Answer] = []
        """What comes in place of the server's answers to ``/version``; the last one for ever."""
        self._lock = threading.Lock()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)
        self.uri = f"http://127.0.0.1:{self._http.server_address[1]}"

    def __enter__(self) -> FaultServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()

    def decide(self, asked: Asked) -> Answer:
        with self._lock:
            if asked.target == "/version" and self.gateway:
                return self.gateway.pop(0) if len(self.gateway) > 1 else self.gateway[0]
            if asked.target == "/version" and self.version:
                return Answer(200, self.version.encode(), {"Content-Type": "text/html; charset=utf-8"})
            self.asked.append(asked)
            return self.answer(asked)

    def enter(self, step: int) -> None:
        with self._lock:
            self.under_way += step
            self.most_under_way = max(self.most_under_way, self.under_way)


def _handler(server: FaultServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def log_message(self, *_: object) -> None:
            pass

        def _serve(self) -> None:
            server.enter(1)
            try:
                self._respond()
            finally:
                server.enter(-1)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815

        def _respond(self) -> None:
            body, complete = self._body()
            answer = server.decide(Asked(self.command, self.path, dict(self.headers), body, complete))
            time.sleep(answer.delay_seconds)
            if answer.reset or not complete:
                # With nothing to linger for, closing sends a reset.
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()
                self.close_connection = True
                return
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            if "Content-Length" not in answer.headers:
                self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body if answer.cut is None else answer.body[: answer.cut])
            if answer.cut is not None:
                self.close_connection = True

        def _body(self) -> tuple[bytes, bool]:
            if self.headers.get("Transfer-Encoding") == "chunked":
                return self._chunked()
            length = int(self.headers.get("Content-Length", 0))
            body = self.rfile.read(length)
            return body, len(body) == length

        def _chunked(self) -> tuple[bytes, bool]:
            body = b""
            while True:
                line = self.rfile.readline()
                if not line:
                    return body, False
                size = int(line, 16)
                chunk = self.rfile.read(size)
                self.rfile.readline()
                if size == 0:
                    return body, True
                body += chunk

    return Handler
