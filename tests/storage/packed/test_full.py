"""A disk that is full and a place that is read-only: one sentence, its exit code, and nothing that is half."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from mlflow_archive.archive.reader import ArchiveReader
from mlflow_archive.errors import ExitCode, NotAnArchiveError
from mlflow_archive.operations.verify import verify_at
from mlflow_archive.storage.containers import open_container
from tests.storage.packed.full import backup

ROOT = Path(__file__).parents[3]
CONTAINERS = {"tree": "archive", "tarball": "archive.tar.zst", "volumes": "archive"}


def require_none(folder, url, container):
    """There is no archive and nothing half-written; of a tarball there is nothing at all."""
    with pytest.raises(NotAnArchiveError), closing(open_container(url)) as store:
        ArchiveReader.open(store)
    files = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    assert [path for path in files if ".mla-" in path] == []
    if container == "tarball":
        assert files == []


@pytest.mark.parametrize("container", CONTAINERS)
def test_a_full_disk(tmp_path, container):
    url = str(tmp_path / CONTAINERS[container])
    answer = subprocess.run(
        [sys.executable, "-m", "tests.storage.packed.full", url, container, str(2 << 20)],
        cwd=ROOT, capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    code, sentence = json.loads(answer.stdout)
    assert code == ExitCode.FAILED
    assert sentence.startswith("There is no space left to write ")
    assert "\n" not in sentence
    assert ("--resume" in sentence) == (container != "tarball"), "there is nothing to go on with in a tarball"
    assert answer.stderr == ""
    require_none(tmp_path, url, container)
    assert backup(url, container, resume=container != "tarball") == (0, "")
    assert verify_at(url, "restorable").ok
    assert list(tmp_path.rglob(".mla-*")) == []


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("there", [True, False], ids=["folder there", "folder not there"])
def test_a_place_that_is_read_only(tmp_path, container, there, monkeypatch):
    place = tmp_path / "place"
    if there:
        place.mkdir()
    url = str(place / CONTAINERS[container])

    def refused(call, writes):
        def called(path, *arguments, **named):
            if str(path).startswith(str(place)) and writes(*arguments):
                raise OSError(errno.EROFS, "Read-only file system", path)
            return call(path, *arguments, **named)

        return called

    with monkeypatch.context() as patched:
        patched.setattr(os, "open", refused(os.open, lambda flags, *_: flags & (os.O_WRONLY | os.O_RDWR)))
        patched.setattr(os, "mkdir", refused(os.mkdir, lambda *_: True))
        code, sentence = backup(url, container)
    assert code == ExitCode.NOT_AUTHORISED
    assert str(place) in sentence
    assert "\n" not in sentence
    require_none(tmp_path, url, container)
    assert backup(url, container) == (0, "")
