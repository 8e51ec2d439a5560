"""Archives that mlflow-export-import itself wrote (`tests.predecessor.made`), read.

``released`` is version 1.2.0 with MLflow 2.4, ``newest`` its last commit with MLflow 3.17. What was on the servers is
written in `tests.predecessor.filling`.
"""

from __future__ import annotations

from collections import Counter

import pytest

from mlflow_archive.api import repack, verify
from mlflow_archive.predecessor.source import PredecessorSource
from mlflow_archive.spec.kinds import Kind
from mlflow_archive.spec.loss import Loss
from mlflow_archive.spec.selection import Selection
from mlflow_archive.storage.opening import open_store
from tests.predecessor.by_hand import ARCHIVES

#: What is in each archive: objects by kind, then files, and losses of parts (spans that were not exported).
COUNTS = {
    "released/all": {"experiment": 3, "run": 7, "registered_model": 3, "blobs": 12},
    "released/run": {"experiment": 1, "run": 1, "blobs": 8},
    "released/model": {"experiment": 2, "run": 3, "registered_model": 1, "blobs": 12},
    "newest/all": {
        "experiment": 3,
        "run": 7,
        "logged_model": 3,
        "registered_model": 4,
        "prompt": 2,
        "trace": 6,
        "evaluation_dataset": 2,
        "blobs": 22,
        "losses": 2,
    },
    # Two aliases name versions that were not exported, as an export of one version was not to do.
    "newest/model-version": {"experiment": 1, "run": 1, "registered_model": 1, "blobs": 2},
    "newest/logged-models": {"experiment": 1, "logged_model": 3, "blobs": 6},
    "newest/traces": {"experiment": 2, "trace": 6, "blobs": 4, "losses": 2},
    "newest/trace": {"experiment": 1, "trace": 1, "blobs": 1},
    "newest/prompts": {"prompt": 2},
    "newest/prompt": {"prompt": 1},
    "newest/evaluation-datasets": {"evaluation_dataset": 2},
}


@pytest.mark.parametrize("archive", COUNTS)
def test_everything_in_an_archive_is_read_once(archive):
    source = PredecessorSource.open(open_store(str(ARCHIVES / archive)))
    found: Counter[str] = Counter()
    for kind in source.kinds():
        for item in source.read(kind, Selection()):
            assert not isinstance(item, Loss), item
            content = item.load()
            found.update({str(kind): 1, "losses": len(content.losses), "blobs": len(list(content.blobs()))})
            assert all(list(part.open()) for part in content.parts if part.name != "records")
    source.close()
    assert +found == Counter(COUNTS[archive])


@pytest.mark.parametrize(("archive", "says"), [("released/all", True), ("newest/all", False)])
def test_that_inputs_of_runs_were_left_out_is_said_where_it_is_so(archive, says):
    source = PredecessorSource.open(open_store(str(ARCHIVES / archive)))
    inputs = [
        item.load().record.to_json()["dataset_inputs"]
        for item in source.read(Kind.RUN, Selection())
        if not isinstance(item, Loss)
    ]
    assert any(inputs) is not says
    assert any("before October 2023" in note for note in source.notes()) is says
    source.close()


@pytest.mark.parametrize("archive", ["released/all", "newest/all", "newest/model-version", "newest/traces"])
def test_an_archive_can_be_turned_into_one_of_ours_which_is_valid(archive, tmp_path):
    source, target = str(ARCHIVES / archive), str(tmp_path / "ours")
    repacked = repack(source, target)
    assert verify(target).ok
    expected = {kind: count for kind, count in COUNTS[archive].items() if kind not in ("blobs", "losses")}
    assert repacked.objects == sum(expected.values())
    assert repacked.losses == COUNTS[archive].get("losses", 0)
