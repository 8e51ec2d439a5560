"""Makes archives with mlflow-export-import itself, from servers filled by `tests.predecessor.filling`.

    python -m tests.predecessor.made OUT --released PYTHON --newest PYTHON [--keep-as tests/predecessor/archives]

``--released`` is the Python of a virtual environment with the version of the package index and an MLflow of its time::

    pip install mlflow-export-import==1.2.0 mlflow==2.4.2 "sqlalchemy<2.1" "werkzeug<3" "setuptools<70"

``--newest`` is one with the newest commit (cf62607, January 2026) and MLflow 3.4 or later::

    pip install git+https://github.com/mlflow/mlflow-export-import mlflow==3.17.2 "setuptools<70"

Either may be left out. A server of the environment's own MLflow is filled and exported in every layout its commands
know: ``OUT/<released|newest>/<layout>/``. The server's database and files stay in ``OUT/<released|newest>/server``, so
that `tests.predecessor.restored` can compare. ``--keep-as`` copies a small choice of the archives without what they say
of this machine: addresses, paths, users.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.servers import EmptyDatabases, MlflowServer

ROOT = Path(__file__).resolve().parents[2]
#: The newest commit cannot start these two: they import a name that has another one (its issue 230). This is what the
#: correction that its authors made afterwards comes to.
RENAMED = (
    "import sys; from mlflow_export_import.common import click_options; "
    "click_options.opt_runs_until = click_options.opt_until; "
    "from mlflow_export_import.bulk.{module} import main; main()"
)
#: What is kept in the repository.
KEPT = {
    "released": ("all", "run", "model"),
    "newest": ("all", "model-version", "logged-models", "traces", "trace", "prompts", "prompt", "evaluation-datasets"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description="Make archives with mlflow-export-import.")
    parser.add_argument("out", type=Path, help="directory for the archives and the servers' data; made if absent")
    parser.add_argument("--released", help="Python with mlflow-export-import 1.2.0 and MLflow 2.x")
    parser.add_argument("--newest", help="Python with its newest commit and MLflow 3.4 or later")
    parser.add_argument("--keep-as", type=Path, help="directory for a small choice without places and users")
    options = parser.parse_args()
    for word in ("released", "newest"):
        python = getattr(options, word)
        if python:
            directory = options.out.resolve() / word
            uri = make(word, python, directory)
            if options.keep_as:
                keep(word, directory, options.keep_as / word, uri)


def make(word: str, python: str, directory: Path) -> str:
    """Fill a server, export it in every layout, and return the URI that the server had."""
    directory.mkdir(parents=True)
    server = MlflowServer(directory / "server", python=python, databases=EmptyDatabases(directory))
    with server:
        ids = fill(server)
        layouts = released(ids) if word == "released" else newest(ids)
        for layout, command in layouts:
            target = directory / layout
            _run([*_command(python, command), "--output-dir", str(target)], server, directory)
            print(f"{word} {layout}: {sum(one.is_file() for one in target.rglob('*'))} files", file=sys.stderr)
    return server.uri


def fill(server: MlflowServer) -> dict[str, Any]:
    """Fill a server with the client of its own Python; return the ids of what is in it."""
    script = str(Path(__file__).with_name("fill.py"))
    ids: dict[str, Any] = json.loads(
        _run([server.python, script, server.uri], server, server.directory).splitlines()[-1]
    )
    return ids


def released(ids: dict[str, Any]) -> Iterator[tuple[str, list[str]]]:
    """Yield the layouts of version 1.2.0 and the commands that make them."""
    yield "all", ["export-all"]
    yield "models", ["export-models", "--models", "all"]
    yield "experiments", ["export-experiments", "--experiments", "all"]
    yield "experiment", ["export-experiment", "--experiment", ids["main"]]
    yield "run", ["export-run", "--run-id", ids["runs"]["full"]]
    yield "model", ["export-model", "--model", "churn"]


def newest(ids: dict[str, Any]) -> Iterator[tuple[str, list[str]]]:
    """Yield the layouts of the newest commit and the commands that make them."""
    yield "all", ["renamed", "export_all"]
    yield "models", ["renamed", "export_models", "--models", "all"]
    yield "experiments", ["export-experiments", "--experiments", "all"]
    yield "experiment", ["export-experiment", "--experiment", ids["main"], "--export-deleted-runs", "True"]
    yield "run", ["export-run", "--run-id", ids["runs"]["full"]]
    yield "model", ["export-model", "--model", "churn"]
    yield "model-version", ["export-model-version", "--model", "churn", "--version", "11"]
    yield "logged-models", ["export-logged-models", "--experiment-ids", "all"]
    yield "logged-model", ["export-logged-model", "--model-id", ids["models"]["of a run"]]
    yield "traces", ["export-traces", "--experiment-ids", "all"]
    yield "trace", ["export-trace", "--request-id", ids["traces"]["full"]]
    yield "prompts", ["export-prompts", "--prompts", "all"]
    yield "prompt", ["export-prompt", "--prompt-name", "summary", "--prompt-version", "11"]
    yield "evaluation-datasets", ["export-evaluation-datasets", "--evaluation-datasets", "all"]
    yield "evaluation-dataset", ["export-evaluation-dataset", "--dataset-name", "questions"]


def keep(word: str, directory: Path, target: Path, uri: str) -> None:
    """Copy a choice of the archives, without places, addresses and users."""
    for layout in KEPT[word]:
        shutil.rmtree(target / layout, ignore_errors=True)
        shutil.copytree(directory / layout, target / layout)
        for path in (target / layout).rglob("*"):
            if (path.is_file() and path.suffix in (".json", ".yaml")) or path.name == "MLmodel":
                path.write_text(_neutral(path.read_text(encoding="utf-8"), directory, uri), encoding="utf-8")


def _neutral(text: str, directory: Path, uri: str) -> str:
    user = os.environ.get("USER") or "root"
    replaced = {
        uri: "http://mlflow.example.org",
        str(directory): "/archives",
        f"{ROOT}/": "",
        f'"{user}"': '"ada"',
    }
    for old, new in replaced.items():
        text = text.replace(old, new)
    return text


def _command(python: str, command: list[str]) -> list[str]:
    first, *rest = command
    if first == "renamed":
        return [python, "-c", RENAMED.format(module=rest[0]), *rest[1:]]
    return [str(Path(python).parent / first), *rest]


def _run(command: list[str], server: MlflowServer, where: Path) -> str:
    env = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "PYTHONPATH"))}
    env |= {"MLFLOW_TRACKING_URI": server.uri, "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1"}
    env |= {"PYTHONWARNINGS": "ignore", "MLFLOW_DISABLE_TELEMETRY": "true"}
    done = subprocess.run(command, env=env, cwd=where, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
    return done.stdout


if __name__ == "__main__":
    main()
