"""What a restore remembers of a target experiment, and for how long."""

from __future__ import annotations

import pytest

from mlflow_archive.spec.kinds import Kind
from mlflow_archive.stream import ObjectKey
from mlflow_archive.tracking.sinks.experiments import TargetExperiment
from mlflow_archive.tracking.sinks.known import KnownObjects
from tests.tracking.sinks.making import RUN_A, RUN_B, Target, experiment, run, trace

KEY = ObjectKey(Kind.RUN, RUN_A, experiment_id="3")


def test_an_experiment_is_listed_once_and_forgotten_when_it_is_left() -> None:
    listed: list[str] = []

    def listing(target: TargetExperiment, workspace: str | None) -> dict[str, str]:
        listed.append(f"{target.id} in {workspace}")
        return {RUN_A: "here"}

    known = KnownObjects(listing)
    target = TargetExperiment("77", "name")
    assert known.find(KEY, target) == "here"
    assert known.find(ObjectKey(Kind.RUN, RUN_B, experiment_id="3"), target) is None
    assert listed == ["77 in None"]
    known.forget(KEY.scope)
    assert len(known) == 0
    assert known.find(KEY, target) == "here"
    assert listed == ["77 in None"] * 2


def test_an_experiment_for_all_is_listed_once_for_all() -> None:
    listed: list[str] = []

    def listing(target: TargetExperiment, workspace: str | None) -> dict[str, str]:
        listed.append(target.id)
        return {RUN_A: "here", RUN_B: "there"}

    known, target = KnownObjects(listing), TargetExperiment("77", "name", shared=True)
    other = ObjectKey(Kind.RUN, RUN_B, experiment_id="4")
    assert known.find(KEY, target) == "here"
    known.forget(KEY.scope)
    assert known.find(other, target) == "there"
    assert listed == ["77"]


def test_nothing_is_listed_of_an_experiment_just_made() -> None:
    def listing(target: TargetExperiment, workspace: str | None) -> dict[str, str]:
        pytest.fail(f"{target} was listed in {workspace}")

    assert KnownObjects(listing).find(KEY, TargetExperiment("77", "name", fresh=True)) is None


@pytest.mark.server
def test_a_second_restore_keeps_no_experiment_in_memory(target: Target) -> None:
    trace_id = "tr-" + "9" * 32
    items = [experiment("901", "known"), run("9" * 32, "901"), trace(trace_id, "901")]
    target.restore(items)
    again = target.restore(items)
    assert {outcome.reason for outcome in again.outcomes.values()} == {"exists"}
    writers = again.sink._kinds
    assert {kind: len(writers[kind]._known) for kind in (Kind.RUN, Kind.TRACE)} == {Kind.RUN: 0, Kind.TRACE: 0}
