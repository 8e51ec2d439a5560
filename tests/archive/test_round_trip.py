from __future__ import annotations

import hashlib
import json
import uuid

import pytest

from mlflow_archive.archive.reader import ArchiveReader
from mlflow_archive.archive.writer import ArchiveWriter
from mlflow_archive.events import BytesMoved
from mlflow_archive.spec.kinds import Kind
from mlflow_archive.spec.selection import Selection
from mlflow_archive.storage.opening import open_store
from mlflow_archive.stream import Status
from tests.archive.fakes import move, sample_source


def fresh():
    return open_store(f"memory://{uuid.uuid4().hex}/archive")


def written(source, store, **options):
    writer = ArchiveWriter.begin(store, **options)
    try:
        return writer, move(source, writer)
    finally:
        writer.close()


def test_everything_comes_back(tmp_path):
    source = sample_source()
    store = open_store(f"{tmp_path}/archive")
    _, moved = written(source, store)
    assert moved.losses == []
    assert {outcome.status for outcome in moved.outcomes} == {Status.STORED}
    reader = ArchiveReader.open(store)
    assert reader.kinds() == source.kinds()
    assert reader.notes() == source.notes()
    back = {}
    for kind in reader.kinds():
        for item in reader.read(kind, Selection()):
            content = item.load()
            files = {}
            for blob in content.blobs():
                with blob.open() as chunks:
                    files[(blob.role, blob.name)] = b"".join(chunks)
                assert blob.size_bytes == len(files[(blob.role, blob.name)])
            parts = {part.name: list(part.open()) for part in content.parts}
            back[item.key] = (content.record, parts, files)
    assert back == {item.key: (item.record, item.parts, item.files) for item in source.objects}


@pytest.mark.parametrize("place", ["memory", "local"])
def test_an_archive_of_an_archive_has_the_same_sections(tmp_path, place):
    first = fresh()
    writer, _ = written(sample_source(), first)
    reader = ArchiveReader.open(first)
    second = fresh() if place == "memory" else open_store(f"{tmp_path}/copy")
    again, moved = written(reader, second)
    assert moved.losses == []
    assert again.manifest.sections == writer.manifest.sections
    assert again.manifest.counts == writer.manifest.counts
    assert again.manifest.source.type == "archive"
    assert again.marker.archive_id != writer.marker.archive_id


def test_the_same_source_gives_the_same_bytes():
    stores = [fresh(), fresh()]
    written(sample_source(), stores[0], parallelism=1)
    written(sample_source(), stores[1], parallelism=16)
    contents = [
        {found.key: store.read_all(found.key, limit_bytes=1 << 30) for found in store.list()} for store in stores
    ]
    assert contents[0].keys() == contents[1].keys()
    assert {key for key in contents[0] if contents[0][key] != contents[1][key]} == {
        "manifest.json",
        "mlflow-archive.json",
    }


def test_the_root_digest_is_that_of_the_manifest():
    store = fresh()
    writer, _ = written(sample_source(), store)
    data = store.read_all("manifest.json", limit_bytes=1 << 20)
    assert writer.root_digest == hashlib.sha256(data).hexdigest() == ArchiveReader.open(store).root_digest


def test_the_manifest_accounts_for_everything():
    store = fresh()
    _, moved = written(sample_source(), store, clock_ms=lambda: 99)
    manifest = json.loads(store.read_all("manifest.json", limit_bytes=1 << 20))
    assert manifest["status"] == "complete"
    assert (manifest["started_ms"], manifest["finished_ms"]) == (1, 99)
    assert manifest["losses"] == {"count": 0, "by_code": {}}
    assert manifest["counts"]["run"] == {"stored": 6, "skipped": 0, "lost": 0}
    objects = sum(outcome.size_bytes for outcome in moved.outcomes)
    assert manifest["total_bytes"] == objects == sum(section["total_bytes"] for section in manifest["sections"])
    assert [section["kind"] for section in manifest["sections"]] == [
        "experiment",
        "registered_model",
        "prompt",
        "evaluation_dataset",
    ]


def test_every_file_is_named_and_every_name_is_a_file():
    store = fresh()
    written(sample_source(), store)
    reader = ArchiveReader.open(store)
    named = {"manifest.json"} | {descriptor.path for descriptor in reader.manifest.files}
    for placed in reader.sections():
        named.add(placed.section.index.path)
        for entry in reader.entries(placed.section):
            document = reader.document(entry)
            named |= {entry.descriptor.path}
            named |= {item.descriptor.path for item in (*document.parts, *document.blobs)}
    assert named == {found.key for found in store.list()}


def test_sections_below_experiments_are_found():
    store = fresh()
    written(sample_source(experiments=3, runs=2), store)
    reader = ArchiveReader.open(store)
    runs = list(reader.sections(Kind.RUN))
    assert [(placed.experiment.id, placed.section.count) for placed in runs] == [("1", 2), ("2", 2), ("3", 2)]
    assert [entry.name for entry in reader.experiments()] == ["experiment/0", "experiment/1", "experiment/2"]
    ids = [entry.id for entry in reader.entries(runs[0].section)]
    assert ids == sorted(ids)


def test_a_guide_is_there_and_true():
    store = fresh()
    written(sample_source(), store)
    text = store.read_all("README.txt", limit_bytes=10_000).decode()
    for name in ("manifest.json", "mlflow-archive.json", "index.jsonl", "sha256"):
        assert name in text
    assert max(len(line) for line in text.splitlines()) < 120


def test_bytes_moved_are_told():
    events = []

    class Ears:
        def notify(self, event):
            events.append(event)

    _, moved = written(sample_source(), fresh(), observer=Ears())
    told = sum(event.size_bytes for event in events if isinstance(event, BytesMoved))
    assert told == sum(outcome.size_bytes for outcome in moved.outcomes)


def test_an_empty_source_gives_an_empty_archive():
    store = fresh()
    source = sample_source()
    source.objects.clear()
    written(source, store)
    reader = ArchiveReader.open(store)
    assert reader.kinds() == ()
    assert list(reader.sections()) == []
    assert {found.key for found in store.list()} == {"manifest.json", "mlflow-archive.json", "README.txt"}


def test_workspaces_stand_apart():
    from dataclasses import replace

    source = sample_source(experiments=1, runs=1)
    for item in list(source.objects):
        source.objects.append(replace(item, key=replace(item.key, workspace="team a/b")))
    store = fresh()
    first, moved = written(source, store)
    assert moved.losses == []
    assert store.size_bytes("workspaces/team a%2Fb/experiments/1/experiment.json")
    reader = ArchiveReader.open(store)
    assert [item.key.workspace for item in reader.read(Kind.RUN, Selection())] == [None, "team a/b"]
    again, _ = written(reader, fresh())
    assert again.manifest.sections == first.manifest.sections
