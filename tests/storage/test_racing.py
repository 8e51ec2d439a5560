"""Several processes write an archive to one place: one wins, where the place can say so, and the others end with 7."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

import mlflow_archive as ma
from mlflow_archive.operations.backup import archive
from mlflow_archive.spec.selection import Selection
from mlflow_archive.storage.opening import open_store
from tests.archive.fakes import sample_source

ROOT = Path(__file__).parents[2]
CONTENDERS = 3
#: Places, and whether they have a lock.
PLACES = {"local": True, "s3-moto": True, "adls": True, "gcs": True, "s3-rclone": False, "dbfs": False, "volume": False}


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """Archives of the same objects, each with an id and a digest of its own."""
    made = {}
    for _ in range(CONTENDERS):
        url = str(tmp_path_factory.mktemp("source") / "archive")
        with ExitStack() as stack:
            store = open_store(url)
            stack.callback(store.close)
            made[url] = archive(sample_source(), store, Selection()).root_digest
    return made


@pytest.fixture(scope="module")
def contenders(tmp_path_factory):
    """Processes that run the command line when they are told to."""
    command = [sys.executable, "-m", "tests.storage.racing"]
    with ExitStack() as stack:
        log = stack.enter_context((tmp_path_factory.mktemp("racing") / "log").open("w"))
        streams = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": log, "text": True}
        yield [stack.enter_context(subprocess.Popen(command, cwd=ROOT, **streams)) for _ in range(CONTENDERS)]


@pytest.mark.parametrize("kind", PLACES)
def test_one_of_several_processes_wins(kind, new_place, sources, contenders):
    """A tarball appears with its commit, so that is what they race for."""
    place = new_place(kind)
    target = f"{place.url}/archive.tar"
    for source, process in zip(sources, contenders, strict=True):
        arguments = ["repack", source, target, "--quiet", *place.arguments("--dst-storage-option")]
        say(process, json.dumps([place.url, place.options, arguments]))
    assert [process.stdout.readline() for process in contenders] == ["ready\n"] * CONTENDERS
    for process in contenders:
        say(process, "")
    codes = {source: int(process.stdout.readline()) for source, process in zip(sources, contenders, strict=True)}
    winners = [source for source, code in codes.items() if code == 0]
    assert sorted(codes.values()) == [0] * len(winners) + [7] * (CONTENDERS - len(winners))
    assert len(winners) == 1 if PLACES[kind] else winners
    report = ma.verify(target, storage_options=place.options or None)
    assert report.ok
    assert report.root_digest in {sources[source] for source in winners}


def say(process, line):
    process.stdin.write(f"{line}\n")
    process.stdin.flush()
