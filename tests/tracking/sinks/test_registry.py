"""Registered models and prompts on a real server."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mlflow_archive.spec.kinds import Kind
from tests.tracking.sinks.making import Target, experiment, logged_model, registered_model, run

pytestmark = pytest.mark.server
New = Callable[..., str]
PROMPT = {"mlflow.prompt.is_prompt": "true", "mlflow.prompt.text": "Hi {{x}}", "_mlflow_prompt_type": "text"}


def _versions(target: Target, name: str, clause: str = "") -> dict[int, dict]:
    found = target.get("model-versions/search", filter=f"name='{name}'{clause}")["model_versions"]
    return {int(version["version"]): version for version in found}


def test_numbers_sources_stages_and_aliases(target: Target, new: New) -> None:
    exp, a, model, gone = new(), new(), new("m-"), new()
    name, other = new("reg-"), new("other-")
    root = f"mlflow-artifacts:/{exp}/{a}/artifacts"
    items = [
        experiment(exp, exp),
        run(a, exp, info={"lifecycle_stage": "deleted"}),
        logged_model(model, exp, info={"source_run_id": a}),
        registered_model(
            name,
            [
                {
                    "version": 1,
                    "source": f"{root}/model",
                    "run_id": a,
                    "current_stage": "Production",
                    "tags": {"k": "v"},
                },
                {"version": 3, "source": f"models:/{model}", "run_id": a, "model_id": model, "description": "three"},
                {"version": 4, "source": f"runs:/{a}/model", "run_id": a},
                {"version": 5, "source": "s3://bucket/x"},
                {"version": 6, "source": f"runs:/{gone}/model", "run_id": gone},
                {"version": 8, "source": f"models:/{other}/1"},
                {"version": 9, "source": f"models:/{model}"},
                {"version": 11, "source": f"mlflow-artifacts:/9/{gone}/artifacts/own", "run_id": gone},
            ],
            aliases={"champion": 4, "last": 11},
            tags={"t": "x"},
            description="d",
            files={"MLmodel": b"flavors: {}\n"},
            role="versions/11/artifacts",
        ),
        registered_model(
            other, [{"version": 1, "source": f"models:/{name}/4"}, {"version": 2, "source": f"models:/{name}/8"}]
        ),
    ]
    result = target.restore(items)
    assert [(loss.code, loss.path) for loss in result.losses] == [("source", "versions/6/source")]
    there = _versions(target, name)
    run_id, model_id = result.ids.get(Kind.RUN, a), result.ids.get(Kind.LOGGED_MODEL, model)
    assert {number: version["source"] for number, version in there.items() if number < 11} == {
        1: f"{result.ids.root(Kind.RUN, a)}/model",
        3: f"models:/{model_id}",
        4: f"runs:/{run_id}/model",
        5: "s3://bucket/x",
        6: f"mlflow-archive:/{name}/6",
        8: f"models:/{other}/1",
        9: f"models:/{model_id}",
    }
    assert (there[1]["current_stage"], there[1]["tags"]) == ("Production", [{"key": "k", "value": "v"}])
    assert (there[3]["run_id"], there[3]["description"]) == (run_id, "three")
    assert {"key": "mlflow_archive.source_run_id", "value": gone} in there[6]["tags"]
    files = target.get("/api/2.0/mlflow/artifacts/list", run_id=there[11]["run_id"])["files"]
    assert [file["path"] for file in files] == ["MLmodel"]
    assert _versions(target, other)[2]["source"] == f"models:/{name}/8"
    found = target.get("registered-models/get", name=name)["registered_model"]
    assert {alias["alias"]: alias["version"] for alias in found["aliases"]} == {"champion": "4", "last": "11"}
    assert "mlflow_archive.incomplete" not in {tag["key"] for tag in found["tags"]}
    assert target.run(run_id)["info"]["lifecycle_stage"] == "deleted"
    again = target.restore(items)
    assert {outcome.reason for outcome in again.outcomes.values()} == {"exists"}


def test_only_new_versions_are_added_and_deleted_ones_stay_deleted(target: Target, new: New) -> None:
    name = new("reg-")
    first = [{"version": number, "source": f"s3://b/{number}"} for number in (1, 2, 3)]
    target.restore([registered_model(name, first)])
    target.client.call("DELETE", "/api/2.0/mlflow/model-versions/delete", body={"name": name, "version": "3"})
    result = target.restore([registered_model(name, [*first, {"version": 5, "source": "s3://b/5"}])])
    assert result.outcomes[name].reason == "1 version added"
    assert [(loss.code, loss.path) for loss in result.losses] == [("conflict", "versions/3")]
    assert sorted(_versions(target, name)) == [1, 2, 5]


def test_a_renamed_model(target: Target, new: New) -> None:
    name, wanted = new("reg-"), new("renamed-")
    model = registered_model(name, [{"version": 1, "source": "s3://b/1"}])
    result = target.restore([model], rename_model={name: wanted})
    assert result.outcomes[name].reason == f"renamed to {wanted!r}"
    assert sorted(_versions(target, wanted)) == [1]


def test_prompts(target: Target, new: New) -> None:
    exp, name = new(), new("prompt-")
    versions = [{"version": number, "source": "dummy-source", "tags": PROMPT} for number in (2, 3)]
    tags = {"mlflow.prompt.is_prompt": "true", "_mlflow_experiment_ids": f",{exp},999,"}
    items = [experiment(exp, exp), registered_model(name, versions, Kind.PROMPT, tags=tags, aliases={"a": 3})]
    result = target.restore(items)
    assert result.losses == []
    there = _versions(target, name, " AND tag.`mlflow.prompt.is_prompt` = 'true'")
    assert sorted(there) == [2, 3]
    assert {tag["key"]: tag["value"] for tag in there[2]["tags"]} == PROMPT
    found = target.get("registered-models/get", name=name)["registered_model"]
    experiments = {tag["key"]: tag["value"] for tag in found["tags"]}["_mlflow_experiment_ids"]
    assert experiments == f",{result.ids.get(Kind.EXPERIMENT, exp)},"
    assert {outcome.reason for outcome in target.restore(items).outcomes.values()} == {"exists"}


@pytest.mark.parametrize("form", ["runs:/{}/model", "mlflow-artifacts:/1/{}/artifacts/model"])
def test_files_of_a_version_are_not_brought_beside_the_run_that_has_them(target: Target, new: New, form: str) -> None:
    exp, full, bare, kept, carried = new(), new(), new(), new("kept-"), new("carried-")

    def model(name: str, run_id: str):
        version = {"version": 1, "source": form.format(run_id), "run_id": run_id}
        return registered_model(name, [version], files={"MLmodel": b"flavors: {}\n"}, role="versions/1/artifacts")

    files = {"model/MLmodel": b"flavors: {}\n"}
    runs = [run(full, exp, files=files), run(bare, exp, files={"other/MLmodel": b"flavors: {}\n"})]
    result = target.restore([experiment(exp, exp), *runs, model(kept, full), model(carried, bare)])
    assert result.losses == []
    assert _versions(target, kept)[1]["run_id"] == result.ids.get(Kind.RUN, full)
    # Its run has come without its files.
    assert _versions(target, carried)[1]["run_id"] not in (None, result.ids.get(Kind.RUN, bare))
