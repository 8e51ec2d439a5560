"""One object of more than 5 GiB through each engine: ``python -m tests.benchmarks.huge_object [NAME ...]``.

S3 and Azure keep it on disk (rclone, Azurite), so there has to be room; the others are fakes that count zeros and keep
none: DBFS and volumes those of the suite, Google Cloud a server for this one object.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from mlflow_archive.storage.opening import open_store
from tests.benchmarks.measuring import table
from tests.storage.emulators.dbfs import FakeDatabricks, QuietServer
from tests.storage.emulators.places import PLACES, Place, dbfs_place, gcs_place, s3_place
from tests.storage.emulators.rclone import rclone_service
from tests.storage.emulators.unity import VOLUME, FilesApi

CHUNK = bytes(1 << 20)


class Zeros:
    """Many zeros, of which only the number is kept."""

    def __init__(self, size: int = 0) -> None:
        self.size = size

    def __len__(self) -> int:
        return self.size

    def __iadd__(self, data: bytes) -> Zeros:
        assert data.count(0) == len(data)
        self.size += len(data)
        return self

    def __getitem__(self, part: slice) -> bytes:
        return bytes(len(range(*part.indices(self.size))))


class CountingFiles(FilesApi):
    """Volumes of zeros."""

    def cloud(self, verb: str, path: str, query: dict[str, str], body: bytes) -> Any:
        answer = super().cloud(verb, path, query, body)
        for upload in list(self.uploads.values()):
            if isinstance(upload.parts.get(int(query.get("part", 0))), bytes):
                part = Zeros()
                part += body
                upload.parts[int(query["part"])] = part  # type: ignore[assignment]
        return answer

    def _parts(self, place: str, query: dict[str, str], body: bytes) -> Any:
        if query.get("action") == "initiate-upload":
            return super()._parts(place, query, body)
        upload = self.uploads.pop(query["session_token"])
        assert [part["part_number"] for part in json.loads(body)["parts"]] == sorted(upload.parts)
        self._put(upload.path, Zeros(sum(map(len, upload.parts.values()))), overwrite=True)  # type: ignore[arg-type]
        return 200, b"{}", {}


class CountingDatabricks(FakeDatabricks):
    """A workspace of zeros."""

    def __init__(self) -> None:
        super().__init__(visible_on_create=False)
        self.unity = CountingFiles(self.host, self.lock)

    def _create(self, given: dict[str, Any]) -> dict[str, Any]:
        answer = super()._create(given)
        self.handles[answer["handle"]].data = Zeros()  # type: ignore[assignment]
        return answer

    def _close(self, given: dict[str, Any]) -> None:
        handle = self.handles.pop(given["handle"])
        self.raw_write(handle.path, handle.data)


class GoogleHandler(BaseHTTPRequestHandler):
    """Resumable uploads of one object of zeros, and ranges of it."""

    protocol_version = "HTTP/1.1"
    size = 0

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self._answer(200, {"Location": f"http://{self.headers['Host']}/session"})

    def do_PUT(self) -> None:
        data = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        span, _, total = self.headers["Content-Range"].removeprefix("bytes ").partition("/")
        assert int(span.partition("-")[0]) == GoogleHandler.size
        assert data.count(0) == len(data)
        GoogleHandler.size += len(data)
        if total == "*":
            self._answer(308, {"Range": f"bytes=0-{GoogleHandler.size - 1}"})
        else:
            assert int(total) == GoogleHandler.size
            self._answer(200, {})

    def do_GET(self) -> None:
        if "alt=media" not in self.path:
            self._answer(200, {}, json.dumps({"size": str(GoogleHandler.size)}).encode())
            return
        first, last = map(int, self.headers["Range"].removeprefix("bytes=").split("-"))
        last = min(last, GoogleHandler.size - 1)
        about = {"Content-Range": f"bytes {first}-{last}/{GoogleHandler.size}", "X-Goog-Generation": "1"}
        self._answer(206, about, bytes(last - first + 1))

    def _answer(self, status: int, headers: Mapping[str, str], body: bytes = b"{}") -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Be silent."""


@contextmanager
def _google(_: Path) -> Iterator[Place]:
    with QuietServer(("127.0.0.1", 0), GoogleHandler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield gcs_place({"endpoint_url": f"http://127.0.0.1:{server.server_address[1]}", "token": "anon"})
        server.shutdown()


@contextmanager
def _rclone(directory: Path) -> Iterator[Place]:
    (directory / "data").mkdir()
    with rclone_service(directory, on_disk=directory / "data") as service:
        yield s3_place(service)


@contextmanager
def _databricks(root: str) -> Iterator[Place]:
    with CountingDatabricks() as workspace:
        yield dbfs_place(workspace, root)


ENGINES: Mapping[str, Callable[[Path], AbstractContextManager[Place]]] = {
    "s3": _rclone,
    "azure": PLACES["Azure (Azurite)"],
    "gcs": _google,
    "dbfs": lambda _: _databricks(""),
    "volume": lambda _: _databricks(VOLUME),
}


def main() -> None:
    parser = argparse.ArgumentParser(description="Upload one object of more than 5 GiB through each engine.")
    parser.add_argument("names", nargs="*", default=[*ENGINES], help=f"of {', '.join(ENGINES)}")
    parser.add_argument("--mib", type=int, default=5200, help="size of the object")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)  # in this process, for its peak memory
    options = parser.parse_args()
    if options.here:
        print(json.dumps(_measured(options.names[0], options.mib)))
        return
    rows: list[tuple[str, ...]] = [("", "MiB", "seconds up", "peak RSS")]
    for name in options.names:
        command = [sys.executable, "-m", "tests.benchmarks.huge_object", name, "--mib", str(options.mib), "--here"]
        rows.append(tuple(json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)))
        print(rows[-1], file=sys.stderr, flush=True)
    print(table(rows))


def _measured(name: str, mib: int) -> tuple[str, ...]:
    # Azurite may still be writing when it is stopped.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as directory, ENGINES[name](Path(directory)) as place:
        store = open_store(place.url, storage_options=place.options)
        began = time.monotonic()
        with store.write("huge") as writer:
            for _ in range(mib):
                writer.write(CHUNK)
        seconds = time.monotonic() - began
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        size = mib << 20
        assert store.size_bytes("huge") == size
        end = b"".join(store.read("huge", start=size - 10, size_bytes=100))
        assert end == bytes(10)
        store.close()
    return name, f"{mib:,}", f"{seconds:.0f}", f"{peak:.0f} MiB"


if __name__ == "__main__":
    main()
