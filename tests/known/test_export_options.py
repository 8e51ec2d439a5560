"""The options that all exports share."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import mlflow_archive as ma
from mlflow_archive import api
from mlflow_archive.cli.main import cli
from mlflow_archive.errors import ConflictError, UsageError
from mlflow_archive.operations.report import Report
from tests.known.table import options, shows, with_option
from tests.known.taking import run, take
from tests.known.world import KnownWorld
from tests.servers import MlflowServer

EXPORTS = with_option("--output-dir", prefix="export-")
RUNS = with_option("--notebook-formats", prefix="export-")
TAGS = with_option("--export-source-tags", prefix="export-")
WHOLE = with_option("--export-permissions", prefix="export-")

#: The least that a command needs beside the place.
LEAST = {
    "--experiments": "iris",
    "--experiment": "iris",
    "--run-id": "abc",
    "--models": "flowers",
    "--model": "flowers",
    "--version": "1",
    "--experiment-ids": "1",
    "--model-id": "m-1",
    "--request-id": "tr-1",
    "--prompts": "greet",
    "--prompt-name": "greet",
    "--prompt-version": "1",
    "--evaluation-datasets": "all",
    "--dataset-name": "facts",
    "--output-dir": "out",
}


def least(command: str) -> list[str]:
    """Return the least command line of a command."""
    needed = [option.opts[0] for option in options(command) if option.required]
    if command == "export-evaluation-dataset":
        needed.append("--dataset-name")
    return [command, *(word for option in needed for word in (option, LEAST[option]))]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What the library is asked for, instead of doing it."""
    calls: list[dict[str, Any]] = []

    def backup(tracking_uri: str | None, dest_url: str, **choices: Any) -> Report:
        calls.append({"tracking_uri": tracking_uri, "dest_url": dest_url, **choices})
        return Report("backup", str(tracking_uri), dest_url, "complete", {}, dry_run=bool(choices["dry_run"]))

    monkeypatch.setattr(api, "backup", backup)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://server:5000")
    return calls


def one(asked: list[dict[str, Any]], command: str, *arguments: str) -> dict[str, Any]:
    """Run a command that asks the library once, and return what for."""
    result = run(*least(command), *arguments)
    assert result.exit_code == 0, result.output + result.stderr
    (call,) = asked
    return call


@shows(EXPORTS, "--output-dir")
@pytest.mark.parametrize("command", EXPORTS)
def test_the_output_directory_is_the_place_of_the_archive(asked: list[dict[str, Any]], command: str) -> None:
    assert one(asked, command, "--output-dir", "s3://bucket/out.tar.zst")["dest_url"] == "s3://bucket/out.tar.zst"


@shows(EXPORTS, "--output-dir")
def test_the_suffix_makes_the_container(world: KnownWorld, tmp_path: Path) -> None:
    take(world, tmp_path / "out.tar.gz", "export-prompts", "--prompts", "part")

    assert tarfile.is_tarfile(tmp_path / "out.tar.gz")


def test_an_export_in_a_place_that_is_taken_changes_nothing(world: KnownWorld, tmp_path: Path) -> None:
    first = take(world, tmp_path / "out", "export-prompts", "--prompts", "part")
    again = ["--output-dir", tmp_path / "out", "--tracking-uri", world.uri]

    result = run("export-prompts", "--prompts", "all", *again)

    assert result.exit_code == ConflictError.exit_code
    with ma.open(str(tmp_path / "out")) as archive:
        assert archive.manifest == first.manifest


@shows(EXPORTS, "--tracking-uri")
@pytest.mark.parametrize("command", EXPORTS)
def test_the_server_is_named_by_option_or_variable(asked: list[dict[str, Any]], command: str) -> None:
    run(*least(command))
    run(*least(command), "--tracking-uri", "http://other:5000")

    assert [call["tracking_uri"] for call in asked] == ["http://server:5000", "http://other:5000"]


@shows(EXPORTS, "--use-threads", "--parallel")
@pytest.mark.parametrize("command", EXPORTS)
@pytest.mark.parametrize(
    ("arguments", "parallelism"),
    [
        ([], 8),
        (["--use-threads"], 8),
        (["--use-threads", "True"], 8),
        (["--use-threads", "False"], 1),
        (["--use-threads=false", "--parallel", "1"], 1),
        (["--parallel", "3"], 3),
        (["--use-threads", "--parallel", "20"], 20),
    ],
    ids=str,
)
def test_threads(asked: list[dict[str, Any]], command: str, arguments: list[str], parallelism: int) -> None:
    assert one(asked, command, *arguments)["parallelism"] == parallelism


def test_no_threads_and_many_at_a_time_is_exit_2(asked: list[dict[str, Any]]) -> None:
    result = run(*least("export-all"), "--use-threads", "False", "--parallel", "4")

    assert (result.exit_code, asked) == (2, [])
    assert "contradict" in result.stderr


@shows("export-all", "--use-threads")
def test_the_result_does_not_depend_on_threads(world: KnownWorld, tmp_path: Path) -> None:
    slow = take(world, tmp_path / "a", "export-all", "--use-threads", "False")
    quick = take(world, tmp_path / "b", "export-all", "--use-threads", "True")

    assert slow.manifest.sections == quick.manifest.sections
    assert run("diff", tmp_path / "a", tmp_path / "b").exit_code == 0


@shows(EXPORTS, "--resume", "--dry-run")
@pytest.mark.parametrize("command", EXPORTS)
def test_going_on_and_only_planning(asked: list[dict[str, Any]], command: str) -> None:
    run(*least(command))
    run(*least(command), "--resume")
    run(*least(command), "--dry-run")

    assert [(call["resume"], call["dry_run"]) for call in asked] == [(False, False), (True, False), (False, True)]


def test_a_dry_run_writes_nothing(world: KnownWorld, tmp_path: Path) -> None:
    here = ["--output-dir", tmp_path / "out", "--tracking-uri", world.uri]
    result = run("export-experiments", "--experiments", "iris", *here, "--dry-run", "--json")

    report = json.loads(result.stdout)
    assert (report["dry_run"], report["counts"]["run"]["stored"]) == (True, 5)
    assert not (tmp_path / "out" / "manifest.json").exists()


@shows(EXPORTS, "--artifact-root", "--storage-option", "--artifact-option")
@pytest.mark.parametrize("command", EXPORTS)
def test_places_and_how_to_get_at_them(asked: list[dict[str, Any]], command: str) -> None:
    roots = ["--artifact-root", "mlflow-artifacts:/=s3://bucket/root"]
    stores = ["--storage-option", "anon=true", "--artifact-option", "endpoint_url=http://localhost:9000"]

    call = one(asked, command, *roots, *stores)

    assert call["artifact_roots"] == {"mlflow-artifacts:/": "s3://bucket/root"}
    assert call["storage_options"] == {"anon": True}
    assert call["artifact_options"] == {"endpoint_url": "http://localhost:9000"}


@shows(EXPORTS, "--artifacts-destination")
@pytest.mark.parametrize("command", EXPORTS)
def test_the_destination_of_the_server_is_a_place_too(asked: list[dict[str, Any]], command: str) -> None:
    call = one(asked, command, "--artifacts-destination", "s3://bucket/root")

    assert call["artifact_roots"] == {"mlflow-artifacts:/": "s3://bucket/root"}


@shows(EXPORTS, "--json", "--quiet")
@pytest.mark.parametrize("command", EXPORTS)
def test_what_is_printed(asked: list[dict[str, Any]], command: str) -> None:
    plain, document, quiet = run(*least(command)), run(*least(command), "--json"), run(*least(command), "--quiet")

    assert "Backed up http://server:5000 -> out" in plain.output
    assert json.loads(document.stdout)["target"] == "out"
    assert quiet.output == ""


@shows(EXPORTS, "--events")
@pytest.mark.parametrize("command", EXPORTS)
def test_progress_as_lines_of_json(monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    def refuse(*_: Any, **__: Any) -> Report:
        raise UsageError("No.")

    monkeypatch.setattr(api, "backup", refuse)
    result = run(*least(command), "--events")

    assert [json.loads(line)["event"] for line in io.StringIO(result.stderr)] == ["error"]


def test_the_events_of_an_export(world: KnownWorld, tmp_path: Path) -> None:
    here = ["--output-dir", tmp_path / "out", "--tracking-uri", world.uri]
    result = run("export-prompts", "--prompts", "part", *here, "--events", "--json")

    events = [json.loads(line)["event"] for line in result.stderr.splitlines()]
    assert (events[0], events[-1]) == ("transfer_started", "transfer_finished")


@shows(RUNS, "--notebook-formats")
@pytest.mark.parametrize("command", RUNS)
@pytest.mark.parametrize("value", ["SOURCE,dbc", " source , DBC,"])
def test_notebooks_of_a_workspace(asked: list[dict[str, Any]], command: str, value: str) -> None:
    call = one(asked, command, "--tracking-uri", "databricks://profile", "--notebook-formats", value)

    assert call["notebook_formats"] == ("SOURCE", "DBC")


@shows(WHOLE, "--export-permissions")
@pytest.mark.parametrize("command", WHOLE)
@pytest.mark.parametrize("value", ["--export-permissions", "--export-permissions=True"])
def test_permissions_of_a_workspace(asked: list[dict[str, Any]], command: str, value: str) -> None:
    assert one(asked, command, "--tracking-uri", "databricks", value)["permissions"] is True


@pytest.mark.parametrize("command", RUNS)
def test_without_them_nothing_of_a_workspace_is_asked_for(asked: list[dict[str, Any]], command: str) -> None:
    call = one(asked, command, "--tracking-uri", "databricks", "--notebook-formats", "")

    assert {"notebook_formats", "permissions"}.isdisjoint(call)


@shows(RUNS, "--notebook-formats")
@pytest.mark.parametrize("command", RUNS)
def test_another_server_has_no_notebooks_and_says_so(asked: list[dict[str, Any]], command: str) -> None:
    result = run(*least(command), "--notebook-formats", "HTML")

    assert result.exit_code == 0
    assert result.stderr.splitlines().count(
        "Note: --notebook-formats does nothing here: only a Databricks workspace has that, and this server is none."
    )
    assert "notebook_formats" not in asked[0]


def test_another_server_has_neither_notebooks_nor_permissions(world: KnownWorld, tmp_path: Path) -> None:
    both = ["--notebook-formats", "HTML", "--export-permissions"]

    taken = take(world, tmp_path / "out", "export-experiment", "--experiment", "wine", *both)

    assert "Note: --notebook-formats and --export-permissions do nothing here" in taken.result.stderr
    assert taken.runs == {"wine", "other wine"}


@shows(TAGS, "--export-source-tags", "--source-tags-prefix")
@pytest.mark.parametrize("command", TAGS)
@pytest.mark.parametrize(
    ("arguments", "layout"),
    [
        (["--source-tags-prefix", "mlflow_exim"], None),
        (["--export-source-tags"], "mlflow_archive"),
        (["--export-source-tags", "True", "--source-tags-prefix", "mlflow_export_import"], "mlflow_export_import"),
    ],
    ids=str,
)
def test_source_tags(asked: list[dict[str, Any]], command: str, arguments: list[str], layout: str | None) -> None:
    assert one(asked, command, *arguments).get("source_tags") == layout


@shows("export-experiments", "--export-source-tags", "--source-tags-prefix")
@pytest.mark.parametrize("asked_again", [[], ["--import-source-tags", "--source-tags-prefix", "mlflow_exim"]], ids=str)
def test_an_import_writes_source_tags_if_the_export_asked_for_them(
    world: KnownWorld, fresh_server: MlflowServer, tmp_path: Path, asked_again: list[str]
) -> None:
    tags = ["--export-source-tags", "--source-tags-prefix", "mlflow_export_import"]
    place, here = tmp_path / "out.tar", tmp_path / "back"
    taken = take(world, place, "export-experiments", "--experiments", "a, b", "--experiments", "iris-2", *tags)
    assert taken.manifest.source.source_tags == "mlflow_export_import"

    result = run("import-experiments", "--input-dir", place, "--tracking-uri", fresh_server.uri, *asked_again)

    assert result.exit_code == 0, result.output + result.stderr
    assert run("export-experiment", "--experiment", "a, b", "--output-dir", here, "--tracking-uri", fresh_server.uri)
    with ma.open(str(here)) as archive:
        (made,) = archive.runs()
    word = "mlflow_exim" if asked_again else "mlflow_export_import"
    assert made.tags[f"{word}.run_info.run_id"] == world.runs["comma"]
    assert {tag.partition(".")[0] for tag in made.tags} == {word, "mlflow", "mlflow_archive"}


def test_an_unknown_layout_of_source_tags_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="mlflow_archive, mlflow_exim, mlflow_export_import"):
        ma.backup("http://127.0.0.1:9", str(tmp_path / "out"), source_tags="exim")  # type: ignore[arg-type]


def test_an_unknown_form_of_a_notebook_is_exit_2(asked: list[dict[str, Any]]) -> None:
    result = run(*least("export-run"), "--notebook-formats", "SOURCE,PDF")

    assert (result.exit_code, asked) == (2, [])
    assert "SOURCE, HTML, JUPYTER, DBC" in result.stderr


@pytest.mark.parametrize("command", EXPORTS)
def test_an_interrupt_says_how_to_go_on(monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    def interrupted(*_: Any, **__: Any) -> Report:
        raise KeyboardInterrupt

    monkeypatch.setattr(api, "backup", interrupted)
    result = CliRunner().invoke(cli, least(command))

    assert result.exit_code == 130
    assert "--resume goes on with it" in result.stderr
