"""export-all, and the exports of logged models, traces, prompts and evaluation datasets, on a real server."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.known.table import shows
from tests.known.taking import run, take
from tests.known.world import KnownWorld

BELOW = ["export-logged-models", "export-traces"]


def test_everything(world: KnownWorld, tmp_path: Path) -> None:
    taken = take(world, tmp_path / "out", "export-all")

    assert taken.experiments == {"Default", "iris", "iris-2", "wine", "a, b"}
    assert taken.runs == set(world.runs) - {"deleted", "in gone"}
    assert taken.logged == {"flower", "grape"}
    assert taken.traces == {"iris", "wine"}
    assert taken.datasets == {"facts", "jokes"}
    assert taken.models == {"flowers": [1, 2, 3, 4], "flower-pots": [1], "wines, red": [1]}
    assert taken.prompts == {"greet": [1, 2], "greet-more": [1], "part": [1]}


@shows("export-all", "--export-deleted-runs")
def test_everything_with_what_is_deleted(world: KnownWorld, tmp_path: Path) -> None:
    taken = take(world, tmp_path / "out", "export-all", "--export-deleted-runs", "True")

    assert taken.experiments == {"Default", "iris", "iris-2", "wine", "a, b", "gone"}
    assert taken.runs == set(world.runs)


@shows("export-all", "--stages", "--export-latest-versions")
@pytest.mark.parametrize(
    ("arguments", "versions"),
    [
        (["--stages", "Production"], {"flowers": [1, 3]}),
        (["--export-latest-versions"], {"flowers": [2, 3, 4], "flower-pots": [1], "wines, red": [1]}),
        (["--stages", "Production", "--export-latest-versions"], {"flowers": [3]}),
    ],
    ids=" ".join,
)
def test_everything_with_some_versions(
    world: KnownWorld, tmp_path: Path, arguments: list[str], versions: dict[str, list[int]]
) -> None:
    taken = take(world, tmp_path / "out", "export-all", *arguments)

    assert {name: found for name, found in taken.models.items() if found} == versions
    assert taken.prompts == {"greet": [1, 2], "greet-more": [1], "part": [1]}
    assert taken.runs == set(world.runs) - {"deleted", "in gone"}


@shows("export-all", "--export-version-model")
def test_everything_with_the_files_of_the_registry(world: KnownWorld, tmp_path: Path) -> None:
    taken = take(world, tmp_path / "out", "export-all", "--export-version-model")

    assert "versions/1/artifacts/wine-1.txt" in taken.files["wines, red"]


@shows("export-all", "--run-start-time", "--runs-until")
def test_everything_of_a_time_with_what_models_need(world: KnownWorld, tmp_path: Path) -> None:
    window = ["--run-start-time", "2024-02-02", "--runs-until", "2024-03-01"]

    taken = take(world, tmp_path / "out", "export-all", *window)

    assert taken.runs == {"other wine", "early", "first", "child", "late", "wine"}
    assert taken.traces == set()
    assert taken.prompts == {"greet": [1, 2], "greet-more": [1], "part": [1]}
    assert taken.datasets == {"facts", "jokes"}


@shows(BELOW, "--experiment-ids")
@pytest.mark.parametrize("command", BELOW)
@pytest.mark.parametrize(
    ("ids", "experiments", "words"),
    [
        ("all", {"Default", "iris", "iris-2", "wine", "a, b"}, {"iris", "wine"}),
        ("1", {"iris"}, {"iris"}),
        ("1,wine", {"iris", "wine"}, {"iris", "wine"}),
    ],
)
def test_of_experiments(
    world: KnownWorld, tmp_path: Path, command: str, ids: str, experiments: set[str], words: set[str]
) -> None:
    taken = take(world, tmp_path / "out", command, "--experiment-ids", ids)

    assert (taken.experiments, taken.runs) == (experiments, set())
    if command == "export-traces":
        assert (taken.traces, taken.logged) == (words, set())
    else:
        assert taken.logged == {{"iris": "flower", "wine": "grape"}[word] for word in words}
        assert taken.traces == set()


@pytest.mark.parametrize("command", [*BELOW, "export-evaluation-datasets"])
def test_a_missing_experiment_is_reported(world: KnownWorld, tmp_path: Path, command: str) -> None:
    all_of_it = ["--evaluation-datasets", "all"] if command == "export-evaluation-datasets" else []

    taken = take(world, tmp_path / "out", command, *all_of_it, "--experiment-ids", "1,98", code=3)

    assert "98" in taken.result.output


@shows("export-logged-model", "--model-id")
def test_one_logged_model(world: KnownWorld, tmp_path: Path) -> None:
    taken = take(world, tmp_path / "out", "export-logged-model", "--model-id", world.logged["grape"])

    assert (taken.experiments, taken.logged, taken.runs) == ({"wine"}, {"grape"}, set())
    assert taken.files == {"grape": {"MLmodel"}}


@shows("export-trace", "--request-id")
@pytest.mark.parametrize("spelled", ["--request-id", "--trace-id"])
def test_one_trace(world: KnownWorld, tmp_path: Path, spelled: str) -> None:
    taken = take(world, tmp_path / "out", "export-trace", spelled, world.traces["wine"])

    assert (taken.experiments, taken.traces, taken.runs) == ({"wine"}, {"wine"}, set())


@shows("export-prompts", "--prompts")
@pytest.mark.parametrize(
    ("prompts", "versions"),
    [
        ("all", {"greet": [1, 2], "greet-more": [1], "part": [1]}),
        ("greet", {"greet": [1, 2]}),
        ("part,greet", {"greet": [1, 2], "part": [1]}),
        ("greet*", {"greet": [1, 2], "greet-more": [1]}),
    ],
)
def test_prompts_come_with_all_their_versions(
    world: KnownWorld, tmp_path: Path, prompts: str, versions: dict[str, list[int]]
) -> None:
    taken = take(world, tmp_path / "out", "export-prompts", "--prompts", prompts)

    assert taken.prompts == versions
    assert (taken.experiments, taken.models) == (set(), {})


@shows("export-prompt", "--prompt-name", "--prompt-version")
def test_one_version_of_a_prompt(world: KnownWorld, tmp_path: Path) -> None:
    taken = take(world, tmp_path / "out", "export-prompt", "--prompt-name", "greet", "--prompt-version", "2")

    assert taken.prompts == {"greet": [2]}


@shows("export-evaluation-datasets", "--evaluation-datasets")
@pytest.mark.parametrize(
    ("names", "datasets"), [("all", {"facts", "jokes"}), ("facts", {"facts"}), ("jokes,fa*", {"facts", "jokes"})]
)
def test_datasets_by_name(world: KnownWorld, tmp_path: Path, names: str, datasets: set[str]) -> None:
    taken = take(world, tmp_path / "out", "export-evaluation-datasets", "--evaluation-datasets", names)

    assert taken.datasets == datasets
    assert (taken.experiments, taken.prompts) == (set(), {})


@shows("export-evaluation-datasets", "--experiment-ids")
def test_datasets_of_experiments(world: KnownWorld, tmp_path: Path) -> None:
    of_wine = ["--evaluation-datasets", "all", "--experiment-ids", world.experiments["wine"]]

    taken = take(world, tmp_path / "out", "export-evaluation-datasets", *of_wine)

    assert (taken.datasets, taken.experiments, taken.runs) == ({"jokes"}, {"wine"}, set())


def test_named_datasets_of_experiments_are_exit_2(tmp_path: Path) -> None:
    both = ["--evaluation-datasets", "facts", "--experiment-ids", "1"]
    result = run("export-evaluation-datasets", *both, "--output-dir", tmp_path / "out")

    assert result.exit_code == 2
    assert "'all'" in result.stderr


@shows("export-evaluation-dataset", "--dataset-name", "--dataset-id")
@pytest.mark.parametrize("by", ["name", "id"])
def test_one_dataset(world: KnownWorld, tmp_path: Path, by: str) -> None:
    value = "facts" if by == "name" else world.datasets["facts"]

    taken = take(world, tmp_path / "out", "export-evaluation-dataset", f"--dataset-{by}", value)

    assert taken.datasets == {"facts"}


@pytest.mark.parametrize("arguments", [[], ["--dataset-name", "facts", "--dataset-id", "d-1"]], ids=["none", "both"])
def test_a_dataset_is_named_once(tmp_path: Path, arguments: list[str]) -> None:
    result = run("export-evaluation-dataset", *arguments, "--output-dir", tmp_path / "out")

    assert result.exit_code == 2
    assert "--dataset-name or by --dataset-id" in result.stderr


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        ("export-logged-models", ["--experiment-ids", "98"]),
        ("export-logged-model", ["--model-id", "m-nowhere"]),
        ("export-traces", ["--experiment-ids", "98"]),
        ("export-trace", ["--request-id", "tr-nowhere"]),
        ("export-prompts", ["--prompts", "nowhere"]),
        ("export-prompt", ["--prompt-name", "nowhere", "--prompt-version", "1"]),
        ("export-prompt", ["--prompt-name", "greet", "--prompt-version", "9"]),
        ("export-evaluation-datasets", ["--evaluation-datasets", "nowhere"]),
        ("export-evaluation-dataset", ["--dataset-id", "d-nowhere"]),
    ],
)
def test_nothing_found_is_exit_1(world: KnownWorld, tmp_path: Path, command: str, arguments: list[str]) -> None:
    result = run(command, *arguments, "--output-dir", tmp_path / "out", "--tracking-uri", world.uri)

    assert result.exit_code == 1, result.output + result.stderr
    assert arguments[1] in result.stderr
