"""JSON that anybody may have written, and values out of it."""

from __future__ import annotations

import json

import pytest

from mlflow_archive.errors import IntegrityError
from mlflow_archive.predecessor.documents import parse, read_document
from mlflow_archive.predecessor.lineage import own_tags
from mlflow_archive.predecessor.metrics import histories
from mlflow_archive.predecessor.values import integer, tags, text, texts
from mlflow_archive.spec.canonical import line_bytes


def test_numbers_that_json_has_not_become_words():
    value = parse(b'{"a": NaN, "b": [Infinity, -Infinity], "c": 1e999, "d": 1.5, "e": 12345678901234567890}', "x")
    assert value == {
        "a": "NaN",
        "b": ["Infinity", "-Infinity"],
        "c": "Infinity",
        "d": 1.5,
        "e": 12345678901234567890,
    }
    assert line_bytes(value)


def test_the_last_of_two_equal_keys_counts():
    assert parse(b'{"a": 1, "a": 2}', "x") == {"a": 2}


def test_a_byte_order_mark_is_no_harm():
    assert parse(b'\xef\xbb\xbf{"a": 1}', "x") == {"a": 1}


@pytest.mark.parametrize(
    ("data", "rule"),
    [
        (b"", "E010"),
        (b"{", "E010"),
        (b"\xff\xfe", "E010"),
        (b"[1]", "E010"),
        (b"[" * 201 + b"]" * 201, "E011"),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "E011"),
    ],
)
def test_what_is_refused(data: bytes, rule: str):
    with pytest.raises(IntegrityError) as caught:
        read_document(data, "folder/run.json")
    assert [problem.rule for problem in caught.value.problems] == [rule]
    assert "folder/run.json" in str(caught.value)


def test_nesting_up_to_the_bound_is_read():
    assert parse(b"[" * 200 + b"]" * 200, "x")


def test_envelopes():
    flat = read_document(b'{"export_info": {"a": 1}, "experiment": {}}', "x")
    assert (flat.flat, flat.info, flat.system, "experiment" in flat.payload) == (True, {"a": 1}, {}, True)
    run = read_document(b'{"info": {"run_id": "r"}, "params": {}}', "x")
    assert (run.info, run.payload["info"]) == ({}, {"run_id": "r"})
    listing = read_document(b'{"info": {"mlflow_version": "1"}, "experiments": []}', "x")
    assert listing.info == {"mlflow_version": "1"}
    newer = read_document(b'{"system": {"s": 1}, "info": {"i": 1}, "mlflow": {"m": 1}}', "x")
    assert (newer.flat, newer.system, newer.info, newer.payload) == (False, {"s": 1}, {"i": 1}, {"m": 1})


def test_values():
    assert [integer(value) for value in ("12", 12, 12.0, None, "")] == [12, 12, 12, None, None]
    for wrong in ("x", 1.5, [], {}, True):
        with pytest.raises(IntegrityError):
            integer(wrong)
    assert texts(["a", "a", 1, None, {}, ""]) == ["a", "1"]
    assert (texts("abc"), text(None), text(True)) == ([], "", "")
    assert tags([{"key": "a", "value": "1"}, {"key": "b", "value": None}]) == {"a": "1", "b": ""}
    assert tags({"a": 1, "b": None}) == {"a": "1"}


def test_histories_are_ordered_and_end_with_the_latest_step():
    points = [
        {"value": "NaN", "timestamp": 3, "step": 1},
        {"value": 2, "timestamp": 2, "step": 5},
        {"value": "-Infinity", "timestamp": 2, "step": 4},
    ]
    (series,), bare = histories({"m": points, "empty": []}, 9)
    assert bare == []
    (line,) = series.lines()
    assert line == {"key": "m", "timestamps": [2, 2, 3], "steps": [4, 5, 1], "values": ["-Infinity", 2.0, "NaN"]}
    assert series.last() == {"key": "m", "value": 2.0, "timestamp": 2, "step": 5}


def test_long_histories_are_cut_into_lines():
    points = [{"value": n, "timestamp": n, "step": n} for n in range(20_001)]
    (series,), _ = histories({"m": json.loads(json.dumps(points))}, 0)
    assert [len(line["values"]) for line in series.lines()] == [10_000, 10_000, 1]  # type: ignore[arg-type]


@pytest.mark.parametrize("value", ["x", True, {"a": 1}, [1, 2], [{"value": None}], [{"value": "1"}]])
def test_metrics_without_numbers_are_refused(value: object):
    with pytest.raises(IntegrityError):
        histories({"m": value}, 0)  # type: ignore[dict-item]


def test_tags_that_an_export_added_are_left_out():
    prefix = "mlflow_export_import."
    given = {
        "team": "x",
        "mlflow.user": "ada",
        f"{prefix}mlflow.user": "ada",
        f"{prefix}metadata.timestamp": "1",
        f"{prefix}run_info.run_id": "r1",
        f"{prefix}run_info.status": "FINISHED",
    }
    assert own_tags(given, "r1") == {"team": "x", "mlflow.user": "ada"}


def test_tags_of_an_earlier_import_are_the_runs_own():
    prefix = "mlflow_export_import."
    given = {
        "mlflow.user": "bob",
        f"{prefix}mlflow.user": "ada",
        f"{prefix}run_info.run_id": "another",
        f"{prefix}src.version": "3",
        "mlflow_exim.run_info.run_id": "another",
    }
    assert own_tags(given, "r1") == given
