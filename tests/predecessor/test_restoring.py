"""Archives of the first, a middle and the last generation on their way to a real server."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from mlflow_archive import api
from mlflow_archive.cli.main import cli
from mlflow_archive.spec.kinds import Kind
from tests.conftest import StartServer
from tests.predecessor import trees
from tests.predecessor.trees import FIRST, SECOND
from tests.servers import MlflowServer

Call = Callable[..., dict]


@pytest.fixture(scope="module")
def server(start_module_server: StartServer) -> MlflowServer:
    return start_module_server()


@pytest.fixture
def call(server: MlflowServer) -> Call:
    import requests

    def ask(path: str, /, **params: object) -> dict:
        answer = requests.get(f"{server.uri}/api/2.0/mlflow/{path}", params=params, timeout=30)
        answer.raise_for_status()
        return answer.json()

    return ask


@pytest.mark.parametrize("generation", ["G0", "G2", "G5"])
def test_what_comes_back(generation: str, server: MlflowServer, call: Call, tmp_path: Path):
    root: Path | str = trees.exported_all(tmp_path / "old", generation)
    if generation == "G0":
        root = shutil.make_archive(str(tmp_path / "old"), "zip", root)
    names = {"rename_experiments": {"wine": f"wine {generation}"}, "rename_models": {"Wine": f"Wine{generation}"}}
    report = api.restore(str(root), server.uri, **names)
    lost = {(loss.kind, loss.code) for loss in report.losses}
    assert (Kind.RUN, "not_exported") in lost
    assert ((Kind.RUN, "no_history") in lost) == (generation == "G0")
    counts = {kind: count.stored for kind, count in report.counts.items() if count.stored}
    more = {"logged_model": 1, "trace": 1, "prompt": 1, "evaluation_dataset": 1} if generation == "G5" else {}
    assert counts == {"experiment": 1, "run": 2, "registered_model": 1, **more}

    run = call("runs/get", run_id=report.ids["run"][FIRST])["run"]
    assert (run["info"]["start_time"], run["info"]["end_time"]) == (1600000000000, 1600000060000)
    assert (run["info"]["status"], run["info"]["run_name"], run["info"]["user_id"]) == ("FINISHED", "first", "ada")
    tags = {tag["key"]: tag["value"] for tag in run["data"]["tags"]}
    assert not [name for name in tags if name.startswith("mlflow_export_import.")]
    assert tags["mlflow_archive.source_id"] == FIRST
    history = call("metrics/get-history", run_id=run["info"]["run_id"], metric_key="loss")["metrics"]
    assert [point["value"] for point in history] == ([0.25] if generation == "G0" else [0.5, 0.25])
    files = call("artifacts/list", run_id=run["info"]["run_id"], path="model")["files"]
    assert [file["path"] for file in files] == ["model/MLmodel"]
    second = call("runs/get", run_id=report.ids["run"][SECOND])["run"]["info"]
    assert (second["lifecycle_stage"], second["run_name"]) == ("deleted", "second")

    version = call("model-versions/get", name=f"Wine{generation}", version="10")["model_version"]
    assert (version["current_stage"], version["run_id"]) == ("Production", report.ids["run"][SECOND])
    assert version["source"].endswith(f"{report.ids['run'][SECOND]}/artifacts/model")
    found = call("registered-models/get", name=f"Wine{generation}")["registered_model"]
    aliases = [{"alias": "best", "version": "10"}] if generation == "G5" else []
    assert found.get("aliases", []) == aliases

    again = api.restore(str(root), server.uri, **names)
    assert not any(count.stored for kind, count in again.counts.items() if kind != "trace")


def test_the_known_commands_import_single_objects(server: MlflowServer, call: Call, tmp_path: Path):
    runner = CliRunner(env={"MLFLOW_TRACKING_URI": server.uri})
    run = trees.write(tmp_path / "run", {"run.json": trees.run("G4", FIRST), "artifacts/a.txt": "a"})
    model = trees.exported_all(tmp_path / "all", "G4") / "models/Wine"
    experiment = tmp_path / "all/experiments/7"
    for words in (
        ("import-run", "--input-dir", str(run), "--experiment-name", "one"),
        ("import-model", "--input-dir", str(model), "--model", "Mine", "--experiment-name", "one model"),
        ("import-experiment", "--input-dir", str(experiment), "--experiment-name", "a whole"),
    ):
        result = runner.invoke(cli, words)
        assert result.exit_code in (0, 3), result.output
    for name in ("one", "one model", "a whole"):
        found = call("experiments/get-by-name", experiment_name=name)["experiment"]
        assert found["lifecycle_stage"] == "active"
    assert call("model-versions/get", name="Mine", version="10")["model_version"]["current_stage"] == "Production"
