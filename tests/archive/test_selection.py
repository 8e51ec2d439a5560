from __future__ import annotations

import uuid

import pytest

from mlflow_archive.archive.reader import ArchiveReader
from mlflow_archive.archive.writer import ArchiveWriter
from mlflow_archive.errors import UsageError
from mlflow_archive.spec.kinds import Kind
from mlflow_archive.spec.selection import Selection
from mlflow_archive.storage.opening import open_store
from tests.archive.fakes import move, sample_source


@pytest.fixture(scope="module")
def reader():
    store = open_store(f"memory://{uuid.uuid4().hex}/archive")
    writer = ArchiveWriter.begin(store)
    move(sample_source(experiments=3, runs=3), writer)
    writer.close()
    return ArchiveReader.open(store)


def names(reader, kind, **wishes):
    return [item.key.name for item in reader.read(kind, Selection(**wishes))]


def test_everything_by_default(reader):
    assert len(names(reader, Kind.RUN)) == 9
    assert names(reader, Kind.EXPERIMENT) == ["experiment/0", "experiment/1", "experiment/2"]
    assert names(reader, Kind.REGISTERED_MODEL) == ["iris: the model"]


@pytest.mark.parametrize("wish", ["2", "experiment/1", "*/1", "experiment/[1]"])
def test_experiments_by_id_name_and_glob(reader, wish):
    assert names(reader, Kind.EXPERIMENT, experiments=(wish,)) == ["experiment/1"]
    assert sorted(names(reader, Kind.RUN, experiments=(wish,))) == ["run-100", "run-101", "run-102"]
    assert len(names(reader, Kind.TRACE, experiments=(wish,))) == 1
    assert len(names(reader, Kind.REGISTERED_MODEL, experiments=(wish,))) == 1


def test_models_and_prompts(reader):
    assert names(reader, Kind.REGISTERED_MODEL, models=("iris*",)) == ["iris: the model"]
    assert names(reader, Kind.REGISTERED_MODEL, models=()) == []
    assert names(reader, Kind.PROMPT, prompts=("summary",)) == ["summary"]
    assert names(reader, Kind.PROMPT, prompts=("other",)) == []


def test_kinds(reader):
    kinds = frozenset({Kind.EXPERIMENT})
    assert names(reader, Kind.RUN, kinds=kinds) == []
    assert len(names(reader, Kind.EXPERIMENT, kinds=kinds)) == 3


def test_times(reader):
    since = 1_700_000_000_100
    assert sorted(names(reader, Kind.RUN, since_ms=since, until_ms=since + 2)) == ["run-100", "run-101"]
    assert names(reader, Kind.LOGGED_MODEL, since_ms=since) == []
    assert len(names(reader, Kind.TRACE, since_ms=since)) == 3
    assert len(names(reader, Kind.EXPERIMENT, since_ms=since + 10_000)) == 3


def test_ids_of_a_closure(reader):
    ids = [item.key.id for item in reader.read(Kind.RUN, Selection())][:2]
    assert [item.key.id for item in reader.read(Kind.RUN, Selection(run_ids=frozenset(ids)))] == ids
    assert names(reader, Kind.LOGGED_MODEL, logged_model_ids=frozenset()) == []
    assert len(names(reader, Kind.EXPERIMENT, experiment_ids=frozenset({"1", "3"}))) == 2


def test_the_run_filter(reader):
    assert sorted(names(reader, Kind.RUN, run_filter="params.lr = '0.1'")) == ["run-1"]
    assert len(names(reader, Kind.RUN, run_filter="metrics.loss <= 0.5")) == 6
    assert len(names(reader, Kind.TRACE, run_filter="params.lr = '0.1'")) == 3
    with pytest.raises(UsageError, match="position 1"):
        names(reader, Kind.RUN, run_filter="nonsense")


def test_without_artifacts(reader):
    for item in reader.read(Kind.RUN, Selection(artifacts=False)):
        content = item.load()
        assert list(content.blobs()) == []
        assert [part.name for part in content.parts] == ["metrics"]


def test_a_part_of_an_archive_is_an_archive(reader):
    store = open_store(f"memory://{uuid.uuid4().hex}/part")
    writer = ArchiveWriter.begin(store)
    wish = Selection(experiments=("2",), models=(), artifacts=False)
    move(reader, writer, wish)
    writer.close()
    part = ArchiveReader.open(store)
    assert part.manifest.selection == {"experiments": ["2"], "models": [], "artifacts": False}
    assert part.manifest.counts["run"].stored == 3
    assert "registered_model" not in part.manifest.counts
