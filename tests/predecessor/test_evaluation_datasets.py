"""Evaluation datasets with their records, wherever their names put them."""

from __future__ import annotations

import pytest

from mlflow_archive.errors import IntegrityError
from mlflow_archive.spec.kinds import Kind
from mlflow_archive.spec.selection import Selection
from tests.predecessor.by_hand import read, rows, write

ONE, TWO = "d-" + "1" * 32, "d-" + "2" * 32
RECORD = {"dataset_record_id": "dr-1", "inputs": {"q": 1}, "expectations": {"a": 2}, "tags": {"t": "1"}}
SUMMARY = "evaluation_datasets/evaluation_datasets_summary.json"


def dataset(id=ONE, name="questions", **more):
    source = {"source": '{"dataset_id": "x"}', "source_type": "mlflow_evaluation_dataset"}
    times = {"created_time": 1000, "last_update_time": 2000, "created_by": "ada", "last_updated_by": None}
    fields = {"dataset_id": id, "name": name, "digest": "d1", "tags": {"owner": "ada"}, "schema": "{}", **times}
    found = {**fields, **source, "experiment_ids": ["2", "1"], "records": [{**RECORD, "source": None}], **more}
    return {"evaluation_dataset": found}


def archive(tmp_path, *documents, listed=()):
    folders = {f"evaluation_datasets/{name}_{id}/evaluation_dataset.json": document for id, name, document in documents}
    entries = [{"name": name, "dataset_id": id} for id, name in listed]
    return write(tmp_path, {**folders, SUMMARY: {"datasets": entries}})


def test_a_dataset_comes_with_its_records_and_experiments(tmp_path):
    root = archive(tmp_path, (ONE, "questions", dataset()), listed=[(ONE, "questions")])
    contents, losses, _ = read(root, Kind.EVALUATION_DATASET)
    assert not losses
    assert contents[ONE].record.to_json() == {
        "dataset_id": ONE,
        "name": "questions",
        "digest": "d1",
        "schema": "{}",
        "tags": {"owner": "ada"},
        "created_time": 1000,
        "last_update_time": 2000,
        "created_by": "ada",
        "experiment_ids": ["1", "2"],
    }
    assert rows(contents[ONE], "records") == [RECORD]


def test_a_name_with_a_slash_is_found_and_one_that_is_missing_is_a_loss(tmp_path):
    there = (ONE, "a/b", dataset(name="a/b"))
    contents, losses, _ = read(
        archive(tmp_path, there, listed=[(ONE, "a/b"), (TWO, "gone"), (TWO, "../../gone")]), Kind.EVALUATION_DATASET
    )
    assert list(contents) == [ONE]
    assert [(loss.id, loss.code) for loss in losses] == [(TWO, "not_exported"), (TWO, "not_exported")]


def test_one_that_no_summary_names_is_found_by_its_folder(tmp_path):
    contents, losses, _ = read(archive(tmp_path, (ONE, "questions", dataset())), Kind.EVALUATION_DATASET)
    assert (list(contents), losses) == ([ONE], [])


def test_a_damaged_summary_is_a_loss_and_hides_nothing(tmp_path):
    root = archive(tmp_path, (ONE, "questions", dataset()))
    write(root, {SUMMARY: "{"})
    contents, losses, _ = read(root, Kind.EVALUATION_DATASET)
    assert list(contents) == [ONE]
    assert len(losses) == 1


def test_an_export_of_one_dataset(tmp_path):
    contents, losses, _ = read(write(tmp_path, {"evaluation_dataset.json": dataset()}), Kind.EVALUATION_DATASET)
    assert (list(contents), losses) == ([ONE], [])


def test_a_document_of_another_dataset_is_refused(tmp_path):
    with pytest.raises(IntegrityError, match="is the document of"):
        read(archive(tmp_path, (ONE, "questions", dataset(TWO))), Kind.EVALUATION_DATASET)


def test_datasets_can_be_chosen_by_name_and_id(tmp_path):
    root = archive(tmp_path, (ONE, "questions", dataset()), (TWO, "other", dataset(TWO, "other")))
    for word, id in (("quest*", ONE), (TWO, TWO)):
        assert list(read(root, Kind.EVALUATION_DATASET, Selection(datasets=(word,)))[0]) == [id]
