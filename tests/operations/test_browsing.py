"""An open archive: which object a record is of, and at what price that is known."""

from __future__ import annotations

import gc
from contextlib import closing
from dataclasses import replace

import pytest

from mlflow_archive.errors import NotFoundError, UsageError
from mlflow_archive.operations.backup import archive as back_up
from mlflow_archive.operations.browsing import Archive
from mlflow_archive.spec.kinds import Kind
from mlflow_archive.spec.selection import Selection
from mlflow_archive.storage.local_store import LocalStore
from mlflow_archive.storage.opening import open_store
from tests.archive.fakes import FakeSource, sample_source


@pytest.fixture
def opened(tmp_path):
    def make(source: FakeSource) -> Archive:
        with closing(open_store(str(tmp_path / "archive"))) as store:
            assert back_up(source, store, Selection()).losses == ()
        return Archive.open(str(tmp_path / "archive"))

    return make


@pytest.fixture
def reads(monkeypatch):
    """Paths of the indexes that were read."""
    found: list[str] = []
    read = LocalStore.read

    def counted(self, key, *arguments, **options):
        if key.endswith("index.jsonl"):
            found.append(key)
        return read(self, key, *arguments, **options)

    monkeypatch.setattr(LocalStore, "read", counted)
    return found


def test_a_loop_over_all_runs_reads_each_index_once(opened, reads):
    archive = opened(sample_source(experiments=2, runs=20))
    reads.clear()
    for run in archive.runs():
        assert len(list(archive.metrics(run))) == 2
        assert len(list(archive.files(run))) == 4
    assert len(reads) == len(set(reads)) == 3

    kept = list(archive.runs())
    reads.clear()
    assert sum(len(list(archive.metrics(run))) for run in kept) == 80
    assert reads == []


def test_a_copy_of_a_record_is_looked_for(opened):
    archive = opened(sample_source())
    run = next(archive.runs())
    copy = run.model_copy(deep=True)
    assert [blob.name for blob in archive.files(copy)] == [blob.name for blob in archive.files(run)]
    info = run.info.model_copy(update={"run_id": "nope"})
    with pytest.raises(NotFoundError, match="nope"):
        next(archive.metrics(run.model_copy(update={"info": info})))


def test_models_of_one_name_in_two_workspaces_have_their_own_files(opened):
    source = sample_source(experiments=0)
    model = next(one for one in source.objects if one.key.kind is Kind.REGISTERED_MODEL)
    source.objects = [model, replace(model, key=replace(model.key, workspace="team"))]
    source.objects[1].files = {("versions/1/artifacts", "other"): b"team"}
    archive = opened(source)

    models = list(archive.models())
    assert models[0] == models[1]
    assert [[blob.name for blob in archive.files(one)] for one in models] == [["MLmodel"], ["other"]]
    with pytest.raises(UsageError, match=r"Several workspaces .*\(default, team\)"):
        next(archive.files(models[0].model_copy()))


def test_nothing_is_kept_of_records_that_are_gone(opened):
    archive = opened(sample_source())
    kept = next(archive.runs())
    assert sum(1 for _ in archive.runs()) == 6
    gc.collect()
    assert len(archive._origins._known) == 1
    assert len(list(archive.metrics(kept))) == 2
