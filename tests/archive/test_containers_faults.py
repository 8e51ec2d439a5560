"""Every fault in every container: a whole archive, or none that can be gone on with, or damage that is named.

At a few calls each; ``MLFLOW_ARCHIVE_MATRIX=1000`` takes up to 1000, and with ``pytest -s`` tells the outcomes.
"""

from __future__ import annotations

import os
import sys
import uuid
from collections import Counter
from contextlib import closing

import pytest

from mlflow_archive.archive.reader import ArchiveReader
from mlflow_archive.archive.writer import ArchiveWriter
from mlflow_archive.errors import ConflictError, IntegrityError, MlflowArchiveError, NotAnArchiveError
from mlflow_archive.operations.verify import verify
from mlflow_archive.spec.loss import Loss
from mlflow_archive.spec.selection import Selection
from mlflow_archive.storage.opening import open_store
from mlflow_archive.storage.packed.codec import codec_for
from mlflow_archive.storage.packed.tarball_reader import TarballReader
from mlflow_archive.storage.packed.tarball_store import TarballStore
from mlflow_archive.storage.packed.volumes_reader import VolumesReader
from mlflow_archive.storage.packed.volumes_store import VolumesStore
from tests.archive.fakes import move, sample_source
from tests.storage.faulty import FAULTS, STRIKES, TOLD, FaultyStore

CONTAINERS = ("tree", "tarball", "volumes")
#: A store that lies about what it has kept cannot be seen through by a writer that does not read it again.
LIES = frozenset({"truncated write", "wrong byte"})
TARBALL = "archive.tar.zst"


def fresh():
    return open_store(f"memory://{uuid.uuid4().hex}/place")


def begin(container, outer):
    if container == "tree":
        return outer
    codec = codec_for("zstd")
    if container == "tarball":
        return TarballStore(outer, TARBALL, codec, url=TARBALL, hold_bytes=200)
    return VolumesStore(outer, codec, lanes=2, volume_bytes=200, hold_bytes=200)


def write(container, outer, *, resume=False):
    with closing(begin(container, outer)) as store:
        writer = ArchiveWriter.begin(store, resume=resume, parallelism=1, clock_ms=lambda: 1)
        try:
            moved = move(sample_source(experiments=1, runs=1), writer)
        finally:
            writer.close()
    assert moved.losses == []
    return writer.manifest.sections


def opened(container, outer):
    if container == "tarball":
        return TarballReader.open(outer, TARBALL, url=TARBALL)
    return (VolumesReader.open(outer) or outer) if container == "volumes" else outer


def outcome(container, inner, sections):
    """Return what is at the place after a fault; what has to be gone on with is gone on with."""
    try:
        store = opened(container, inner)
        reader = ArchiveReader.open(store)
    except NotAnArchiveError:
        if container == "tarball" and inner.size_bytes(TARBALL) is not None:
            return "named damage"  # it was cut off by a store that said nothing
        assert write(container, inner, resume=True) == sections
        report = verify(opened(container, inner))
        assert report.ok, report.problems
        return "none, gone on with"
    except IntegrityError as error:
        return "named damage" if error.problems else "damage without a name"
    report = verify(store)
    if not report.ok:
        assert all(problem.rule.startswith("E") for problem in report.problems)
        return "named damage"
    assert reader.manifest.sections == sections
    return "whole"


def interrupted(container, calls):
    inner = fresh()
    with pytest.raises(MlflowArchiveError):
        write(container, FaultyStore(inner, fail_at=2 * calls // 3))
    return inner


def copy_of(inner):
    outer = fresh()
    for found in inner.list():
        with outer.write(found.key) as writer:
            writer.write(inner.read_all(found.key, limit_bytes=1 << 30))
    return outer


def struck(fault, calls, *, most):
    """Return the numbers of the calls at which a fault can strike, at most so many, the last among them."""
    numbers = [n for n, call in enumerate(calls, 1) if call.split()[0] in STRIKES.get(fault, call.split()[0])]
    step = -(-len(numbers) // most) or 1
    return numbers[::-1][::step]


def tell(container, fault, outcomes):
    if "MLFLOW_ARCHIVE_MATRIX" in os.environ:
        sys.__stderr__.write(f"{container:8} {fault:18} {sum(outcomes.values()):3} {dict(outcomes)}\n")


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("container", CONTAINERS)
def test_a_writer_leaves_a_whole_archive_or_none_or_what_can_be_named(container, fault):
    counting = FaultyStore(fresh())
    sections = write(container, counting)
    begun = interrupted(container, len(counting.calls))
    resuming = FaultyStore(copy_of(begun))
    assert write(container, resuming, resume=True) == sections
    outcomes = Counter()
    for calls, resume in ((counting.calls, False), (resuming.calls, True)):
        for number in struck(fault, calls, most=int(os.environ.get("MLFLOW_ARCHIVE_MATRIX", "4"))):
            inner = copy_of(begun) if resume else fresh()
            store = FaultyStore(inner, fail_at=number, once=True, fault=fault)
            failed = None
            try:
                write(container, store, resume=resume)
            except MlflowArchiveError as error:
                failed = error
            expected = ConflictError | IntegrityError | NotAnArchiveError | None
            assert fault in TOLD or isinstance(failed, expected) or ".wait" in store.calls[number - 1], failed
            found = outcome(container, inner, sections)
            if fault == "slow":
                assert (failed, found) == (None, "whole")
            if found == "named damage":
                call = store.calls[number - 1]
                kept_otherwise = fault in LIES and call.split()[0] in ("write", "create")
                assert kept_otherwise or (resume and ".wait" not in call), call
            if not failed:
                assert found != "none, gone on with"
            outcomes[f"{'failed' if failed else 'done'}: {found}"] += 1
    tell(container, fault, outcomes)
    assert outcomes or fault in ("short read", "stale listing")


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("container", CONTAINERS)
def test_a_reader_gives_what_is_there_or_an_error(container, fault):
    inner = fresh()
    write(container, inner)
    counting = FaultyStore(inner)
    expected = everything(container, counting)
    outcomes = Counter()
    for number in struck(fault, counting.calls, most=int(os.environ.get("MLFLOW_ARCHIVE_MATRIX", "4"))):
        try:
            found = everything(container, FaultyStore(inner, fail_at=number, once=True, fault=fault))
        except MlflowArchiveError as error:
            outcomes[type(error).__name__] += 1
            continue
        if found[0] == expected[0]:  # the root digest says that it is the same archive
            assert found == expected, counting.calls[number - 1]
        outcomes["the same" if found == expected else "another root digest"] += 1
    assert fault != "slow" or set(outcomes) == {"the same"}
    tell(f"{container}<", fault, outcomes)
    assert outcomes or not set(STRIKES[fault]) & {call.split()[0] for call in counting.calls}


def everything(container, outer):
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
