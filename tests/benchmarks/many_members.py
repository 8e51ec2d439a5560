"""A tarball of many small members: how long it takes to write and to open, and how much memory that takes.

python -m tests.benchmarks.many_members 1000000 zstd /a/place/to/write
"""

from __future__ import annotations

import json
import multiprocessing
import resource
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from mlflow_archive.storage.opening import open_store
from mlflow_archive.storage.packed.codec import codec_for
from mlflow_archive.storage.packed.tarball_reader import TarballReader
from mlflow_archive.storage.packed.tarball_store import TarballStore


def key_of(number: int) -> str:
    return f"experiments/{number % 7}/runs/{number * 2654435761 % 2**64:032x}/run.json"


def write(folder: str, compression: str, members: int) -> dict[str, Any]:
    """Write them, each with a few bytes."""
    with closing(TarballStore(open_store(folder), "a", codec_for(compression), url="a", hold_bytes=1 << 20)) as store:
        for number in range(members):
            with store.write(key_of(number)) as writer:
                writer.write(b"%d" % number)
        store.commit("manifest.json", b"{}")
    return {}


def read(folder: str, compression: str, members: int) -> dict[str, Any]:
    """Open it by its table and read a member from the beginning, the middle and the end."""
    reader = TarballReader.open(open_store(folder), "a", url="a")
    assert reader.rebuilt == ""
    assert len(reader.table) == members + 1
    for number in (0, members // 2, members - 1):
        assert reader.read_all(key_of(number), limit_bytes=100) == b"%d" % number
    size = (Path(folder) / "a").stat().st_size
    return {"members": members, "table_mib": round((size - reader.table.stored_bytes) / 2**20, 1)}


def look(folder: str, compression: str, members: int) -> dict[str, Any]:
    """List them all."""
    with closing(TarballReader.open(open_store(folder), "a", url="a")) as reader:
        assert sum(1 for _ in reader.list()) == members + 1
    return {}


def measured(work: Callable[..., dict[str, Any]], *arguments: Any) -> tuple[dict[str, Any], float, float]:
    """Do it in a fresh process; return its answer, seconds, and how many MiB it took."""

    def run() -> None:
        unit = 2**20 if sys.platform == "darwin" else 2**10
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        begun = time.monotonic()
        answer = work(*arguments)
        seconds = time.monotonic() - begun
        child.send((answer, seconds, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / unit))

    parent, child = multiprocessing.Pipe()
    process = multiprocessing.get_context("fork").Process(target=run)
    process.start()
    result: tuple[dict[str, Any], float, float] = parent.recv()
    process.join()
    return result


def main(members: int, compression: str, folder: str) -> None:
    found: dict[str, Any] = {}
    for name, work in (("write", write), ("open", read), ("open_and_list", look)):
        answer, seconds, mebibytes = measured(work, folder, compression, members)
        found |= {**answer, f"{name}_seconds": round(seconds, 1), f"{name}_more_mib": round(mebibytes)}
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3])
