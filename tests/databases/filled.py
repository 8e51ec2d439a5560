"""Fills a server of any MLflow and keeps what is behind it: ``python -m tests.databases.filled VERSION OUT``.

OUT is then a folder with ``mlflow.db`` and ``artifacts``, as a server that is no longer there left them. ``--keep-in``
also writes them as the compact files of ``tests/databases/old``, of which `unpack` makes such a folder again.
"""

from __future__ import annotations

import argparse
import gzip
import io
import os
import sqlite3
import subprocess
import tarfile
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from tests.seeding import Filled, SeedingError, seed_server
from tests.servers import SERVER_PYTHON, MlflowServer, QuickServers, with_driver

ROOT = Path(__file__).parents[2]
OLD = Path(__file__).parent / "old"
#: The versions of which there are files, oldest first.
OLD_VERSIONS = ("2.9.2", "2.22.5", "3.0.1", "3.5.1")
#: The version, as of now the newest, of which there are files too: with every kind of object that there is.
NEWEST = "3.17.2"
#: What the seeding leaves out.
FURTHER = Path(__file__).with_name("further.py")


class Served(NamedTuple):
    """A server that is filled."""

    uri: str
    python: str
    directory: Path


def fill(version: str, python: str, out: Path) -> dict[str, int]:
    """Fill a new server in ``out`` over HTTP with all kinds that its version has.

    Args:
        version: What the server must say it is.
        python: A Python with that MLflow.
        out: A folder that is empty or not there yet.

    Returns:
        How many objects of each kind there are.
    """
    out.mkdir(parents=True, exist_ok=True)
    if any(out.iterdir()):
        raise SystemExit(f"{out} is not empty.")
    database = f"sqlite:///{out / 'mlflow.db'}"
    with MlflowServer(out, python=python) as server:
        if server.version != version:
            raise SystemExit(f"{python} has MLflow {server.version}, not {version}.")
        counts = seed_server(server, small=True)
        if _numbers(version) >= (3, 5):
            _further(server, with_driver(database))
    if _numbers(version) >= (3, 10):
        with MlflowServer(out, python=python, options=("--enable-workspaces",)) as server:
            _further(server)
    return counts


def fill_newest(servers: QuickServers, database: str, out: Path) -> None:
    """Fill an empty MLflow database of any dialect over HTTP, with all kinds that the newest MLflow has.

    Args:
        servers: Serve it.
        database: Its URI.
        out: Takes the folder ``artifacts``.
    """
    with servers.serving(database, out / "artifacts") as uri:
        server = Served(uri, servers.python, out)
        seed_server(server, small=True)
        _further(server, with_driver(database))
    with servers.serving(database, out / "artifacts", workspaces=True) as uri:
        _further(Served(uri, servers.python, out))


def _further(server: Filled, *arguments: str) -> None:
    env = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "PYTHONPATH"))}
    command = [server.python, str(FURTHER), server.uri, *arguments]
    done = subprocess.run(command, env=env, cwd=server.directory, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SeedingError(f"{FURTHER.name}\n{done.stderr[-6000:]}")


def pack(version: str, out: Path, folder: Path) -> None:
    """Write what `fill` left in ``out`` as the two files of a version: the database as SQL, and the artifacts."""
    with closing(sqlite3.connect(out / "mlflow.db")) as connection:
        sql = "".join(f"{statement}\n" for statement in connection.iterdump())
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{version}.sql.gz").write_bytes(gzip.compress(_anywhere(sql.encode()), 9, mtime=0))
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for path in sorted((out / "artifacts").rglob("*")):
            if path.is_file():
                data = _anywhere(path.read_bytes())
                entry = tarfile.TarInfo(path.relative_to(out).as_posix())
                entry.size = len(data)
                tar.addfile(entry, io.BytesIO(data))
    (folder / f"{version}.artifacts.tar.gz").write_bytes(gzip.compress(packed.getvalue(), 9, mtime=0))


def unpack(version: str, out: Path, folder: Path = OLD) -> Path:
    """Make in ``out`` what the server of a version left, and return its database, ``mlflow.db``."""
    out.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(out / "mlflow.db")) as connection:
        connection.executescript(gzip.decompress((folder / f"{version}.sql.gz").read_bytes()).decode())
    with tarfile.open(folder / f"{version}.artifacts.tar.gz") as tar:
        for entry in tar:
            path, data = out / entry.name, tar.extractfile(entry)
            assert data is not None
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data.read())
    return out / "mlflow.db"


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in version.split(".")[:2])


def _anywhere(data: bytes) -> bytes:
    """Clients write down where the script is that makes a trace: nobody's business."""
    return data.replace(str(ROOT).encode(), b"/checkout")


def main() -> None:
    parser = argparse.ArgumentParser(description="Fill a server of an MLflow and keep its database and artifacts.")
    parser.add_argument("version", help="the version of MLflow")
    parser.add_argument("out", type=Path, help="a new folder for mlflow.db and artifacts")
    parser.add_argument("--python", default=SERVER_PYTHON, help="a Python with that MLflow (default: this one)")
    parser.add_argument(
        "--keep-in", type=Path, metavar="FOLDER", help=f"also write the compact files, as in {OLD.name}"
    )
    arguments = parser.parse_args()
    print(fill(arguments.version, arguments.python, arguments.out))
    if arguments.keep_in:
        pack(arguments.version, arguments.out, arguments.keep_in)


if __name__ == "__main__":
    main()
