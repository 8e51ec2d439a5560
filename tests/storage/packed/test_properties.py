"""Whatever is packed comes out again, whole and by ranges, with the table and without; damage never changes a byte."""

from __future__ import annotations

import random
import re
import uuid
from contextlib import closing

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from mlflow_archive.archive.reader import ArchiveReader
from mlflow_archive.archive.writer import ArchiveWriter
from mlflow_archive.errors import IntegrityError, MlflowArchiveError, NotAnArchiveError, UnsupportedError
from mlflow_archive.spec.loss import Loss
from mlflow_archive.spec.paths import escape_path
from mlflow_archive.spec.selection import Selection
from mlflow_archive.storage.opening import open_store
from mlflow_archive.storage.packed import frames, packer
from mlflow_archive.storage.packed.codec import codec_for
from mlflow_archive.storage.packed.tarball_reader import TarballReader
from mlflow_archive.storage.packed.tarball_store import TarballStore
from mlflow_archive.storage.packed.volumes_reader import VolumesReader
from mlflow_archive.storage.packed.volumes_store import VolumesStore
from mlflow_archive.storage.store import CHUNK_BYTES
from tests.archive.fakes import move, sample_source

HOLD = 3000
GROUP = 4096
PIECE = 10_000
COMPRESSIONS = ("none", "gzip", "zstd")
CONTAINERS = ("tarball", "volumes")
SETTINGS = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(autouse=True)
def small_limits(monkeypatch):
    """Frames of a few kilobytes, so that their edges are met often."""
    monkeypatch.setattr(packer, "GROUP_BYTES", GROUP)
    monkeypatch.setattr(packer, "PIECE_BYTES", PIECE)
    monkeypatch.setattr(frames, "_KEPT_BYTES", 3 * GROUP)
    monkeypatch.setattr(frames, "_SMALL_BYTES", 2 * GROUP)


edges = st.sampled_from([0, 1, 511, 512, 513, HOLD - 1, HOLD, HOLD + 1, GROUP - 1, GROUP, GROUP + 1, PIECE, PIECE + 1])
sizes = edges | st.integers(0, 3 * PIECE) | st.just(4 * PIECE)
plain_names = st.from_regex(r"[a-c]{1,3}(/[a-c]{1,3}){0,2}", fullmatch=True)
long_names = st.integers(90, 300).map(lambda size: escape_path("/".join(["ab"] * size)))
names = st.text(min_size=1, max_size=20).map(escape_path) | plain_names | long_names


@st.composite
def members(draw):
    """Bytes that compress and bytes that do not, with the size told or not, written in pieces of some size."""
    found = {}
    for key in draw(st.lists(names, max_size=8)):
        size = draw(sizes)
        if draw(st.booleans()):
            data = draw(st.binary(min_size=1, max_size=20)) * (size + 1)
        else:
            data = random.Random(draw(st.integers(0, 9))).randbytes(size)
        found[key] = data[:size], draw(st.booleans()), draw(st.integers(1, 2 * HOLD))
    return found


def fresh():
    return open_store(f"memory://{uuid.uuid4().hex}/place")


def pack(container, compression, outer, content, *, lanes=3, volume_bytes=2000):
    codec = codec_for(compression)
    if container == "tarball":
        store = TarballStore(outer, "a.tar", codec, url="a.tar", hold_bytes=HOLD)
    else:
        store = VolumesStore(outer, codec, lanes=lanes, volume_bytes=volume_bytes, hold_bytes=HOLD)
    with closing(store):
        for key, (data, told, step) in content.items():
            with store.write(key, size_bytes=len(data) if told else None) as writer:
                for at in range(0, len(data), step):
                    writer.write(data[at : at + step])
        store.commit("manifest.json", b"{}")


def opened(container, outer):
    return TarballReader.open(outer, "a.tar", url="a.tar") if container == "tarball" else VolumesReader.open(outer)


def overwrite(outer, key, data):
    with outer.write(key) as writer:
        writer.write(data)


def without_tables(container, outer, how):
    """Cut off or overwrite the tables of all tarballs."""
    for key in ["a.tar"] if container == "tarball" else [found.key for found in outer.list("volumes")]:
        data = outer.read_all(key, limit_bytes=1 << 30)
        reader = TarballReader.open(outer, key, url=key)
        assert reader.rebuilt == ""
        if how == "overwritten":
            overwrite(outer, key, data[: reader.table.stored_bytes] + bytes(len(data) - reader.table.stored_bytes))
        elif container == "tarball":  # the list of volumes says how large they are
            overwrite(outer, key, data[: reader.table.stored_bytes])


def require(reader, content, ranges):
    assert {found.key: found.size_bytes for found in reader.list()} == {
        "manifest.json": 2,
        **{key: len(data) for key, (data, _, _) in content.items()},
    }
    for key, (data, _, _) in content.items():
        chunks = list(reader.read(key))
        assert b"".join(chunks) == data
        assert all(0 < len(chunk) <= CHUNK_BYTES for chunk in chunks)
        assert reader.read_all(key, limit_bytes=len(data)) == data
        for start, size in ranges:
            assert b"".join(reader.read(key, start=start, size_bytes=size)) == data[start:][:size]


@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("container", CONTAINERS)
@given(
    content=members(),
    ranges=st.lists(st.tuples(sizes, st.none() | sizes), min_size=1, max_size=4),
    lost=st.sampled_from(["cut off", "overwritten"]),
)
@example(content={}, ranges=[(0, None)], lost="cut off")
@SETTINGS
def test_what_is_packed_comes_out_again(container, compression, content, ranges, lost):
    content = {key: value for key, value in content.items() if key != "manifest.json"}
    outer = fresh()
    pack(container, compression, outer, content)
    assert list(opened(container, outer).problems(every_byte=True)) == []
    require(opened(container, outer), content, ranges)
    without_tables(container, outer, lost)
    require(opened(container, outer), content, ranges)


# Damage


def archived(container, compression):
    """Return the objects of an archive in a container."""
    outer = fresh()
    codec = codec_for(compression)
    if container == "tarball":
        store = TarballStore(outer, "a.tar", codec, url="a.tar", hold_bytes=HOLD)
    else:
        store = VolumesStore(outer, codec, lanes=2, volume_bytes=2000, hold_bytes=HOLD)
    with closing(store):
        writer = ArchiveWriter.begin(store, parallelism=1)
        try:
            move(sample_source(experiments=1, runs=1), writer)
        finally:
            writer.close()
    return {found.key: outer.read_all(found.key, limit_bytes=1 << 30) for found in outer.list()}


def everything(container, outer):
    """Read all that an archive says, as a restore does."""
    found = {}
    reader = ArchiveReader.open(opened(container, outer))
    for kind in reader.kinds():
        for item in reader.read(kind, Selection()):
            if isinstance(item, Loss):
                raise IntegrityError(item.reason)
            content = item.load()
            found[item.key] = content.record
            for part in content.parts:
                found[item.key, part.name] = list(part.open())
            for blob in content.blobs():
                with blob.open() as chunks:
                    found[item.key, blob.name] = b"".join(chunks)
    return reader.root_digest, found


@pytest.fixture(scope="module", params=[(a, b) for a in CONTAINERS for b in COMPRESSIONS], ids="-".join)
def whole(request):
    """An archive in a container, with what it says."""
    container, compression = request.param
    objects = archived(container, compression)
    outer = fresh()
    for key, data in objects.items():
        overwrite(outer, key, data)
    return container, objects, everything(container, outer)


@given(data=st.data())
@settings(SETTINGS, max_examples=30)
def test_damage_is_named_or_changes_nothing(whole, data):
    container, objects, expected = whole
    weights = sorted(objects, key=lambda key: (key.endswith(("README.txt",)), -len(objects[key]), key))
    key = data.draw(st.sampled_from(weights), label="object")
    bad = bytearray(objects[key])
    if data.draw(st.booleans(), label="cut off"):
        del bad[data.draw(st.integers(0, len(bad) - 1), label="size") :]
    else:
        near_the_end = st.integers(max(0, len(bad) - 1500), len(bad) - 1)
        places = st.integers(0, len(bad) - 1) | near_the_end
        for place in data.draw(st.lists(places, min_size=1, max_size=6), label="at"):
            bad[place] ^= data.draw(st.integers(1, 255), label="by")
    outer = fresh()
    for other, good in objects.items():
        overwrite(outer, other, bytes(bad) if other == key else good)
    refusal, found = None, None
    try:
        found = everything(container, outer)
    except MlflowArchiveError as error:
        refusal = error
    if refusal is not None:
        assert isinstance(refusal, IntegrityError | NotAnArchiveError | UnsupportedError), refusal
        assert not isinstance(refusal, IntegrityError) or re.search(r"\(E0\d\d\)", str(refusal)), refusal
    elif found[0] == expected[0]:
        assert found == expected
