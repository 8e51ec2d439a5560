"""Selections narrow an archive of mlflow-export-import as they narrow any other source."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlflow_archive.errors import UsageError
from mlflow_archive.operations.closure import closed_under
from mlflow_archive.spec.kinds import Kind
from mlflow_archive.spec.records.registered_model import RegisteredModelRecord
from mlflow_archive.spec.selection import Selection
from mlflow_archive.stream import Item
from tests.predecessor import trees
from tests.predecessor.trees import FIRST, LOST, SECOND

LATER = 1600000000001


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return trees.exported_all(tmp_path, "G5")


@pytest.mark.parametrize(
    ("selection", "runs"),
    [
        (Selection(), {FIRST, SECOND}),
        (Selection(experiments=("wine",)), {FIRST, SECOND}),
        (Selection(experiments=("w*",)), {FIRST, SECOND}),
        (Selection(experiments=("beer", "8")), set()),
        (Selection(experiment_ids=frozenset({"7"})), {FIRST, SECOND}),
        (Selection(run_ids=frozenset({SECOND})), {SECOND}),
        (Selection(run_filter="attributes.run_name = 'second'"), {SECOND}),
        (Selection(run_filter="metrics.loss < 0.3 and params.lr = '0.1'"), {FIRST, SECOND}),
        (Selection(run_filter="metrics.loss > 0.3"), set()),
        (Selection(deleted=False), {FIRST}),
        (Selection(since_ms=LATER), set()),
        (Selection(until_ms=LATER), {FIRST, SECOND}),
        (Selection(kinds=frozenset({Kind.TRACE})), set()),
        (Selection(parent_run_ids=frozenset({FIRST})), set()),
    ],
)
def test_runs(selection: Selection, runs: set[str], root: Path):
    assert {item.key.id for item in trees.items(trees.opened(root), Kind.RUN, selection)} == runs


def test_a_lost_run_that_was_not_asked_for_is_no_loss(root: Path):
    source = trees.opened(root)
    assert trees.losses(source, Kind.RUN, Selection(run_ids=frozenset({FIRST}))) == []
    assert [loss.id for loss in trees.losses(source, Kind.RUN, Selection(run_ids=frozenset({LOST})))] == [LOST]


def test_a_wrong_filter_is_refused(root: Path):
    with pytest.raises(UsageError):
        trees.items(trees.opened(root), Kind.RUN, Selection(run_filter="loss is big"))


def test_files_can_be_left_out(root: Path):
    source = trees.opened(root)
    for kind in (Kind.RUN, Kind.LOGGED_MODEL):
        item = trees.items(source, kind, Selection(artifacts=False))[0]
        assert list(item.load().blobs()) == []


@pytest.mark.parametrize(
    ("selection", "numbers"),
    [
        (Selection(versions=frozenset({9, 10})), [9, 10]),
        (Selection(stages=frozenset({"production"})), [10]),
        (Selection(latest_versions=True), [9, 10]),
        (Selection(models=("Wine",)), [2, 9, 10]),
    ],
)
def test_versions(selection: Selection, numbers: list[int], root: Path):
    (item,) = trees.items(trees.opened(root), Kind.REGISTERED_MODEL, selection)
    record = item.load().record
    assert isinstance(record, RegisteredModelRecord)
    assert [version.version for version in record.versions] == numbers
    assert record.aliases == ({"best": 10} if 10 in numbers else {})


def test_a_named_model_brings_its_runs(root: Path):
    selection = Selection(models=("Wine",), prompts=())
    source = closed_under(trees.opened(root), selection)
    found = {
        kind: [entry.key.id for entry in source.read(kind, selection) if isinstance(entry, Item)]
        for kind in source.kinds()
    }
    assert sorted(found[Kind.RUN]) == [FIRST, SECOND]
    assert (found[Kind.EXPERIMENT], found[Kind.LOGGED_MODEL]) == (["7"], [trees.MODEL_ID])
    assert not found.get(Kind.TRACE)
    assert not found.get(Kind.PROMPT)


def test_the_registrys_copies_come_when_they_are_asked_for(root: Path):
    trees.write(root, {"models/Wine/version_models/9/MLmodel": "nine"})
    source = trees.opened(root)
    (item,) = trees.items(source, Kind.REGISTERED_MODEL)
    assert list(item.load().blobs()) == []
    (item,) = trees.items(source, Kind.REGISTERED_MODEL, Selection(version_files=True))
    assert [blob.role for blob in item.load().blobs() if not isinstance(blob, trees.Loss)] == ["versions/9/artifacts"]
