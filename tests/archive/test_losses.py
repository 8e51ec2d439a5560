"""What cannot be read is a loss in the archive, never an error that ends it and never silence."""

from __future__ import annotations

import uuid
from contextlib import contextmanager

import pytest

from mlflow_archive.archive.reader import ArchiveReader
from mlflow_archive.archive.writer import ArchiveWriter
from mlflow_archive.errors import IntegrityError, MlflowArchiveError, NotFoundError, UnavailableError
from mlflow_archive.spec.descriptor import Descriptor
from mlflow_archive.spec.kinds import Kind
from mlflow_archive.spec.loss import Loss
from mlflow_archive.spec.selection import Selection
from mlflow_archive.storage.opening import open_store
from mlflow_archive.stream import Blob, Content, Item, ObjectKey, Status
from tests.archive.fakes import move, sample_source


@pytest.fixture
def store():
    return open_store(f"memory://{uuid.uuid4().hex}/archive")


@pytest.fixture
def source():
    return sample_source(experiments=1, runs=2)


def first_run(source):
    return next(item for item in source.objects if item.key.kind is Kind.RUN)


def backup(source, store):
    writer = ArchiveWriter.begin(store)
    try:
        return move(source, writer)
    finally:
        writer.close()


def document_of(store, run_id):
    reader = ArchiveReader.open(store)
    for placed in reader.sections(Kind.RUN):
        for entry in reader.entries(placed.section):
            if entry.id == run_id:
                return reader.document(entry)
    raise AssertionError(run_id)


def test_a_file_that_cannot_be_read(source, store):
    run = first_run(source)
    source.broken[(run.key.id, "model/MLmodel")] = NotFoundError("It is gone.")
    moved = backup(source, store)
    (loss,) = moved.losses
    assert (loss.code, loss.path, loss.id, loss.retryable) == ("not_found", "model/MLmodel", run.key.id, False)
    document = document_of(store, run.key.id)
    assert document.losses == (loss,)
    assert {blob.name for blob in document.blobs} == {name for _, name in run.files} - {"model/MLmodel"}
    reader = ArchiveReader.open(store)
    assert reader.manifest.status == "partial"
    assert list(reader.losses()) == [loss]
    assert reader.manifest.losses.by_code == {"not_found": 1}
    assert moved.by_id(run.key.id).status is Status.STORED
    assert not any("MLmodel" in found.key for found in store.list(f"experiments/1/runs/{run.key.id}"))


def test_a_file_that_breaks_off_once_is_read_again(source, store):
    run = first_run(source)
    path = (run.key.id, "model/weights.bin")
    source.broken[path] = UnavailableError("The connection broke.")

    class Once(dict):
        def __contains__(self, key):
            return key in self.keys() and source.reads[key] < 2

    source.broken = Once(source.broken)
    moved = backup(source, store)
    assert moved.losses == []
    assert source.reads[path] == 2


def test_a_file_that_breaks_off_twice_is_lost(source, store):
    run = first_run(source)
    path = (run.key.id, "model/weights.bin")
    source.broken[path] = UnavailableError("The connection broke.")
    moved = backup(source, store)
    assert [(loss.code, loss.retryable) for loss in moved.losses] == [("unavailable", True)]
    assert source.reads[path] == 2


def test_rows_that_break_off(source, store):
    run = first_run(source)
    source.broken[(run.key.id, "metrics")] = UnavailableError("The connection broke.")
    moved = backup(source, store)
    assert [(loss.path, loss.code) for loss in moved.losses] == [("metrics", "unavailable")]
    document = document_of(store, run.key.id)
    assert document.parts == ()
    assert store.size_bytes(f"experiments/1/runs/{run.key.id}/metrics.jsonl") is None


def test_rows_that_are_no_json(source, store):
    run = first_run(source)
    run.parts["metrics"][0]["values"] = [float("nan")]
    moved = backup(source, store)
    assert [(loss.path, loss.code) for loss in moved.losses] == [("metrics", "invalid")]


def test_rows_that_are_too_deep_to_be_read_again(source, store):
    run = first_run(source)
    deep = []
    for _ in range(300):
        deep = [deep]
    run.parts["metrics"][0]["deep"] = deep
    moved = backup(source, store)
    assert [loss.path for loss in moved.losses] == ["metrics"]
    assert ArchiveReader.open(store).manifest.status == "partial"


def test_an_object_that_cannot_be_read(source, store):
    run = first_run(source)
    source.broken[(run.key.id, "")] = UnavailableError("The server is busy.")
    moved = backup(source, store)
    assert moved.by_id(run.key.id).status is Status.LOST
    manifest = ArchiveReader.open(store).manifest
    assert manifest.counts["run"].model_dump() == {"stored": 1, "skipped": 0, "lost": 1}
    assert manifest.status == "partial"


def test_losses_that_the_source_knows_are_kept_by_an_archive_of_the_archive(source, store):
    run = first_run(source)
    run.losses = (run.key.lost("unsupported", "The server cannot give it.", path="inputs"),)
    backup(source, store)
    second = open_store(f"memory://{uuid.uuid4().hex}")
    moved = backup(ArchiveReader.open(store), second)
    assert [loss.path for loss in moved.losses] == ["inputs"]
    assert ArchiveReader.open(second).manifest.sections == ArchiveReader.open(store).manifest.sections


@pytest.mark.parametrize(
    "path", ["artifacts", "artifacts/model/a b", "versions/12/artifacts", "inputs", "metrics", None]
)
def test_who_wants_no_files_does_not_miss_them(source, store, path):
    run = first_run(source)
    run.losses = (run.key.lost("unavailable", "The place does not answer.", path=path),)
    backup(source, store)
    found = {}
    for wanted in (True, False):
        items = ArchiveReader.open(store).read(Kind.RUN, Selection(artifacts=wanted))
        (loaded,) = (item.load() for item in items if item.key.id == run.key.id)
        found[wanted] = [loss.path for loss in loaded.losses]
    assert found == {True: [path], False: [] if "artifacts" in (path or "") else [path]}


def test_an_object_that_comes_twice_is_stored_once(source, store):
    run = first_run(source)
    source.objects.insert(source.objects.index(run), run)
    moved = backup(source, store)
    assert [outcome.reason for outcome in moved.outcomes if outcome.status is Status.SKIPPED] == ["duplicate"]
    manifest = ArchiveReader.open(store).manifest
    assert manifest.counts["run"].model_dump() == {"stored": 2, "skipped": 1, "lost": 0}
    assert manifest.skipped == {"duplicate": 1}


def test_the_objects_of_a_lost_experiment_are_lost(store, source):
    writer = ArchiveWriter.begin(store)
    run = first_run(source)
    with pytest.raises(NotFoundError, match="is not in the archive") as caught:
        writer.write(Item(run.key, lambda: Content(run.record)))
    assert caught.value.code == "no_experiment"
    writer.close()


def test_an_object_whose_name_cannot_be_written(store):
    writer = ArchiveWriter.begin(store)
    with pytest.raises(IntegrityError) as caught:
        writer.write(Item(ObjectKey(Kind.PROMPT, "\ud800"), lambda: Content(sample_source().objects[0].record)))
    assert caught.value.code == "name"
    writer.close()


# Files one by one


def blob(name, data=b"x", *, size=-1, role="artifacts", descriptor=None):
    opened = []

    @contextmanager
    def open():
        opened.append(1)
        yield iter([data[len(opened) - 1]] if isinstance(data, list) else [data])

    size = len(data) if size == -1 else size
    return Blob(role, name, size, open, descriptor)


def store_files(store, blobs, losses=()):
    source = sample_source(experiments=1, runs=1)
    writer = ArchiveWriter.begin(store, parallelism=2)
    experiment, run = source.objects[:2]
    writer.write(Item(experiment.key, lambda: Content(experiment.record)))
    outcome = writer.write(Item(run.key, lambda: Content(run.record, blobs=lambda: iter(blobs), losses=losses)))
    writer.close()
    folder = f"experiments/1/runs/{run.key.id}"
    return outcome, {found.key.removeprefix(folder + "/") for found in store.list(folder)} - {"run.json"}


def test_a_file_whose_size_changed_is_read_again(store):
    outcome, files = store_files(store, [blob("growing", [b"ab", b"abc"], size=3)])
    assert outcome.losses == ()
    assert files == {"artifacts/growing"}


@pytest.mark.parametrize("size", [0, 2, 4, 1 << 40])
def test_a_file_whose_size_stays_wrong_is_lost(store, size):
    outcome, files = store_files(store, [blob("growing", [b"abc", b"abc"], size=size)])
    assert [(loss.code, loss.path) for loss in outcome.losses] == [("changed", "growing")]
    assert "being changed" in outcome.losses[0].reason
    assert files == set()


def test_a_file_without_a_size_is_taken_as_it_comes(store):
    outcome, files = store_files(store, [blob("unknown", b"abc", size=None)])
    assert outcome.losses == ()
    assert files == {"artifacts/unknown"}


def test_a_file_of_an_archive_that_is_not_what_it_was(store):
    descriptor = Descriptor(path="x", media_type="y", size_bytes=3, sha256="0" * 64)
    outcome, files = store_files(store, [blob("model", b"abc", descriptor=descriptor)])
    assert [loss.code for loss in outcome.losses] == ["integrity"]
    assert files == set()


def test_an_error_of_the_operating_system_at_the_source(store):
    @contextmanager
    def reset():
        raise ConnectionResetError(104, "Connection reset by peer")
        yield

    outcome, _ = store_files(store, [Blob("artifacts", "a", 1, reset)])
    assert [loss.code for loss in outcome.losses] == ["unavailable"]
    assert "Connection reset" in outcome.losses[0].reason


def test_names_that_differ_in_case_only_are_both_kept(store):
    outcome, files = store_files(store, [blob("Model"), blob("model")])
    assert outcome.losses == ()
    assert files == {"artifacts/Model", "artifacts/model"}


def test_a_name_that_comes_twice_is_a_loss(store):
    outcome, files = store_files(store, [blob("a"), blob("a")])
    assert [loss.code for loss in outcome.losses] == ["name"]
    assert files == {"artifacts/a"}


@pytest.mark.parametrize("name", ["\ud800", "dir/\udcff.bin"])
def test_a_name_that_is_no_text_is_a_loss(store, name):
    outcome, files = store_files(store, [blob(name), blob("fine")])
    assert [loss.code for loss in outcome.losses] == ["name"]
    assert outcome.losses[0].path == name.encode("utf-8", "backslashreplace").decode()
    assert files == {"artifacts/fine"}


@pytest.mark.parametrize("order", [1, -1])
def test_a_file_and_a_folder_of_one_name_are_both_kept(tmp_path, order):
    """An object store can have both; a directory cannot."""
    store = open_store(f"{tmp_path}/archive")
    outcome, files = store_files(store, [blob("a", b"file"), blob("a/b", b"below")][::order])
    assert outcome.losses == ()
    assert len(files) == 2


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../../up", "/abs", "a//b", "a/", "nul\0", "con", "x" * 5000, "a/" * 900]
)
def test_any_other_name_is_kept(tmp_path, name):
    store = open_store(f"{tmp_path}/archive")
    outcome, files = store_files(store, [blob(name, b"data")])
    assert outcome.losses == ()
    assert len(files) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["archive"]


def test_a_listing_that_breaks_off_is_a_loss(store):
    def listing():
        yield blob("one")
        yield Loss(kind=Kind.RUN, id="x", path="folder", code="unavailable", reason="Cannot be listed.")
        yield blob("two")
        raise UnavailableError("The listing broke.")

    outcome, files = store_files(store, listing())
    assert {(loss.path, loss.code) for loss in outcome.losses} == {
        ("folder", "unavailable"),
        ("artifacts", "unavailable"),
    }
    assert files == {"artifacts/one", "artifacts/two"}


def test_no_more_files_are_open_than_allowed(store):
    import threading
    import time

    lock = threading.Lock()
    open_now, most = 0, 0

    def counted(name):
        @contextmanager
        def open():
            nonlocal open_now, most
            with lock:
                open_now += 1
                most = max(most, open_now)
            time.sleep(0.002)
            yield iter([b"x"])
            with lock:
                open_now -= 1

        return Blob("artifacts", name, 1, open)

    listed = 0

    def listing():
        nonlocal listed
        for number in range(50):
            listed += 1
            yield counted(str(number))

    outcome, files = store_files(store, listing())
    assert len(files) == 50
    assert 1 <= most <= 2
    assert outcome.size_bytes > 50


def test_an_unknown_exception_of_the_source_ends_the_write_and_leaves_nothing(store):
    class StoppedError(Exception):
        pass

    @contextmanager
    def stop():
        raise StoppedError
        yield

    with pytest.raises(StoppedError):
        store_files(store, [blob("fine"), Blob("artifacts", "a", 1, stop)])
    assert not [found.key for found in store.list() if found.key.endswith("run.json")]


def test_every_error_code_of_a_file_is_kept(store):
    class OddError(MlflowArchiveError):
        code = "odd"

    @contextmanager
    def fail():
        raise OddError("It is odd.")
        yield

    outcome, _ = store_files(store, [Blob("artifacts", "a", None, fail)])
    assert [(loss.code, loss.reason) for loss in outcome.losses] == [("odd", "It is odd.")]


def test_losses_are_the_same_in_any_order(source, store):
    run = first_run(source)
    for name in ("model/MLmodel", "empty"):
        source.broken[(run.key.id, name)] = NotFoundError("gone")
    backup(source, store)
    losses = list(ArchiveReader.open(store).losses())
    assert [loss.path for loss in losses] == ["empty", "model/MLmodel"]
    assert list(ArchiveReader.open(store).read(Kind.WEBHOOK, Selection())) == []
