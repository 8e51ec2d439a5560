"""Each import command on a folder that mlflow-export-import itself wrote (`tests.predecessor.made`)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.known.imports.conftest import Importer, New
from tests.predecessor.by_hand import ARCHIVES

pytestmark = pytest.mark.server

#: Metrics of a logged model that a run measured; without the run they cannot be brought.
METRICS = ("metrics/f1", "metrics/odd f1")


def stored(importer: Importer, command: str, place: Path, *words: str, lost: tuple[str, ...] = ()) -> dict[str, int]:
    """Run a command on an old folder; return how many objects of each kind it made.

    Args:
        importer: Runs it.
        command: The command.
        place: The folder.
        words: Further options.
        lost: Parts of objects that the folder, or the target, may lack.
    """
    result = importer.run(command, str(place), "--json", *words)
    report = json.loads(result.stdout)
    assert "error" not in report, report
    assert {loss["path"] for loss in report["losses"]} <= {*lost}, report["losses"]
    assert result.exit_code == (3 if report["losses"] else 0)
    return {kind: count["stored"] for kind, count in report["counts"].items() if count["stored"]}


def renamed(tmp_path: Path, option: str, **names: str) -> tuple[str, str]:
    file = tmp_path / f"{option}.csv"
    file.write_text("".join(f'"{old}","{new}"\n' for old, new in names.items()), encoding="utf-8")
    return (f"--{option}", str(file))


def test_import_all(importer: Importer) -> None:
    made = stored(importer, "import-all", ARCHIVES / "newest" / "all", lost=("spans",))

    assert made["run"] == 7
    assert (made["registered_model"], made["prompt"], made["evaluation_dataset"]) == (4, 2, 2)
    versions = importer.versions("churn")
    assert {number: row["tags"]["number"] for number, row in versions.items()} == {
        number: str(number) for number in range(1, 15) if number not in (3, 7)
    }
    assert importer.model("churn")["aliases"] == {"champion": 11, "challenger": 2, "newest": 14}
    runs = importer.runs("nested")
    assert runs["parent"]["info"]["end_time"] - runs["parent"]["info"]["start_time"] == 12_345
    assert runs["grandchild"]["tags"]["mlflow.parentRunId"] == runs["child"]["info"]["run_id"]


def test_import_experiments(importer: Importer, new: New) -> None:
    prefix = new("old-")

    made = stored(importer, "import-experiments", ARCHIVES / "released" / "all", "--experiment-name-prefix", prefix)

    assert made["run"] == 7
    assert len(importer.runs(f"{prefix}nested")) == 3


def test_import_models(importer: Importer, new: New, tmp_path: Path) -> None:
    name = new("churn-")
    names = renamed(
        tmp_path, "model-rename-file", churn=name, **{"one version": new("one-"), "no versions": new("no-")}
    )

    made = stored(importer, "import-models", ARCHIVES / "released" / "all", *names)

    assert made["registered_model"] == 3
    assert len(importer.versions(name)) == 12


def test_import_experiment(importer: Importer, new: New) -> None:
    result = importer.run("import-experiment", str(ARCHIVES / "newest" / "all"), "--experiment-name", new())
    made = stored(importer, "import-experiment", ARCHIVES / "newest" / "all", "--experiment-name", "nested")

    assert result.exit_code == 2
    assert "holds 3 experiments" in result.stderr
    assert made.get("run", 0) in (0, 3)


def test_import_run(importer: Importer, new: New) -> None:
    target = new("runs-")

    stored(importer, "import-run", ARCHIVES / "released" / "run", "--experiment-name", target, "--use-src-user-id")

    (found,) = importer.runs(target).values()
    assert found["info"]["run_name"] == "full"
    assert found["info"]["end_time"] - found["info"]["start_time"] == 12_345
    assert found["tags"]["mlflow.user"] == "ada"


def test_import_model(importer: Importer, new: New) -> None:
    target, runs = new("churn-"), new("runs-")

    stored(importer, "import-model", ARCHIVES / "released" / "model", "--model", target, "--experiment-name", runs)

    versions = importer.versions(target)
    assert sorted(versions) == [number for number in range(1, 15) if number not in (3, 7)]
    assert {row["run_id"] for row in versions.values()} == {
        run["info"]["run_id"] for run in importer.runs(runs).values()
    }
    assert len(importer.runs(runs)) == 3, "each run once, and not once for each version"


def test_import_model_version(importer: Importer, new: New) -> None:
    target = new("promoted-")
    words = ("--model", target, "--experiment-name", new(), "--create-model", "--import-stages-and-aliases")

    stored(importer, "import-model-version", ARCHIVES / "newest" / "model-version", *words)

    (version,) = importer.versions(target).values()
    assert version["tags"]["number"] == "11"
    assert version["current_stage"] == "Staging"


@pytest.mark.parametrize(
    ("command", "layout", "words", "kind", "lost"),
    [
        ("import-logged-models", "logged-models", (), "logged_model", METRICS),
        ("import-logged-model", "logged-models", ("--experiment-name", "models of old"), "logged_model", METRICS),
        ("import-traces", "traces", (), "trace", ("spans",)),
        ("import-trace", "trace", ("--experiment-name", "traces of old"), "trace", ()),
        ("import-prompts", "prompts", (), "prompt", ()),
        ("import-prompt", "prompt", ("--prompt-name", "summary of old"), "prompt", ()),
        ("import-evaluation-datasets", "evaluation-datasets", (), "evaluation_dataset", ()),
        ("import-evaluation-dataset", "evaluation-datasets", ("--dataset-name", "questions"), "evaluation_dataset", ()),
    ],
)
def test_the_others(
    importer: Importer, command: str, layout: str, words: tuple[str, ...], kind: str, lost: tuple[str, ...]
) -> None:
    stored(importer, command, ARCHIVES / "newest" / layout, *words, lost=lost)
    again = importer.run(command, str(ARCHIVES / "newest" / layout), "--json", *words)

    report = json.loads(again.stdout)
    assert report["ids"][kind], "it is at the target"
    assert report["counts"][kind]["stored"] == 0, "and a second import makes nothing"
