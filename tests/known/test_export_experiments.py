"""export-experiments, export-experiment and export-run on a real server."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.known.table import shows
from tests.known.taking import run, take
from tests.known.world import KnownWorld

IRIS = {"early", "first", "child", "grandchild", "late"}
BOTH = ["export-experiments", "export-experiment"]


@shows("export-experiments", "--experiments")
@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["all"], {"Default", "iris", "iris-2", "wine", "a, b"}),
        (["iris,wine"], {"iris", "wine"}),
        (["iris, 3"], {"iris", "wine"}),
        (["iris*"], {"iris", "iris-2"}),
        (['"a, b",iris'], {"a, b", "iris"}),
        (["a, b", "--experiments", "iris"], {"a, b", "iris"}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_experiments_by_name_and_id(world: KnownWorld, tmp_path: Path, arguments: list[str], names: set[str]) -> None:
    taken = take(world, tmp_path / "out", "export-experiments", "--experiments", *arguments)

    assert taken.experiments == names
    assert taken.models == {}
    assert taken.prompts == {}


def test_an_experiment_comes_with_all_that_is_below_it(world: KnownWorld, tmp_path: Path) -> None:
    taken = take(world, tmp_path / "out", "export-experiments", "--experiments", "iris")

    assert taken.runs == IRIS
    assert taken.logged == {"flower"}
    assert taken.traces == {"iris"}
    assert taken.datasets == {"facts"}
    assert taken.files["late"] == {"model/late-0.txt"}


@shows("export-experiments", "--experiments")
def test_names_in_a_file(world: KnownWorld, tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_text("a, b\n\niris-2\n")

    taken = take(world, tmp_path / "out", "export-experiments", "--experiments", tmp_path / "names.txt")

    assert taken.experiments == {"a, b", "iris-2"}


def test_a_missing_name_is_reported_and_the_others_come(world: KnownWorld, tmp_path: Path) -> None:
    taken = take(world, tmp_path / "out", "export-experiments", "--experiments", "iris-2,nowhere,98,nothing*", code=3)

    assert taken.experiments == {"iris-2"}
    assert taken.manifest.status == "partial"
    assert "experiment nowhere" in taken.result.output
    assert "98" in taken.result.output


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        ("export-experiments", ["--experiments", "nowhere,nothing*"]),
        ("export-experiment", ["--experiment", "nowhere"]),
        ("export-experiment", ["--experiment", "iris*"]),
        ("export-run", ["--run-id", "0" * 32]),
    ],
)
def test_nothing_found_is_exit_1(world: KnownWorld, tmp_path: Path, command: str, arguments: list[str]) -> None:
    result = run(command, *arguments, "--output-dir", tmp_path / "out", "--tracking-uri", world.uri)

    assert result.exit_code == 1, result.output + result.stderr
    assert arguments[1].split(",")[0] in result.stderr
    assert not (tmp_path / "out" / "manifest.json").exists()


@shows("export-experiment", "--experiment")
@pytest.mark.parametrize(("name", "found"), [("iris", "iris"), ("3", "wine"), ("a, b", "a, b")])
def test_one_experiment_by_name_or_id(world: KnownWorld, tmp_path: Path, name: str, found: str) -> None:
    taken = take(world, tmp_path / "out", "export-experiment", "--experiment", name)

    assert taken.experiments == {found}


@shows("export-experiment", "--run-ids")
def test_some_runs_of_an_experiment(world: KnownWorld, tmp_path: Path) -> None:
    ids = f"{world.runs['first']}, {world.runs['late']}"

    taken = take(world, tmp_path / "out", "export-experiment", "--experiment", "iris", "--run-ids", ids)

    assert taken.experiments == {"iris"}
    assert taken.runs == {"first", "late"}
    assert taken.logged == {"flower"}
    assert taken.traces == set()


@shows("export-experiment", "--run-ids")
def test_a_run_of_another_experiment_is_reported(world: KnownWorld, tmp_path: Path) -> None:
    ids = ["--run-ids", world.runs["late"], "--run-ids", world.runs["wine"]]

    taken = take(world, tmp_path / "out", "export-experiment", "--experiment", "iris", *ids, code=3)

    assert (taken.experiments, taken.runs) == ({"iris"}, {"late"})
    assert world.runs["wine"] in taken.result.output


@shows("export-experiment", "--check-nested-runs")
@pytest.mark.parametrize(
    ("value", "runs"),
    [("--check-nested-runs", {"first", "child", "grandchild"}), ("--check-nested-runs=False", {"first"})],
)
def test_runs_with_those_below_them(world: KnownWorld, tmp_path: Path, value: str, runs: set[str]) -> None:
    only = ["--run-ids", world.runs["first"]]

    taken = take(world, tmp_path / "out", "export-experiment", "--experiment", "iris", *only, value)

    assert taken.runs == runs


@shows("export-experiment", "--check-nested-runs")
def test_a_whole_experiment_has_its_nested_runs_anyway(world: KnownWorld, tmp_path: Path) -> None:
    taken = take(world, tmp_path / "out", "export-experiment", "--experiment", "iris", "--check-nested-runs", "True")

    assert taken.runs == IRIS


@shows(BOTH, "--run-start-time", "--runs-until")
@pytest.mark.parametrize("command", BOTH)
@pytest.mark.parametrize(
    ("window", "runs"),
    [
        (["--run-start-time", "2024-02-01"], {"first", "child", "grandchild", "late"}),
        (["--runs-until", "2024-02-01 00:00:00"], {"early"}),
        (["--run-start-time", "2024-02-01", "--runs-until", "2024-03-01"], {"first", "child", "grandchild"}),
        (["--run-start-time=2024-02-01 01:00:00", "--runs-until=2024-02-01 02:00:00"], {"child"}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_times_are_utc_with_the_start_and_without_the_end(
    world: KnownWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str, window: list[str], runs: set[str]
) -> None:
    monkeypatch.setenv("TZ", "America/New_York")
    name = ["--experiments" if command == "export-experiments" else "--experiment", "iris"]

    assert take(world, tmp_path / "out", command, *name, *window).runs == runs


def test_a_time_that_cannot_be_read_is_exit_2(world: KnownWorld, tmp_path: Path) -> None:
    bad = ["--run-start-time", "yesterday", "--output-dir", tmp_path / "out", "--tracking-uri", world.uri]
    result = run("export-experiment", "--experiment", "iris", *bad)

    assert result.exit_code == 2
    assert "2026-01-31" in result.stderr


def test_runs_by_id_and_by_time_exclude_each_other(tmp_path: Path) -> None:
    both = ["--run-ids", "a", "--runs-until", "2024-01-01"]
    result = run("export-experiment", "--experiment", "iris", *both, "--output-dir", tmp_path / "out")

    assert result.exit_code == 2
    assert "--run-ids names the runs" in result.stderr


@shows(BOTH, "--export-deleted-runs")
@pytest.mark.parametrize("command", BOTH)
@pytest.mark.parametrize("value", ["--export-deleted-runs", "--export-deleted-runs=True"])
def test_deleted_runs_come_on_request(world: KnownWorld, tmp_path: Path, command: str, value: str) -> None:
    name = ["--experiments" if command == "export-experiments" else "--experiment", "iris"]

    taken = take(world, tmp_path / "out", command, *name, value)

    assert taken.runs == {*IRIS, "deleted"}


def test_a_deleted_experiment_comes_with_what_is_deleted(world: KnownWorld, tmp_path: Path) -> None:
    plain = run(
        "export-experiment", "--experiment", "gone", "--output-dir", tmp_path / "a", "--tracking-uri", world.uri
    )
    taken = take(world, tmp_path / "b", "export-experiment", "--experiment", "gone", "--export-deleted-runs")

    assert plain.exit_code == 1
    assert (taken.experiments, taken.runs) == ({"gone"}, {"in gone"})


@shows("export-run", "--run-id")
@pytest.mark.parametrize(
    ("word", "experiment", "logged"),
    [("first", "iris", {"flower"}), ("comma", "a, b", set()), ("deleted", "iris", set())],
)
def test_one_run(world: KnownWorld, tmp_path: Path, word: str, experiment: str, logged: set[str]) -> None:
    taken = take(world, tmp_path / "out", "export-run", "--run-id", world.runs[word])

    assert (taken.experiments, taken.runs, taken.logged) == ({experiment}, {word}, logged)
    assert (taken.traces, taken.models, taken.datasets) == (set(), {}, set())
    assert taken.files[word] == {f"model/{word}-0.txt"}


@shows("export-run", "--check-nested-runs")
def test_one_run_with_those_below_it(world: KnownWorld, tmp_path: Path) -> None:
    taken = take(world, tmp_path / "out", "export-run", "--run-id", world.runs["child"], "--check-nested-runs")

    assert taken.runs == {"child", "grandchild"}
