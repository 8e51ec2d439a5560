"""Copy one object, by its name or id, with everything it needs: a run, an experiment, a registered model.

What is named is looked for first, so that a wrong name is said before anything is written. Names are taken as they
stand: none of them is a pattern.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from mlflow_archive.errors import NotFoundError, UsageError
from mlflow_archive.operations.copying import Plan
from mlflow_archive.operations.ends import ServerChoices
from mlflow_archive.operations.selecting import make_selection
from mlflow_archive.spec.patterns import exactly
from mlflow_archive.spec.renaming import Renaming

if TYPE_CHECKING:
    from mlflow_archive.operations.copying import Planner
    from mlflow_archive.tracking.client import ServerClient

_REST = "/api/2.0/mlflow/"


def run_plan(run_id: str, choices: ServerChoices, *, with_children: bool) -> Planner:
    """Return the planner for one run, with the logged models it made or used.

    Args:
        run_id: The run.
        choices: How it is brought to the target; ``into_experiment`` is the experiment it goes into.
        with_children: Take the runs nested below it along.
    """

    def plan(here: ServerClient, _there: ServerClient) -> Plan:
        # Asked for here, so that a wrong id is an error and not an empty copy.
        here.call("GET", f"{_REST}runs/get", params={"run_id": run_id})
        return Plan(make_selection(run_ids=[run_id], with_children=with_children), choices)

    return plan


def experiment_plan(experiment: str, choices: ServerChoices, *, new_name: str | None) -> Planner:
    """Return the planner for one experiment with everything below it.

    Args:
        experiment: Its name, else its id.
        choices: How it is brought to the target.
        new_name: Its name at the target; None is the name it has.
    """

    def plan(here: ServerClient, there: ServerClient) -> Plan:
        name = _name_of(here, experiment)
        wanted = new_name or name
        if wanted == name and here.uri == there.uri:
            raise UsageError(
                f"The experiment {name!r} would be copied into itself: give it a new name, or another target."
            )
        return Plan(
            make_selection(experiments=[_by_name(name)]),
            replace(choices, rename_experiments=Renaming({name: wanted})),
        )

    return plan


def model_plan(
    model: str,
    choices: ServerChoices,
    *,
    new_name: str | None,
    versions: Sequence[int] = (),
    stages: Sequence[str] = (),
    latest_versions: bool = False,
) -> Planner:
    """Return the planner for one registered model with its versions, and the runs and logged models these need.

    Args:
        model: Its name.
        choices: How it is brought to the target.
        new_name: Its name at the target; None is the name it has.
        versions: Only these versions.
        stages: Only versions in these stages.
        latest_versions: Only the newest version of each stage.
    """
    selection = make_selection(
        models=[exactly(model)], versions=versions, stages=stages, latest_versions=latest_versions
    )

    def plan(here: ServerClient, there: ServerClient) -> Plan:
        here.call("GET", f"{_REST}registered-models/get", params={"name": model})
        if (new_name or model) == model and here.uri == there.uri:
            raise UsageError(
                f"The registered model {model!r} would be copied into itself: give it a new name, or another target."
            )
        return Plan(selection, replace(choices, rename_models=Renaming({model: new_name or model})))

    return plan


def _name_of(here: ServerClient, experiment: str) -> str:
    """Return the name of an experiment that is given by name or id."""
    from mlflow_archive.tracking.paging import member, text

    try:
        answer = here.call("GET", f"{_REST}experiments/get-by-name", params={"experiment_name": experiment})
    except NotFoundError:
        if not experiment.isdigit():
            raise
        answer = here.call("GET", f"{_REST}experiments/get", params={"experiment_id": experiment})
    return text(member(answer, "experiment").get("name"))


def _by_name(name: str) -> str:
    """Return the pattern that matches this name alone, and no experiment whose id is the same text."""
    return f"[{name[0]}]{exactly(name[1:])}" if name.isdigit() else exactly(name)
