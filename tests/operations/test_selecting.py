"""From a person's words to a selection."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone

import pytest

from mlflow_archive.errors import UsageError
from mlflow_archive.operations.selecting import kind_words, make_selection, parse_kind
from mlflow_archive.spec.kinds import KIND_ORDER, Kind
from mlflow_archive.spec.selection import Selection


def test_no_wish_is_everything():
    assert make_selection() == Selection()
    assert make_selection().is_everything


@pytest.mark.parametrize(
    ("given", "expected_ms"),
    [
        ("1970-01-02", 86_400_000),
        ("1970-01-01T00:00:01", 1000),
        ("1970-01-01T00:00:01Z", 1000),
        ("1970-01-01T02:00:00+02:00", 0),
        ("1970-01-01 00:00:00.5", 500),
        ("1970-01-01T00:00:00.1234567Z", 123),
        (date(1970, 1, 2), 86_400_000),
        (datetime(1970, 1, 1, 0, 0, 1), 1000),
        (datetime(1970, 1, 1, 1, tzinfo=timezone(timedelta(hours=1))), 0),
        ("1969-12-31T23:59:59.999Z", -1),
    ],
)
def test_times_are_utc_unless_they_say_otherwise(given, expected_ms):
    assert make_selection(since=given).since_ms == expected_ms


@pytest.mark.parametrize(
    ("wishes", "words"),
    [
        ({"since": "yesterday"}, "2026-01-31T12:00:00Z"),
        ({"since": "2026-01-02", "until": "2026-01-02"}, "empty"),
        ({"only": ["rums"]}, "registered_model"),
        ({"only": ["run"], "without": ["runs"]}, "at once"),
        ({"only": ["artifacts"]}, "not a kind"),
        ({"models": ["x"], "run_filter": "params.a = '1'"}, "experiments"),
        ({"experiments": "iris"}, "list"),
    ],
)
def test_what_makes_no_sense_is_refused_with_a_way_out(wishes, words):
    with pytest.raises(UsageError, match=words):
        make_selection(**wishes)


def test_naming_something_leaves_out_what_is_not_named():
    selection = make_selection(experiments=["iris"])
    assert (selection.models, selection.prompts) == ((), ())
    assert make_selection(models=["x"]).prompts == ()
    assert make_selection(since="2026-01-01").models is None


def test_kinds_by_their_words_or_folders():
    assert parse_kind("Logged-Models") is Kind.LOGGED_MODEL
    assert parse_kind("models") is Kind.REGISTERED_MODEL
    assert kind_words() == tuple(kind.value for kind in KIND_ORDER)


def test_runs_bring_the_experiments_they_stand_in():
    assert make_selection(only=["run"]).kinds == {Kind.RUN, Kind.EXPERIMENT, Kind.WORKSPACE}
    without = make_selection(without=["experiment"]).kinds
    assert without is not None
    assert Kind.RUN not in without
    assert Kind.REGISTERED_MODEL in without


def test_files_can_be_left_out_like_a_kind():
    selection = make_selection(without=["artifacts", "trace"])
    assert not selection.artifacts
    assert not selection.wants(Kind.TRACE)
    assert make_selection(without=["artifacts"]).kinds is None


@pytest.mark.parametrize(
    ("wishes", "words"),
    [
        ({"with_children": True}, "run_ids"),
        ({"runs_within": ["iris"]}, "run_ids"),
        ({"stages": ["Prod"]}, "Staging, Production"),
        ({"stages": "Production"}, "list"),
        ({"run_ids": "abc"}, "list"),
        ({"versions": [0]}, "from 1"),
        ({"versions": ["3"]}, "whole numbers"),
        ({"prompt_versions": [True]}, "not a version"),
        ({"run_ids": ["a"], "since": "2026-01-01"}, "experiments"),
        ({"datasets": ["a"], "run_filter": "params.a = '1'"}, "experiments"),
    ],
)
def test_wishes_for_parts_that_make_no_sense_are_refused(wishes, words):
    with pytest.raises(UsageError, match=words):
        make_selection(**wishes)


def test_naming_a_part_leaves_out_what_is_not_named():
    for named in ({"run_ids": ["a"]}, {"trace_ids": ["a"]}, {"logged_model_ids": ["a"]}, {"models": ["a"]}):
        selection = make_selection(**named)
        assert (selection.prompts, selection.datasets) == ((), ())
    assert make_selection(datasets=["a"]).models == ()
    # Those of the experiments come along.
    assert make_selection(experiments=["a"]).datasets is None
    assert make_selection(models=["a"], whole_experiments=True).datasets is None


def test_stages_are_written_as_the_registry_does():
    assert make_selection(stages=["production", " NONE "]).stages == {"Production", "None"}


def test_times_narrow_the_experiments_of_models_that_come_whole():
    assert make_selection(models=["a"], whole_experiments=True, since="2026-01-01").since_ms == 1_767_225_600_000
