"""The opt-in console scripts: a shell script that was written for mlflow-export-import runs unchanged."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from mlflow_archive.cli.known import KNOWN
from tests.compat.conftest import ROOT, Environment, outside
from tests.conftest import StartServer

pytestmark = [pytest.mark.server, pytest.mark.timeout(900)]

PROJECT = (ROOT / "compat" / "pyproject.toml").read_text(encoding="utf-8")
SCRIPTS = dict(re.findall(r'^([a-z-]+) = "mlflow_archive_compat_scripts:(\w+)"$', PROJECT, flags=re.MULTILINE))


def call(environment: Environment, command: list[str], **variables: str) -> subprocess.CompletedProcess[str]:
    env = outside() | {"PATH": f"{environment.scripts}{os.pathsep}{os.environ['PATH']}"} | variables
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False)


def test_there_is_a_script_for_every_known_command() -> None:
    assert set(SCRIPTS) == set(KNOWN)
    assert all(entry == name.replace("-", "_") for name, entry in SCRIPTS.items())


def test_both_distributions_have_one_version() -> None:
    from mlflow_archive.spec.version import TOOL_VERSION

    assert re.findall(r'^version = "(.+)"$', PROJECT, flags=re.MULTILINE) == [TOOL_VERSION]


def test_the_extra_installs_all_scripts(compat_environment: Environment) -> None:
    assert compat_environment.script_names() == {"mlflow-archive", *KNOWN}


def test_a_script_passes_arguments_and_exit_code_on(compat_environment: Environment, tmp_path: Path) -> None:
    missing = call(compat_environment, ["import-all", "--input-dir", str(tmp_path / "nothing")])
    wrong = call(compat_environment, ["export-run", "--no-such-option"])

    assert missing.returncode == 6, missing.stderr
    assert wrong.returncode == 2
    assert "--no-such-option" in wrong.stderr


def test_a_script_keeps_its_meaning_under_another_name(compat_environment: Environment, tmp_path: Path) -> None:
    link = tmp_path / "nightly-export"
    link.symlink_to(compat_environment.scripts / "export-all")

    helped = call(compat_environment, [str(link), "--help"])

    assert helped.returncode == 0
    assert "export-all" in helped.stdout
    assert "--output-dir" in helped.stdout


def test_a_job_of_mlflow_export_import_runs_unchanged(
    compat_environment: Environment, start_server: StartServer, tmp_path: Path
) -> None:
    from mlflow import MlflowClient

    source, target = start_server(), start_server()
    there, here = MlflowClient(source.uri), MlflowClient(target.uri)
    experiment_id = there.create_experiment("iris", tags={"team": "blue"})
    run = there.create_run(experiment_id, run_name="first", tags={"mlflow.user": "ada"})
    there.log_metric(run.info.run_id, "f1", 0.5, step=3)
    there.set_terminated(run.info.run_id, "FINISHED", end_time=run.info.start_time + 1000)
    gone = there.create_run(experiment_id, run_name="gone")
    there.delete_run(gone.info.run_id)
    there.create_registered_model("churn")
    for _ in range(11):
        there.create_model_version("churn", f"runs:/{run.info.run_id}/model", run_id=run.info.run_id)
    there.set_registered_model_alias("churn", "champion", "11")

    places = {"SOURCE_URI": source.uri, "TARGET_URI": target.uri, "BACKUP_DIR": str(tmp_path / "nightly")}
    done = call(compat_environment, ["sh", str(Path(__file__).with_name("nightly.sh"))], **places)

    assert done.returncode == 0, done.stdout + done.stderr
    experiment = here.get_experiment_by_name("iris")
    assert experiment is not None
    assert experiment.tags["team"] == "blue"
    (first,) = here.search_runs([experiment.experiment_id])
    assert (first.info.run_name, first.info.start_time, first.info.end_time) == (
        "first",
        run.info.start_time,
        run.info.start_time + 1000,
    )
    assert first.data.tags["mlflow.user"] == "ada"
    assert first.data.tags["mlflow_archive.source.run_id"] == run.info.run_id
    (deleted,) = here.search_runs([experiment.experiment_id], run_view_type=2)
    assert deleted.info.run_name == "gone"
    assert here.get_model_version_by_alias("churn", "champion").version in ("11", 11)
    assert len(here.search_model_versions("name = 'churn'")) == 11
