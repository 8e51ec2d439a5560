"""Archives through and through, on every kind of store and in every container, beside the same one on local disk."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

import mlflow_archive as ma
from mlflow_archive.archive.reader import ArchiveReader
from mlflow_archive.archive.writer import ArchiveWriter
from mlflow_archive.errors import ConflictError
from mlflow_archive.operations.verify import verify_at
from mlflow_archive.spec.kinds import Kind
from mlflow_archive.spec.selection import Selection
from mlflow_archive.storage.containers import Packing, begin_container, open_container
from mlflow_archive.storage.hashing import sha256_of
from tests.archive.fakes import move, sample_source

CONTAINERS = {
    "tree": ("archive", Packing()),
    "tarball": ("archive.tar.zst", Packing()),
    "volumes": ("archive", Packing(container="volumes", volume_bytes=1 << 20)),
}
STORES = ["local", "s3-moto", "s3-rclone", "adls", "gcs", "dbfs", "volume"]


@pytest.fixture(autouse=True)
def same_ids(monkeypatch):
    """One archive id for all, so that their manifests can be the same."""
    ids = SimpleNamespace(uuid4=lambda: "5f0c3f0e-6a55-4c8e-9a51-0d3a1c1f7b10")
    monkeypatch.setattr("mlflow_archive.archive.place.uuid", ids)


@pytest.fixture(params=STORES)
def place(request, new_place):
    """A folder with nothing in it, as a URL, and the storage options for it."""
    made = new_place(request.param)
    return made.url, made.options


def large_source():
    """The small sample, with an artifact that goes up in pieces and is read in ranges."""
    source = sample_source()
    run = next(item for item in source.objects if item.key.kind is Kind.RUN)
    run.files[("artifacts", "model/large.bin")] = bytes(range(256)) * (9 << 12) + b"end"
    return source


def write(source, url, packing, options=None):
    store = begin_container(url, packing, storage_options=options, parallelism=4)
    try:
        writer = ArchiveWriter.begin(store, clock_ms=lambda: 1_767_225_600_000)
        try:
            moved = move(source, writer)
        finally:
            writer.close()
    finally:
        store.close()
    assert moved.losses == []
    return writer.root_digest


def objects(url, options=None):
    """Return the records of an archive with the digests of their files."""
    store = open_container(url, storage_options=options)
    try:
        reader = ArchiveReader.open(store)
        found = {}
        for kind in reader.kinds():
            for item in reader.read(kind, Selection()):
                content = item.load()
                parts = {part.name: list(part.open()) for part in content.parts}
                files = {}
                for blob in content.blobs():
                    with blob.open() as chunks:
                        files[(blob.role, blob.name)] = sha256_of(b"".join(chunks))
                found[item.key] = (content.record, parts, files)
        return reader.root_digest, found
    finally:
        store.close()


@pytest.mark.parametrize("container_kind", CONTAINERS)
def test_an_archive_on_a_store_is_that_on_disk(place, tmp_path, container_kind):
    url, options = place
    name, packing = CONTAINERS[container_kind]
    reference = write(large_source(), f"{tmp_path}/reference", Packing())

    digest = write(large_source(), f"{url}/{name}", packing, options)

    assert digest == reference
    assert objects(f"{url}/{name}", options) == objects(f"{tmp_path}/reference")
    report = verify_at(f"{url}/{name}", level="restorable", storage_options=options)
    assert (report.problems, report.root_digest) == ((), reference)


def test_an_archive_goes_from_store_to_store_and_stays_the_same(new_place, tmp_path):
    """Every kind of store is a target, then a source."""
    reference = write(large_source(), f"{tmp_path}/reference", Packing())
    here, options = f"{tmp_path}/reference", {}
    for number, kind in enumerate([*STORES[1:], "local"]):
        place = new_place(kind)
        name, packing = [*CONTAINERS.values()][number % 3]
        there = f"{place.url}/{name}"
        chosen = {"container": packing.container, "volume_bytes": packing.volume_bytes}
        report = ma.repack(here, there, src_storage_options=options, dst_storage_options=place.options, **chosen)
        assert (report.root_digest, report.source) == (reference, here), kind
        here, options = there, place.options
    assert objects(here) == objects(f"{tmp_path}/reference")


@pytest.mark.parametrize("container_kind", CONTAINERS)
def test_a_second_archive_finds_the_place_taken(place, container_kind):
    url, options = place
    name, packing = CONTAINERS[container_kind]
    digest = write(sample_source(), f"{url}/{name}", packing, options)
    with pytest.raises(ConflictError):
        write(sample_source(), f"{url}/{name}", packing, options)
    assert objects(f"{url}/{name}", options)[0] == digest
