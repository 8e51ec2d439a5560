"""S3 as moto has it: in memory, with conditional requests and listings of unfinished uploads."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.servers.server import free_port
from tests.storage.emulators.process import running
from tests.storage.emulators.s3 import S3Service


@contextmanager
def moto_service(directory: Path) -> Iterator[S3Service]:
    """Run moto's server until the context is left."""
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with running(command, port, directory / "moto.log"):
        yield S3Service("moto", f"http://127.0.0.1:{port}", "moto-key", "moto-secret")
