"""Model versions that take their time to become ready, as those of a Databricks workspace do."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.tracking.sinks.making import Target, registered_model

pytestmark = pytest.mark.server
New = Callable[..., str]


@pytest.fixture
def answers(target: Target, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """States that the server gives of a version, the last one for ever; each answer takes one away."""
    states: list[str] = []
    call = target.client.call

    def slow(method: str, path: str, **more: object) -> dict:
        answer = call(method, path, **more)  # type: ignore[arg-type]
        if path.endswith("model-versions/get"):
            answer["model_version"]["status"] = states.pop(0) if len(states) > 1 else states[0]
        return answer

    monkeypatch.setattr(target.client, "call", slow)
    return states


def test_a_version_that_becomes_ready_is_waited_for(target: Target, new: New, answers: list[str]) -> None:
    answers += ["PENDING_REGISTRATION", "PENDING_REGISTRATION", "READY"]

    made = target.restore([registered_model(new("reg-"), [{"version": 1, "source": "s3://b/x"}])], await_versions_s=60)

    assert made.losses == []
    assert answers == ["READY"]


@pytest.mark.parametrize(("state", "seconds"), [("PENDING_REGISTRATION", 1), ("FAILED_REGISTRATION", 600)])
def test_one_that_does_not_is_a_loss(target: Target, new: New, answers: list[str], state: str, seconds: int) -> None:
    answers.append(state)
    name = new("reg-")

    made = target.restore([registered_model(name, [{"version": 1, "source": "s3://b/x"}])], await_versions_s=seconds)

    (loss,) = made.losses
    assert (loss.code, loss.path) == ("not_ready", "versions/1")
    assert f"Version 1 of {name!r} is {state}" in loss.reason


def test_nobody_waits_without_being_asked(target: Target, new: New, answers: list[str]) -> None:
    answers.append("PENDING_REGISTRATION")

    made = target.restore([registered_model(new("reg-"), [{"version": 1, "source": "s3://b/x"}])])

    assert made.losses == []
