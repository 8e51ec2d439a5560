"""A server's objects, stored and brought back to it by the library and the command line: elsewhere, and otherwise."""

from __future__ import annotations

import getpass
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import mlflow_archive as ma
from mlflow_archive.cli.main import cli
from mlflow_archive.spec.kinds import Kind
from tests.servers import MlflowServer
from tests.tracking.sinks.making import Target, experiment, item, logged_model, registered_model, run

pytestmark = pytest.mark.server
RUN, OTHER, MODEL = "a" * 32, "b" * 32, "m-" + "c" * 32
PROMPT = {"mlflow.prompt.is_prompt": "true", "mlflow.prompt.text": "Hi {{x}}", "_mlflow_prompt_type": "text"}
GREETING = {"version": 1, "source": "dummy-source", "tags": PROMPT}
API3 = "/api/3.0/mlflow/"


@pytest.fixture(scope="module")
def target(module_server: MlflowServer) -> Any:
    """The server, asked directly."""
    target = Target(module_server.uri)
    yield target
    target.client.close()


@pytest.fixture(scope="module")
def stored(module_server: MlflowServer, target: Target, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive of everything on the server, which holds one of each kind that a policy is about."""
    made = target.restore(
        [
            experiment("1", "/Users/me/iris", tags={"team": "blue"}),
            experiment("2", "/Users/megan"),
            run(RUN, "1", tags={"mlflow.user": "ada"}, files={"model/MLmodel": f"run_id: {RUN}\n".encode()}),
            run(OTHER, "2", tags={"mlflow.note.content": "x" * 6000}),
            logged_model(MODEL, "1", info={"source_run_id": RUN}, files={"MLmodel": b"x: 1\n"}),
            registered_model(
                "iris",
                [
                    {"version": 1, "run_id": RUN, "source": f"runs:/{RUN}/model"},
                    {"version": 3, "model_id": MODEL, "source": f"models:/{MODEL}", "current_stage": "Production"},
                ],
                aliases={"champion": 3},
                description="the flowers",
            ),
            registered_model(
                "greeting", [{"version": 1, "source": "dummy-source", "tags": PROMPT}], Kind.PROMPT, tags=PROMPT
            ),
            item(
                Kind.EVALUATION_DATASET,
                "d-1",
                {"dataset_id": "d-1", "name": "questions"},
                name="questions",
                parts={"records": [{"inputs": {"q": "a"}}, {"inputs": {"q": "b"}}]},
            ),
        ]
    )
    assert made.losses == []
    place = tmp_path_factory.mktemp("archive") / "stored"
    assert ma.backup(module_server.uri, str(place)).status == "complete"
    return place


def _restore(stored: Path, server: MlflowServer, *arguments: str) -> dict[str, Any]:
    command = ["restore", str(stored), "--tracking-uri", server.uri, "--json", *arguments]
    result = CliRunner().invoke(cli, command)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def _experiment(target: Target, name: str) -> dict[str, Any]:
    found = target.get("experiments/get-by-name", experiment_name=name)["experiment"]
    return {**found, "tags": {tag["key"]: tag["value"] for tag in found.get("tags", [])}}


def _versions(target: Target, name: str) -> dict[int, dict[str, Any]]:
    found = target.get("model-versions/search", filter=f"name='{name}'").get("model_versions", [])
    return {int(version["version"]): version for version in found}


def _datasets(target: Target) -> list[str]:
    found = target.post(f"{API3}datasets/search", max_results=50).get("datasets", [])
    return [one["dataset_id"] for one in found if one["name"] == "questions"]


def test_by_the_rules_of_a_file(stored: Path, target: Target, module_server: MlflowServer, tmp_path: Path) -> None:
    names = tmp_path / "names.csv"
    names.write_text('/Users/me,"/Users/you, there"\n', encoding="utf-8")
    report = _restore(
        stored, module_server, "--rename-experiment-file", str(names), "--experiment-prefix", "/copy", "--only", "runs"
    )
    assert _experiment(target, "/copy/Users/you, there/iris")["tags"]["team"] == "blue"
    assert _experiment(target, "/copy/Users/megan")
    assert report["counts"]["run"]["stored"] == 2


def test_into_one_experiment_with_its_origin_and_no_user(
    stored: Path, target: Target, module_server: MlflowServer
) -> None:
    wishes = ["--into-experiment", "home", "--source-tags", "mlflow_exim", "--restoring-user"]
    report = _restore(stored, module_server, *wishes, "--only", "runs,logged-models")
    home = _experiment(target, "home")
    runs = target.post("runs/search", experiment_ids=[home["experiment_id"]])["runs"]
    tags = [{tag["key"]: tag["value"] for tag in one["data"]["tags"]} for one in runs]
    assert {one["mlflow_exim.run_info.run_id"] for one in tags} == set(report["ids"]["run"])
    assert {one["mlflow.user"] for one in tags} == {one["info"]["user_id"] for one in runs} == {getpass.getuser()}
    assert {one["mlflow_exim.run_info.user_id"] for one in tags} == {"ada"}
    assert [note for note in report["notes"] if "mlflow_exim.mlflow_tag.note.content" in note]
    assert report["losses"] == []


def test_a_copy_on_the_same_server_under_other_names(stored: Path, target: Target, module_server: MlflowServer) -> None:
    renames = ma.Renaming(prefixes=(("/Users/me", "/Users/me2"),))
    report = ma.copy(
        module_server.uri,
        module_server.uri,
        models=["iris"],
        rename_experiments=renames,
        model_name="iris2",
        source_tags="mlflow_archive",
        stages_and_aliases=False,
        registry_metadata=False,
    )
    assert report.losses == ()
    versions = _versions(target, "iris2")
    assert {number: version["current_stage"] for number, version in versions.items()} == {1: "None", 3: "None"}
    assert versions[1]["run_id"] == report.ids["run"][_versions(target, "iris")[1]["run_id"]]
    assert target.get("registered-models/get", name="iris2")["registered_model"].get("description", "") == ""
    tags = {tag["key"]: tag["value"] for tag in versions[3]["tags"]}
    assert (tags["mlflow_archive.source.name"], tags["mlflow_archive.source.aliases"]) == ("iris", '["champion"]')
    assert _experiment(target, "/Users/me2/iris")


def test_replacing_puts_the_archive_in_the_place_of_what_is_there(
    stored: Path, target: Target, module_server: MlflowServer
) -> None:
    target.post("registered-models/set-tag", name="iris", key="stray", value="1")
    target.post("registered-models/set-tag", name="greeting", key="stray", value="1")
    before = _datasets(target)
    kinds = ["--replace", "models,prompts,evaluation-datasets"]
    planned = _restore(stored, module_server, *kinds, "--dry-run")
    assert planned["counts"]["registered_model"]["stored"] == 1
    assert _datasets(target) == before
    report = _restore(stored, module_server, *kinds)
    assert {kind: count["stored"] for kind, count in report["counts"].items() if count["stored"]} == {
        "registered_model": 1,
        "prompt": 1,
        "evaluation_dataset": 1,
    }
    for name in ("iris", "greeting"):
        there = target.get("registered-models/get", name=name)["registered_model"]
        assert "stray" not in {tag["key"] for tag in there["tags"]}
    assert {number: version["current_stage"] for number, version in _versions(target, "iris").items()} == {
        1: "None",
        3: "Production",
    }
    assert len(_datasets(target)) == 1
    assert _datasets(target) != before


def test_a_version_becomes_the_next_of_another_model(stored: Path, target: Target, module_server: MlflowServer) -> None:
    target.post("registered-models/create", name="prod")
    target.post("model-versions/create", name="prod", source="s3://mine/1")
    for _ in range(2):
        report = ma.restore(
            str(stored),
            module_server.uri,
            models=["iris"],
            versions=[3],
            into_experiment="prod runs",
            model_name="prod",
            create_models=False,
            append_versions=True,
        )
        assert report.losses == ()
        versions = _versions(target, "prod")
        assert set(versions) == {1, 2}
        assert versions[2]["current_stage"] == "Production"
    with pytest.raises(ma.UsageError, match="evaluation_datasets, models, prompts"):
        ma.restore(str(stored), module_server.uri, replace=["runs"])
