"""One archive in every container: the same files, the same manifest, the same root digest."""

from __future__ import annotations

import hashlib
import subprocess
import tarfile
from contextlib import closing

import pytest

from mlflow_archive.archive.reader import ArchiveReader
from mlflow_archive.archive.writer import ArchiveWriter
from mlflow_archive.errors import ConflictError, NotAnArchiveError
from mlflow_archive.storage.containers import Packing, begin_container, open_container
from mlflow_archive.storage.hashing import sha256_of
from tests.archive.fakes import move, sample_source

PLACES = {
    "tree": ("tree", Packing()),
    "tar": ("archive.tar", Packing()),
    "tar.gz": ("archive.tar.gz", Packing()),
    "tgz": ("archive.tgz", Packing(level=1)),
    "tar.zst": ("archive.tar.zst", Packing()),
    "tarball": ("archive", Packing(container="tarball")),
    "volumes": ("volumes", Packing(container="volumes")),
    "volumes.gz": ("volumes-gz", Packing(container="volumes", compression="gzip")),
    "volumes.plain": ("volumes-plain", Packing(container="volumes", compression="none")),
}


@pytest.fixture(autouse=True)
def same_ids(monkeypatch):
    """One archive id for all, so that their manifests can be the same."""
    monkeypatch.setattr("mlflow_archive.archive.place.uuid.uuid4", lambda: "5f0c3f0e-6a55-4c8e-9a51-0d3a1c1f7b10")


def write(url, packing, *, resume=False):
    store = begin_container(url, packing, parallelism=4)
    try:
        writer = ArchiveWriter.begin(store, resume=resume, clock_ms=lambda: 1_767_225_600_000)
        try:
            move(sample_source(), writer)
        finally:
            writer.close()
    finally:
        store.close()
    return writer


def contents(url):
    store = open_container(url)
    try:
        ArchiveReader.open(store)
        return {found.key: sha256_of(b"".join(store.read(found.key))) for found in store.list()}
    finally:
        store.close()


@pytest.mark.parametrize("container", PLACES)
def test_every_container_holds_the_same_archive(tmp_path, container):
    tree = write(f"{tmp_path}/reference", Packing())
    name, packing = PLACES[container]
    other = write(f"{tmp_path}/{name}", packing)
    assert other.root_digest == tree.root_digest
    assert contents(f"{tmp_path}/{name}") == contents(f"{tmp_path}/reference")


@pytest.mark.parametrize("container", ["tar", "tar.gz", "tgz", "tar.zst"])
def test_the_tree_comes_out_of_plain_tar(tmp_path, container):
    name, packing = PLACES[container]
    write(f"{tmp_path}/{name}", packing)
    out = tmp_path / "out"
    out.mkdir()
    unpack = {"tar": ["-xf"], "tar.zst": ["--zstd", "-xf"]}.get(container, ["-xzf"])
    subprocess.run(["tar", *unpack, f"{tmp_path}/{name}", "-C", out], check=True)
    found = {
        path.relative_to(out).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in out.rglob("*")
        if path.is_file()
    }
    assert found == contents(f"{tmp_path}/{name}")
    assert found == contents(str(out))


@pytest.mark.parametrize("container", ["tar", "tar.gz"])
def test_python_reads_it(tmp_path, container):
    name, packing = PLACES[container]
    write(f"{tmp_path}/{name}", packing)
    with tarfile.open(f"{tmp_path}/{name}") as tar:
        found = {member.name: hashlib.sha256(tar.extractfile(member).read()).hexdigest() for member in tar}
    assert found == contents(f"{tmp_path}/{name}")


@pytest.mark.parametrize("container", PLACES)
def test_a_second_archive_is_refused(tmp_path, container):
    name, packing = PLACES[container]
    first = write(f"{tmp_path}/{name}", packing)
    with pytest.raises(ConflictError):
        write(f"{tmp_path}/{name}", packing)
    with pytest.raises(ConflictError):
        write(f"{tmp_path}/{name}", packing, resume=True)
    assert ArchiveReader.open(open_container(f"{tmp_path}/{name}")).root_digest == first.root_digest


@pytest.mark.parametrize("container", [name for name in PLACES if "tar" in name])
def test_a_tarball_without_a_commit_was_never_there(tmp_path, container):
    name, packing = PLACES[container]
    store = begin_container(f"{tmp_path}/{name}", packing)
    writer = ArchiveWriter.begin(store)
    with store.write("half") as half:
        half.write(b"x" * 3_000_000)
    writer.close()
    store.close()
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(NotAnArchiveError):
        ArchiveReader.open(open_container(f"{tmp_path}/{name}"))


def test_a_tarball_takes_away_what_a_killed_one_left(tmp_path):
    left = tmp_path / ".mla-0123abcd.part"
    left.write_bytes(b"half of a tarball")
    with closing(begin_container(f"{tmp_path}/one.tar.zst", Packing())) as store:
        ArchiveWriter.begin(store, parallelism=1).close()
        assert not left.exists()
