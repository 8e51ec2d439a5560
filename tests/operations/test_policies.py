"""From the words of a person to the choices of a restore."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest

from mlflow_archive.errors import UsageError
from mlflow_archive.operations.ends import REPLACEABLE, ServerChoices, _sink_options
from mlflow_archive.operations.policies import Bringing, Policies, make_choices, split
from mlflow_archive.spec.kinds import Kind
from mlflow_archive.spec.renaming import Renaming
from mlflow_archive.tracking.sinks.options import SinkOptions


def test_nothing_asked_changes_nothing() -> None:
    assert make_choices({}) == ServerChoices()
    assert _sink_options(ServerChoices()) == SinkOptions()


def test_what_is_wanted_and_how_it_is_brought_are_told_apart() -> None:
    asked: Bringing = {"experiments": ["a"], "keep_user": False, "without": ["traces"], "into_experiment": "b"}
    assert split(asked) == (
        {"experiments": ["a"], "without": ["traces"]},
        {"keep_user": False, "into_experiment": "b"},
    )


def test_every_policy_has_its_effect_on_the_choices() -> None:
    asked: dict[str, Any] = {
        "into_experiment": "home",
        "experiment_prefix": "old ",
        "experiment_tags": False,
        "model_name": "m",
        "prompt_name": "p",
        "dataset_name": "d",
        "replace": ["models", "prompt", "evaluation-datasets"],
        "create_models": False,
        "append_versions": True,
        "stages_and_aliases": False,
        "registry_metadata": False,
        "source_tags": "mlflow_exim",
        "edit_mlmodels": False,
        "await_versions_s": 3,
        "keep_user": False,
    }
    assert set(asked) == set(Policies.__annotations__)
    plain = ServerChoices()
    for word, value in asked.items():
        assert make_choices({word: value}) != plain, word  # type: ignore[misc]
    del asked["experiment_prefix"]
    options = _sink_options(make_choices(asked))  # type: ignore[arg-type]
    assert options == SinkOptions(
        into_experiment="home",
        experiment_tags=False,
        only_names={Kind.REGISTERED_MODEL: "m", Kind.PROMPT: "p", Kind.EVALUATION_DATASET: "d"},
        replace=REPLACEABLE,
        create_models=False,
        append_versions=True,
        stages_and_aliases=False,
        registry_metadata=False,
        source_tags="mlflow_exim.",
        edit_mlmodels=False,
        await_versions_s=3,
        keep_user=False,
    )


def test_every_option_of_the_sink_can_be_chosen() -> None:
    names = {field.name for field in fields(SinkOptions)}
    chosen = {field.name for field in fields(ServerChoices)}
    assert names - chosen == {"rename_experiment", "rename_model"}
    choices = make_choices({}, if_exists="update", rename_experiments={"a": "b"}, rename_models=Renaming({"c": "d"}))
    options = _sink_options(choices)
    assert (options.rename_experiment, options.rename_model) == (Renaming({"a": "b"}), Renaming({"c": "d"}))
    assert options.if_exists == "update"


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"replace": ["runs"]}, "^run cannot be replaced; what can be is evaluation_datasets, models, prompts.$"),
        ({"replace": ["model-cards"]}, "^'model-cards' is not a kind of object"),
        ({"replace": "models"}, r"^replace takes a list of kinds, not one string; write \['models'\].$"),
        ({"source_tags": "mine"}, "^'mine' is no prefix for source tags; the words are mlflow_archive, mlflow_exim, "),
        ({"into_experiment": " "}, "^into_experiment is empty; give a name, or leave it out.$"),
        ({"dataset_name": ""}, "^dataset_name is empty; give a name, or leave it out.$"),
        ({"into_experiment": "a", "experiment_prefix": "b"}, "^into_experiment puts everything into one experiment"),
    ],
)
def test_what_has_no_meaning_is_refused(asked: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        make_choices(asked)  # type: ignore[arg-type]


def test_one_experiment_takes_no_new_names_for_many() -> None:
    with pytest.raises(UsageError, match=r"^into_experiment puts everything into one experiment"):
        make_choices({"into_experiment": "a"}, rename_experiments=Renaming({"b": "c"}))
