"""One version of a registered model, as the next version of a model of another server: deep and shallow."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion

import mlflow_archive as ma
from mlflow_archive.cli.main import cli
from tests.conftest import StartServer
from tests.known.logged import files_of, logged_model
from tests.known.table import shows
from tests.known.world import KnownWorld, fill
from tests.servers import MlflowServer
from tests.servers.gate import Gate

NAME = "copy-model-version"


@pytest.fixture(scope="module")
def world(start_module_server: StartServer) -> KnownWorld:
    """A server of this module alone, as its tests add to it."""
    return fill(start_module_server().uri)


@pytest.fixture(scope="module")
def target(start_module_server: StartServer) -> MlflowServer:
    """What is copied goes here; each test has a model of its own."""
    return start_module_server()


@pytest.fixture
def there(target: MlflowServer) -> MlflowClient:
    return MlflowClient(target.uri)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


def asked(source: str, target: str, model: str, version: int, into: str, *more: object) -> tuple[object, ...]:
    named = (NAME, "--src-model", model, "--src-version", version, "--dst-model", into)
    return (*named, "--src-registry-uri", source, "--dst-registry-uri", target, *more)


def done(result: Result) -> dict:  # type: ignore[type-arg]
    assert result.exit_code == 0, result.output + result.stderr
    return dict(json.loads(result.stdout))


def version_of(client: MlflowClient, model: str, number: int) -> ModelVersion:
    return client.get_model_version(model, str(number))


@shows(NAME, "--src-model", "--src-version", "--dst-model", "--dst-experiment-name")
@shows(NAME, "--src-registry-uri", "--dst-registry-uri", "--json")
def test_deep_the_run_and_the_logged_model_come_along(
    world: KnownWorld, target: MlflowServer, there: MlflowClient
) -> None:
    into = ("--dst-experiment-name", "deep", "--json")
    first = done(run(*asked(world.uri, target.uri, "flowers", 3, "deep", *into)))
    second = done(run(*asked(world.uri, target.uri, "flowers", 2, "deep", *into)))

    # The target counts its own versions.
    assert first["ids"]["model_version"] == {"flowers/3": "deep/1"}
    assert second["ids"]["model_version"] == {"flowers/2": "deep/2"}
    plain, logged = version_of(there, "deep", 1), version_of(there, "deep", 2)
    assert plain.run_id == first["ids"]["run"][world.runs["late"]]
    assert there.get_run(plain.run_id).info.run_name == "late"
    assert plain.source.startswith(there.get_run(plain.run_id).info.artifact_uri)
    model_id = second["ids"]["logged_model"][world.logged["flower"]]
    assert logged.source == f"models:/{model_id}"
    assert logged_model(target.uri, model_id)["info"]["source_run_id"] == logged.run_id
    assert files_of(target.uri, model_id) == ["MLmodel"]
    experiment = there.get_experiment_by_name("deep")
    assert {run.info.run_name for run in there.search_runs([experiment.experiment_id])} == {"late", "first"}


def test_shallow_on_one_server_names_the_files_of_the_original(world: KnownWorld) -> None:
    client = MlflowClient(world.uri)
    before = len(client.search_runs(list(world.experiments.values())))
    for number in (1, 2):
        done(run(*asked(world.uri, world.uri, "flowers", number, "same files", "--json")))
        original, copied = version_of(client, "flowers", number), version_of(client, "same files", number)
        assert (copied.source, copied.run_id) == (original.source, original.run_id)
        place = client.get_model_version_download_uri("same files", str(number))
        assert place == client.get_model_version_download_uri("flowers", str(number))
    assert len(client.search_runs(list(world.experiments.values()))) == before


def test_a_copy_of_a_copy_comes_without_its_original(world: KnownWorld, target: MlflowServer) -> None:
    here, there = MlflowClient(world.uri), MlflowClient(target.uri)
    here.create_registered_model("again")
    here.copy_model_version("models:/flowers/1", "again")
    assert version_of(here, "again", 1).source == "models:/flowers/1"
    done(run(*asked(world.uri, world.uri, "again", 1, "from again", "--json")))
    assert version_of(here, "from again", 1).source == "models:/flowers/1"
    into = ("--dst-experiment-name", "from again", "--json")
    report = done(run(*asked(world.uri, target.uri, "again", 1, "from again", *into)))
    assert report["losses"] == []
    made = version_of(there, "from again", 1)
    assert made.run_id == report["ids"]["run"][world.runs["early"]]
    assert made.source == f"{there.get_run(made.run_id).info.artifact_uri}/model"


def test_shallow_between_servers_takes_an_address_that_everybody_reaches(
    world: KnownWorld, target: MlflowServer, there: MlflowClient
) -> None:
    here = MlflowClient(world.uri)
    if not here.search_registered_models("name = 'in a bucket'"):
        here.create_registered_model("in a bucket")
        here.create_model_version("in a bucket", "s3://bucket/model", world.runs["late"], tags={"k": "v"})
    done(run(*asked(world.uri, target.uri, "in a bucket", 1, "shallow", "--json")))
    made = version_of(there, "shallow", 1)
    assert (made.source, made.run_id) == ("s3://bucket/model", "")
    assert made.run_link == f"{world.uri}/#/experiments/{world.experiments['iris']}/runs/{world.runs['late']}"
    assert made.tags["k"] == "v"
    assert made.tags["mlflow_archive.source_run_id"] == world.runs["late"]


@pytest.mark.parametrize("number", [1, 2])
def test_shallow_is_refused_where_nobody_could_load_it(
    number: int, world: KnownWorld, target: MlflowServer, there: MlflowClient
) -> None:
    result = run(*asked(world.uri, target.uri, "flowers", number, "unreachable"))
    assert result.exit_code == 2
    assert f"Only {world.uri} reaches the files of version {number} of 'flowers'" in result.stderr
    assert there.search_registered_models("name = 'unreachable'") == []


@shows(NAME, "--if-exists")
def test_a_second_copy_finds_the_first(world: KnownWorld, target: MlflowServer, there: MlflowClient) -> None:
    again = asked(world.uri, target.uri, "flowers", 1, "twice", "--dst-experiment-name", "twice", "--json")
    ids = done(run(*again))["ids"]["model_version"]
    second = done(run(*again))
    assert second["ids"]["model_version"] == ids == {"flowers/1": "twice/1"}
    assert sum(count["stored"] for count in second["counts"].values()) == 0
    assert run(*again, "--if-exists", "fail").exit_code == 7
    assert len(there.search_model_versions("name = 'twice'")) == 1


def test_the_same_name_and_number_on_another_server_is_another_version(
    world: KnownWorld, target: MlflowServer, there: MlflowClient
) -> None:
    with Gate(world.uri, token="t") as other:
        ma.copy_model_version("flowers", 1, world.uri, target.uri, new_name="of two", experiment_name="of two")
        settings = {"MLFLOW_TRACKING_TOKEN": "t"}
        report = ma.copy_model_version(
            "flowers", 1, other.uri, target.uri, new_name="of two", experiment_name="of two", source_settings=settings
        )
    assert report.ids["model_version"] == {"flowers/1": "of two/2"}
    assert len(there.search_model_versions("name = 'of two'")) == 2


@shows(NAME, "--copy-stages-and-aliases")
def test_stages_and_aliases_come_on_request(world: KnownWorld, target: MlflowServer, there: MlflowClient) -> None:
    here = MlflowClient(world.uri)
    here.set_registered_model_alias("flower-pots", "champion", "1")
    here.transition_model_version_stage("flower-pots", "1", "Staging")
    into = ("--dst-experiment-name", "staged", "--json")
    there.create_registered_model("staged")
    there.create_model_version("staged", "s3://bucket/older")
    there.set_registered_model_alias("staged", "champion", "1")

    done(run(*asked(world.uri, target.uri, "flower-pots", 1, "bare", *into)))
    done(run(*asked(world.uri, target.uri, "flower-pots", 1, "staged", *into, "--copy-stages-and-aliases", "True")))

    assert (version_of(there, "bare", 1).current_stage, version_of(there, "bare", 1).aliases) == ("None", [])
    made = version_of(there, "staged", 2)
    assert (made.current_stage, list(made.aliases)) == ("Staging", ["champion"])
    assert list(version_of(there, "staged", 1).aliases) == []


@shows(NAME, "--copy-lineage-tags", "--lineage-tags-prefix")
def test_lineage_is_told_in_tags(world: KnownWorld, target: MlflowServer, there: MlflowClient) -> None:
    into = ("--dst-experiment-name", "lineage", "--json")
    for name, more, prefix in (
        ("lineage", ("--copy-lineage-tags",), "mlflow_archive.source."),
        ("old lineage", ("--copy-lineage-tags", "True", "--lineage-tags-prefix", "mlflow_exim"), "mlflow_exim."),
        ("no lineage", ("--copy-lineage-tags", "False"), None),
    ):
        done(run(*asked(world.uri, target.uri, "flowers", 1, name, *into, *more)))
        tags = version_of(there, name, 1).tags
        told = {key: value for key, value in tags.items() if ".src_" in key or ".dst_" in key}
        if prefix is None:
            assert told == {}
            continue
        user = told.pop(f"{prefix}src_run.mlflow.user", None)
        assert user == MlflowClient(world.uri).get_run(world.runs["early"]).data.tags.get("mlflow.user")
        assert told == {
            f"{prefix}src_version.name": "flowers",
            f"{prefix}src_version.version": "1",
            f"{prefix}src_version.run_id": world.runs["early"],
            f"{prefix}src_client.tracking_uri": world.uri,
            f"{prefix}dst_client.tracking_uri": target.uri,
        }


@shows(NAME, "--src-env-file", "--dst-env-file")
def test_each_end_has_credentials_of_its_own(world: KnownWorld, target: MlflowServer, tmp_path: Path) -> None:
    (tmp_path / "src.env").write_text("MLFLOW_TRACKING_USERNAME=ann\nMLFLOW_TRACKING_PASSWORD=0ld\n")
    (tmp_path / "dst.env").write_text("MLFLOW_TRACKING_USERNAME=bob\nMLFLOW_TRACKING_PASSWORD=n3w\n")
    files = ("--src-env-file", tmp_path / "src.env", "--dst-env-file", tmp_path / "dst.env")
    with Gate(world.uri, user="ann", password="0ld") as source, Gate(target.uri, user="bob", password="n3w") as gate:
        into = ("--dst-experiment-name", "locked", "--json")
        report = done(run(*asked(source.uri, gate.uri, "flowers", 2, "locked", *into, *files)))
        assert report["losses"] == []
        assert (source.seen, gate.seen) == ({source.expected}, {gate.expected})


@shows(NAME, "--copy-permissions")
def test_permissions_are_databricks_own(world: KnownWorld, target: MlflowServer) -> None:
    into = ("--dst-experiment-name", "permissions", "--copy-permissions", "True")
    result = run(*asked(world.uri, target.uri, "flowers", 1, "permissions", *into))
    assert result.exit_code == 0, result.stderr
    assert "--copy-permissions does nothing here" in result.stderr
    with pytest.raises(ma.UsageError, match="permissions"):
        ma.copy_model_version("flowers", 1, world.uri, target.uri, experiment_name="permissions", permissions=True)


@shows(NAME, "--verbose", "--quiet")
def test_verbose_names_the_new_version(world: KnownWorld, target: MlflowServer) -> None:
    into = ("--dst-experiment-name", "verbose")
    shown = run(*asked(world.uri, target.uri, "flowers", 1, "verbose", *into, "--verbose", "True"))
    assert "verbose/1" in shown.stdout
    assert world.runs["early"] in shown.stdout
    quiet = run(*asked(world.uri, target.uri, "flowers", 2, "verbose", *into, "--quiet"))
    assert (quiet.exit_code, quiet.output, quiet.stderr) == (0, "", "")


@shows(NAME, "--dry-run", "--events", "--parallel")
def test_a_dry_run_changes_nothing(world: KnownWorld, target: MlflowServer, there: MlflowClient) -> None:
    into = ("--dst-experiment-name", "dry", "--dry-run", "--events", "--parallel", 1)
    result = run(*asked(world.uri, target.uri, "flowers", 1, "dry", *into))
    assert result.exit_code == 0, result.stderr
    assert {"transfer_started", "item_finished"} <= {json.loads(line)["event"] for line in result.stderr.splitlines()}
    assert there.search_registered_models("name = 'dry'") == []
    assert there.get_experiment_by_name("dry") is None


@pytest.mark.parametrize(("model", "number"), [("flowers", 9), ("no such", 1)])
def test_what_is_not_there_is_an_error(model: str, number: int, world: KnownWorld, target: MlflowServer) -> None:
    result = run(*asked(world.uri, target.uri, model, number, "never", "--dst-experiment-name", "never"))
    assert result.exit_code == 1
    assert model in result.stderr
