"""The writer is cut at every call to the place: then there is no archive or a whole one, and volumes go on."""

from __future__ import annotations

import uuid
from collections import Counter

import pytest

from mlflow_archive.archive.reader import ArchiveReader
from mlflow_archive.archive.writer import ArchiveWriter
from mlflow_archive.errors import ConflictError, NotAnArchiveError, UnavailableError
from mlflow_archive.operations.verify import verify
from mlflow_archive.storage.opening import open_store
from mlflow_archive.storage.packed.codec import codec_for
from mlflow_archive.storage.packed.tarball_reader import TarballReader
from mlflow_archive.storage.packed.tarball_store import TarballStore
from mlflow_archive.storage.packed.volumes_reader import VolumesReader
from mlflow_archive.storage.packed.volumes_store import VolumesStore
from tests.archive.fakes import move, sample_source
from tests.storage.faulty import FaultyStore


def fresh():
    return open_store(f"memory://{uuid.uuid4().hex}/place")


def begin(kind, outer):
    codec = codec_for("zstd")
    if kind == "tarball":
        return TarballStore(outer, "archive.tar.zst", codec, url="archive.tar.zst", hold_bytes=200)
    return VolumesStore(outer, codec, lanes=2, volume_bytes=200, hold_bytes=200)


def write(kind, outer, *, resume=False):
    store = begin(kind, outer)
    try:
        writer = ArchiveWriter.begin(store, resume=resume, parallelism=2)
        try:
            move(sample_source(), writer)
        finally:
            writer.close()
    finally:
        store.close()
    return writer


def opened(kind, inner):
    if kind == "tarball":
        return TarballReader.open(inner, "archive.tar.zst", url="archive.tar.zst")
    return VolumesReader.open(inner) or inner


@pytest.mark.parametrize("once", [True, False], ids=["once", "from then on"])
@pytest.mark.parametrize("kind", ["tarball", "volumes"])
def test_every_cut_leaves_no_archive_or_a_whole_one(kind, once):
    counting = FaultyStore(fresh())
    write(kind, counting)
    total = len(counting.calls)
    outcomes = Counter()
    for cut in range(1, total + 1):
        inner = fresh()
        try:
            write(kind, FaultyStore(inner, fail_at=cut, once=once))
            outcomes["survived"] += 1
        except UnavailableError:
            outcomes["failed"] += 1
        try:
            store = opened(kind, inner)
            ArchiveReader.open(store)
        except NotAnArchiveError:
            outcomes["no archive"] += 1
            if kind == "volumes":
                resumed(kind, inner)
            else:
                assert "archive.tar.zst" not in {found.key for found in inner.list()}
                write(kind, inner)
                assert verify(opened(kind, inner)).ok
            continue
        outcomes["whole"] += 1
        assert verify(store).ok
    assert total > 10
    assert outcomes["no archive"] > total // 2


def resumed(kind, inner):
    try:
        write(kind, inner, resume=True)
    except ConflictError as error:
        raise AssertionError("cannot be gone on with") from error
    report = verify(VolumesReader.open(inner))
    assert report.ok, report.problems
