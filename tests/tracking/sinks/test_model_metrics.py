"""Metrics of logged models on a real server, which keeps a NaN of a model as 0."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.tracking.sinks.making import Target, experiment, logged_model, run

pytestmark = pytest.mark.server
MOMENT = 1_700_000_000_000


def test_a_nan_that_the_model_has_as_0_is_no_further_point_of_the_run(target: Target, new: Callable[..., str]) -> None:
    exp, a, model = new(), new(), new("m-")
    values = {"nan": ["NaN", 1.0], "zero": [0.0, "NaN"], "one": [1.0, 2.0]}
    lines = [
        {"key": key, "timestamps": [MOMENT, MOMENT + 1], "steps": [0, 1], "values": both}
        for key, both in values.items()
    ]
    point = {"timestamp": MOMENT, "step": 0, "run_id": a, "model_id": model}
    metrics = [{**point, "key": key, "value": value} for key, value in (("nan", 0.0), ("zero", 0.0), ("one", 1.0))]
    items = [
        experiment(exp, exp),
        run(a, exp, parts={"metrics": lines}),
        logged_model(model, exp, info={"source_run_id": a}, metrics=metrics),
    ]
    result = target.restore(items)
    assert result.losses == []
    run_id = result.outcomes[a].target_id
    for key, both in values.items():
        points = target.get("metrics/get-history", run_id=run_id, metric_key=key)["metrics"]
        assert [one["value"] for one in sorted(points, key=lambda one: one.get("step", 0))] == both, key
    made = target.get(f"logged-models/{result.outcomes[model].target_id}")["model"]["data"]["metrics"]
    assert {one["key"]: one["value"] for one in made} == {"nan": 0.0, "zero": 0.0, "one": 1.0}
