"""Experiments and runs on a real server."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mlflow_archive.errors import ConflictError
from mlflow_archive.spec.kinds import Kind
from mlflow_archive.stream import Status
from mlflow_archive.tracking.artifacts import ArtifactOwner
from tests.tracking.sinks.making import Target, experiment, logged_model, run

pytestmark = pytest.mark.server
New = Callable[..., str]


def _statuses(result) -> set[str]:
    return {outcome.status.value for outcome in result.outcomes.values()}


def test_a_run_comes_back_whole(target: Target, new: New) -> None:
    exp, a, parent = new(), new(), new()
    mlmodel = f"artifact_path: model\nrun_id: {a}\nmodel_uuid: {'d' * 32}\n".encode()
    dataset = {"dataset": {"name": "d", "digest": "x", "source_type": "local", "source": "{}"}}
    dataset["tags"] = [{"key": "mlflow.data.context", "value": "train"}]
    history = {
        "key": "m",
        "timestamps": list(range(2500)),
        "steps": list(range(2500)),
        "values": [0.5] * 2499 + ["NaN"],
    }
    child = run(
        a,
        exp,
        tags={"mlflow.parentRunId": parent, "k": "v", "mlflow_archive.source_id": "older restore"},
        params={f"p{number}": "v" * number for number in range(250)},
        dataset_inputs=[dataset],
        files={"a/b.txt": b"hello", "empty": b"", "model/MLmodel": mlmodel},
        parts={"metrics": [history]},
    )
    result = target.restore(
        [experiment(exp, exp), child, run(parent, exp, info={"status": "RUNNING", "end_time": None})]
    )
    assert result.losses == []
    there = target.run(result.ids.get(Kind.RUN, a))
    info = there["info"]
    assert (info["start_time"], info["end_time"], info["status"]) == (1_700_000_000_000, 1_700_000_060_000, "FINISHED")
    assert (info["user_id"], info["run_name"]) == ("ada", f"run-{a[:3]}")
    assert there["params"] == {f"p{number}": "v" * number for number in range(250)}
    assert there["tags"] == {
        "k": "v",
        "mlflow.parentRunId": result.ids.get(Kind.RUN, parent),
        "mlflow.runName": f"run-{a[:3]}",
        "mlflow_archive.source_id": a,
    }
    assert there["metrics"] == {"m": "NaN"}
    points = target.get("metrics/get-history", run_id=info["run_id"], metric_key="m", max_results=5000)["metrics"]
    assert len(points) == 2500
    assert there["inputs"]["dataset_inputs"] == [dataset]
    owner = ArtifactOwner(Kind.RUN, info["run_id"], info["artifact_uri"])
    assert {file.name: target.files.read(owner, file.name) for file in target.files.list(owner)} == {
        "a/b.txt": b"hello",
        "empty": b"",
        "model/MLmodel": mlmodel.replace(a.encode(), info["run_id"].encode()),
    }
    running = target.run(result.ids.get(Kind.RUN, parent))["info"]
    assert (running["status"], running.get("end_time")) == ("RUNNING", None)


def test_a_parent_that_is_not_there_is_kept_as_lineage(target: Target, new: New) -> None:
    exp, a, stranger = new(), new(), new()
    result = target.restore([experiment(exp, exp), run(a, exp, tags={"mlflow.parentRunId": stranger})])
    tags = target.run(result.ids.get(Kind.RUN, a))["tags"]
    assert "mlflow.parentRunId" not in tags
    assert tags["mlflow_archive.source_parent_run_id"] == stranger


def test_deleted_runs_and_experiments_end_deleted(target: Target, new: New) -> None:
    exp, dead, a, b = new(), new(), new(), new()
    items = [
        experiment(exp, exp),
        experiment(dead, dead, lifecycle_stage="deleted"),
        run(a, exp, info={"lifecycle_stage": "deleted"}),
        run(b, dead, params={"p": "1"}),
    ]
    result = target.restore(items)
    assert result.losses == []
    assert target.run(result.ids.get(Kind.RUN, a))["info"]["lifecycle_stage"] == "deleted"
    assert "mlflow_archive.incomplete" not in target.run(result.ids.get(Kind.RUN, a))["tags"]
    home = target.get("experiments/get", experiment_id=result.ids.get(Kind.EXPERIMENT, dead))["experiment"]
    assert home["lifecycle_stage"] == "deleted"
    assert target.run(result.ids.get(Kind.RUN, b))["params"] == {"p": "1"}
    again = target.restore(items)
    assert _statuses(again) == {"skipped"}


def test_a_second_restore_creates_nothing(target: Target, new: New) -> None:
    exp, a = new(), new()
    items = [experiment(exp, exp), run(a, exp)]
    first = target.restore(items)
    second = target.restore(items)
    assert [(o.status, o.reason) for o in second.outcomes.values()] == [(Status.SKIPPED, "exists")] * 2
    assert second.ids.get(Kind.RUN, a) == first.ids.get(Kind.RUN, a)
    found = target.post("runs/search", experiment_ids=[first.ids.get(Kind.EXPERIMENT, exp)])["runs"]
    assert len(found) == 1


def test_an_interrupted_run_is_continued(target: Target, new: New) -> None:
    exp, a = new(), new()
    item = run(a, exp, params={"p": "1"}, metrics=[{"key": "m", "value": 1.0, "timestamp": 5, "step": 0}])
    first = target.restore([experiment(exp, exp), item])
    run_id = first.ids.get(Kind.RUN, a)
    target.post("runs/set-tag", run_id=run_id, key="mlflow_archive.incomplete", value="true")
    second = target.restore([experiment(exp, exp), item])
    assert second.outcomes[a].status is Status.STORED
    assert second.outcomes[a].target_id == run_id
    there = target.run(run_id)
    assert "mlflow_archive.incomplete" not in there["tags"]
    assert len(target.get("metrics/get-history", run_id=run_id, metric_key="m")["metrics"]) == 1


def test_the_default_experiment_gets_the_tags_it_lacks(target: Target, new: New) -> None:
    tag = new()
    result = target.restore([experiment("0", "Default", tags={tag: "source"})])
    assert result.outcomes["0"].reason == "exists"
    target.restore([experiment("0", "Default", tags={tag: "other"})])
    there = target.get("experiments/get", experiment_id="0")["experiment"]["tags"]
    assert [entry["value"] for entry in there if entry["key"] == tag] == ["source"]


def test_the_run_itself_counts_as_existing(target: Target, new: New) -> None:
    """A backup restored onto its own source changes nothing."""
    exp = new()
    made = target.post("experiments/create", name=exp)["experiment_id"]
    own = target.post("runs/create", experiment_id=made, start_time=5)["run"]["info"]["run_id"]
    result = target.restore([experiment(made, exp), run(own, made)])
    assert _statuses(result) == {"skipped"}


def test_if_exists(target: Target, new: New) -> None:
    exp, a = new(), new()
    items = [experiment(exp, exp), run(a, exp, tags={"k": "old"})]
    first = target.restore(items)
    changed = [experiment(exp, exp, tags={"team": "red"}), run(a, exp, tags={"k": "new"}, info={"status": "FAILED"})]
    with pytest.raises(ConflictError):
        target.restore(changed, if_exists="fail")
    target.restore(changed)
    run_id = first.ids.get(Kind.RUN, a)
    assert target.run(run_id)["tags"]["k"] == "old"
    target.restore(changed, if_exists="update")
    assert target.run(run_id)["tags"]["k"] == "new"
    assert target.run(run_id)["info"]["status"] == "FAILED"
    second = target.restore(changed, if_exists="duplicate")
    assert second.outcomes[exp].reason == f"renamed to '{exp} (restored)'"
    assert second.ids.get(Kind.RUN, a) != run_id


def test_dry_run_writes_nothing(target: Target, new: New) -> None:
    exp, a = new(), new()
    items = [experiment(exp, exp), run(a, exp)]
    result = target.restore(items, dry_run=True, rename_experiment={exp: f"{exp}-2"})
    assert [o.reason for o in result.outcomes.values()] == [f"would rename to '{exp}-2'", "would create"]
    names = [e["name"] for e in target.post("experiments/search", max_results=1000)["experiments"]]
    assert not [name for name in names if name.startswith(exp)]
    target.restore(items)
    assert {o.reason for o in target.restore(items, dry_run=True).outcomes.values()} == {"would skip (exists)"}


def test_a_deleted_experiment_of_someone_else_is_a_conflict(target: Target, new: New) -> None:
    exp = new()
    made = target.post("experiments/create", name=exp)["experiment_id"]
    target.post("experiments/delete", experiment_id=made)
    with pytest.raises(ConflictError, match="is deleted at the target"):
        target.restore([experiment("1234567", exp)])


def test_values_the_server_shortens_are_losses(target: Target, new: New) -> None:
    exp, a = new(), new()
    result = target.restore([experiment(exp, exp), run(a, exp, params={"short": "s", "long": "x" * 7000})])
    assert [(loss.code, loss.path) for loss in result.losses] == [("limit", "params/long")]


def test_a_bad_entry_does_not_take_its_batch_along(target: Target, new: New) -> None:
    exp, a = new(), new()
    params = {f"p{number}": "1" for number in range(5)} | {"k" * 300: "v"}
    result = target.restore([experiment(exp, exp), run(a, exp, tags={"good": "1"}, params=params)])
    assert [loss.path for loss in result.losses] == ["params/" + "k" * 300]
    there = target.run(result.ids.get(Kind.RUN, a))
    assert there["tags"]["good"] == "1"
    assert len(there["params"]) == 5


def test_logged_models_and_their_runs_point_at_each_other(target: Target, new: New) -> None:
    exp, a, b, model = new(), new(), new(), new("m-")
    point = {"key": "acc", "value": 0.5, "timestamp": 5, "step": 0}
    measured = {**point, "run_id": a, "model_id": model, "dataset_name": "ds", "dataset_digest": "xyz"}
    mlmodel = f"artifact_path: mlflow-artifacts:/{exp}/models/{model}/artifacts\nrun_id: {a}\nmodel_id: {model}\n"
    items = [
        experiment(exp, exp),
        run(
            a, exp, model_outputs=[{"model_id": model, "step": 3}], metrics=[point], files={"MLmodel": mlmodel.encode()}
        ),
        run(b, exp, model_inputs=[{"model_id": model}]),
        logged_model(
            model,
            exp,
            info={"source_run_id": a},
            params={f"p{number}": "v" for number in range(230)},
            tags={"t": "1"},
            metrics=[measured],
            files={"MLmodel": mlmodel.encode(), "weights.bin": b"123"},
        ),
    ]
    result = target.restore(items)
    assert result.losses == []
    new_run, new_model = result.ids.get(Kind.RUN, a), result.ids.get(Kind.LOGGED_MODEL, model)
    first = target.run(new_run)
    assert first["outputs"]["model_outputs"] == [{"model_id": new_model, "step": 3}]
    assert target.run(result.ids.get(Kind.RUN, b))["inputs"]["model_inputs"] == [{"model_id": new_model}]
    there = target.get(f"logged-models/{new_model}")["model"]
    assert (there["info"]["source_run_id"], there["info"]["status"]) == (new_run, "LOGGED_MODEL_READY")
    assert len(there["data"]["params"]) == 230
    assert there["data"]["metrics"] == [{**measured, "run_id": new_run, "model_id": new_model}]
    history = target.get("metrics/get-history", run_id=new_run, metric_key="acc")["metrics"]
    assert len(history) == 1
    root = there["info"]["artifact_uri"]
    expected = f"artifact_path: {root}\nrun_id: {new_run}\nmodel_id: {new_model}\n".encode()
    # The run's own copy was written before the model had its new id, and once more afterwards.
    for uri in (first["info"]["artifact_uri"], root):
        assert target.files.read(ArtifactOwner(Kind.RUN, "", uri), "MLmodel") == expected
    assert _statuses(target.restore(items)) == {"skipped"}


def test_a_deleted_logged_model_is_known_the_second_time(target: Target, new: New) -> None:
    exp, model = new(), new("m-")
    items = [experiment(exp, exp), logged_model(model, exp, info={"lifecycle_stage": "deleted"})]
    first = target.restore(items)
    made = first.ids.get(Kind.LOGGED_MODEL, model)
    listed = target.post("logged-models/search", experiment_ids=[first.ids.get(Kind.EXPERIMENT, exp)])
    assert not listed.get("models")
    assert target.get(f"logged-models/{made}", allow_deleted="true")["model"]["info"]["model_id"] == made
    assert target.restore(items).outcomes[model].reason == "exists"
