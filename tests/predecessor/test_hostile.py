"""Archives by somebody who means harm, or whose disk did."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlflow_archive.errors import IntegrityError, MlflowArchiveError
from mlflow_archive.spec.kinds import Kind
from mlflow_archive.spec.records.run import RunRecord
from mlflow_archive.stream import Blob, Content
from tests.predecessor import trees
from tests.predecessor.trees import FIRST, SECOND


def refused(root: Path, kind: Kind) -> str:
    """Return why the only object of a kind cannot be loaded."""
    (item,) = trees.items(trees.opened(root), kind)
    with pytest.raises(MlflowArchiveError) as caught:
        item.load()
    return str(caught.value)


@pytest.mark.parametrize("id", ["../secret", "/etc", "..", "a/../../b", "x\0y", "."])
def test_ids_that_leave_the_root_are_losses(id: str, tmp_path: Path):
    trees.write(tmp_path, {"secret/run.json": trees.run("G4", "secret"), "run.json": "{}"})
    listed = {"experiment": {"experiment_id": "7", "name": "wine"}, "runs": [id], "traces": [id]}
    models = trees.document("G4", {"models": [id]})
    root = trees.write(tmp_path / "archive", {"experiment.json": trees.document("G4", listed), "models.json": models})
    source = trees.opened(root)
    for kind in (Kind.RUN, Kind.TRACE):
        assert trees.items(source, kind) == []
        assert [loss.id for loss in trees.losses(source, kind)] == [id]
    assert "(E0" in refused(root, Kind.REGISTERED_MODEL) or "no " in refused(root, Kind.REGISTERED_MODEL)


@pytest.mark.parametrize("id", ["../secret", "/etc", "..", "a/../../b", "x\0y", "."])
def test_experiments_that_leave_the_root_are_losses(id: str, tmp_path: Path):
    trees.write(tmp_path, {"secret/experiment.json": trees.experiment("G4"), "secret/a/run.json": "{}"})
    root = trees.exported_all(tmp_path / "archive", "G4")
    listed = {"experiments": [{"id": id, "name": "evil"}, {"id": "7", "name": "wine"}]}
    trees.write(root, {"experiments/experiments.json": trees.document("G4", listed)})
    source = trees.opened(root)
    assert [item.key.id for item in trees.items(source, Kind.EXPERIMENT)] == ["7"]
    assert [loss.id for loss in trees.losses(source, Kind.EXPERIMENT)] == [id]
    assert len(trees.items(source, Kind.RUN)) == 2


def test_links_are_not_followed(tmp_path: Path):
    secret = trees.write(tmp_path / "secret", {"key": "secret"})
    root = trees.write(tmp_path / "archive", {"run.json": trees.run("G4", FIRST), "artifacts/a": "a"})
    (root / "artifacts/link").symlink_to(secret / "key")
    (root / "artifacts/folder").symlink_to(secret)
    (item,) = trees.items(trees.opened(root), Kind.RUN)
    seen = b""
    for blob in item.load().blobs():
        if isinstance(blob, Blob) and blob.name != "a":
            with pytest.raises(MlflowArchiveError), blob.open() as chunks:
                seen += b"".join(chunks)
    assert seen == b""


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b'{"info": {}}',
        b"[" * 100_000,
        b'{"mlflow": {"info": {"run_id": "%s", "start_time": "soon"}}}' % FIRST.encode(),
        b'{"mlflow": {"info": {"run_id": "%s"}, "metrics": {"m": {}}}}' % FIRST.encode(),
    ],
    ids=["empty", "cut", "nobody", "deep", "time", "metric"],
)
def test_a_damaged_run_is_lost_alone(content: bytes, tmp_path: Path):
    root = trees.exported_all(tmp_path, "G4")
    (root / f"experiments/7/{FIRST}/run.json").write_bytes(content)
    first, second = trees.items(trees.opened(root), Kind.RUN)
    assert (first.key.id, second.key.id) == (FIRST, SECOND)
    with pytest.raises(IntegrityError):
        first.load()
    assert isinstance(second.load(), Content)


def test_a_damaged_model_is_lost_alone(tmp_path: Path):
    root = trees.exported_all(tmp_path, "G4")
    trees.write(root, {"models/models.json": trees.document("G4", {"models": ["Beer", "Wine"]})})
    trees.write(root, {"models/Beer/model.json": "{"})
    beer, wine = trees.items(trees.opened(root), Kind.REGISTERED_MODEL)
    with pytest.raises(IntegrityError, match="E010"):
        beer.load()
    assert isinstance(wine.load(), Content)


def test_where_documents_and_lists_differ_the_lists_count(tmp_path: Path):
    """Users edit archives by hand, and so does a tool of the predecessor's."""
    root = trees.exported_all(tmp_path, "G4")
    trees.write(root, {f"experiments/7/{FIRST}/run.json": trees.run("G4", "f" * 32)})
    trees.write(root, {"models/models.json": trees.document("G4", {"models": ["Beer"]})})
    trees.write(root, {"models/Beer/model.json": trees.model("G4")})
    source = trees.opened(root)
    record = trees.items(source, Kind.RUN)[0].load().record
    assert isinstance(record, RunRecord)
    assert record.info.run_id == FIRST
    (beer,) = trees.items(source, Kind.REGISTERED_MODEL)
    assert (beer.key.id, beer.load().record.title) == ("Beer", "Beer")
    assert "says that it is of 'Wine'" in " ".join(source.notes())


@pytest.mark.parametrize("number", ["0", "-1", "x", None, 1.5])
def test_versions_have_numbers(number: object, tmp_path: Path):
    about = trees.model("G4")
    about["mlflow"]["registered_model"]["versions"][0]["version"] = number
    root = trees.write(tmp_path, {"model.json": about})
    assert refused(root, Kind.REGISTERED_MODEL)


def test_a_document_that_is_too_large_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("mlflow_archive.predecessor.tree.LIMIT_BYTES", 5000)
    root = trees.exported_all(tmp_path, "G4")
    with (root / f"experiments/7/{FIRST}/run.json").open("a") as file:
        file.write(" " * 5000)
    first, second = trees.items(trees.opened(root), Kind.RUN)
    with pytest.raises(IntegrityError, match="E010"):
        first.load()
    assert isinstance(second.load(), Content)


def test_credentials_of_the_origin_are_not_told(tmp_path: Path):
    about = trees.run("G4", FIRST)
    about["system"]["mlflow_tracking_uri"] = "https://ada:secret@mlflow.example.com/?token=secret"
    source = trees.opened(trees.write(tmp_path, {"run.json": about}))
    assert source.origin.uri == "https://mlflow.example.com/"
    assert "secret" not in str((source.describe(), source.notes()))
