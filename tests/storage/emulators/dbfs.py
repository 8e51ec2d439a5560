"""A Databricks workspace, as far as DBFS and the Files API go, in a thread of the test process.

It is held to public documentation; nobody has compared it with the service. From where its behaviour is:

REST reference (docs.databricks.com/api/workspace/dbfs, the docstrings of databricks-sdk's ``service/files.py``):
    create, add-block, close, read, list, get-status, mkdirs, delete, move, put with their parameters; the error codes
    RESOURCE_DOES_NOT_EXIST, RESOURCE_ALREADY_EXISTS, INVALID_PARAMETER_VALUE, IO_ERROR, MAX_BLOCK_SIZE_EXCEEDED,
    MAX_READ_SIZE_EXCEEDED; one MB per block and read, half a MB as the default of read; a handle lives ten idle
    minutes; reads end with the file; the listing of a file is the file; move refuses to overwrite; a long delete
    answers 503 and is to be sent again.
Source of the Databricks CLI (``libs/filer/dbfs_client.go``): HTTP 400 with RESOURCE_ALREADY_EXISTS and IO_ERROR, 404
    with RESOURCE_DOES_NOT_EXIST; create and put make the folders above; delete of nothing succeeds.
databricks-sdk's ``mixins/files.py``: blocks and reads of 1 MiB before encoding are accepted.
Issues of databricks-sdk-py (571): DBFS refuses paths below ``/Volumes`` with 403.

Assumptions, of which the doubtful ones are switches:
    ``visible_on_create``: whether a file shows while it is written, or when it is closed;
    ``empty_behind_end``: whether a read behind the end gives nothing, or INVALID_PARAMETER_VALUE;
    ``put`` counts the limit of one MB after encoding, the harshest reading; a file that was given up keeps what was
    appended; a move is atomic; the error code of a long delete is PARTIAL_DELETE; 429 comes with RESOURCE_EXHAUSTED.
"""

from __future__ import annotations

import base64
import json
import re
import socket
import struct
import sys
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from tests.storage.emulators.unity import FilesApi

MEBIBYTE = 1 << 20
TOKEN = "dapi-0123456789abcdef-secret"


@dataclass
class Answer:
    status: int = 200
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict)

    @classmethod
    def error(cls, status: int, code: str, message: str, **headers: str) -> Answer:
        body = json.dumps({"error_code": code, "message": message}).encode()
        return cls(status, body, {"Content-Type": "application/json", **headers})


class RefusedError(Exception):
    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.answer = Answer.error(status, code, message)


@dataclass
class Fault:
    """What goes wrong with the next requests whose ``VERB /path`` matches.

    ``answer`` comes in place of the service's; ``lost`` ends the connection without one, after the work is done
    (``after``) or before; ``skip`` lets so many requests through first; ``cut`` ends a body after so many bytes.
    """

    match: str
    times: int = 1
    answer: Answer | None = None
    lost: bool = False
    after: bool = False
    skip: int = 0
    cut: int | None = None


@dataclass
class Handle:
    path: str
    data: bytearray
    used: float


class FakeDatabricks:
    """A workspace at `host`, entered as a context; requests need the bearer `TOKEN`."""

    def __init__(self, *, visible_on_create: bool = True, empty_behind_end: bool = True) -> None:
        self.visible_on_create = visible_on_create
        self.empty_behind_end = empty_behind_end
        self.handle_seconds = 600.0
        self.most_deleted = 10_000
        self.files: dict[str, tuple[bytes, int]] = {}
        self.folders: set[str] = {"/"}
        self.handles: dict[int, Handle] = {}
        self.faults: list[Fault] = []
        self.requests: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.at_once = 0
        self.most_at_once = 0
        self.clock = time.monotonic
        self.lock = threading.RLock()
        self._last_handle = 0
        self._http = QuietServer(("127.0.0.1", 0), _handler(self))
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)
        self.host = f"http://127.0.0.1:{self._http.server_address[1]}"
        self.unity = FilesApi(self.host, self.lock)

    def __enter__(self) -> FakeDatabricks:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()

    def raw_write(self, path: str, data: bytes, *, modified_ms: int | None = None) -> None:
        with self.lock:
            self._make_folders(path)
            self.files[path] = (data, int(time.time() * 1000) if modified_ms is None else modified_ms)

    def counted(self, pattern: str) -> int:
        return sum(1 for request in self.requests if re.search(pattern, request))

    # The service

    def serve(self, verb: str, target: str, headers: dict[str, str], body: bytes) -> Answer:
        url = urlsplit(target)
        path, query = unquote(url.path), dict(parse_qsl(url.query, keep_blank_values=True))
        if path == "/.well-known/databricks-config":
            return Answer(200, json.dumps({"workspace_id": "4711"}).encode())
        if path.startswith("/cloud/"):
            return Answer(*self.unity.cloud(verb, path, query, body))
        if headers.get("Authorization") != f"Bearer {TOKEN}":
            return Answer.error(401, "UNAUTHENTICATED", "Credential was not sent or was of an unsupported type.")
        if path.startswith("/api/2.0/fs/"):
            return Answer(*self.unity.serve(verb, path.removeprefix("/api/2.0/fs"), query, headers, body))
        arguments = {**query, **(json.loads(body) if body else {})}
        method = getattr(self, "_" + path.removeprefix("/api/2.0/dbfs/").replace("-", "_"), None)
        if method is None or not path.startswith("/api/2.0/dbfs/"):
            return Answer(404, b"<html><title>404</title></html>", {"Content-Type": "text/html"})
        try:
            with self.lock:
                for name in ("path", "source_path", "destination_path"):
                    _require_path(arguments.get(name, "/"))
                return Answer(200, json.dumps(method(arguments) or {}).encode())
        except RefusedError as error:
            return error.answer

    def _create(self, given: dict[str, Any]) -> dict[str, Any]:
        path = given["path"]
        if path in self.folders or (path in self.files and not given.get("overwrite")):
            raise _exists(path)
        self._make_folders(path)
        self._last_handle += 1
        self.handles[self._last_handle] = Handle(path, bytearray(), self.clock())
        if self.visible_on_create:
            self.raw_write(path, b"")
        return {"handle": self._last_handle}

    def _add_block(self, given: dict[str, Any]) -> None:
        data = base64.b64decode(given["data"], validate=True)
        if len(data) > MEBIBYTE:
            raise RefusedError(400, "MAX_BLOCK_SIZE_EXCEEDED", "The block is larger than 1 MB.")
        handle = self._handle(given["handle"])
        handle.data += data
        handle.used = self.clock()
        if self.visible_on_create:
            self.raw_write(handle.path, bytes(handle.data))

    def _close(self, given: dict[str, Any]) -> None:
        handle = self._handle(given["handle"])
        del self.handles[given["handle"]]
        self.raw_write(handle.path, bytes(handle.data))

    def _put(self, given: dict[str, Any]) -> None:
        contents = given.get("contents", "")
        if len(contents) > MEBIBYTE:
            raise RefusedError(400, "MAX_BLOCK_SIZE_EXCEEDED", "The contents are larger than 1 MB.")
        path = given["path"]
        if path in self.folders or (path in self.files and not given.get("overwrite")):
            raise _exists(path)
        self.raw_write(path, base64.b64decode(contents, validate=True))

    def _read(self, given: dict[str, Any]) -> dict[str, Any]:
        offset, length = int(given.get("offset", 0)), int(given.get("length", MEBIBYTE // 2))
        if given["path"] in self.folders:
            raise RefusedError(400, "INVALID_PARAMETER_VALUE", "Cannot open directory for reading.")
        data, _ = self._file(given["path"])
        if offset < 0 or length < 0 or (offset > 0 and offset >= len(data) and not self.empty_behind_end):
            raise RefusedError(400, "INVALID_PARAMETER_VALUE", "The offset or the length is out of range.")
        if length > MEBIBYTE:
            raise RefusedError(400, "MAX_READ_SIZE_EXCEEDED", "The read is larger than 1 MB.")
        part = data[offset : offset + length]
        return {"bytes_read": len(part), "data": base64.b64encode(part).decode()}

    def _list(self, given: dict[str, Any]) -> dict[str, Any]:
        path = given["path"]
        if path not in self.folders:
            self._file(path)
            return {"files": [self._info(path)]}
        start = path.rstrip("/") + "/"
        below = {name for name in {*self.files, *self.folders} if name.startswith(start) and name != start}
        found = [self._info(name) for name in sorted(below) if "/" not in name[len(start) :]]
        return {"files": found} if found else {}

    def _get_status(self, given: dict[str, Any]) -> dict[str, Any]:
        if given["path"] not in self.folders:
            self._file(given["path"])
        return self._info(given["path"])

    def _mkdirs(self, given: dict[str, Any]) -> None:
        self._make_folders(given["path"] + "/x")

    def _delete(self, given: dict[str, Any]) -> None:
        path = given["path"]
        below = [name for name in self.files if name.startswith(path.rstrip("/") + "/")]
        if path in self.folders and below and not given.get("recursive"):
            raise RefusedError(400, "IO_ERROR", f"The directory {path} is not empty.")
        for name in below[: self.most_deleted]:
            del self.files[name]
        if len(below) > self.most_deleted:
            raise RefusedError(503, "PARTIAL_DELETE", "The directory was deleted in part; send the request again.")
        self.files.pop(path, None)
        if path != "/":
            self.folders = {name for name in self.folders if name != path and not name.startswith(path + "/")}

    def _move(self, given: dict[str, Any]) -> None:
        source, target = given["source_path"], given["destination_path"]
        self._info(source)
        if target in self.files or target in self.folders:
            raise _exists(target)
        for name in [name for name in self.files if name == source or name.startswith(source + "/")]:
            data, modified_ms = self.files.pop(name)
            self.raw_write(target + name[len(source) :], data, modified_ms=modified_ms)

    def _handle(self, number: int) -> Handle:
        handle = self.handles.get(number)
        if handle is not None and self.clock() - handle.used > self.handle_seconds:
            del self.handles[number]
            self.raw_write(handle.path, bytes(handle.data))
            handle = None
        if handle is None:
            raise RefusedError(404, "RESOURCE_DOES_NOT_EXIST", f"There is no stream with the handle {number}.")
        return handle

    def _file(self, path: str) -> tuple[bytes, int]:
        found = self.files.get(path)
        if found is None:
            raise RefusedError(404, "RESOURCE_DOES_NOT_EXIST", f"No file or directory exists on path {path}.")
        return found

    def _info(self, path: str) -> dict[str, Any]:
        if path in self.folders:
            return {"path": path, "is_dir": True, "file_size": 0, "modification_time": 0}
        data, modified_ms = self._file(path)
        return {"path": path, "is_dir": False, "file_size": len(data), "modification_time": modified_ms}

    def _make_folders(self, path: str) -> None:
        parts = path.split("/")[1:-1]
        for number in range(1, len(parts) + 1):
            folder = "/" + "/".join(parts[:number])
            if folder in self.files:
                raise _exists(folder)
            self.folders.add(folder)


class QuietServer(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Be silent about clients that went away."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


def _exists(path: str) -> RefusedError:
    return RefusedError(400, "RESOURCE_ALREADY_EXISTS", f"A file or directory already exists at the path {path}.")


def _require_path(path: str) -> None:
    if not path.startswith("/"):
        raise RefusedError(400, "INVALID_PARAMETER_VALUE", "The path is not absolute.")
    if path.startswith("/Volumes"):
        raise RefusedError(403, "PERMISSION_DENIED", "No operations allowed on this path.")


def _handler(fake: FakeDatabricks) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = -1

        def log_message(self, *_: object) -> None:
            pass

        def _serve(self) -> None:
            try:
                body = self._body()
            except (ConnectionError, ValueError):
                body = None
            if body is None:  # it broke off, so nothing happened
                self._lose()
                return
            name = f"{self.command} {unquote(self.path)}"
            with fake.lock:
                fake.requests.append(name)
                fake.headers.append(dict(self.headers))
                fault = _due(fake.faults, name)
            if fault is not None and not fault.after and fault.cut is None:
                if fault.lost:
                    self._lose()
                else:
                    self._send(fault.answer or Answer())
                return
            with fake.lock:
                fake.at_once += 1
                fake.most_at_once = max(fake.most_at_once, fake.at_once)
            answer = fake.serve(self.command, self.path, dict(self.headers), body)
            with fake.lock:
                fake.at_once -= 1
            if fault is not None and fault.lost:
                self._lose()
                return
            self._send(answer, None if fault is None else fault.cut)

        do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = _serve  # noqa: N815

        def _lose(self) -> None:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
            self.close_connection = True

        def _send(self, answer: Answer, cut: int | None = None) -> None:
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            if "Content-Length" not in answer.headers:
                self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(answer.body if cut is None else answer.body[:cut])
            if cut is not None:
                self.close_connection = True
            self.wfile.flush()

        def _body(self) -> bytes | None:
            if self.headers.get("Transfer-Encoding") != "chunked":
                length = int(self.headers.get("Content-Length", 0))
                body = self.rfile.read(length)
                return body if len(body) == length else None
            chunks: list[bytes] = []
            while True:
                size = int(self.rfile.readline() or b"x", 16)
                chunks.append(self.rfile.read(size))
                if len(chunks[-1]) < size:
                    return None
                self.rfile.readline()
                if not size:
                    return b"".join(chunks)

    return Handler


def _due(faults: list[Fault], name: str) -> Fault | None:
    for fault in faults:
        if fault.times > 0 and re.search(fault.match, name):
            if fault.skip:
                fault.skip -= 1
                continue
            fault.times -= 1
            return fault
    return None
