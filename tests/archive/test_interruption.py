"""The writer is cut at every call of the store: afterwards there is no archive or a valid one, and resume ends well."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import uuid
from contextlib import closing
from pathlib import Path

import pytest

from mlflow_archive.archive.reader import ArchiveReader
from mlflow_archive.archive.writer import ArchiveWriter
from mlflow_archive.errors import ConflictError, MlflowArchiveError, NotAnArchiveError, UnavailableError
from mlflow_archive.operations.backup import archive
from mlflow_archive.spec.kinds import Kind
from mlflow_archive.spec.selection import Selection
from mlflow_archive.storage.opening import open_store
from mlflow_archive.stream import Status
from tests.archive.fakes import move, sample_source
from tests.storage.faulty import FaultyStore


def fresh():
    return open_store(f"memory://{uuid.uuid4().hex}/archive")


def small():
    return sample_source(experiments=1, runs=2)


def backup(source, store, **options):
    writer = ArchiveWriter.begin(store, parallelism=2, **options)
    try:
        return writer, move(source, writer)
    finally:
        writer.close()


def read_everything(store):
    """Read all that is named, which checks it."""
    reader = ArchiveReader.open(store)
    for kind in reader.kinds():
        for item in reader.read(kind, Selection()):
            content = item.load()
            for part in content.parts:
                list(part.open())
            for blob in content.blobs():
                with blob.open() as chunks:
                    for _ in chunks:
                        pass
    return reader


@pytest.fixture(scope="module")
def undisturbed():
    store = FaultyStore(fresh())
    writer, moved = backup(small(), store)
    assert moved.losses == []
    return writer.manifest, len(store.calls)


def calls_of_a_backup(**options):
    store = FaultyStore(fresh(), **options)
    backup(small(), store)
    return len(store.calls)


CALLS = calls_of_a_backup()
WRITES = calls_of_a_backup(count_reads=False)


@pytest.mark.parametrize("number", range(1, CALLS + 1))
def test_cut_at_every_call_and_resumed(number, undisturbed):
    manifest, calls = undisturbed
    assert calls == CALLS
    inner = fresh()
    with pytest.raises(UnavailableError):
        backup(small(), FaultyStore(inner, fail_at=number))
    assert inner.size_bytes("manifest.json") is None
    with pytest.raises(NotAnArchiveError):
        ArchiveReader.open(inner)
    if inner.size_bytes("mlflow-archive.json") is not None:
        with pytest.raises(ConflictError, match="--resume"):
            backup(small(), inner)
    writer, moved = backup(small(), inner, resume=True)
    assert moved.losses == []
    assert writer.manifest.sections == manifest.sections
    assert read_everything(inner).manifest == writer.manifest


@pytest.mark.parametrize("number", range(1, CALLS + 1, 3))
def test_cut_twice_and_resumed(number, undisturbed):
    manifest, _ = undisturbed
    inner = fresh()
    with pytest.raises(UnavailableError):
        backup(small(), FaultyStore(inner, fail_at=CALLS - 10))
    try:
        backup(small(), FaultyStore(inner, fail_at=number), resume=True)
    except UnavailableError:
        backup(small(), inner, resume=True)
    assert read_everything(inner).manifest.sections == manifest.sections


@pytest.mark.parametrize("number", range(1, WRITES + 2, 2))
def test_a_full_disk_at_every_write(number, tmp_path, undisturbed):
    manifest, _ = undisturbed
    inner = open_store(f"{tmp_path}/archive")
    full = UnavailableError("There is no space left.", code="disk_full")
    store = FaultyStore(inner, fail_at=number, error=full, count_reads=False)
    if number <= WRITES:
        with pytest.raises(UnavailableError) as caught:
            backup(small(), store)
        assert caught.value.code == "disk_full"
        assert inner.size_bytes("manifest.json") is None
        assert list(tmp_path.rglob(".mla-*")) == []
        backup(small(), inner, resume=True)
    else:
        backup(small(), store)
    assert read_everything(inner).manifest.sections == manifest.sections


def test_what_is_whole_is_not_read_again():
    inner = fresh()
    with pytest.raises(UnavailableError):
        backup(small(), FaultyStore(inner, fail_at=CALLS))
    source = small()
    writer, moved = backup(source, inner, resume=True)
    assert source.reads == {}
    assert {outcome.reason for outcome in moved.outcomes} == {"resumed"}
    assert {outcome.status for outcome in moved.outcomes} == {Status.STORED}
    assert writer.manifest.counts["run"].stored == 2


def interrupted():
    store = fresh()
    with pytest.raises(UnavailableError):
        backup(small(), FaultyStore(store, fail_at=CALLS))
    return store


def run_of(source):
    return next(item for item in source.objects if item.key.kind is Kind.RUN)


def test_the_archive_keeps_its_id():
    store = interrupted()
    writer = ArchiveWriter.begin(store, resume=True)
    writer.close()
    again = ArchiveWriter.begin(store, resume=True)
    again.close()
    assert again.marker == writer.marker


def test_a_changed_record_is_written_again():
    store = interrupted()
    source = small()
    run = run_of(source)
    run.record = run.record.model_copy(update={"tags": {"new": "tag"}})
    _, moved = backup(source, store, resume=True)
    assert moved.by_id(run.key.id).reason == ""
    assert sum(outcome.reason == "resumed" for outcome in moved.outcomes) == len(moved.outcomes) - 1
    items = read_everything(store).read(Kind.RUN, Selection())
    assert [item.load().record.tags for item in items if item.key.id == run.key.id] == [{"new": "tag"}]


@pytest.mark.parametrize("file", ["metrics.jsonl", "artifacts/model/MLmodel", "artifacts/empty", "run.json"])
@pytest.mark.parametrize("damage", ["missing", "longer", "broken"])
def test_an_object_that_is_not_whole_is_written_again(file, damage, undisturbed):
    store = interrupted()
    source = small()
    run = run_of(source)
    path = f"experiments/1/runs/{run.key.id}/{file}"
    if damage == "missing":
        store.delete(path)
    else:
        with store.write(path) as writer:
            writer.write(b"{" if damage == "broken" else b"[1]" * 1000)
    _, moved = backup(source, store, resume=True)
    assert moved.by_id(run.key.id).reason == ""
    assert read_everything(store).manifest.sections == undisturbed[0].sections


def test_an_object_with_losses_is_tried_again():
    store = fresh()
    source = small()
    run = run_of(source)
    source.broken[(run.key.id, "empty")] = UnavailableError("Busy.")
    with pytest.raises(UnavailableError):
        backup(source, FaultyStore(store, fail_at=CALLS + 2))
    _, moved = backup(small(), store, resume=True)
    assert moved.by_id(run.key.id).reason == ""
    assert read_everything(store).manifest.status == "complete"


def test_files_that_the_first_attempt_was_to_leave_out_are_not_forgotten(undisturbed):
    store = fresh()
    without_files = small()
    for item in without_files.objects:
        item.files.clear()
    writer = ArchiveWriter.begin(store)
    for kind in without_files.kinds():
        for item in without_files.read(kind, Selection()):
            writer.write(item)
    writer.close()
    _, moved = backup(small(), store, resume=True)
    assert any(outcome.reason == "resumed" for outcome in moved.outcomes)
    assert read_everything(store).manifest.sections == undisturbed[0].sections


def test_resume_with_nothing_there_begins():
    store = fresh()
    _, moved = backup(small(), store, resume=True)
    assert {outcome.reason for outcome in moved.outcomes} == {""}
    assert read_everything(store).manifest.status == "complete"


@pytest.mark.parametrize("resume", [True, False])
def test_a_committed_archive_is_left_alone(resume):
    store = fresh()
    backup(small(), store)
    before = {found.key: found.size_bytes for found in store.list()}
    with pytest.raises(ConflictError, match="complete archive"):
        backup(small(), store, resume=resume)
    assert {found.key: found.size_bytes for found in store.list()} == before


@pytest.mark.parametrize("resume", [True, False])
@pytest.mark.parametrize("key", ["notes.txt", "manifest.json", "experiments/1/experiment.json"])
def test_foreign_files_are_never_mixed_with(resume, key):
    store = fresh()
    with store.write(key) as writer:
        writer.write(b"mine")
    with pytest.raises(ConflictError, match="not empty"):
        backup(small(), store, resume=resume)
    assert [found.key for found in store.list()] == [key]


def test_several_writers_of_one_place_have_one_winner(tmp_path):
    for round in range(5):
        place = f"{tmp_path}/{round}"
        results: list[object] = []
        barrier = threading.Barrier(4)

        def contend(place=place, results=results, barrier=barrier):
            barrier.wait()
            try:
                backup(small(), open_store(place))
            except ConflictError as error:
                results.append(error)
            else:
                results.append("won")

        run_all([contend] * 4)
        assert results.count("won") == 1
        assert len(results) == 4
        read_everything(open_store(place))


def test_several_that_resume_one_place_have_at_most_one_winner_and_a_valid_archive(tmp_path, undisturbed):
    for round in range(5):
        place = f"{tmp_path}/{round}"
        with pytest.raises(UnavailableError):
            backup(small(), FaultyStore(open_store(place), fail_at=CALLS // 2))
        results: list[object] = []
        barrier = threading.Barrier(3)

        def contend(place=place, results=results, barrier=barrier):
            barrier.wait()
            try:
                backup(small(), open_store(place), resume=True)
            except ConflictError as error:
                results.append(error)
            else:
                results.append("won")

        run_all([contend] * 3)
        assert results.count("won") == 1
        assert read_everything(open_store(place)).manifest.sections == undisturbed[0].sections


def run_all(tasks):
    errors: list[BaseException] = []

    def run(task):
        try:
            task()
        except MlflowArchiveError as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(task,)) for task in tasks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


_KILLED = """
import sys, time
from mlflow_archive.archive.writer import ArchiveWriter
from mlflow_archive.storage.opening import open_store
from tests.archive.fakes import move, sample_source
writer = ArchiveWriter.begin(open_store(sys.argv[1]), parallelism=2)
class Slow:
    def write(self, item):
        print("write", flush=True)
        return writer.write(item)
    def close_scope(self, scope):
        writer.close_scope(scope)
    def finish(self, account):
        return writer.finish(account)
move(sample_source(experiments=1, runs=2), Slow())
"""


@pytest.mark.parametrize("writes", [1, 2, 4, 7])
def test_a_killed_process_leaves_no_archive_and_can_be_resumed(tmp_path, writes, undisturbed):
    place = f"{tmp_path}/archive"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen([sys.executable, "-c", _KILLED, place], stdout=subprocess.PIPE, env=environment) as process:
        for _ in range(writes):
            assert process.stdout is not None
            assert process.stdout.readline() == b"write\n"
        process.send_signal(signal.SIGKILL)
    store = open_store(place)
    with pytest.raises(NotAnArchiveError, match="--resume"):
        ArchiveReader.open(store)
    backup(small(), store, resume=True)
    assert read_everything(store).manifest.sections == undisturbed[0].sections
    assert list(tmp_path.rglob(".mla-*")) == []


def test_a_backup_that_began_nothing_leaves_the_place_as_it_was(tmp_path: Path) -> None:
    with closing(open_store(str(tmp_path / "a"))) as store:
        ArchiveWriter.begin(store).close()

        assert list(store.list()) == []
        assert archive(sample_source(), store, Selection()).status == "complete"


def test_a_backup_that_began_nothing_leaves_alone_what_another_one_put_there(tmp_path: Path) -> None:
    with closing(open_store(str(tmp_path / "a"))) as store:
        writer = ArchiveWriter.begin(store)
        with store.write("experiments/1/experiment.json") as other:
            other.write(b"{}")
        writer.close()

        assert store.size_bytes("mlflow-archive.json")


def test_a_store_that_is_gone_in_the_middle_says_how_to_go_on():
    store = fresh()
    with pytest.raises(UnavailableError, match=r"does not answer. What was written is kept .* go on by --resume"):
        archive(small(), FaultyStore(store, fail_at=CALLS // 2), Selection(), parallelism=2)
    with pytest.raises(UnavailableError) as caught:
        archive(small(), FaultyStore(fresh(), fail_at=1), Selection(), parallelism=2)
    assert "--resume" not in str(caught.value), "nothing is there yet"
    archive(small(), store, Selection(), parallelism=2, resume=True)
    read_everything(store)
