"""The words of a selection, in the code and in the specification."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from mlflow_archive.spec.kinds import Kind
from mlflow_archive.spec.selection import Selection

TEXT = (Path(__file__).parents[2] / "spec/v1/archive.md").read_text(encoding="utf-8")


def test_the_specification_tells_every_word_of_a_selection():
    section = TEXT.split("### Selection\n")[1].split("\n### ")[0]
    assert {field.name for field in fields(Selection)} <= set(re.findall(r"`(\w+)`", section))


def test_everything_asks_for_nothing():
    assert Selection().to_json() == {}
    assert Selection().is_everything


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        (Selection(versions=frozenset({10, 9, 2})), {"versions": [2, 9, 10]}),
        (Selection(run_ids=frozenset({"b", "a"}), with_children=True), {"run_ids": ["a", "b"], "with_children": True}),
        (Selection(deleted=False, latest_versions=True), {"deleted": False, "latest_versions": True}),
        (Selection(datasets=(), stages=frozenset({"None"})), {"datasets": [], "stages": ["None"]}),
        (Selection(kinds=frozenset({Kind.RUN})), {"kinds": ["run"]}),
    ],
)
def test_what_differs_from_everything_is_written_in_order(selection, expected):
    assert selection.to_json() == expected
    assert not selection.is_everything


def test_times_include_the_start_and_exclude_the_end():
    window = Selection(since_ms=10, until_ms=20)
    assert [time for time in (9, 10, 19, 20) if window.wants_time(time)] == [10, 19]
    assert not window.wants_time(None)
    assert Selection().wants_time(None)
