"""Archives of mlflow-export-import wherever an archive is read: ls, show, verify, repack, diff."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from mlflow_archive import api
from mlflow_archive.cli.main import cli
from mlflow_archive.errors import NotAnArchiveError, NotFoundError, UsageError
from mlflow_archive.operations.ends import predecessor_at, stored_source
from tests.predecessor import trees
from tests.predecessor.trees import FIRST, GENERATIONS, LOST, SECOND

EVERY = pytest.mark.parametrize("generation", GENERATIONS)


def invoke(*words: str) -> Result:
    return CliRunner().invoke(cli, list(words))


@pytest.fixture(params=GENERATIONS)
def old(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An export of everything by each generation; that of the first one is a zip."""
    folder = trees.exported_all(tmp_path / request.param, request.param)
    if request.param != "G0":
        return str(folder)
    return shutil.make_archive(str(tmp_path / "old"), "zip", folder)


def test_ls(old: str):
    listing = api.ls(old)
    counts = {section.kind.value: section.count for section in listing.sections}
    assert (counts["experiment"], counts["registered_model"]) == (1, 1)
    (experiment,) = listing.sections[0].rows
    assert (experiment.name, experiment.below["run"]) == ("wine", 2)
    assert listing.manifest.source.uri == trees.SERVER
    result = invoke("ls", old)
    assert result.exit_code == 0
    assert "by mlflow-export-import" in result.output


def test_ls_below_an_experiment(old: str):
    runs = next(section for section in api.ls(old, experiment="wine").sections if section.kind.value == "run")
    assert [(row.id, row.name, row.state) for row in runs.rows] == [
        (FIRST, "first", "FINISHED"),
        (SECOND, "second", "FINISHED deleted"),
    ]
    with pytest.raises(NotFoundError):
        api.ls(old, experiment="beer")


def test_show(old: str):
    found = api.show(old, FIRST)
    assert (found["kind"], found["id"], found["experiment_id"]) == ("run", FIRST, "7")
    assert found["parts"] == [{"name": "metrics", "lines": 1, "rows": 1 if old.endswith(".zip") else 2}]
    assert api.show(old, "second")["id"] == SECOND
    assert api.show(old, "Wine")["kind"] == "registered_model"
    assert "first" in invoke("show", old, FIRST).output
    with pytest.raises(NotFoundError):
        api.show(old, LOST)


def test_open(old: str):
    with api.open(old) as archive:
        assert [found.name for found in archive.experiments()] == ["wine"]
        assert [found.name for found in archive.models()] == ["Wine"]
        first, second = archive.runs("wine")
        assert (first.info.run_name, second.info.run_name) == ("first", "second")
        assert [point.value for point in archive.metrics(first)] == ([0.25] if old.endswith(".zip") else [0.5, 0.25])
        files = {blob.name: b"".join(archive.read_blob(blob)) for blob in archive.files(first)}
        assert files["na me/ü #1"] == b"\x00\x01"
        assert (archive.root_digest, archive.manifest.source.uri) == ("", trees.SERVER)
        with pytest.raises(NotFoundError):
            list(archive.runs("beer"))


def test_verify_says_what_it_could_check(old: str):
    report = api.verify(old)
    assert (report.problems, report.ok, report.root_digest) == ((), True, "")
    assert report.objects >= 4
    assert report.losses >= 1
    assert any("no digests" in note for note in report.notes)
    result = invoke("verify", old)
    assert result.exit_code == 0
    assert "no digests" in result.output
    with pytest.raises(UsageError, match="no digests"):
        api.verify(old, digest="0" * 64)


def test_verify_finds_what_is_not_there_or_damaged(tmp_path: Path):
    root = trees.exported_all(tmp_path, "G5")
    (root / f"experiments/7/runs/{FIRST}/run.json").write_text("{")
    (root / f"experiments/7/runs/{SECOND}/run.json").unlink()
    report = api.verify(str(root), level="complete")
    assert [(problem.rule, problem.path) for problem in report.problems] == [
        ("E010", f"experiments/7/runs/{FIRST}/run.json"),
        ("E040", f"run {SECOND}"),
    ]
    assert invoke("verify", str(root)).exit_code == 5


def test_repack_makes_an_archive_of_ours(old: str, tmp_path: Path):
    new = str(tmp_path / "new.tar.zst")
    report = api.repack(old, new)
    assert (report.converted, report.source, report.target) == (True, old, new)
    assert report.losses >= 1
    verified = api.verify(new, level="restorable", digest=report.root_digest)
    assert verified.problems == ()
    assert verified.losses == report.losses
    compared = api.diff(old, new)
    assert (compared.same, compared.equal["run"], compared.equal["registered_model"]) == (True, 2, 1)
    with api.open(new) as archive:
        assert trees.SERVER in " ".join(archive.manifest.notes)
        assert [run.info.run_name for run in archive.runs("wine")] == ["first", "second"]


def test_repack_ends_with_the_exit_code_of_losses(tmp_path: Path):
    root = trees.exported_all(tmp_path / "old", "G4")
    result = invoke("repack", str(root), str(tmp_path / "new"), "--json")
    assert result.exit_code == 3
    assert json.loads(result.stdout)["converted"] is True
    again = invoke("repack", str(tmp_path / "new"), str(tmp_path / "newer"), "--json")
    assert again.exit_code == 0
    assert json.loads(again.stdout)["converted"] is False


def test_what_has_our_marker_is_ours(tmp_path: Path):
    old = trees.exported_all(tmp_path / "old", "G4")
    new = str(tmp_path / "new")
    api.repack(str(old), new)
    trees.write(Path(new), {"experiments.json": {"experiments": []}})
    assert predecessor_at(new, storage_options=None) is None
    with stored_source(new, storage_options=None) as source:
        assert source.describe().mlflow_version == "2.3.2"
    assert {problem.rule for problem in api.verify(new).warnings} == {"W001"}


def test_an_interrupted_backup_is_not_taken_for_an_old_archive(tmp_path: Path):
    marker = {"format": "mlflow-archive", "spec_version": "1.0", "archive_id": "x"}
    trees.write(tmp_path, {"mlflow-archive.json": marker, "run.json": trees.run("G4", FIRST)})
    with pytest.raises(NotAnArchiveError, match="--resume"):
        api.ls(str(tmp_path))


@pytest.mark.parametrize("name", ["nothing", "other", "nothing.zip"])
def test_what_is_neither_is_no_archive(name: str, tmp_path: Path):
    trees.write(tmp_path / "other", {"readme.txt": "hello", "experiments/1/experiment.json": {"kind": "experiment"}})
    for words in (("ls",), ("verify",), ("repack",), ("show",)):
        rest = [str(tmp_path / "new")] if words == ("repack",) else ["x"] if words == ("show",) else []
        result = invoke(*words, str(tmp_path / name), *rest)
        assert result.exit_code == 6, result.output
    assert not (tmp_path / "new").exists()


def test_a_zip_of_something_else_is_no_archive(tmp_path: Path):
    trees.write(tmp_path / "other", {"readme.txt": "hello"})
    url = shutil.make_archive(str(tmp_path / "other"), "zip", tmp_path / "other")
    (tmp_path / "cut.zip").write_bytes(Path(url).read_bytes()[:-10])
    for name in (url, str(tmp_path / "cut.zip")):
        for words in (("ls",), ("verify",)):
            assert invoke(*words, name).exit_code == 6
