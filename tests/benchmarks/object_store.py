"""Backup of a server with many small files and few big ones to an S3 server, and back, in each container.

    python -m tests.benchmarks.object_store --rclone /usr/bin/rclone [--incumbent /venv/bin/export-experiments]

The S3 server is ``rclone serve s3`` on a folder. The floor is ``rclone copy`` of the same bytes to the same server;
with ``--incumbent``, mlflow-export-import to the local disk and a copy from there to the bucket: what one does
without this tool. At the end one run of the hundred is restored from each archive.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks.counting import CountingPort
from tests.benchmarks.filling import Filling
from tests.benchmarks.measuring import Cost, measure, table
from tests.servers import EmptyDatabases, MlflowServer

_S3_REQUEST = re.compile(r"serve s3: (?:[A-Z]{3,} |.*multipart)")
_USER, _PASSWORD = "benchmark", "benchmark-secret"
_RUNS = 100


class S3:
    """An rclone process that serves a folder as S3."""

    def __init__(self, rclone: str, folder: Path) -> None:
        self.rclone = rclone
        self.folder = folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.log = folder / "log.txt"
        (folder / "data" / "bucket").mkdir(parents=True)
        self._command = [rclone, "serve", "s3", "--addr", f"127.0.0.1:{self.port}"]
        self._command += ["--auth-key", f"{_USER},{_PASSWORD}", "-vv", "--log-file", str(self.log)]

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        process = subprocess.Popen([*self._command, str(self.folder / "data")])
        try:
            while True:
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                    break
                time.sleep(0.1)
            yield
        finally:
            process.terminate()
            process.wait()

    def options(self, port: int | None = None) -> list[str]:
        """Return the storage options for the command line; ``port`` is one in front of the server."""
        values = {
            "key": _USER,
            "secret": _PASSWORD,
            "client_kwargs.endpoint_url": f"http://127.0.0.1:{port or self.port}",
            "client_kwargs.region_name": "us-east-1",
        }
        return [text for name, value in values.items() for text in ("--storage-option", f"{name}={value}")]

    def requests(self) -> int:
        """Return how many requests were answered so far."""
        if not self.log.exists():
            return 0
        # Line by line: what this process takes in memory counts as the next command's, which is forked from it.
        with self.log.open(errors="replace") as lines:
            return sum(1 for line in lines if _S3_REQUEST.search(line))

    def size_mb(self, name: str) -> float:
        """Return what an archive takes, in MB."""
        place = self.folder / "data" / "bucket" / name
        files = [place] if place.is_file() else [path for path in place.rglob("*") if path.is_file()]
        return sum(path.stat().st_size for path in files) / 1e6

    def copy(self, source: Path, name: str, *, back: bool = False) -> float:
        """Copy a folder to the bucket by rclone, or back, and return the seconds."""
        remote = f":s3,provider=Other,access_key_id={_USER},secret_access_key={_PASSWORD},force_path_style=true"
        remote += f',endpoint="http://127.0.0.1:{self.port}":bucket/{name}'
        ends = [remote, str(source)] if back else [str(source), remote]
        began = time.monotonic()
        subprocess.run([self.rclone, "copy", "--transfers", "16", *ends], check=True, capture_output=True)
        return time.monotonic() - began


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure backups to S3.")
    parser.add_argument("--rclone", required=True, help="path of rclone 1.65 or later")
    parser.add_argument("--incumbent", help="path of mlflow-export-import's export-experiments command")
    parser.add_argument("--small", type=int, default=20_000, help="files of 16 KiB")
    parser.add_argument("--big-gb", type=float, default=4.0, help="size of all big files together")
    parser.add_argument("--containers", nargs="+", default=["tree", "tarball", "volumes"])
    parser.add_argument("--directory", type=Path, help="where there is room (default: the temporary directory)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.directory) as name:
        s3 = S3(options.rclone, Path(name) / "s3")
        with s3.running():
            print(table(_measured(Path(name), s3, options)))


def _measured(where: Path, s3: S3, options: argparse.Namespace) -> list[tuple[str, ...]]:
    databases = EmptyDatabases(where)
    full = _filled(where / "server", databases, options)
    rows = [("", "seconds", "CPU seconds", "server requests", "S3 requests", "MB in S3", "peak RSS")]
    cli = [sys.executable, "-m", "mlflow_archive"]
    with MlflowServer(full) as server:
        for container in options.containers:
            name = f"{container}.tar.zst" if container == "tarball" else container
            command = [*cli, "backup", f"s3://bucket/{name}", "--tracking-uri", server.uri, *s3.options()]
            command += ["--container", container]
            rows.append(_row(f"backup, {container}", s3, name, lambda command=command: measure(command, server)))
        if options.incumbent:
            out = where / "incumbent"
            command = [options.incumbent, "--experiments", "all", "--output-dir", str(out), "--use-threads", "True"]
            cost = measure(command, server, {"MLFLOW_TRACKING_URI": server.uri})
            seconds = s3.copy(out, "incumbent")
            rows.append(
                _told(
                    "mlflow-export-import, then rclone copy",
                    f"{cost.seconds:.0f} + {seconds:.0f}",
                    f"{cost.cpu_seconds:.0f}",
                    f"{cost.requests:,}",
                    "",
                    "",
                    f"{cost.peak_rss_mib:.0f} MiB",
                )
            )
    rows.append(_told("rclone copy of the server's files", f"{s3.copy(full / 'artifacts', 'floor'):.0f}"))
    rows.append(_told("rclone copy back", f"{s3.copy(where / 'back', 'floor', back=True):.0f}"))
    for container in options.containers:
        name = f"{container}.tar.zst" if container == "tarball" else container
        with _empty(where / f"restored-{container}", databases) as server:
            command = [*cli, "restore", f"s3://bucket/{name}", "--tracking-uri", server.uri, *s3.options()]
            rows.append(_row(f"restore, {container}", s3, name, lambda command=command: measure(command, server)))
        with _empty(where / f"one-{container}", databases) as server, CountingPort(s3.port).open() as port:
            command = [*cli, "restore", f"s3://bucket/{name}", "--tracking-uri", server.uri, *s3.options(port.port)]
            command += ["--run-filter", "attributes.run_name = 'run-50'"]
            row = _row(f"restore of one run, {container}", s3, name, lambda command=command: measure(command, server))
            rows.append((*row[:5], f"{port.received_bytes / 1e6:,.1f} read", row[6]))
            print(rows[-1], file=sys.stderr)
    return rows


def _empty(target: Path, databases: EmptyDatabases) -> MlflowServer:
    (target / "artifacts").mkdir(parents=True)
    databases.copy_to(target / "mlflow.db", sys.executable, "mlflow-artifacts:/")
    return MlflowServer(target)


def _told(*row: str) -> tuple[str, ...]:
    full = (*row, *[""] * (7 - len(row)))
    print(full, file=sys.stderr)
    return full


def _row(title: str, s3: S3, name: str, action: object) -> tuple[str, ...]:
    before = s3.requests()
    cost: Cost = action()  # type: ignore[operator]
    return _told(
        title,
        f"{cost.seconds:.0f}",
        f"{cost.cpu_seconds:.0f}",
        f"{cost.requests:,}",
        f"{s3.requests() - before:,}",
        f"{s3.size_mb(name):,.0f}",
        f"{cost.peak_rss_mib:.0f} MiB",
    )


def _filled(where: Path, databases: EmptyDatabases, options: argparse.Namespace) -> Path:
    (where / "artifacts").mkdir(parents=True)
    databases.copy_to(where / "mlflow.db", sys.executable, "mlflow-artifacts:/")
    filling = Filling(where / "mlflow.db", where / "artifacts")
    filling.experiment(1, "benchmark")
    run_ids = filling.runs(1, _RUNS, params=10, tags=5)
    filling.metrics(run_ids, 5, 50)
    for number in range(options.small):
        filling.file(1, run_ids[number % _RUNS], f"files/{number}.bin", 16 * 1024)
    chance = random.Random(0)
    for number in range(4):
        path = where / "artifacts" / "1" / run_ids[number] / "artifacts" / "big.bin"
        with path.open("wb") as out:
            left = int(options.big_gb * 1e9 / 4)
            while left > 0:
                out.write(chance.randbytes(min(left, 1 << 24)))
                left -= 1 << 24
    return where


if __name__ == "__main__":
    main()
