"""Runs, experiments and registered models from server to server, each end with its own credentials."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import fsspec
import pytest
from click.testing import CliRunner, Result
from mlflow import MlflowClient
from mlflow.entities import Run

import mlflow_archive as ma
from mlflow_archive.cli.main import cli
from mlflow_archive.operations.copying import Ends
from mlflow_archive.operations.ends import ArtifactPlaces
from tests.conftest import StartServer
from tests.known.logged import logged_model
from tests.known.table import shows
from tests.known.world import KnownWorld
from tests.servers import MlflowServer
from tests.servers.gate import Gate

ALL = ("copy-run", "copy-experiment", "copy-model")
OLD, NEW = "pa55word-of-the-source", "t0ken-of-the-target"


@pytest.fixture(scope="module")
def target(start_module_server: StartServer) -> MlflowServer:
    """What is copied goes here; each test has names of its own."""
    return start_module_server()


@pytest.fixture
def there(target: MlflowServer) -> MlflowClient:
    return MlflowClient(target.uri)


@dataclass
class Locked:
    """The two servers, each behind a door of its own."""

    source: Gate
    target: Gate
    source_file: Path
    target_file: Path


@pytest.fixture
def locked(world: KnownWorld, target: MlflowServer, tmp_path: Path) -> Iterator[Locked]:
    source_file, target_file = tmp_path / "source.env", tmp_path / "target.env"
    source_file.write_text(f"MLFLOW_TRACKING_USERNAME=ann\nMLFLOW_TRACKING_PASSWORD={OLD}\n")
    target_file.write_text(f"export MLFLOW_TRACKING_TOKEN='{NEW}'\n")
    with Gate(world.uri, user="ann", password=OLD) as source, Gate(target.uri, token=NEW) as gate:
        yield Locked(source, gate, source_file, target_file)


def run(*arguments: object, **env: str) -> Result:
    return CliRunner().invoke(cli, [str(argument) for argument in arguments], env=env or None)


def done(result: Result) -> dict:  # type: ignore[type-arg]
    """Return the report of a command that succeeded."""
    assert result.exit_code == 0, result.output + result.stderr
    return dict(json.loads(result.stdout))


def runs_of(client: MlflowClient, experiment: str) -> dict[str, Run]:
    found = client.get_experiment_by_name(experiment)
    assert found is not None, experiment
    return {run.info.run_name: run for run in client.search_runs([found.experiment_id])}


@shows("copy-run", "--run-id", "--experiment-name", "--src-mlflow-uri", "--dst-mlflow-uri")
def test_a_run_goes_into_the_experiment_with_its_files_and_its_logged_model(
    world: KnownWorld, target: MlflowServer, there: MlflowClient
) -> None:
    result = run(
        *("copy-run", "--run-id", world.runs["first"], "--experiment-name", "copied run"),
        *("--src-mlflow-uri", world.uri, "--dst-mlflow-uri", target.uri, "--json"),
    )
    ids = done(result)["ids"]
    copied = there.get_run(ids["run"][world.runs["first"]])
    here = MlflowClient(world.uri)
    original = here.get_run(world.runs["first"])
    assert list(runs_of(there, "copied run")) == [original.info.run_name]
    assert (copied.data.params, copied.data.metrics) == (original.data.params, original.data.metrics)
    assert copied.info.start_time == original.info.start_time
    files = [file.path for file in here.list_artifacts(original.info.run_id)]
    assert [file.path for file in there.list_artifacts(copied.info.run_id)] == files
    (model,) = ids["logged_model"].values()
    assert logged_model(target.uri, model)["info"]["source_run_id"] == copied.info.run_id


@shows("copy-run", "--with-children")
def test_children_come_along_on_request(world: KnownWorld, target: MlflowServer, there: MlflowClient) -> None:
    for name, more in (("alone", ()), ("with children", ("--with-children",))):
        asked = ("copy-run", "--run-id", world.runs["first"], "--experiment-name", name, *more)
        done(run(*asked, "--src-mlflow-uri", world.uri, "--dst-mlflow-uri", target.uri, "--json"))
    assert sorted(runs_of(there, "alone")) == ["first"]
    found = runs_of(there, "with children")
    assert sorted(found) == ["child", "first", "grandchild"]
    assert found["child"].data.tags["mlflow.parentRunId"] == found["first"].info.run_id
    assert found["grandchild"].data.tags["mlflow.parentRunId"] == found["child"].info.run_id


@shows("copy-experiment", "--experiment", "--new-name", "--src-mlflow-uri", "--dst-mlflow-uri")
def test_an_experiment_by_name_or_id_and_under_a_new_name(
    world: KnownWorld, target: MlflowServer, there: MlflowClient
) -> None:
    uris = ("--src-mlflow-uri", world.uri, "--dst-mlflow-uri", target.uri)
    done(run("copy-experiment", "--experiment", "a, b", *uris, "--json"))
    assert sorted(runs_of(there, "a, b")) == ["comma"]
    done(run("copy-experiment", "--experiment", world.experiments["wine"], "--new-name", "vino", *uris, "--json"))
    assert sorted(runs_of(there, "vino")) == ["other wine", "wine"]
    assert there.get_experiment_by_name("wine") is None


@shows("copy-model", "--model", "--dst-model", "--dst-experiment-name", "--src-mlflow-uri", "--dst-mlflow-uri")
def test_a_model_with_its_runs_under_a_new_name(world: KnownWorld, target: MlflowServer, there: MlflowClient) -> None:
    result = run(
        *("copy-model", "--model", "flowers", "--dst-model", "blooms", "--dst-experiment-name", "for blooms"),
        *("--src-mlflow-uri", world.uri, "--dst-mlflow-uri", target.uri, "--json"),
    )
    done(result)
    versions = {int(version.version): version for version in there.search_model_versions("name = 'blooms'")}
    assert {number: version.current_stage for number, version in sorted(versions.items())} == {
        1: "Production",
        2: "Staging",
        3: "Production",
        4: "None",
    }
    runs = {run.info.run_id: name for name, run in runs_of(there, "for blooms").items()}
    assert [runs.get(versions[number].run_id) for number in (1, 2, 3)] == ["early", "first", "late"]
    with pytest.raises(Exception, match="flowers"):
        there.get_registered_model("flowers")


@shows("copy-model", "--versions", "--stages", "--latest-versions")
def test_some_versions_of_a_model(world: KnownWorld, target: MlflowServer, there: MlflowClient) -> None:
    for name, asked, expected in (
        ("numbered", ("--versions", "2,3"), [2, 3]),
        ("staged", ("--stages", "production"), [1, 3]),
        ("newest", ("--latest-versions",), [2, 3, 4]),
    ):
        done(
            run(
                *("copy-model", "--model", "flowers", "--dst-model", name, "--dst-experiment-name", name, *asked),
                *("--src-mlflow-uri", world.uri, "--dst-mlflow-uri", target.uri, "--json"),
            )
        )
        found = there.search_model_versions(f"name = '{name}'")
        assert sorted(int(version.version) for version in found) == expected, name


ASKED = {
    "copy-run": ("--run-id", "{first}", "--experiment-name", "{name}"),
    "copy-experiment": ("--experiment", "wine", "--new-name", "{name}"),
    "copy-model": ("--model", "wines, red", "--dst-model", "{name}", "--dst-experiment-name", "{name}"),
}


def asked_of(command: str, world: KnownWorld, name: str) -> list[str]:
    return [command, *(word.format(first=world.runs["first"], name=name) for word in ASKED[command])]


@shows(ALL, "--src-env-file", "--dst-env-file")
@pytest.mark.parametrize("command", ALL)
def test_each_end_has_credentials_of_its_own(command: str, world: KnownWorld, locked: Locked) -> None:
    asked = asked_of(command, world, f"locked {command}")
    uris = ("--src-mlflow-uri", locked.source.uri, "--dst-mlflow-uri", locked.target.uri)
    result = run(*asked, *uris, "--src-env-file", locked.source_file, "--dst-env-file", locked.target_file, "--json")

    report = done(result)
    assert report["losses"] == []
    assert locked.source.seen == {locked.source.expected}
    assert locked.target.seen == {locked.target.expected}
    shown = json.dumps(report) + result.stderr
    assert OLD not in shown
    assert NEW not in shown


def test_variables_of_the_ends_do_the_same(world: KnownWorld, locked: Locked) -> None:
    result = run(
        *asked_of("copy-run", world, "by variables"),
        *("--src-mlflow-uri", locked.source.uri, "--dst-mlflow-uri", locked.target.uri, "--json"),
        MLFLOW_TRACKING_USERNAME="ann",
        MLFLOW_TRACKING_PASSWORD=OLD,
        MLFLOW_ARCHIVE_TARGET_TRACKING_TOKEN=NEW,
    )
    assert done(result)["losses"] == []
    # The source had MLflow's own variables, which the target never saw.
    assert locked.source.seen == {locked.source.expected}
    assert locked.target.seen == {locked.target.expected}


def test_an_address_may_stand_in_the_file(world: KnownWorld, locked: Locked, target: MlflowServer) -> None:
    with locked.target_file.open("a") as file:
        file.write(f"MLFLOW_TRACKING_URI={locked.target.uri}\n")
    report = ma.copy_run(
        world.runs["late"],
        locked.source.uri,
        experiment_name="address in the file",
        source_settings={"MLFLOW_TRACKING_USERNAME": "ann", "MLFLOW_TRACKING_PASSWORD": OLD},
        target_settings=locked.target_file,
    )
    assert report.target == locked.target.uri
    assert sorted(runs_of(MlflowClient(target.uri), "address in the file")) == ["late"]


@pytest.mark.parametrize("wrong", ["source", "target"])
def test_wrong_credentials_are_said_without_being_shown(wrong: str, world: KnownWorld, locked: Locked) -> None:
    files = {"source": locked.source_file, "target": locked.target_file}
    files[wrong].write_text("MLFLOW_TRACKING_TOKEN=wr0ng-secret\n")
    result = run(
        *asked_of("copy-run", world, "never"),
        *("--src-mlflow-uri", locked.source.uri, "--dst-mlflow-uri", locked.target.uri),
        *("--src-env-file", locked.source_file, "--dst-env-file", locked.target_file),
    )
    assert result.exit_code == 4
    assert f"The {wrong} does not let us in" in result.stderr
    for secret in ("wr0ng-secret", OLD, NEW):
        assert secret not in result.output + result.stderr


@shows(ALL, "--dry-run", "--json")
@pytest.mark.parametrize("command", ALL)
def test_a_dry_run_changes_nothing(command: str, world: KnownWorld, target: MlflowServer, there: MlflowClient) -> None:
    uris = ("--src-mlflow-uri", world.uri, "--dst-mlflow-uri", target.uri)
    report = done(run(*asked_of(command, world, f"dry {command}"), *uris, "--dry-run", "--json"))
    assert report["dry_run"] is True
    assert sum(count["stored"] for count in report["counts"].values()) > 0
    assert there.get_experiment_by_name(f"dry {command}") is None
    assert there.search_registered_models(f"name = 'dry {command}'") == []


@shows(ALL, "--if-exists")
@pytest.mark.parametrize("command", ALL)
def test_a_second_copy_finds_the_first(
    command: str, world: KnownWorld, target: MlflowServer, there: MlflowClient
) -> None:
    asked = asked_of(command, world, f"twice {command}")
    uris = ("--src-mlflow-uri", world.uri, "--dst-mlflow-uri", target.uri)
    done(run(*asked, *uris, "--json"))
    before = sorted(runs_of(there, f"twice {command}"))
    again = done(run(*asked, *uris, "--json"))
    assert sum(count["stored"] for count in again["counts"].values()) == 0
    assert sorted(runs_of(there, f"twice {command}")) == before
    assert run(*asked, *uris, "--if-exists", "fail").exit_code == 7


@shows(ALL, "--events", "--quiet")
@pytest.mark.parametrize("command", ALL)
def test_progress_and_silence(command: str, world: KnownWorld, target: MlflowServer) -> None:
    uris = ("--src-mlflow-uri", world.uri, "--dst-mlflow-uri", target.uri)
    heard = run(*asked_of(command, world, f"heard {command}"), *uris, "--events")
    assert {json.loads(line)["event"] for line in heard.stderr.splitlines()} >= {"transfer_started", "item_finished"}
    quiet = run(*asked_of(command, world, f"quiet {command}"), *uris, "--quiet")
    assert (quiet.exit_code, quiet.output, quiet.stderr) == (0, "", "")


@shows(ALL, "--parallel")
@pytest.mark.parametrize("command", ALL)
def test_one_at_a_time_makes_the_same(
    command: str, world: KnownWorld, target: MlflowServer, there: MlflowClient
) -> None:
    uris = ("--src-mlflow-uri", world.uri, "--dst-mlflow-uri", target.uri)
    found = []
    for number in (1, 8):
        name = f"{command} by {number}"
        report = done(run(*asked_of(command, world, name), *uris, "--parallel", number, "--json"))
        found.append((report["counts"], sorted(runs_of(there, name))))
    assert found[0] == found[1]
    assert run(*asked_of(command, world, "none"), *uris, "--parallel", 0).exit_code == 2


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        (("copy-run", "--run-id", "0" * 32, "--experiment-name", "x"), "0" * 32),
        (("copy-experiment", "--experiment", "no such"), "no such"),
        (("copy-experiment", "--experiment", "123456789"), "123456789"),
        (("copy-model", "--model", "no such"), "no such"),
        # Names are no patterns.
        (("copy-experiment", "--experiment", "iri*"), "iri"),
        (("copy-model", "--model", "flower*"), "flower"),
    ],
)
def test_what_is_not_there_is_an_error(
    asked: tuple[str, ...], sentence: str, world: KnownWorld, target: MlflowServer
) -> None:
    result = run(*asked, "--src-mlflow-uri", world.uri, "--dst-mlflow-uri", target.uri)
    assert result.exit_code == 1, result.output
    assert sentence in result.stderr


@pytest.mark.parametrize("asked", [("copy-experiment", "--experiment", "iris"), ("copy-model", "--model", "flowers")])
def test_nothing_is_copied_into_itself(asked: tuple[str, ...], world: KnownWorld) -> None:
    result = run(*asked, "--src-mlflow-uri", world.uri, "--dst-mlflow-uri", world.uri + "/")
    assert result.exit_code == 2
    assert "into itself" in result.stderr


@shows("copy-run", "--src-artifact-root", "--dst-artifact-root")
def test_files_go_where_the_operator_says(world: KnownWorld, target: MlflowServer, there: MlflowClient) -> None:
    root = MlflowClient(world.uri).get_run(world.runs["other wine"]).info.artifact_uri
    memory = fsspec.filesystem("memory")
    memory.pipe("/copied-from/elsewhere.txt", b"from there")
    report = done(
        run(
            *("copy-run", "--run-id", world.runs["other wine"], "--experiment-name", "elsewhere"),
            *("--src-mlflow-uri", world.uri, "--dst-mlflow-uri", target.uri, "--json"),
            *("--src-artifact-root", f"{root}=memory://copied-from"),
            *("--dst-artifact-root", "mlflow-artifacts:/=memory://copied-to"),
        )
    )
    made = there.get_run(report["ids"]["run"][world.runs["other wine"]]).info.artifact_uri
    place = "/copied-to/" + made.removeprefix("mlflow-artifacts:/") + "/elsewhere.txt"
    assert memory.cat_file(place) == b"from there"


MAPPED = (*ALL, "copy-model-version")


@shows(MAPPED, "--src-artifact-root", "--dst-artifact-root", "--src-artifact-option", "--dst-artifact-option")
@pytest.mark.parametrize("command", MAPPED)
def test_places_and_how_to_get_at_them(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Ends] = []

    def note(ends: Ends, *_: object, **__: object) -> None:
        asked.append(ends)
        raise ma.UsageError("No.")

    monkeypatch.setattr("mlflow_archive.operations.copying.copy_planned", note)
    least = {
        "copy-run": ("--run-id", "r", "--experiment-name", "e"),
        "copy-experiment": ("--experiment", "e"),
        "copy-model": ("--model", "m"),
        "copy-model-version": ("--src-model", "m", "--src-version", 1, "--dst-model", "m"),
    }
    result = run(
        *(command, *least[command], "--src-artifact-root", "mlflow-artifacts:/=s3://old/root"),
        *("--src-artifact-option", "anon=true", "--dst-artifact-root", "mlflow-artifacts:/=gs://new/root"),
        *("--dst-artifact-option", "project=mine"),
    )
    assert result.exit_code == 2
    assert asked[0].source_artifacts == ArtifactPlaces({"mlflow-artifacts:/": "s3://old/root"}, {"anon": True})
    assert asked[0].target_artifacts == ArtifactPlaces({"mlflow-artifacts:/": "gs://new/root"}, {"project": "mine"})
