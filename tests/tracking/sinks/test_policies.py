"""How objects are brought to a real server: into one experiment, under other names, for other users."""

from __future__ import annotations

import contextlib
import getpass
from collections.abc import Callable
from typing import Any

import pytest

from mlflow_archive.errors import ConflictError
from mlflow_archive.events import Event, Note
from mlflow_archive.spec.kinds import Kind
from mlflow_archive.spec.renaming import Renaming
from mlflow_archive.stream import Status
from tests.tracking.sinks.making import Target, experiment, logged_model, run, span, trace
from tests.tracking.sinks.test_cuts import CutTarget

pytestmark = pytest.mark.server
New = Callable[..., str]
OURS = "mlflow_archive.source."


def _experiment(target: Target, name: str) -> dict[str, Any]:
    found = target.get("experiments/get-by-name", experiment_name=name)["experiment"]
    found["tags"] = {tag["key"]: tag["value"] for tag in found.get("tags", [])}
    return found


class Notes:
    """An observer that keeps notes."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def notify(self, event: Event) -> None:
        if isinstance(event, Note):
            self.heard.append(event.message)


def test_everything_goes_into_one_new_experiment(target: Target, new: New) -> None:
    a, b, home = sorted((new(), new())), new(), new("home-")
    first, second = a
    run_a, run_b, model, tr = new(), new(), new("m-"), new("tr-")
    items = [
        experiment(second, f"name-{second}", tags={"team": "red", "of": "second"}),
        experiment(first, f"name-{first}", lifecycle_stage="deleted", tags={"team": "blue"}),
        run(run_a, first),
        run(run_b, second, tags={"mlflow.parentRunId": run_a}),
        logged_model(model, second, info={"source_run_id": run_b}),
        trace(tr, second, spans=[span(tr, b[:16])]),
    ]
    result = target.restore(items, into_experiment=home)
    assert result.losses == []
    assert {result.outcomes[id].reason for id in a} == {f"goes into {home!r}"}
    there = _experiment(target, home)
    assert {result.ids.get(Kind.EXPERIMENT, id) for id in a} == {there["experiment_id"]}
    assert there["lifecycle_stage"] == "active"
    assert {name: there["tags"].get(name) for name in ("team", "of", "mlflow_archive.incomplete")} == {
        "team": "blue",
        "of": "second",
        "mlflow_archive.incomplete": None,
    }
    runs = target.post("runs/search", experiment_ids=[there["experiment_id"]])["runs"]
    assert {one["info"]["run_id"] for one in runs} == {result.ids.get(Kind.RUN, id) for id in (run_a, run_b)}
    assert target.run(result.ids.get(Kind.RUN, run_b))["tags"]["mlflow.parentRunId"] == result.ids.get(Kind.RUN, run_a)
    models = target.post("logged-models/search", experiment_ids=[there["experiment_id"]])["models"]
    assert [one["info"]["model_id"] for one in models] == [result.ids.get(Kind.LOGGED_MODEL, model)]
    place = target.get(f"/api/3.0/mlflow/traces/{tr}")["trace"]["trace_info"]["trace_location"]
    assert place["mlflow_experiment"]["experiment_id"] == there["experiment_id"]
    names = {one["name"] for one in target.post("experiments/search", view_type="ALL", max_results=5000)["experiments"]}
    assert not names & {f"name-{id}" for id in a}


def test_a_second_time_finds_everything_there(target: Target, new: New) -> None:
    exp, other, a, b, home = new(), new(), new(), new(), new("home-")
    items = [experiment(exp, exp), experiment(other, other), run(a, exp), run(b, other)]
    target.restore(items, into_experiment=home)
    for wish in ("skip", "duplicate", "fail"):
        outcomes = target.restore(items[:2], into_experiment=home, if_exists=wish).outcomes
        assert {one.status for one in outcomes.values()} == {Status.SKIPPED}
    assert {one.reason for one in target.restore(items, into_experiment=home).outcomes.values()} == {"exists"}
    with pytest.raises(ConflictError):
        target.restore(items, into_experiment=home, if_exists="fail")
    planned = target.restore(items, into_experiment=home, dry_run=True).outcomes
    assert {one.reason for one in planned.values()} == {"would skip (exists)"}


def test_an_experiment_that_is_there_keeps_its_tags_unless_it_is_to_be_updated(target: Target, new: New) -> None:
    exp, a, home = new(), new(), new("home-")
    target.post("experiments/create", name=home, tags=[{"key": "team", "value": "green"}])
    items = [experiment(exp, exp, tags={"team": "blue", "more": "1"}), run(a, exp)]
    result = target.restore(items, into_experiment=home)
    assert result.outcomes[exp].status is Status.SKIPPED
    assert {"team": "green"}.items() <= _experiment(target, home)["tags"].items()
    assert "more" not in _experiment(target, home)["tags"]
    target.restore(items, into_experiment=home, if_exists="update")
    assert {"team": "blue", "more": "1"}.items() <= _experiment(target, home)["tags"].items()


def test_what_comes_without_its_experiment_goes_there_too(target: Target, new: New) -> None:
    a, home = new(), new("home-")
    result = target.restore([run(a, new())], into_experiment=home)
    assert result.losses == []
    assert (
        target.run(result.ids.get(Kind.RUN, a))["info"]["experiment_id"] == _experiment(target, home)["experiment_id"]
    )
    assert "mlflow_archive.incomplete" not in _experiment(target, home)["tags"]


def test_a_dry_run_makes_no_home(target: Target, new: New) -> None:
    exp, a, tr, home = new(), new(), new("tr-"), new("home-")
    result = target.restore([experiment(exp, exp), run(a, exp), trace(tr, exp)], into_experiment=home, dry_run=True)
    reasons = [result.outcomes[id].reason for id in (exp, a, tr)]
    assert reasons == [f"would go into {home!r}", "would create", "would create"]
    names = {one["name"] for one in target.post("experiments/search", view_type="ALL", max_results=5000)["experiments"]}
    assert home not in names


def test_a_deleted_home_is_a_conflict(target: Target, new: New) -> None:
    exp, home = new(), new("home-")
    target.post("experiments/delete", experiment_id=target.post("experiments/create", name=home)["experiment_id"])
    with pytest.raises(ConflictError, match="is deleted at the target"):
        target.restore([experiment(exp, exp)], into_experiment=home)


def test_an_interrupted_gathering_is_gone_on_with(target: Target, new: New) -> None:
    exp, a, home = new(), new(), new("home-")
    items = [experiment(exp, exp, tags={"team": "blue"}), run(a, exp)]
    sink = target.sink(into_experiment=home)
    sink.write(items[0])
    sink.close()
    assert "team" not in _experiment(target, home)["tags"]
    target.restore(items, into_experiment=home)
    tags = _experiment(target, home)["tags"]
    assert tags["team"] == "blue"
    assert "mlflow_archive.incomplete" not in tags


def test_prefix_and_rules(target: Target, new: New) -> None:
    exp, other, mark = new(), new(), new()
    rules = Renaming(prefixes=((f"/{mark}/me", f"/{mark}/you"),))
    items = [experiment(exp, f"/{mark}/me/iris"), experiment(other, f"/{mark}/megan")]
    result = target.restore(items, experiment_prefix="/old", rename_experiment=rules)
    assert result.outcomes[exp].reason == f"renamed to '/old/{mark}/you/iris'"
    assert _experiment(target, f"/old/{mark}/megan")["experiment_id"] == result.ids.get(Kind.EXPERIMENT, other)


def test_experiments_without_their_tags(target: Target, new: New) -> None:
    exp = new()
    target.restore([experiment(exp, exp, tags={"team": "blue"})], experiment_tags=False)
    assert "team" not in _experiment(target, exp)["tags"]


def test_the_user_of_a_run(target: Target, new: New) -> None:
    exp, a, b = new(), new(), new()
    kept = target.restore([experiment(exp, exp), run(a, exp, tags={"mlflow.user": "ada"})])
    there = target.run(kept.ids.get(Kind.RUN, a))
    assert (there["info"]["user_id"], there["tags"]["mlflow.user"]) == ("ada", "ada")
    mine = target.restore([experiment(exp, exp), run(b, exp, tags={"mlflow.user": "ada"})], keep_user=False)
    there = target.run(mine.ids.get(Kind.RUN, b))
    assert {there["info"]["user_id"], there["tags"]["mlflow.user"]} == {getpass.getuser()}


def test_mlmodel_files_can_stay_as_they_are(target: Target, new: New) -> None:
    exp, a = new(), new()
    mlmodel = f"run_id: {a}\n".encode()
    items = [experiment(exp, exp), run(a, exp, files={"model/MLmodel": mlmodel})]
    result = target.restore(items, edit_mlmodels=False)
    run_id = result.ids.get(Kind.RUN, a)
    route = (
        f"/api/2.0/mlflow-artifacts/artifacts/{result.ids.get(Kind.EXPERIMENT, exp)}/{run_id}/artifacts/model/MLmodel"
    )
    with target.client.download(route) as chunks:
        assert b"".join(chunks) == mlmodel


def test_source_tags_are_written_once_and_travel_on(target: Target, new: New) -> None:
    exp, a, later = new(), new(), new()
    items = [experiment(exp, exp, creation_time=1_700_000_000_000), run(a, exp, tags={"mlflow.user": "ada", "k": "v"})]
    result = target.restore(items, source_tags=OURS)
    assert result.losses == []
    home, there = _experiment(target, exp), target.run(result.ids.get(Kind.RUN, a))
    assert home["tags"][f"{OURS}experiment_id"] == exp
    assert home["tags"][f"{OURS}creation_time"] == "1700000000000"
    assert there["tags"][f"{OURS}run_id"] == a
    assert there["tags"][f"{OURS}mlflow.user"] == "ada"
    # As a backup of that server would have it: the origin stays, in any layout, and nothing is told around it.
    moved = run(there["info"]["run_id"], later, tags={**there["tags"], "mlflow.user": "bob"}, info={"user_id": "bob"})
    again = target.restore([experiment(later, later), moved], source_tags="mlflow_exim.")
    tags = target.run(again.ids.get(Kind.RUN, there["info"]["run_id"]))["tags"]
    assert tags["mlflow_exim.run_info.run_id"] == tags[f"{OURS}run_id"] == a
    assert tags["mlflow_exim.mlflow_tag.user"] == "ada"
    assert tags["mlflow.user"] == "bob"
    assert tags["mlflow_archive.source_id"] == there["info"]["run_id"]
    assert not [name for name in tags if name.count("mlflow_archive") + name.count("mlflow_exim") > 1]


def test_a_home_of_several_tells_no_one_origin(target: Target, new: New) -> None:
    exp, other, lone, home, room = new(), new(), new(), new("home-"), new("room-")
    target.restore([experiment(exp, exp), experiment(other, other)], into_experiment=home, source_tags=OURS)
    target.restore([experiment(lone, lone)], into_experiment=room, source_tags=OURS)
    assert not [name for name in _experiment(target, home)["tags"] if name.startswith(OURS)]
    assert _experiment(target, room)["tags"][f"{OURS}name"] == lone


def test_a_long_value_is_cut_with_a_note(target: Target, new: New) -> None:
    exp, a, notes = new(), new(), Notes()
    items = [experiment(exp, exp), run(a, exp, tags={"mlflow.note.content": "x" * 7000})]
    result = target.restore(items, source_tags="mlflow_export_import.", observer=notes)
    tags = target.run(result.ids.get(Kind.RUN, a))["tags"]
    assert len(tags["mlflow_export_import.mlflow.note.content"]) == 5000
    assert (len(tags["mlflow.note.content"]), result.losses) == (7000, [])
    assert len(notes.heard) == 1
    assert "mlflow_export_import.mlflow.note.content" in notes.heard[0]


@pytest.mark.parametrize("at", range(1, 12))
def test_a_gathering_that_ends_at_any_request_is_completed(target: Target, new: New, at: int) -> None:
    (first, second), a, tr, home = sorted((new(), new())), new(), new("tr-"), new("home-")
    items = [
        experiment(first, first, tags={"team": "blue"}),
        experiment(second, second, tags={"team": "red", "of": "second"}),
        run(a, second, params={"p": "1"}),
        trace(tr, first, spans=[span(tr, a[:16])]),
    ]
    with contextlib.suppress(BaseException):
        CutTarget(target, at).restore(items, into_experiment=home)
    result = target.restore(items, into_experiment=home)
    assert result.losses == []
    there = _experiment(target, home)
    tags = {name: value for name, value in there["tags"].items() if not name.startswith("mlflow.")}
    assert {name: tags.get(name) for name in ("team", "of", "mlflow_archive.incomplete")} == {
        "team": "blue",
        "of": "second",
        "mlflow_archive.incomplete": None,
    }
    [found] = target.post("runs/search", experiment_ids=[there["experiment_id"]])["runs"]
    assert found["data"]["params"] == [{"key": "p", "value": "1"}]
    assert (
        target.get(f"/api/3.0/mlflow/traces/{tr}")["trace"]["trace_info"]["tags"].get("mlflow_archive.incomplete")
        is None
    )
