"""Objects that are at the target already: refused, or brought up to date."""

from __future__ import annotations

import contextlib
import uuid
from typing import Any

import pytest

from mlflow_archive.errors import ConflictError
from mlflow_archive.spec.kinds import Kind
from mlflow_archive.stream import Item, Status
from tests.tracking.sinks.making import Target, item
from tests.tracking.sinks.small_world import API3, SmallWorld
from tests.tracking.sinks.test_cuts import CutTarget

pytestmark = pytest.mark.server


def _changed(world: SmallWorld, kind: Kind, **fields: Any) -> Item:
    """The object of a kind with other fields in its payload."""
    found = [one for one in world.items() if one.key.kind is kind][-1]
    record = found.load().record.to_json()
    record["payload"] |= fields
    return item(kind, found.key.id, record, experiment_id=found.key.experiment_id, name=found.key.name)


@pytest.fixture(scope="module")
def world(target: Target) -> SmallWorld:
    """A world that is at the target."""
    made = SmallWorld(uuid.uuid4().hex[:12])
    target.restore(made.items())
    return made


def test_fail_refuses_every_kind_before_anything_is_written(target: Target, world: SmallWorld) -> None:
    kinds = set()
    for one in world.items():
        if one.key.name == "Feedback":
            # The server's own question: it is nobody's.
            continue
        watched = CutTarget(target, 0)
        with contextlib.closing(watched.sink(if_exists="fail")) as sink, pytest.raises(ConflictError) as caught:
            sink.write(one)
        assert caught.value.code == "conflict", one.key
        assert watched.client.count == 0, one.key
        kinds.add(one.key.kind)
    assert len(kinds) == 14


def test_the_default_question_is_never_refused(target: Target, world: SmallWorld) -> None:
    question = next(one for one in world.items() if one.key.name == "Feedback")
    outcome = target.restore([question], if_exists="fail").outcomes[question.key.id]
    assert (outcome.status, outcome.reason, outcome.losses) == (Status.SKIPPED, "made by the server", ())


def test_update_changes_what_the_api_can_change(target: Target, world: SmallWorld) -> None:
    home = target.get("experiments/get-by-name", experiment_name=world.home)["experiment"]["experiment_id"]
    scorer = next(one for one in world.items() if one.key.kind is Kind.SCORER).load().record.to_json()
    newest = scorer["versions"][-1]
    newest["serialized_scorer"] = newest["serialized_scorer"].replace('"4"', '"other"')
    changed = [
        item(Kind.SCORER, "judge", scorer, experiment_id=world.home),
        _changed(world, Kind.LABEL_SCHEMA, instruction="Say more.", type="EXPECTATION"),
        _changed(world, Kind.REVIEW_QUEUE, users=["bob"]),
        _changed(world, Kind.ISSUE, status="resolved", severity="high"),
    ]
    result = target.restore(changed, if_exists="update")
    assert {outcome.reason for outcome in result.outcomes.values()} == {"updated"}
    assert [(loss.kind, loss.code, loss.path) for loss in result.losses] == [(Kind.LABEL_SCHEMA, "limit", "type")]
    versions = target.get(f"{API3}scorers/versions", experiment_id=home, name="judge")["scorers"]
    assert '"other"' in max(versions, key=lambda one: one["scorer_version"])["serialized_scorer"]
    tone = target.get(f"{API3}label-schemas/get-by-name", experiment_id=home, name="tone")["label_schema"]
    assert (tone["instruction"], tone["type"]) == ("Say more.", "FEEDBACK")
    issues = target.post(f"{API3}issues/search", experiment_id=home)["issues"]
    assert sorted((one["status"], one.get("severity")) for one in issues) == [("pending", None), ("resolved", "high")]
    again = target.restore(changed[:1], if_exists="update")
    assert len(target.get(f"{API3}scorers/versions", experiment_id=home, name="judge")["scorers"]) == len(versions)
    assert again.losses == []


def test_an_mcp_server_is_brought_up_to_date(target: Target, world: SmallWorld) -> None:
    changed = _changed(world, Kind.MCP_SERVER, display_name="Other", tags={"team": "red"})
    result = target.restore([changed], if_exists="update")
    assert (result.outcomes[world.server].reason, result.losses) == ("updated", [])
    there = target.get(f"{API3}mcp-servers/{world.server}")
    assert (there["display_name"], there["tags"]) == ("Other", {"team": "red"})
    assert len(there["access_endpoints"]) == 2
