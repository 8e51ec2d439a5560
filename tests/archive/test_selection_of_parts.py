"""Selections that ask for more than an index tells: life-cycles, parents, versions, single objects."""

from __future__ import annotations

import uuid

import pytest

from mlflow_archive.archive.reader import ArchiveReader
from mlflow_archive.archive.writer import ArchiveWriter
from mlflow_archive.spec.kinds import Kind
from mlflow_archive.spec.loss import Loss
from mlflow_archive.spec.selection import Selection
from mlflow_archive.storage.opening import open_store
from tests.archive.fakes import FakeSource, move, sample_source

STAGES = ("None", "Staging", "Production", "production", "Production", "Archived", "Staging", None, "Archived", "None")


def source() -> FakeSource:
    """Two experiments of three runs; the second one is deleted, and so are a run and the model of the first one."""
    made = sample_source(experiments=2, runs=3)
    for entry in made.objects:
        key, record = entry.key, entry.record
        if key.kind is Kind.EXPERIMENT and key.id == "2":
            entry.record = record.model_copy(update={"lifecycle_stage": "deleted"})
        elif key.kind is Kind.RUN and key.name == "run-1":
            entry.record = record.model_copy(
                update={"info": record.info.model_copy(update={"lifecycle_stage": "deleted"})}
            )
        elif key.kind is Kind.RUN and key.name == "run-2":
            entry.record = record.model_copy(update={"tags": {"mlflow.parentRunId": run_id(made, "run-0")}})
        elif key.kind is Kind.LOGGED_MODEL and key.experiment_id == "1":
            info = record.info.model_copy(update={"lifecycle_stage": "deleted"})
            entry.record = record.model_copy(update={"info": info})
        elif key.kind in (Kind.REGISTERED_MODEL, Kind.PROMPT):
            versions = [{"version": n + 1, "current_stage": stage} for n, stage in enumerate(STAGES)]
            entry.record = type(record).from_json(
                {"name": key.id, "aliases": {"champion": 10, "old": 2}, "versions": versions}, "test"
            )
            entry.files = {(f"versions/{n}/artifacts", "MLmodel"): b"flavors: {}\n" for n in (1, 2, 10)}
            entry.losses = tuple(
                key.lost("unavailable", "It is gone.", path=f"versions/{n}/artifacts/x") for n in (2, 10)
            )
    return made


def run_id(made: FakeSource, name: str) -> str:
    return next(entry.key.id for entry in made.objects if entry.key.name == name)


@pytest.fixture(scope="module")
def reader() -> ArchiveReader:
    store = open_store(f"memory://{uuid.uuid4().hex}/archive")
    writer = ArchiveWriter.begin(store)
    move(source(), writer)
    writer.close()
    return ArchiveReader.open(store)


def names(reader, kind, **wishes):
    return sorted(item.key.name for item in reader.read(kind, Selection(**wishes)))


def load(reader, kind, **wishes):
    (item,) = reader.read(kind, Selection(**wishes))
    return item.load()


def test_what_is_deleted_can_be_left_out_with_all_that_is_below_it(reader):
    assert names(reader, Kind.EXPERIMENT, deleted=False) == ["experiment/0"]
    assert names(reader, Kind.RUN, deleted=False) == ["run-0", "run-2"]
    assert names(reader, Kind.TRACE, deleted=False) == [f"tr-{0:032x}"]
    assert names(reader, Kind.LOGGED_MODEL, deleted=False) == []
    assert len(names(reader, Kind.LOGGED_MODEL)) == 2
    assert names(reader, Kind.REGISTERED_MODEL, deleted=False) == ["iris: the model"]


def test_an_index_without_states_is_not_believed(reader, monkeypatch):
    entries = reader.entries
    monkeypatch.setattr(
        reader, "entries", lambda section: (entry.model_copy(update={"state": None}) for entry in entries(section))
    )
    assert names(reader, Kind.EXPERIMENT, deleted=False) == ["experiment/0"]
    assert names(reader, Kind.RUN, deleted=False) == ["run-0", "run-2"]


def test_children_of_runs(reader):
    parents = frozenset({run_id(source(), "run-0")})
    assert names(reader, Kind.RUN, parent_run_ids=parents) == ["run-2"]
    assert names(reader, Kind.RUN, parent_run_ids=frozenset({run_id(source(), "run-1")})) == []


def test_single_traces_and_datasets(reader):
    wanted = frozenset({f"tr-{1:032x}"})
    assert names(reader, Kind.TRACE, trace_ids=wanted) == [f"tr-{1:032x}"]
    for wish in ("d-1", "questions", "quest*"):
        assert len(names(reader, Kind.EVALUATION_DATASET, datasets=(wish,))) == 1
    assert names(reader, Kind.EVALUATION_DATASET, datasets=("answers",)) == []
    assert names(reader, Kind.EVALUATION_DATASET, datasets=()) == []


@pytest.mark.parametrize(
    ("wishes", "expected"),
    [
        ({}, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]),
        ({"stages": frozenset({"Production"})}, [3, 4, 5]),
        ({"stages": frozenset({"staging", "Archived"})}, [2, 6, 7, 9]),
        ({"stages": frozenset({"None"})}, [1, 8, 10]),
        ({"versions": frozenset({10, 2})}, [2, 10]),
        ({"latest_versions": True}, [5, 7, 9, 10]),
        ({"latest_versions": True, "stages": frozenset({"Production"})}, [5]),
        ({"latest_versions": True, "versions": frozenset({4, 5})}, [5]),
        ({"prompt_versions": frozenset({1})}, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]),
    ],
)
def test_versions_of_a_registered_model(reader, wishes, expected):
    record = load(reader, Kind.REGISTERED_MODEL, **wishes).record
    assert [version.version for version in record.versions] == expected
    aliases = {"champion": 10, "old": 2}
    assert record.aliases == {alias: number for alias, number in aliases.items() if number in expected}


def test_versions_of_a_prompt_are_asked_for_apart(reader):
    assert len(load(reader, Kind.PROMPT, versions=frozenset({1}), latest_versions=True).record.versions) == 10
    record = load(reader, Kind.PROMPT, prompt_versions=frozenset({2, 3})).record
    assert [version.version for version in record.versions] == [2, 3]
    assert record.aliases == {"old": 2}


def test_files_and_losses_of_other_versions_stay_behind(reader):
    content = load(reader, Kind.REGISTERED_MODEL, versions=frozenset({2, 3}))
    assert [blob.role for blob in content.blobs()] == ["versions/2/artifacts"]
    assert [loss.path for loss in content.losses] == ["versions/2/artifacts/x"]


def test_a_version_that_is_not_there_is_a_loss_of_a_model_that_is_named(reader):
    wish = frozenset({2, 11, 12})
    named = load(reader, Kind.REGISTERED_MODEL, models=("iris: the model",), versions=wish)
    missing = [loss for loss in named.losses if loss.code == "not_found"]
    assert [(loss.id, loss.path) for loss in missing] == [
        ("iris: the model", "versions/11"),
        ("iris: the model", "versions/12"),
    ]
    assert missing[0].reason == "The registered model 'iris: the model' has no version 11."
    by_glob = load(reader, Kind.REGISTERED_MODEL, models=("iris*",), versions=wish)
    assert not [loss for loss in by_glob.losses if loss.code == "not_found"]


def test_a_part_with_chosen_versions_is_an_archive(reader):
    store = open_store(f"memory://{uuid.uuid4().hex}/part")
    writer = ArchiveWriter.begin(store)
    wish = Selection(deleted=False, versions=frozenset({10, 9}), stages=frozenset({"None"}), kinds=None)
    moved = move(reader, writer, wish)
    writer.close()
    part = ArchiveReader.open(store)
    assert part.manifest.selection == {"deleted": False, "stages": ["None"], "versions": [9, 10]}
    assert part.manifest.counts["run"].stored == 2
    assert all(isinstance(loss, Loss) for loss in moved.losses)
    (item,) = part.read(Kind.REGISTERED_MODEL, Selection())
    assert [version.version for version in item.load().record.versions] == [10]
