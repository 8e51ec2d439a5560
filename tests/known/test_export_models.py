"""export-models, export-model and export-model-version on a real server."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.known.table import shows
from tests.known.taking import Taken, run, take
from tests.known.world import KnownWorld

OF_REGISTRY = ["export-models", "export-model"]


def flowers(world: KnownWorld, place: Path, command: str, *arguments: str) -> Taken:
    return take(world, place, command, "--models" if command == "export-models" else "--model", "flowers", *arguments)


@shows("export-models", "--models")
@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["all"], {"flowers", "flower-pots", "wines, red"}),
        (["flowers,flower-pots"], {"flowers", "flower-pots"}),
        (["flower*"], {"flowers", "flower-pots"}),
        (['"wines, red"'], {"wines, red"}),
        (["flowers", "--models", "wines, red"], {"flowers", "wines, red"}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_models_by_name(world: KnownWorld, tmp_path: Path, arguments: list[str], names: set[str]) -> None:
    taken = take(world, tmp_path / "out", "export-models", "--models", *arguments)

    assert set(taken.models) == names
    assert taken.prompts == {}


@pytest.mark.parametrize("command", OF_REGISTRY)
def test_a_model_comes_with_what_its_versions_need(world: KnownWorld, tmp_path: Path, command: str) -> None:
    taken = flowers(world, tmp_path / "out", command)

    assert taken.models == {"flowers": [1, 2, 3, 4]}
    assert taken.runs == {"early", "first", "late"}
    assert taken.logged == {"flower"}
    assert taken.experiments == {"iris"}
    assert (taken.traces, taken.datasets) == (set(), set())


def test_a_missing_model_is_reported_and_the_others_come(world: KnownWorld, tmp_path: Path) -> None:
    taken = take(world, tmp_path / "out", "export-models", "--models", "flower-pots,nowhere", code=3)

    assert set(taken.models) == {"flower-pots"}
    assert "registered model nowhere" in taken.result.output


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        ("export-models", ["--models", "nowhere,nothing*"]),
        ("export-model", ["--model", "flower*"]),
        ("export-model-version", ["--model", "nowhere", "--version", "1"]),
    ],
)
def test_nothing_found_is_exit_1(world: KnownWorld, tmp_path: Path, command: str, arguments: list[str]) -> None:
    result = run(command, *arguments, "--output-dir", tmp_path / "out", "--tracking-uri", world.uri)

    assert result.exit_code == 1, result.output + result.stderr
    assert arguments[1].split(",")[0] in result.stderr


@shows("export-models", "--export-all-runs")
def test_the_whole_experiments_of_the_runs(world: KnownWorld, tmp_path: Path) -> None:
    taken = take(world, tmp_path / "out", "export-models", "--models", "flower-pots", "--export-all-runs")

    assert taken.models == {"flower-pots": [1]}
    assert taken.experiments == {"iris"}
    assert taken.runs == {"early", "first", "child", "grandchild", "late"}
    assert taken.traces == {"iris"}
    assert taken.logged == {"flower"}


@shows("export-models", "--run-start-time", "--runs-until")
def test_times_narrow_all_runs_and_not_what_a_version_needs(world: KnownWorld, tmp_path: Path) -> None:
    window = ["--run-start-time", "2024-02-01 02:00:00", "--runs-until", "2024-03-01"]

    taken = take(world, tmp_path / "out", "export-models", "--models", "flower-pots", "--export-all-runs", *window)

    assert taken.runs == {"child", "grandchild"}


def test_times_without_all_runs_are_exit_2(tmp_path: Path) -> None:
    result = run("export-models", "--models", "all", "--runs-until", "2024-01-01", "--output-dir", tmp_path / "out")

    assert result.exit_code == 2
    assert "--export-all-runs" in result.stderr


@shows(OF_REGISTRY, "--stages")
@pytest.mark.parametrize("command", OF_REGISTRY)
@pytest.mark.parametrize(
    ("stages", "versions", "runs"),
    [
        ("staging", [2], {"first"}),
        ("Production, None", [1, 3, 4], {"early", "late"}),
    ],
)
def test_versions_in_stages(
    world: KnownWorld, tmp_path: Path, command: str, stages: str, versions: list[int], runs: set[str]
) -> None:
    taken = flowers(world, tmp_path / "out", command, "--stages", stages)

    assert taken.models == {"flowers": versions}
    assert taken.runs == runs


def test_an_unknown_stage_is_exit_2(tmp_path: Path) -> None:
    result = run("export-model", "--model", "flowers", "--stages", "Live", "--output-dir", tmp_path / "out")

    assert result.exit_code == 2
    assert "None, Staging, Production, Archived" in result.stderr


@shows(OF_REGISTRY, "--export-latest-versions")
@pytest.mark.parametrize("command", OF_REGISTRY)
def test_the_newest_version_of_each_stage(world: KnownWorld, tmp_path: Path, command: str) -> None:
    taken = flowers(world, tmp_path / "out", command, "--export-latest-versions", "True")

    assert taken.models == {"flowers": [2, 3, 4]}
    assert taken.runs == {"first", "late"}


@shows(OF_REGISTRY, "--export-deleted-runs")
@pytest.mark.parametrize("command", OF_REGISTRY)
def test_deleted_runs_come_on_request(world: KnownWorld, tmp_path: Path, command: str) -> None:
    taken = flowers(world, tmp_path / "out", command, "--export-deleted-runs")

    assert taken.runs == {"early", "first", "late", "deleted"}


@shows(OF_REGISTRY, "--export-version-model")
@pytest.mark.parametrize("command", OF_REGISTRY)
def test_the_files_of_the_registry(world: KnownWorld, tmp_path: Path, command: str) -> None:
    plain = flowers(world, tmp_path / "plain", command)
    taken = flowers(world, tmp_path / "out", command, "--export-version-model")

    assert not any("versions/1/" in name for name in plain.files["flowers"])
    assert "versions/1/artifacts/early-0.txt" in taken.files["flowers"]
    assert "versions/2/artifacts/MLmodel" in taken.files["flowers"]


@shows("export-model", "--model", "--versions")
def test_some_versions_of_a_model(world: KnownWorld, tmp_path: Path) -> None:
    taken = flowers(world, tmp_path / "out", "export-model", "--versions", "1, 2")

    assert taken.models == {"flowers": [1, 2]}
    assert taken.runs == {"early", "first"}


def test_versions_and_stages_exclude_each_other(tmp_path: Path) -> None:
    both = ["--versions", "1", "--stages", "None"]
    result = run("export-model", "--model", "flowers", *both, "--output-dir", tmp_path / "out")

    assert result.exit_code == 2
    assert "exclude each other" in result.stderr


@shows("export-model-version", "--model", "--version")
@pytest.mark.parametrize(
    ("version", "runs", "logged"), [(2, {"first"}, {"flower"}), (4, {"deleted"}, set()), (1, {"early"}, set())]
)
def test_one_version(world: KnownWorld, tmp_path: Path, version: int, runs: set[str], logged: set[str]) -> None:
    one = ["--model", "flowers", "--version", version]

    taken = take(world, tmp_path / "out", "export-model-version", *one)

    assert taken.models == {"flowers": [version]}
    assert (taken.runs, taken.logged, taken.experiments) == (runs, logged, {"iris"})


def test_a_version_that_is_not_there_is_reported(world: KnownWorld, tmp_path: Path) -> None:
    one = ["--model", "flowers", "--version", 12]
    result = run("export-model-version", *one, "--output-dir", tmp_path / "out", "--tracking-uri", world.uri)

    assert result.exit_code == 1
    assert "12" in result.stderr
    assert not (tmp_path / "out" / "manifest.json").exists()


def test_a_version_that_is_not_there_is_reported_and_the_others_come(world: KnownWorld, tmp_path: Path) -> None:
    here = ["--output-dir", tmp_path / "out", "--tracking-uri", world.uri]
    result = run("export-model", "--model", "flowers", "--versions", "1,12", *here)

    assert result.exit_code == 3
    assert "12" in result.output


@shows("export-model-version", "--export-version-model")
@pytest.mark.parametrize("spelled", ["--export-version-model", "--vrm-export-version-model"])
def test_the_files_of_one_version(world: KnownWorld, tmp_path: Path, spelled: str) -> None:
    one = ["--model", "flowers", "--version", 3]

    taken = take(world, tmp_path / "out", "export-model-version", *one, spelled, "True")

    assert taken.files["flowers"] == {"versions/3/artifacts/late-0.txt"}
    assert taken.files["late"] == {"model/late-0.txt"}


@shows("export-model-version", "--skip-download-run-artifacts")
def test_one_version_without_files(world: KnownWorld, tmp_path: Path) -> None:
    one = ["--model", "flowers", "--version", 2]

    taken = take(world, tmp_path / "out", "export-model-version", *one, "--skip-download-run-artifacts")

    assert taken.runs == {"first"}
    assert taken.files == {"first": set(), "flower": set(), "flowers": set()}


@shows("export-model-version", "--skip-download-run-artifacts", "--export-version-model")
def test_one_version_with_the_files_of_the_registry_alone(world: KnownWorld, tmp_path: Path) -> None:
    one = ["--model", "flowers", "--version", 1, "--skip-download-run-artifacts", "--vrm-export-version-model"]

    taken = take(world, tmp_path / "out", "export-model-version", *one)

    assert taken.files == {"early": set(), "flowers": {"versions/1/artifacts/early-0.txt"}}
    result = run("repack", tmp_path / "out", tmp_path / "copy.tar")
    assert result.exit_code == 0
