"""import-all on a real server, and what all import commands hand to the library alike."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from mlflow_archive import api
from mlflow_archive.cli.main import cli
from mlflow_archive.errors import NotFoundError
from tests.known.imports.conftest import Archived, Importer, New
from tests.known.imports.test_import_models import churn
from tests.known.imports.test_import_others import dataset, prompt
from tests.known.table import options, shows, with_option
from tests.tracking.sinks.making import trace

IMPORTS = with_option("--input-dir", prefix="import-")
#: What a command cannot do without.
NEEDED = {
    "--experiment-name": ("--experiment-name", "there"),
    "--model": ("--model", "churn"),
}


@pytest.mark.server
@shows("import-all", "--input-dir", "--tracking-uri", "--verbose")
def test_import_all(importer: Importer, archived: Archived, new: New) -> None:
    name, iris, greet, qa, a, t = new("churn-"), new("iris-"), new("greet-"), new("qa-"), new(), new("tr-")
    place = archived(*churn(name, iris, a), prompt(greet, "Hello"), trace(t, "1"), dataset(new("d-"), qa, "a"))

    result = importer.run("import-all", place, "--verbose", "True")
    again = importer.done("import-all", place)

    assert result.exit_code == 0, result.output
    (found,) = importer.runs(iris).values()
    assert re.search(rf"^  run +{a} +->  {found['info']['run_id']}$", result.stdout, flags=re.MULTILINE)
    assert importer.model(name)["aliases"] == {"champion": 2}
    assert importer.traces(iris) == [t]
    assert importer.model(greet) is not None
    assert len(importer.datasets(qa)) == 1
    assert sum(count["stored"] for count in again["counts"].values()) == 0


@pytest.mark.server
@shows("import-all", "--delete-model", "--experiment-rename-file", "--model-rename-file", "--import-source-tags")
@shows("import-all", "--source-tags-prefix")
def test_import_all_under_other_names(importer: Importer, archived: Archived, new: New, tmp_path: Path) -> None:
    name, iris, a = new("churn-"), new("iris-"), new()
    models, experiments = tmp_path / "models.csv", tmp_path / "experiments.csv"
    models.write_text(f"{name},{name}-prod\n", encoding="utf-8")
    experiments.write_text(f"{iris},{iris}-prod\n", encoding="utf-8")
    importer.target.post("registered-models/create", name=f"{name}-prod", tags=[{"key": "whose", "value": "theirs"}])

    importer.done(
        "import-all",
        archived(*churn(name, iris, a)),
        *("--model-rename-file", str(models), "--experiment-rename-file", str(experiments)),
        *("--delete-model", "--import-source-tags", "--source-tags-prefix", "mlflow_exim"),
    )

    assert "whose" not in importer.model(f"{name}-prod")["tags"]
    assert importer.model(name) is None
    (found,) = importer.runs(f"{iris}-prod").values()
    assert found["tags"]["mlflow_exim.run_info.run_id"] == a


class CalledError(NotFoundError):
    """Ends a command at the call of the library."""


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Runs nothing: the arguments of the call come here."""
    seen: dict[str, Any] = {}

    def catch(*args: Any, **kwargs: Any) -> None:
        seen.update(kwargs, args=args)
        raise CalledError("called")

    monkeypatch.setattr(api, "restore", catch)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return seen


def call(command: str, place: str, *words: str) -> str:
    """Run a command with what it cannot do without; return what it printed on standard error."""
    needed = [word for option in options(command) for word in NEEDED.get(option.opts[0], ())]
    return CliRunner().invoke(cli, [command, "--input-dir", place, *needed, *words]).stderr


@shows(IMPORTS, "--input-dir", "--tracking-uri", "--use-threads", "--parallel", "--dry-run")
@shows(IMPORTS, "--artifact-root", "--storage-option", "--artifact-option", "--json", "--events")
@pytest.mark.parametrize("command", IMPORTS)
def test_what_every_import_hands_on(called: dict[str, Any], archived: Archived, command: str) -> None:
    objects = (*churn("churn", "there", "a" * 32), prompt("greet", "Hello"), dataset("d-1", "qa", "a"))
    place = archived(*objects, place=f"memory://imports/{command}")

    said = call(
        command,
        place,
        *("--tracking-uri", "http://localhost:5", "--parallel", "3", "--dry-run", "--json", "--events"),
        *("--artifact-root", "mlflow-artifacts:/=s3://bucket", "--artifact-option", "anon=true"),
        *("--storage-option", "skip_instance_cache=false"),
    )

    assert called["args"] == (place, "http://localhost:5")
    assert (called["parallelism"], called["dry_run"]) == (3, True)
    assert called["artifact_roots"] == {"mlflow-artifacts:/": "s3://bucket"}
    assert called["artifact_options"] == {"anon": True}
    assert called["storage_options"] == {"skip_instance_cache": False}
    (line,) = said.splitlines()
    assert json.loads(line)["event"] == "error"


@shows(IMPORTS, "--artifacts-destination")
@pytest.mark.parametrize("command", IMPORTS)
def test_the_destination_of_the_server_is_a_place_too(called: dict[str, Any], archived: Archived, command: str) -> None:
    objects = (*churn("churn", "there", "a" * 32), prompt("greet", "Hello"), dataset("d-1", "qa", "a"))
    place = archived(*objects, place=f"memory://destinations/{command}")

    call(command, place, "--tracking-uri", "http://localhost:5", "--artifacts-destination", "s3://bucket")

    assert called["artifact_roots"] == {"mlflow-artifacts:/": "s3://bucket"}


@shows(IMPORTS, "--quiet")
@pytest.mark.parametrize("command", IMPORTS)
def test_defaults_of_every_import(called: dict[str, Any], archived: Archived, command: str) -> None:
    place = archived(*churn("churn", "there", "a" * 32), prompt("greet", "Hello"), dataset("d-1", "qa", "a"))

    said = call(command, place, "--quiet", "--use-threads", "False")

    assert "called" in said
    assert called["args"] == (place, None)
    assert (called["parallelism"], called["dry_run"]) == (1, False)
    assert not called.get("permissions", False)
    assert "selection" not in called


@pytest.mark.parametrize("command", IMPORTS)
def test_a_place_without_an_archive(command: str, tmp_path: Path) -> None:
    needed = [word for option in options(command) for word in NEEDED.get(option.opts[0], ())]

    result = CliRunner().invoke(cli, [command, "--input-dir", str(tmp_path), *needed])

    assert result.exit_code == 6
    assert len(result.stderr.strip().splitlines()) == 1
