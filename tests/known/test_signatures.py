"""Signatures of models at a real server: read by every kind of URI, set from samples, missed in a list."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass
from pathlib import Path

import fsspec
import pytest
import yaml
from click.testing import CliRunner, Result
from mlflow import MlflowClient
from mlflow.models import Model, infer_signature
from mlflow.models.signature import ModelSignature

import mlflow_archive as ma
from mlflow_archive.cli.main import cli
from tests.conftest import StartServer
from tests.known.logged import log_model, put_mlmodel, version_of_logged_model
from tests.known.table import shows
from tests.servers import MlflowServer

GET, SET = "get-model-signature", "set-model-signature"
LIST = "list-model-versions-without-signatures"
SIGNED = """\
artifact_path: model
flavors:
- none: {}   # kept as it is
run_id: 0123456789abcdef0123456789abcdef
signature:
  inputs: '[{"type": "double", "name": "x", "required": true}]'
  outputs: '[{"type": "long", "name": "y", "required": true}]'
  params: null
utc_time_created: '2026-01-01 00:00:00.000000'
"""
UNSIGNED = "artifact_path: model\nmodel_size_bytes: 3\n"
SIGNATURE = {
    "inputs": [{"type": "double", "name": "x", "required": True}],
    "outputs": [{"type": "long", "name": "y", "required": True}],
    "params": None,
}


def run(server: MlflowServer, *arguments: object) -> Result:
    return CliRunner().invoke(cli, [str(argument) for argument in arguments], env={"MLFLOW_TRACKING_URI": server.uri})


@dataclass
class World:
    server: MlflowServer
    client: MlflowClient
    run_id: str
    model_id: str


@pytest.fixture(scope="module", params=[True, False], ids=["proxied", "on the server's disk"])
def world(request: pytest.FixtureRequest, start_module_server: StartServer) -> World:
    """A run with a signed and an unsigned model, a logged model, and a registered model with versions of each."""
    server = start_module_server(serve_artifacts=request.param)
    client = MlflowClient(server.uri)
    experiment = client.create_experiment("signatures")
    made = client.create_run(experiment).info
    client.log_text(made.run_id, SIGNED, "signed/MLmodel")
    client.log_text(made.run_id, UNSIGNED, "unsigned/MLmodel")
    model_id = log_model(server, experiment, "classifier", made.run_id, SIGNED)
    client.create_registered_model("iris")
    root = made.artifact_uri
    client.create_model_version("iris", f"{root}/signed", run_id=made.run_id)
    client.create_model_version("iris", f"{root}/unsigned", run_id=made.run_id)
    version_of_logged_model(client, "iris", model_id)
    client.create_model_version("iris", f"{root}/gone", run_id=made.run_id)
    client.create_registered_model("other, with a comma")
    client.create_model_version("other, with a comma", f"{root}/unsigned", run_id=made.run_id)
    client.set_registered_model_alias("iris", "champion", "1")
    client.transition_model_version_stage("iris", "3", "Production")
    return World(server, client, made.run_id, model_id)


def uris(world: World) -> dict[str, str]:
    return {
        "run": f"runs:/{world.run_id}/signed",
        "run and the name of its logged model": f"runs:/{world.run_id}/classifier",
        "version": "models:/iris/1",
        "version of a logged model": "models:/iris/3",
        "alias": "models:/iris@champion",
        "stage": "models:/iris/Production",
        "logged model": f"models:/{world.model_id}",
    }


@shows(GET, "--model-uri", "--tracking-uri")
def test_a_signature_is_read_by_every_kind_of_uri(world: World) -> None:
    for uri in uris(world).values():
        result = run(world.server, "get-model-signature", "--model-uri", uri)
        assert result.exit_code == 0, (uri, result.stderr)
        assert json.loads(result.stdout) == SIGNATURE, uri
        assert ma.get_model_signature(uri, world.server.uri) == SIGNATURE
        named = CliRunner().invoke(cli, [GET, "--model-uri", uri, "--tracking-uri", world.server.uri])
        assert named.stdout == result.stdout


def test_the_address_of_the_folder_itself(world: World) -> None:
    uri = f"{world.client.get_run(world.run_id).info.artifact_uri}/signed"
    assert uri.startswith("mlflow-artifacts:") == world.server.serve_artifacts
    assert ma.get_model_signature(uri, world.server.uri) == SIGNATURE


@shows(GET, "--output-file", "--use-get-model-info")
def test_no_signature_is_null_and_the_output_file_has_the_same(world: World, tmp_path: Path) -> None:
    result = run(
        world.server,
        *("get-model-signature", "--model-uri", "models:/iris/2"),
        *("--output-file", tmp_path / "signature.json", "--use-get-model-info", "True"),
    )
    assert (result.exit_code, result.stdout) == (0, "null\n")
    assert "has no signature" in result.stderr
    assert (tmp_path / "signature.json").read_text() == "null\n"


@pytest.mark.parametrize(
    ("uri", "error", "sentence"),
    [
        ("models:/iris/9", ma.NotFoundError, "iris"),
        ("models:/iris/Staging", ma.NotFoundError, "no version in the stage 'Staging'"),
        ("models:/iris@nobody", ma.MlflowArchiveError, "nobody"),
        ("models:/iris", ma.UsageError, "names no model"),
        ("runs:/0123456789abcdef0123456789abcdef/model", ma.NotFoundError, "0123456789abcdef"),
    ],
)
def test_what_is_not_there_is_said(world: World, uri: str, error: type[ma.MlflowArchiveError], sentence: str) -> None:
    with pytest.raises(error, match=sentence):
        ma.get_model_signature(uri, world.server.uri)


def test_a_folder_needs_no_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "MLmodel").write_text(SIGNED)
    assert ma.get_model_signature(str(tmp_path)) == SIGNATURE
    assert ma.get_model_signature(tmp_path.as_uri()) == SIGNATURE
    (tmp_path / "x.csv").write_text("a\n1.5\n")
    set_signature = ma.set_model_signature(str(tmp_path), "x.csv", overwrite=True)
    assert (
        ma.get_model_signature(str(tmp_path))
        == set_signature
        == {
            "inputs": [{"type": "double", "name": "a", "required": True}],
            "outputs": None,
            "params": None,
        }
    )


def samples(folder: Path) -> tuple[Path, Path]:
    (folder / "in.csv").write_text("length,name\n1.5,setosa\n2.25,virginica\n")
    (folder / "out.csv").write_text("class\n1\n2\n")
    return folder / "in.csv", folder / "out.csv"


def expected(inputs: Path, outputs: Path | None) -> ModelSignature:
    import pandas as pd

    return infer_signature(pd.read_csv(inputs), None if outputs is None else pd.read_csv(outputs))


@shows(SET, "--model-uri", "--input-file", "--output-file", "--tracking-uri")
def test_a_signature_is_set_as_mlflow_infers_it(world: World, tmp_path: Path) -> None:
    inputs, outputs = samples(tmp_path)
    world.client.log_text(world.run_id, UNSIGNED, "to be signed/MLmodel")
    uri = f"runs:/{world.run_id}/to be signed"

    result = run(
        world.server, "set-model-signature", "--model-uri", uri, "--input-file", inputs, "--output-file", outputs
    )

    assert result.exit_code == 0, result.stderr
    text = world.client.download_artifacts(world.run_id, "to be signed/MLmodel", str(tmp_path))
    assert Model.load(text).signature == expected(inputs, outputs)
    assert Path(text).read_text().startswith(UNSIGNED)
    assert ma.get_model_signature(uri, world.server.uri) == json.loads(result.stdout)


@shows(SET, "--overwrite-signature")
def test_a_signature_is_replaced_only_on_request_and_nothing_else_changes(world: World, tmp_path: Path) -> None:
    inputs, _ = samples(tmp_path)
    world.client.log_text(world.run_id, SIGNED, "again/MLmodel")
    asked = ("set-model-signature", "--model-uri", f"runs:/{world.run_id}/again", "--input-file", inputs)

    refused = run(world.server, *asked)
    assert refused.exit_code == 7
    assert "--overwrite-signature" in refused.stderr
    assert ma.get_model_signature(f"runs:/{world.run_id}/again", world.server.uri) == SIGNATURE

    assert run(world.server, *asked, "--overwrite-signature", "True").exit_code == 0
    path = Path(world.client.download_artifacts(world.run_id, "again/MLmodel", str(tmp_path)))
    assert Model.load(str(path)).signature == expected(inputs, None)
    assert "- none: {}   # kept as it is" in path.read_text()
    changed, before = yaml.safe_load(path.read_text()), yaml.safe_load(SIGNED)
    assert {**changed, "signature": None} == {**before, "signature": None}


def test_a_logged_model_can_be_signed_and_a_version_cannot(world: World, tmp_path: Path) -> None:
    inputs, outputs = samples(tmp_path)
    with pytest.raises(ma.UsageError, match="runs:/<run>/<path>"):
        ma.set_model_signature("models:/iris/1", str(inputs), tracking_uri=world.server.uri)
    if world.server.serve_artifacts:
        signature = ma.set_model_signature(
            f"models:/{world.model_id}", str(inputs), str(outputs), overwrite=True, tracking_uri=world.server.uri
        )
        assert ma.get_model_signature("models:/iris/3", world.server.uri) == signature
        put_mlmodel(world.server, world.model_id, SIGNED)


def test_bad_samples_are_said_before_anything_is_touched(world: World, tmp_path: Path) -> None:
    (tmp_path / "empty.csv").write_text("")
    for name in ("empty.csv", "absent.csv"):
        with pytest.raises(ma.UsageError, match=f"{name}' cannot be read as CSV"):
            ma.set_model_signature(
                f"runs:/{world.run_id}/signed", str(tmp_path / name), overwrite=True, tracking_uri=world.server.uri
            )
    assert ma.get_model_signature(f"runs:/{world.run_id}/signed", world.server.uri) == SIGNATURE


@shows(LIST, "--output-file", "--tracking-uri", "--parallel", "--use-get-model-info")
def test_versions_without_signatures_are_listed(world: World, tmp_path: Path) -> None:
    file = tmp_path / "versions.csv"
    result = run(world.server, LIST, "--output-file", file)
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    assert [(row["model"], row["version"], row["run_id"]) for row in rows] == [
        ("iris", "4", world.run_id),
        ("iris", "2", world.run_id),
        ("other, with a comma", "1", world.run_id),
    ]
    assert [bool(row["error"]) for row in rows] == [True, False, False]
    assert result.exit_code == 3
    assert "1 version could not be read" in result.stderr
    assert file.read_text() == result.stdout
    others = ("--tracking-uri", world.server.uri, "--parallel", 1, "--use-get-model-info", "True")
    assert CliRunner().invoke(cli, [LIST, *map(str, others)]).stdout == result.stdout


@shows(LIST, "--filter")
def test_the_filter_of_the_list_is_mlflows(world: World) -> None:
    found = run(world.server, "list-model-versions-without-signatures", "--filter", "name = 'other, with a comma'")
    assert found.exit_code == 0
    assert found.stdout.splitlines()[1:] == [f'"other, with a comma",1,{world.run_id},']
    wrong = run(world.server, "list-model-versions-without-signatures", "--filter", "colour = 'red'")
    assert wrong.exit_code == 2


@shows((GET, SET, LIST), "--artifact-root")
def test_files_are_read_where_the_operator_says(world: World, tmp_path: Path) -> None:
    root = world.client.get_run(world.run_id).info.artifact_uri
    elsewhere = fsspec.filesystem("memory")
    there = f"signatures-{world.run_id}"
    elsewhere.pipe(f"/{there}/signed/MLmodel", UNSIGNED.encode())
    elsewhere.pipe(f"/{there}/unsigned/MLmodel", SIGNED.encode())
    mapped = ("--artifact-root", f"{root}=memory://{there}")
    signed, unsigned = (("--model-uri", f"runs:/{world.run_id}/{name}") for name in ("signed", "unsigned"))
    inputs, _ = samples(tmp_path)

    assert run(world.server, GET, *signed, *mapped).stdout == "null\n"
    assert json.loads(run(world.server, GET, *unsigned, *mapped).stdout) == SIGNATURE
    rows = list(csv.DictReader(io.StringIO(run(world.server, LIST, *mapped).stdout)))
    assert [row["version"] for row in rows if row["model"] == "iris" and not row["error"]] == ["1"]
    assert run(world.server, SET, *signed, "--input-file", inputs, *mapped).exit_code == 0
    assert b"length" in elsewhere.cat_file(f"/{there}/signed/MLmodel")
    assert ma.get_model_signature(f"runs:/{world.run_id}/signed", world.server.uri) == SIGNATURE


@shows((GET, SET, LIST), "--artifact-option", "--artifacts-destination")
def test_the_options_of_a_store_get_to_it(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[object] = []

    def store(url: str, *, storage_options: object, raw_keys: bool) -> None:
        assert raw_keys
        opened.append((url, storage_options))
        raise ma.UsageError("No such store.")

    monkeypatch.setattr("mlflow_archive.tracking.artifacts.open_store", store)
    inputs, _ = samples(tmp_path)
    root = world.client.get_run(world.run_id).info.artifact_uri
    proxied = root.startswith("mlflow-artifacts:")
    where = ("--artifacts-destination", "s3://bucket") if proxied else ("--artifact-root", f"{root}=s3://bucket/root")
    mapped = (*where, "--artifact-option", "anon=true")
    uri = ("--model-uri", f"runs:/{world.run_id}/signed")
    for command, asked in ((GET, uri), (SET, (*uri, "--input-file", inputs)), (LIST, ("--filter", "name = 'iris'"))):
        opened.clear()
        assert run(world.server, command, *asked, *mapped).exit_code in (2, 3)
        assert opened[0][1] == {"anon": True}, command  # type: ignore[index]
