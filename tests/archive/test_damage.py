"""The reader trusts nothing: one flipped byte anywhere is found, and a hostile archive leads nowhere."""

from __future__ import annotations

import json
import uuid

import pytest

from mlflow_archive.archive import verified
from mlflow_archive.archive.place import claim
from mlflow_archive.archive.reader import ArchiveReader
from mlflow_archive.archive.writer import ArchiveWriter
from mlflow_archive.errors import IntegrityError, MlflowArchiveError, NotAnArchiveError, UnsupportedError
from mlflow_archive.spec.canonical import document_bytes, line_bytes
from mlflow_archive.spec.kinds import Kind
from mlflow_archive.spec.loss import Loss
from mlflow_archive.spec.selection import Selection
from mlflow_archive.storage.hashing import sha256_of
from mlflow_archive.storage.opening import open_store
from tests.archive.fakes import move, sample_source


@pytest.fixture
def store():
    store = open_store(f"memory://{uuid.uuid4().hex}/archive")
    writer = ArchiveWriter.begin(store)
    move(sample_source(experiments=1, runs=1), writer)
    writer.close()
    return store


def put(store, path, data):
    with store.write(path) as writer:
        writer.write(data)


def get(store, path):
    return store.read_all(path, limit_bytes=1 << 30)


def read_everything(store):
    """Read all that is named; return the first error, as a reader would raise it or name it in a loss."""
    try:
        reader = ArchiveReader.open(store)
        for kind in reader.kinds():
            for item in reader.read(kind, Selection()):
                if isinstance(item, Loss):
                    return item
                content = item.load()
                for part in content.parts:
                    list(part.open())
                for blob in content.blobs():
                    with blob.open() as chunks:
                        list(chunks)
        list(reader.losses())
    except MlflowArchiveError as error:
        return error
    return None


def test_one_flipped_byte_is_found_in_every_file(store):
    root = ArchiveReader.open(store).root_digest
    assert read_everything(store) is None
    checked = 0
    for found in list(store.list()):
        good = get(store, found.key)
        for place in {0, len(good) // 2, len(good) - 1} if good else ():
            bad = bytearray(good)
            bad[place] ^= 1
            put(store, found.key, bytes(bad))
            error = read_everything(store)
            if found.key == "manifest.json":
                assert error is not None or ArchiveReader.open(store).root_digest != root
            elif found.key != "README.txt":  # nobody reads it but people; verify does
                assert error is not None, (found.key, place)
                assert error.code in ("integrity", "version", "feature"), error
            checked += 1
        put(store, found.key, good)
    assert checked > 30
    assert read_everything(store) is None


@pytest.mark.parametrize("change", ["shorter", "longer", "missing"])
def test_every_file_has_its_size(store, change):
    for found in list(store.list()):
        if found.key in ("README.txt", "manifest.json", "mlflow-archive.json"):
            continue
        good = get(store, found.key)
        if change == "missing":
            store.delete(found.key)
        elif change == "longer":
            put(store, found.key, good + b"\n")
        elif good:
            put(store, found.key, good[:-1])
        else:
            continue
        error = read_everything(store)
        assert error is not None, found.key
        assert error.code == "integrity", found.key
        put(store, found.key, good)


def test_a_flipped_file_is_refused_by_a_copy(store):
    path = next(found.key for found in store.list() if found.key.endswith("weights.bin"))
    bad = bytearray(get(store, path))
    bad[100] ^= 1
    put(store, path, bytes(bad))
    copy = open_store(f"memory://{uuid.uuid4().hex}")
    writer = ArchiveWriter.begin(copy)
    moved = move(ArchiveReader.open(store), writer)
    writer.close()
    assert [(loss.code, loss.path) for loss in moved.losses] == [("integrity", "model/weights.bin")]
    assert not [found.key for found in copy.list() if found.key.endswith("weights.bin")]


@pytest.mark.parametrize("held_bytes", [1 << 20, 0])
def test_no_row_of_a_damaged_part_is_given_out(store, monkeypatch, held_bytes):
    """A sink sends rows on as they come: a server would keep what is found to be wrong only at the end."""
    monkeypatch.setattr(verified, "HELD_BYTES", held_bytes)
    for path in [found.key for found in store.list() if found.key.endswith(("metrics.jsonl", "spans.jsonl"))]:
        good = get(store, path)
        put(store, path, good[:-3] + bytes([good[-3] ^ 1]) + good[-2:])
        kind = Kind.RUN if path.endswith("metrics.jsonl") else Kind.TRACE
        (item,) = ArchiveReader.open(store).read(kind, Selection())
        (part,) = item.load().parts
        given = []
        with pytest.raises(IntegrityError, match="E042"):
            given.extend(row for row in part.open())
        assert given == []
        with pytest.raises(IntegrityError, match="E042"):
            next(part.open())
        put(store, path, good)
        assert list(part.open())


def test_a_long_file_is_refused_before_it_is_read_to_the_end(store):
    path = next(found.key for found in store.list() if found.key.endswith("weights.bin"))
    put(store, path, b"x" * (5 << 20))
    reader = ArchiveReader.open(store)
    (item,) = reader.read(Kind.RUN, Selection())
    blob = next(blob for blob in item.load().blobs() if blob.name == "model/weights.bin")

    def read():
        seen = 0
        with blob.open() as chunks:
            for chunk in chunks:
                seen += len(chunk)
        return seen

    with pytest.raises(IntegrityError, match="E041"):
        read()


def test_reading_a_file_may_end_early(store):
    reader = ArchiveReader.open(store)
    (item,) = reader.read(Kind.RUN, Selection())
    blob = next(blob for blob in item.load().blobs() if blob.name == "model/weights.bin")
    with blob.open() as chunks:
        assert next(chunks)


# Marker and manifest


def test_nothing_there(tmp_path):
    with pytest.raises(NotAnArchiveError, match="nothing at"):
        ArchiveReader.open(open_store(f"{tmp_path}/absent"))
    assert list(tmp_path.iterdir()) == []


def test_foreign_files(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(NotAnArchiveError, match=r"no archive .* notes\.txt"):
        ArchiveReader.open(open_store(str(tmp_path)))


def test_an_interrupted_backup(tmp_path):
    store = open_store(f"{tmp_path}/archive")
    claim(store, resume=False)
    with pytest.raises(NotAnArchiveError, match="--resume") as caught:
        ArchiveReader.open(store)
    assert caught.value.code == "not_committed"


def edit_marker(store, **changes):
    marker = json.loads(get(store, "mlflow-archive.json")) | changes
    put(store, "mlflow-archive.json", document_bytes(marker))


@pytest.mark.parametrize(
    ("changes", "error", "rule"),
    [
        ({"format": "other"}, IntegrityError, "E001"),
        ({"spec_version": "2.0"}, UnsupportedError, "E002"),
        ({"spec_version": "12.7"}, UnsupportedError, "E002"),
        ({"spec_version": "x"}, IntegrityError, "E002"),
        ({"spec_version": "1"}, IntegrityError, "E002"),
        ({"spec_version": None}, IntegrityError, "E002"),
        ({"archive_id": "another"}, IntegrityError, "E003"),
        ({"features": {"read": ["delta-blobs"]}}, UnsupportedError, "delta-blobs.*E004"),
        ({"extra": 1}, IntegrityError, "E042"),
    ],
)
def test_markers_that_are_refused(store, changes, error, rule):
    edit_marker(store, **changes)
    with pytest.raises(error, match=rule):
        ArchiveReader.open(store)


def test_a_later_minor_version_and_a_feature_for_another_operation_are_read(store):
    edit_marker(store, spec_version="1.7", features={"verify": ["signed"]}, tomorrow=[1])
    manifest = json.loads(get(store, "manifest.json"))
    for descriptor in manifest["files"]:
        if descriptor["path"] == "mlflow-archive.json":
            data = get(store, "mlflow-archive.json")
            descriptor.update(sha256=sha256_of(data), size_bytes=len(data))
    put(store, "manifest.json", document_bytes(manifest | {"spec_version": "1.7"}))
    assert read_everything(store) is None
    assert ArchiveReader.open(store).marker.unknown_fields == {"tomorrow": [1]}


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"\xff", b'{"a": NaN}', b'{"a": 1, "a": 2}', b"[" * 100_000])
@pytest.mark.parametrize("path", ["mlflow-archive.json", "manifest.json"])
def test_documents_that_are_none(store, path, data):
    put(store, path, data)
    with pytest.raises(IntegrityError):
        ArchiveReader.open(store)


def test_a_huge_marker_is_not_read(store):
    put(store, "mlflow-archive.json", b" " * (2 << 20))
    with pytest.raises(IntegrityError, match="E010"):
        ArchiveReader.open(store)


# A hostile archive: consistent, and still not to be followed


def forge(store, change):
    """Change the run's document, and all that vouches for it."""
    reader = ArchiveReader.open(store)
    (placed,) = reader.sections(Kind.RUN)
    (entry,) = reader.entries(placed.section)
    document = json.loads(get(store, entry.descriptor.path))
    line = entry.to_json()
    change(document, line)
    data = document_bytes(document)
    put(store, entry.descriptor.path, data)
    line["descriptor"].update(sha256=sha256_of(data), size_bytes=len(data))
    forge_line(store, placed.section.index.path, line)


def forge_line(store, index_path, line):
    put(store, index_path, line_bytes(line))
    manifest = json.loads(get(store, "manifest.json"))
    section = manifest["sections"][0]
    experiment = json.loads(get(store, section["index"]["path"]))
    for child in experiment["children"]:
        if child["index"]["path"] == index_path:
            child["index"].update(sha256=sha256_of(line_bytes(line)), size_bytes=len(line_bytes(line)))
    put(store, section["index"]["path"], line_bytes(experiment))
    section["index"].update(sha256=sha256_of(line_bytes(experiment)), size_bytes=len(line_bytes(experiment)))
    put(store, "manifest.json", document_bytes(manifest))


def only_run(store):
    (item,) = ArchiveReader.open(store).read(Kind.RUN, Selection())
    return item


def test_a_forgery_that_changes_nothing_is_read(store):
    forge(store, lambda document, line: None)
    assert only_run(store).load().record.info.run_name == "run-0"


@pytest.mark.parametrize(
    "path", ["../outside", "/etc/passwd", "experiments/../../x", "a//b", "c:\\x", "x\0", "", "a/.."]
)
def test_paths_that_leave_the_root(store, path):
    forge(store, lambda document, line: document["blobs"][0]["descriptor"].update(path=path))
    with pytest.raises(IntegrityError, match="E020"):
        only_run(store).load()


@pytest.mark.parametrize("path", ["README.txt", "experiments/1/experiment.json", "prompts/summary/prompt.json"])
@pytest.mark.parametrize("where", ["blobs", "parts"])
def test_files_of_another_object(store, path, where):
    forge(store, lambda document, line: document[where][0]["descriptor"].update(path=path))
    with pytest.raises(IntegrityError, match="E021"):
        only_run(store).load()


@pytest.mark.parametrize(
    "changes",
    [{"id": "other"}, {"experiment_id": "2"}, {"kind": "logged_model"}, {"workspace": "w"}, {"kind": "prompt"}],
)
def test_a_document_of_another_object(store, changes):
    forge(store, lambda document, line: document.update(changes))
    with pytest.raises(IntegrityError, match="E034"):
        only_run(store).load()


def test_an_index_that_names_a_document_of_another_kind(store):
    reader = ArchiveReader.open(store)
    (models,) = reader.sections(Kind.LOGGED_MODEL)
    (model,) = reader.entries(models.section)
    forge_line(store, "experiments/1/runs/index.jsonl", model.to_json())
    with pytest.raises(IntegrityError, match="E034"):
        only_run(store).load()


def test_a_record_of_the_wrong_shape(store):
    forge(store, lambda document, line: document.update(record={"info": {}}))
    with pytest.raises(IntegrityError, match="E015"):
        only_run(store).load()


def test_a_document_that_claims_to_be_huge(store):
    reader = ArchiveReader.open(store)
    (placed,) = reader.sections(Kind.RUN)
    (entry,) = reader.entries(placed.section)
    line = entry.to_json()
    line["descriptor"]["size_bytes"] = 1 << 50
    forge_line(store, placed.section.index.path, line)
    with pytest.raises(IntegrityError, match="E010"):
        only_run(store).load()


def test_a_damaged_index_is_a_loss_and_the_rest_goes_on(store):
    path = "experiments/1/runs/index.jsonl"
    put(store, path, get(store, path).replace(b"run-0", b"run-9"))
    entries = list(ArchiveReader.open(store).read(Kind.RUN, Selection()))
    assert isinstance(entries[-1], Loss)
    assert (entries[-1].code, entries[-1].experiment_id, entries[-1].id) == ("integrity", "1", "")
    assert len(list(ArchiveReader.open(store).read(Kind.TRACE, Selection()))) == 1


def test_a_damaged_index_of_experiments_is_a_loss(store):
    store.delete("experiments/index.jsonl")
    (loss,) = ArchiveReader.open(store).read(Kind.RUN, Selection())
    assert isinstance(loss, Loss)
    assert loss.code == "integrity"


def test_lines_are_bounded(monkeypatch):
    monkeypatch.setattr(verified, "MAX_LINE_BYTES", 1000)
    assert list(verified.split_lines([b"a" * 600, b"b" * 400 + b"\nc\n"], "x")) == [b"a" * 600 + b"b" * 400, b"c"]
    with pytest.raises(IntegrityError, match="E010"):
        list(verified.split_lines([b"a" * 600, b"b" * 401, b"\n"], "x"))


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_lines_over_chunks(size):
    data = b"one\n\ntwo and more\nthree"
    chunks = [data[start : start + size] for start in range(0, len(data), size)]
    assert list(verified.split_lines(chunks, "x")) == [b"one", b"", b"two and more", b"three"]
