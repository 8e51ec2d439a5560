"""What comes along with what is named."""

from __future__ import annotations

import pytest

from mlflow_archive.errors import UnavailableError
from mlflow_archive.operations.closure import closed_under
from mlflow_archive.operations.selecting import make_selection
from mlflow_archive.operations.transfer import transfer
from mlflow_archive.spec.kinds import Kind
from mlflow_archive.spec.loss import Loss
from mlflow_archive.stream import Item, Scope
from tests.operations.ends import MemorySink, MemorySource, content, item, least


def world() -> MemorySource:
    def run(id, experiment_id, outputs=(), name=""):
        record = {**least(Kind.RUN, id, experiment_id), "model_outputs": [{"model_id": m} for m in outputs]}
        return item(Kind.RUN, id, content(Kind.RUN, record), experiment_id=experiment_id, name=name)

    def logged(id, experiment_id, run_id=None):
        record = {"info": {"model_id": id, "experiment_id": experiment_id, "source_run_id": run_id}}
        return item(Kind.LOGGED_MODEL, id, content(Kind.LOGGED_MODEL, record), experiment_id=experiment_id)

    def model(name, *versions):
        rows = [{"version": n + 1, **version} for n, version in enumerate(versions)]
        record = {"name": name, "versions": rows}
        return item(Kind.REGISTERED_MODEL, name, content(Kind.REGISTERED_MODEL, record), name=name)

    def dataset(id, *experiment_ids):
        record = {"dataset_id": id, "name": id, "experiment_ids": [*experiment_ids]}
        return item(Kind.EVALUATION_DATASET, id, content(Kind.EVALUATION_DATASET, record), name=id)

    return MemorySource(
        [
            *(item(Kind.EXPERIMENT, id, name=name) for id, name in [("1", "iris"), ("2", "wine"), ("3", "other")]),
            run("r1", "1"),
            run("r2", "1", ["m-2"], name="good"),
            run("r3", "2", ["m-3", "m-4"]),
            run("r4", "2"),
            run("r5", "3"),
            logged("m-2", "1", "r2"),
            logged("m-3", "2", "r3"),
            logged("m-4", "2", "r3"),
            logged("m-5", "3", "r5"),
            model("flower", {"run_id": "r2"}, {"source": "models:/m-3", "model_id": "m-3"}),
            model("unrelated", {"run_id": "r5"}),
            item(Kind.PROMPT, "hello", content(Kind.PROMPT, {"name": "hello"}), name="hello"),
            item(Kind.PROMPT, "bye", content(Kind.PROMPT, {"name": "bye"}), name="bye"),
            item(Kind.TRACE, "tr-1", experiment_id="1"),
            item(Kind.TRACE, "tr-2", experiment_id="2"),
            dataset("d-1", "1", "3"),
            dataset("d-2", "2"),
            item(Kind.WEBHOOK, "w", content(Kind.WEBHOOK, {"webhook_id": "w", "name": "w", "url": "x"})),
        ]
    )


def taken(**wishes) -> set[str]:
    selection = make_selection(**wishes)
    sink = MemorySink()
    transfer(closed_under(world(), selection), sink, selection)
    closed = [scope for what, scope in sink.diary if what == "close"]
    assert len(closed) == len(set(closed))
    return {key.id for key in sink.stored}


def test_nothing_named_is_everything():
    assert len(taken()) == len(world().entries)


def test_a_model_takes_what_it_needs_and_nothing_else():
    assert taken(models=["flower"]) == {"flower", "1", "2", "r2", "r3", "m-2", "m-3", "m-4"}


def test_an_experiment_takes_what_is_below_it_and_its_datasets():
    assert taken(experiments=["iris"]) == {"1", "r1", "r2", "m-2", "tr-1", "d-1"}
    assert taken(experiments=["1"]) == taken(experiments=["ir*"])


def test_a_prompt_comes_alone():
    assert taken(prompts=["hel*"]) == {"hello"}


def test_named_together_is_both():
    both = taken(models=["flower"], experiments=["iris"])
    assert both == taken(models=["flower"]) | taken(experiments=["iris"])


def test_a_filter_narrows_the_experiment_but_not_what_the_model_needs():
    narrowed = taken(models=["flower"], experiments=["iris", "wine"], run_filter="no run is called this")
    assert {"r2", "r3"} <= narrowed
    assert not {"r1", "r4"} & narrowed


@pytest.mark.parametrize("what", ["list", "run", "model"])
def test_what_could_not_be_read_for_the_needs_of_a_model_is_a_loss(what):
    """A hiccup that is over when the transfer comes must not leave out in silence what it hid."""
    source = world()
    if what == "list":
        hiccup = Loss(kind=Kind.RUN, id="", experiment_id="1", code="unavailable", reason="It was busy.")
        source.entries.append(hiccup)
    else:
        kind, id = (Kind.RUN, "r2") if what == "run" else (Kind.REGISTERED_MODEL, "flower")
        at = next(
            n for n, e in enumerate(source.entries) if isinstance(e, Item) and (e.key.kind, e.key.id) == (kind, id)
        )
        source.entries[at] = failing_once(source.entries[at])
    selection = make_selection(models=["flower"])
    closed = closed_under(source, selection)
    if what == "list":
        source.entries.pop()

    report = transfer(closed, MemorySink(), selection)

    (loss,) = report.losses
    assert loss.reason == "What the named objects need may be missing: It was busy."
    assert report.exit_code == 3


def failing_once(it: Item) -> Item:
    failed = []

    def load():
        if not failed:
            failed.append(True)
            raise UnavailableError("It was busy.")
        return it.load()

    return Item(it.key, load)


def test_only_models_takes_no_run():
    assert taken(models=["flower"], only=["registered_model"]) == {"flower"}


def test_scopes_of_a_shared_experiment_come_once():
    selection = make_selection(models=["flower"], experiments=["iris", "wine"])
    scopes = [entry.key.scope for entry in closed_under(world(), selection).read(Kind.RUN, selection)]
    assert scopes == [Scope(Kind.RUN, "1", None)] * 2 + [Scope(Kind.RUN, "2", None)] * 2
