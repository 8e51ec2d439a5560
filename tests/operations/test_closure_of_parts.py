"""What comes along with single runs, logged models, traces, datasets and versions, and what is missed."""

from __future__ import annotations

import pytest

from mlflow_archive.errors import NotFoundError
from mlflow_archive.operations.closure import closed_under
from mlflow_archive.operations.selecting import make_selection
from mlflow_archive.operations.transfer import transfer
from mlflow_archive.spec.kinds import Kind
from tests.operations.ends import MemorySink, MemorySource, content, item, least

PARENT = "mlflow.parentRunId"


def run(id, experiment_id, parent="", made=(), used=(), deleted=False):
    record = {**least(Kind.RUN, id, experiment_id), "tags": {PARENT: parent} if parent else {}}
    record["model_outputs"] = [{"model_id": model} for model in made]
    record["model_inputs"] = [{"model_id": model} for model in used]
    if deleted:
        record["info"] = {**record["info"], "lifecycle_stage": "deleted"}
    return item(Kind.RUN, id, content(Kind.RUN, record), experiment_id=experiment_id)


def logged(id, experiment_id, run_id=None):
    record = {"info": {"model_id": id, "experiment_id": experiment_id, "source_run_id": run_id}}
    return item(Kind.LOGGED_MODEL, id, content(Kind.LOGGED_MODEL, record), experiment_id=experiment_id)


def model(name, *versions, kind=Kind.REGISTERED_MODEL):
    rows = [{"version": n + 1, **version} for n, version in enumerate(versions)]
    return item(kind, name, content(kind, {"name": name, "versions": rows}), name=name)


def dataset(id, name, *experiment_ids):
    record = {"dataset_id": id, "name": name, "experiment_ids": [*experiment_ids]}
    return item(Kind.EVALUATION_DATASET, id, content(Kind.EVALUATION_DATASET, record), name=name)


def experiment(id, name, stage="active"):
    record = {**least(Kind.EXPERIMENT, id, name=name), "lifecycle_stage": stage}
    return item(Kind.EXPERIMENT, id, content(Kind.EXPERIMENT, record), name=name)


def world() -> MemorySource:
    return MemorySource(
        [
            experiment("1", "iris"),
            experiment("2", "wine"),
            experiment("3", "gone", "deleted"),
            experiment("4", "a[1]"),
            experiment("5", "a1"),
            run("top", "1"),
            run("mid", "1", parent="top", made=["m-mid"]),
            run("leaf", "1", parent="mid", used=["m-other"]),
            run("dead", "1", parent="top", deleted=True),
            run("alone", "1"),
            run("other", "2", made=["m-other"]),
            run("more", "2"),
            run("buried", "3"),
            logged("m-mid", "1", "mid"),
            logged("m-other", "2", "other"),
            model(
                "flower",
                {"run_id": "alone", "current_stage": "Production"},
                {"run_id": "other", "current_stage": "Staging"},
                {"run_id": "buried", "current_stage": "Archived"},
            ),
            model("hello", {}, {}, kind=Kind.PROMPT),
            item(Kind.TRACE, "tr-1", experiment_id="1"),
            item(Kind.TRACE, "tr-2", experiment_id="2"),
            item(Kind.TRACE, "tr-3", experiment_id="2"),
            dataset("d-1", "questions", "1"),
            dataset("d-2", "answers", "2"),
        ]
    )


def moved(source=None, **wishes):
    selection = make_selection(**wishes)
    sink = MemorySink()
    report = transfer(closed_under(source or world(), selection), sink, selection)
    closed = [scope for what, scope in sink.diary if what == "close"]
    assert len(closed) == len(set(closed))
    return report, {key.id: stored for key, stored in sink.stored.items()}


def taken(**wishes) -> set[str]:
    report, stored = moved(**wishes)
    assert report.losses == ()
    return {*stored}


def test_a_run_brings_its_experiment_and_the_models_it_made_or_used():
    assert taken(run_ids=["mid"]) == {"1", "mid", "m-mid"}
    assert taken(run_ids=["leaf"]) == {"1", "leaf", "2", "m-other"}
    assert taken(run_ids=["leaf"], without=["logged_model"]) == {"1", "leaf"}


def test_a_run_brings_those_below_it_at_any_depth():
    assert taken(run_ids=["top"]) == {"1", "top"}
    family = {"1", "top", "mid", "leaf", "dead", "m-mid", "2", "m-other"}
    assert taken(run_ids=["top"], with_children=True) == family
    assert taken(run_ids=["top", "more"], with_children=True) == family | {"more"}
    assert taken(run_ids=["top"], with_children=True, deleted=False) == family - {"dead"}


def test_named_runs_may_be_asked_for_within_experiments():
    assert taken(run_ids=["top"], runs_within=["iris"], with_children=True) == taken(
        run_ids=["top"], with_children=True
    )
    assert taken(run_ids=["other", "more"], runs_within=["2"]) == {"2", "other", "more", "m-other"}
    report, stored = moved(run_ids=["alone", "other"], runs_within=["iris"])
    assert {*stored} == {"1", "alone"}
    assert [(loss.kind, loss.id, loss.code) for loss in report.losses] == [(Kind.RUN, "other", "not_found")]
    with pytest.raises(NotFoundError, match="no run 'other'"):
        moved(run_ids=["other"], runs_within=["iris"])


def test_all_of_all_is_everything_with_what_models_need_though_it_is_filtered():
    hook = item(Kind.WEBHOOK, "w", content(Kind.WEBHOOK, {"webhook_id": "w", "name": "w", "url": "x"}))
    entries = [*world().entries, hook]
    everything = {"experiments": ["*"], "models": ["*"], "prompts": ["*"], "datasets": ["*"]}
    _, stored = moved(MemorySource(entries), **everything)
    assert {*stored} == {entry.key.id for entry in entries}
    _, stored = moved(MemorySource(entries), **everything, since="2026-01-01")
    assert {id for id in stored if id in {"top", "alone", "other", "buried", "w"}} == {"alone", "other", "buried", "w"}


def test_runs_nested_in_a_ring_are_met_once():
    source = MemorySource([experiment("1", "iris"), run("a", "1", parent="b"), run("b", "1", parent="a")])
    _, stored = moved(source, run_ids=["a"], with_children=True)
    assert {*stored} == {"1", "a", "b"}


def test_a_logged_model_brings_the_run_it_came_from():
    assert taken(logged_model_ids=["m-mid"]) == {"1", "mid", "m-mid"}
    assert taken(logged_model_ids=["m-mid"], only=["logged_model"]) == {"1", "m-mid"}


def test_a_trace_brings_its_experiment():
    assert taken(trace_ids=["tr-2"]) == {"2", "tr-2"}
    assert taken(trace_ids=["tr-1", "tr-2"]) == {"1", "2", "tr-1", "tr-2"}


def test_datasets_by_name_glob_and_id():
    assert taken(datasets=["questions"]) == taken(datasets=["quest*"]) == taken(datasets=["d-1"]) == {"d-1"}
    iris = taken(experiments=["iris"])
    assert "d-1" in iris
    assert taken(experiments=["iris"], datasets=["answers"]) == iris | {"d-2"}
    assert taken(experiments=["iris"], datasets=[]) == iris - {"d-1"}


def test_what_is_named_beside_experiments_is_the_union():
    both = taken(experiments=["iris"], run_ids=["more"], trace_ids=["tr-3"])
    assert both == taken(experiments=["iris"]) | {"2", "more", "tr-3"}
    assert taken(experiments=["iris"], run_ids=["alone"], run_filter="nothing") >= {"alone"}


def test_versions_choose_what_a_model_needs():
    assert taken(models=["flower"], stages=["production"]) == {"flower", "1", "alone"}
    assert taken(models=["flower"], versions=[2]) == {"flower", "2", "other", "m-other"}
    assert taken(models=["flower"], stages=["None"]) == {"flower"}


def test_the_experiments_of_a_model_can_come_whole():
    whole = taken(models=["flower"], versions=[2], whole_experiments=True)
    assert whole == {"flower"} | taken(experiments=["wine"])
    narrowed = taken(models=["flower"], versions=[2], whole_experiments=True, run_filter="nothing")
    assert narrowed == whole - {"more"}


def test_what_is_deleted_is_left_out_even_where_it_is_needed():
    assert {"3", "buried"} <= taken(models=["flower"])
    report, stored = moved(models=["flower"], deleted=False)
    assert not {"3", "buried"} & {*stored}
    assert len(stored["flower"].record.versions) == 3
    assert report.losses == ()
    everything = {entry.key.id for entry in world().entries}
    assert taken(deleted=False) == everything - {"3", "buried", "dead"}


def test_a_name_with_the_signs_of_a_glob_wins_over_the_glob():
    assert taken(experiments=["a[1]"]) == {"4"}
    assert taken(experiments=["a[[]1]"]) == {"4"}
    assert taken(experiments=["a[12]"]) == {"5"}


@pytest.mark.parametrize(
    ("wishes", "missing"),
    [
        ({"run_ids": ["mid", "nope"]}, (Kind.RUN, "nope", "no run with the id 'nope'")),
        ({"trace_ids": ["tr-1", "nope"]}, (Kind.TRACE, "nope", "no trace with the id 'nope'")),
        ({"logged_model_ids": ["m-mid", "nope"]}, (Kind.LOGGED_MODEL, "nope", "no logged model with the id")),
        ({"datasets": ["questions", "nope"]}, (Kind.EVALUATION_DATASET, "nope", "no evaluation dataset named")),
        ({"experiments": ["iris", "nope"]}, (Kind.EXPERIMENT, "nope", "names are case-sensitive")),
        ({"experiments": ["iris", "b[[]1]"]}, (Kind.EXPERIMENT, "b[1]", "no experiment named")),
        ({"experiments": ["iris", "gone"], "deleted": False}, (Kind.EXPERIMENT, "gone", "that is not deleted")),
        ({"models": ["flower"], "versions": [1, 7]}, (Kind.REGISTERED_MODEL, "flower", "has no version 7")),
        ({"prompts": ["hello"], "prompt_versions": [1, 7]}, (Kind.PROMPT, "hello", "prompt 'hello' has no version 7")),
        ({"models": ["flower"], "prompts": ["hello"], "versions": [7]}, (Kind.REGISTERED_MODEL, "flower", "version 7")),
    ],
)
def test_what_is_missing_of_a_list_is_a_loss(wishes, missing):
    report, stored = moved(**wishes)
    (loss,) = {(loss.kind, loss.id): loss for loss in report.losses}.values()
    kind, id, words = missing
    assert (loss.kind, loss.id, loss.code) == (kind, id, "not_found")
    assert words in loss.reason
    assert report.exit_code == 3
    assert stored


@pytest.mark.parametrize(
    ("wishes", "words"),
    [
        ({"run_ids": ["nope"]}, "no run 'nope'"),
        ({"trace_ids": ["nope"]}, "no trace 'nope'"),
        ({"logged_model_ids": ["nope"]}, "no logged model 'nope'"),
        ({"datasets": ["nope"]}, "no evaluation dataset 'nope'"),
        ({"models": ["flower"], "versions": [7]}, "'flower' has no version 7"),
        ({"prompts": ["hello"], "prompt_versions": [7]}, "'hello' has no version 7"),
        ({"run_ids": ["dead"], "deleted": False}, "no run 'dead' that is not deleted"),
    ],
)
def test_nothing_found_at_all_is_an_error(wishes, words):
    with pytest.raises(NotFoundError, match=words) as caught:
        moved(**wishes)
    assert caught.value.exit_code == 1
