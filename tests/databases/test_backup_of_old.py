"""Databases of old servers by the command line: backed up without loss, verified, restored over the API."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from click.testing import CliRunner
from mlflow.version import VERSION

from mlflow_archive.cli.main import cli
from mlflow_archive.operations.ends import archive_source
from mlflow_archive.spec.kinds import Kind
from mlflow_archive.spec.loss import Loss
from mlflow_archive.spec.selection import Selection
from tests.databases.filled import OLD_VERSIONS
from tests.servers import WEBHOOK_KEY

INSTALLED = tuple(int(part) for part in VERSION.split(".")[:2])
#: What `tests.seeding` makes on every server, counted by hand: the objects, and what is within them.
ALWAYS = {
    "database": 1,
    "experiment": 12 + 1,
    "run": 1 + 5 + 3 + 3 + 1 + 8,
    "params of a run": 6 + 150 + 8 + 1,
    "points": 440 + 5 + 8 + 1,
    "dataset_inputs of a run": 2,
    "file of a run": 14 + 8 + 1,
    "registered_model": 6,
    "versions of a registered_model": 9 + 7,
    "aliases of a registered_model": 3,
}
PROMPTS = {"prompt": 1, "versions of a prompt": 5, "aliases of a prompt": 2}
TRACES = {"trace": 8, "spans": 14, "file of a trace": 8}
MODELS = {
    "logged_model": 9,
    "params of a logged_model": 3 + 90,
    "metrics of a logged_model": 7,
    "file of a logged_model": 8 * 5,
    "points": ALWAYS["points"] + 7,
    "model_inputs of a run": 2,
    "model_outputs of a run": 4,
    "versions of a registered_model": 9 + 9,
}
EXPECTED: dict[str, dict[str, int]] = {
    # Its proxy takes no file with a question mark in its name.
    "2.9.2": {**ALWAYS, "file of a run": 13 + 8 + 1},
    "2.22.5": {**ALWAYS, **PROMPTS, **TRACES},
    "3.0.1": {**ALWAYS, **PROMPTS, **TRACES, **MODELS},
    "3.5.1": {
        **ALWAYS,
        **MODELS,
        "prompt": 3,
        "versions of a prompt": 6,
        "aliases of a prompt": 2,
        "trace": 13,
        "spans": 17,
        "file of a trace": 11,
        "run_ids of a trace": 2,
        "assessments of a trace": 11 + 6 + 7,
        "evaluation_dataset": 3,
        "records": 15 + 2,
        "scorer": 3,
        "versions of a scorer": 7,
        "webhook": 2,
    },
}
#: Kind -> lists in its record.
WITHIN: dict[Kind, tuple[str, ...]] = {
    Kind.RUN: ("params", "dataset_inputs", "model_inputs", "model_outputs"),
    Kind.LOGGED_MODEL: ("params", "metrics"),
    Kind.TRACE: ("assessments", "run_ids"),
    Kind.REGISTERED_MODEL: ("versions", "aliases"),
    Kind.PROMPT: ("versions", "aliases"),
    Kind.EVALUATION_DATASET: (),
    Kind.SCORER: ("versions",),
}


def run(*words: object, expected: int = 0) -> str:
    result = CliRunner().invoke(cli, [str(word) for word in words], prog_name="mlflow-archive")
    assert result.exit_code == expected, result.output + result.stderr
    return result.stdout


@pytest.fixture
def places(tmp_path, monkeypatch) -> list[str]:
    """Options for places of model versions that only the seeding's servers knew: folders."""
    for folder in (*(f"bucket/models/{number}" for number in range(1, 13)), "bucket/elsewhere/model", "dbfs/model"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "MLmodel").write_text("flavors: {}\n", encoding="utf-8")
    # A webhook of the seeding calls this machine.
    monkeypatch.setenv("MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS", "true")
    monkeypatch.setenv("MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY", WEBHOOK_KEY)
    roots = {"s3://bucket": tmp_path / "bucket", "dbfs:/databricks": tmp_path / "dbfs"}
    return [word for root, folder in roots.items() for word in ("--artifact-root", f"{root}={folder}")]


@pytest.mark.parametrize("version", OLD_VERSIONS)
def test_an_old_database_arrives_whole(version, old_database, places, tmp_path):
    database = old_database(version)
    archive = tmp_path / "archive"
    where = [*places, "--artifact-root", f"mlflow-artifacts:/={database.parent / 'artifacts'}"]

    report = json.loads(run("backup", archive, "--tracking-uri", f"sqlite:///{database}", *where, "--json"))
    counts = {kind: count["stored"] for kind, count in report["counts"].items()}
    found = Counter(counts) + counted(archive)
    assert {name: found[name] for name in sorted(found)} == dict(sorted(EXPECTED[version].items()))

    run("verify", archive, "--level", "restorable")
    if INSTALLED < (3, 17):
        # A target without a server is of the MLflow that is installed, which knows less than some of these.
        return
    target = f"sqlite:///{tmp_path / 'target.db'}"
    done = json.loads(run("restore", archive, "--tracking-uri", target, "--json"))
    brought = {kind: count["stored"] + count["skipped"] for kind, count in done["counts"].items()}
    assert brought == counts


def counted(archive: Path) -> Counter[str]:
    """Count what is within the objects of an archive."""
    found: Counter[str] = Counter()
    with archive_source(str(archive), storage_options=None) as source:
        for kind, lists in WITHIN.items():
            for item in source.read(kind, Selection()):
                assert not isinstance(item, Loss)
                content = item.load()
                record = content.record.to_json()
                if kind in (Kind.RUN, Kind.LOGGED_MODEL, Kind.TRACE):
                    found[f"file of a {kind}"] += sum(1 for _ in content.blobs())
                for part in content.parts:
                    rows = part.open()
                    if part.name == "metrics":
                        found["points"] += sum(len(row["values"]) for row in rows)
                    else:
                        found[part.name] += sum(1 for _ in rows)
                for name in lists:
                    found[f"{name} of a {kind}"] += len(record[name])
    return +found
