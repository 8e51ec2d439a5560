"""The README tells the truth: its commands parse, its quick start runs, its tables are the program's own."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest

import mlflow_archive
from mlflow_archive.cli.exit_status import ROWS
from mlflow_archive.cli.main import COMMANDS, cli

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```bash *([\w-]*)\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)


def command_lines(blocks: list[tuple[str, str]]) -> list[list[str]]:
    """Return the arguments of each ``mlflow-archive`` command of some blocks."""
    found = []
    for _, text in blocks:
        for line in text.replace("\\\n", " ").splitlines():
            for command in line.split("&&"):
                words = shlex.split(command, comments=True)
                if words and Path(words[0]).name == "mlflow-archive":
                    found.append(words[1:])
    return found


ALL = command_lines(BLOCKS)
QUICK_START = command_lines([block for block in BLOCKS if block[0] == "quick-start"])


def test_the_commands_are_found() -> None:
    assert len(ALL) >= 15
    assert [words[0] for words in QUICK_START] == ["backup", "verify", "ls", "restore", "diff"]


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_every_command_parses(words: list[str]) -> None:
    group = click.Context(cli, info_name="mlflow-archive")
    command = cli.get_command(group, words[0])

    assert command is not None, f"there is no command {words[0]}"
    context = command.make_context(words[0], words[1:], parent=group)
    assert context.params


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_mentioned(name: str) -> None:
    assert f"mlflow-archive {name}" in README


def test_every_option_that_is_mentioned_exists() -> None:
    group = click.Context(cli)
    options = {"--help", "--backend-store-uri"}  # the latter is MLflow's own
    for name in COMMANDS:
        command = cli.get_command(group, name)
        assert command is not None
        options |= {word for param in command.params for word in param.opts}
    prose = re.sub(r"^```.*?^```$", "", README, flags=re.MULTILINE | re.DOTALL)

    assert set(re.findall(r"--[a-z][a-z-]+", prose)) - options == set()


def test_the_table_of_exit_codes_is_the_programs() -> None:
    rows = re.findall(r"^\| (\d+) \| (.+) \|$", README, flags=re.MULTILINE)

    assert rows == ROWS


def test_links_lead_somewhere() -> None:
    root = Path(__file__).parent.parent
    links = [link for link in re.findall(r"\]\(([^)]+)\)", README) if "://" not in link]

    assert [link for link in links if not (root / link).exists()] == []


def test_the_library_example_names_what_exists() -> None:
    (example,) = re.findall(r"^```python\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)

    compile(example, "README.md", "exec")
    assert set(re.findall(r"\bma\.(\w+)", example)) <= set(mlflow_archive.__all__)


SEED = """
import mlflow
mlflow.set_tracking_uri("sqlite:///mlflow.db")
client = mlflow.MlflowClient()
experiment_id = client.create_experiment("iris")
run = client.create_run(experiment_id, run_name="first")
client.log_param(run.info.run_id, "lr", "0.1")
for step in range(3):
    client.log_metric(run.info.run_id, "f1", 0.5 + step / 10, step=step)
client.set_terminated(run.info.run_id)
client.create_registered_model("churn")
"""


@pytest.mark.timeout(900)
def test_the_quick_start_runs(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
    root = str(Path(__file__).parent.parent)
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [root, environment.get("PYTHONPATH")]))
    subprocess.run([sys.executable, "-c", SEED], cwd=tmp_path, env=environment, check=True, capture_output=True)

    for words in QUICK_START:
        done = subprocess.run(
            [sys.executable, "-m", "mlflow_archive", *words],
            cwd=tmp_path,
            env=environment,
            check=False,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, f"{' '.join(words)}\n{done.stdout}\n{done.stderr}"
    assert (tmp_path / "backup" / "manifest.json").exists()
