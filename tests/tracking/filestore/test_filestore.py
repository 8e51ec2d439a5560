"""File stores: everything in them, nothing changed, moved ones found, and what is broken lost alone."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from mlflow_archive import api
from mlflow_archive.errors import NotFoundError, UnsupportedError, UsageError
from mlflow_archive.operations.ends import archive_source, is_server
from mlflow_archive.operations.report import Report
from mlflow_archive.spec.kinds import Kind
from mlflow_archive.spec.selection import Selection
from mlflow_archive.stream import Content
from mlflow_archive.tracking.connecting import connect, connect_source
from mlflow_archive.tracking.filestore.folder import folder_of

OLD = Path(__file__).parents[2] / "databases" / "old" / "filestore-2.9.tar.gz"

_FILL = """
import sys, mlflow
from mlflow import MlflowClient
root = sys.argv[1]
mlflow.set_tracking_uri(root)
client = MlflowClient(root, root)
alpha = client.create_experiment("alpha", tags={"team": "red"})
run = client.create_run(alpha, start_time=1700000000000, tags={"windows": "a\\r\\nb"}, run_name="first").info.run_id
for step in range(50):
    client.log_metric(run, "train/loss", 1 / (step + 1), 1700000000000 + step, step)
client.log_metric(run, "infinite", float("inf"), 1, 0)
client.log_param(run, "deep/lr", "\\u00fc")
client.log_text(run, "hello", "notes/a.txt")
client.set_terminated(run, "FINISHED", 1700000009000)
client.delete_run(client.create_run(alpha, run_name="deleted").info.run_id)
gone = client.create_experiment("gone")
client.log_text(client.create_run(gone, run_name="trashed").info.run_id, "bye", "b.txt")
client.delete_experiment(gone)
client.create_registered_model("reg", tags={"a": "b"})
client.create_model_version("reg", client.get_run(run).info.artifact_uri + "/notes", run)
client.set_registered_model_alias("reg", "champion", 1)
client.register_prompt("greeting", "hello {{name}}")
model = client.create_logged_model(alpha, name="lm", source_run_id=run, params={"p": "1"})
client.finalize_logged_model(model.model_id, "READY")
mlflow.set_experiment("alpha")
@mlflow.trace
def answer(x):
    return x + 1
answer(3)
mlflow.flush_trace_async_logging()
trace = mlflow.search_traces(return_type="list")[0].info.trace_id
mlflow.log_expectation(trace_id=trace, name="expected", value={"a": 1})
with mlflow.start_run(run_id=run):
    mlflow.log_metric("acc", 0.5, step=3, model_id=model.model_id)
"""


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file store that MLflow's own client filled, to be copied and not to be changed."""
    root = tmp_path_factory.mktemp("filled") / "mlruns"
    environment = {**os.environ, "MLFLOW_ALLOW_FILE_STORE": "true", "MLFLOW_DISABLE_TELEMETRY": "true"}
    command = [sys.executable, "-c", _FILL, str(root)]
    subprocess.run(command, check=True, capture_output=True, env=environment, cwd=root.parent, timeout=300)
    return root


@pytest.fixture
def store(filled: Path, tmp_path: Path) -> Path:
    """A copy of it, in a folder of another name and place."""
    return shutil.copytree(filled, tmp_path / "kept" / "old-runs")


def _state(root: Path) -> list[tuple[str, int, str]]:
    return [
        (
            path.relative_to(root).as_posix(),
            path.lstat().st_mtime_ns,
            hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "",
        )
        for path in sorted([root, *root.rglob("*")])
    ]


def _contents(place: Path, kind: Kind) -> dict[str, Content]:
    with archive_source(str(place), storage_options=None) as source:
        return {item.key.name or item.key.id: item.load() for item in source.read(kind, Selection())}


def _files(place: Path, kind: Kind, name: str) -> dict[str, bytes]:
    with archive_source(str(place), storage_options=None) as source:
        (item,) = (item for item in source.read(kind, Selection()) if item.key.name == name)
        found = {}
        for blob in item.load().blobs():
            with blob.open() as chunks:
                found[blob.name] = b"".join(chunks)
        return found


def _lost(report: Report) -> set[tuple[str, str, str | None]]:
    return {(loss.kind.value, loss.id, loss.path) for loss in report.losses}


def test_everything_comes_and_nothing_is_changed(filled: Path, tmp_path: Path) -> None:
    before = _state(filled)

    report = api.backup(filled.as_uri(), str(tmp_path / "archive"))

    assert _state(filled) == before
    assert report.losses == ()
    assert {kind: count.stored for kind, count in report.counts.items()} == {
        "experiment": 3,
        "run": 3,
        "logged_model": 1,
        "registered_model": 1,
        "prompt": 1,
        "trace": 1,
    }
    assert any("1 infinite" in note for note in report.notes)
    first = _contents(tmp_path / "archive", Kind.RUN)["first"].record
    assert first.params == {"deep/lr": "\u00fc"}  # type: ignore[attr-defined]
    assert first.tags["windows"] == "a\r\nb"  # type: ignore[attr-defined]
    assert _files(tmp_path / "archive", Kind.RUN, "first") == {"notes/a.txt": b"hello"}
    assert _files(tmp_path / "archive", Kind.RUN, "trashed") == {"b.txt": b"bye"}
    (trace,) = _contents(tmp_path / "archive", Kind.TRACE).values()
    (part,) = trace.parts
    assert len([*part.open()]) == 1
    (assessment,) = trace.record.assessments  # type: ignore[attr-defined]
    assert '"a": 1' in assessment["expectation"]["serialized_value"]["value"]
    assert not assessment["create_time"].startswith("1970")


def test_the_histories_are_whole(filled: Path, tmp_path: Path) -> None:
    api.backup(str(filled), str(tmp_path / "archive"), run_filter="attributes.run_name = 'first'")
    (content,) = _contents(tmp_path / "archive", Kind.RUN).values()
    (part,) = content.parts
    lines = [line for line in part.open() if line["key"] == "train/loss"]
    assert [value for line in lines for value in line["values"]] == [1 / (step + 1) for step in range(50)]  # type: ignore[union-attr]


def test_files_of_a_store_that_was_moved_are_found(filled: Path, store: Path, tmp_path: Path) -> None:
    hidden = filled.rename(filled.with_name("elsewhere"))
    try:
        report = api.backup(str(store), str(tmp_path / "archive"))
    finally:
        hidden.rename(filled)
    assert report.losses == ()
    assert any(str(filled) in note and str(store) in note for note in report.notes)
    assert _files(tmp_path / "archive", Kind.RUN, "first") == {"notes/a.txt": b"hello"}
    assert _files(tmp_path / "archive", Kind.RUN, "trashed") == {"b.txt": b"bye"}
    (spans,) = (content.parts for content in _contents(tmp_path / "archive", Kind.TRACE).values())
    assert spans


def test_a_store_of_mlflow_2_9_with_relative_neighbours(tmp_path: Path) -> None:
    with tarfile.open(OLD) as tar:
        tar.extractall(tmp_path, filter="data")
    report = api.backup(str(tmp_path), str(tmp_path / "archive"))
    assert report.losses == ()
    assert {kind: count.stored for kind, count in report.counts.items()} == {
        "experiment": 3,
        "run": 2,
        "registered_model": 1,
    }
    assert _files(tmp_path / "archive", Kind.RUN, "first") == {"notes/a.txt": b"hello"}
    assert _files(tmp_path / "archive", Kind.RUN, "lost") == {"b.txt": b"bye"}
    model = _contents(tmp_path / "archive", Kind.REGISTERED_MODEL)["reg"].record
    assert [(one.version, one.current_stage) for one in model.versions] == [(1, "Production")]  # type: ignore[attr-defined]


def _experiment(root: Path, name: str) -> Path:
    return next(path.parent for path in root.rglob("meta.yaml") if f"name: {name}\n" in path.read_text())


def test_what_is_broken_is_lost_alone(store: Path, tmp_path: Path) -> None:
    alpha = _experiment(store, "alpha")
    first = next(path.parents[2] for path in alpha.glob("*/metrics/train/loss"))
    loss = first / "metrics" / "train" / "loss"
    loss.write_text(loss.read_text() + loss.read_text().splitlines()[-1] + "\nthis is no point\n")
    (first / "params" / "raw").write_bytes(b"\xff\xfe")
    shutil.copytree(first, alpha / ("0" * 32))
    (alpha / ("1" * 32)).mkdir()
    (alpha / ("2" * 32)).mkdir()
    (alpha / ("2" * 32) / "meta.yaml").write_text("a: [")
    shutil.copytree(_experiment(store, "gone"), store / "77")
    (store / "88").mkdir()
    (store / "88" / "meta.yaml").write_text("")
    (store / "88" / ("8" * 32)).mkdir()
    (store / "models" / "reg" / "version-2").mkdir()
    (store / "models" / "empty").mkdir()
    (alpha / "traces" / "tr-empty").mkdir()
    next(alpha.glob("traces/*/assessments/*.yaml")).write_text("assessment_name: nothing\n")

    report = api.backup(str(store), str(tmp_path / "archive"))

    trace = next(path.name for path in (alpha / "traces").iterdir() if path.name != "tr-empty")
    run_77 = next(path.parent.name for path in (store / "77").glob("*/meta.yaml"))
    assessment = next(alpha.glob("traces/*/assessments/*.yaml"))
    assert _lost(report) == {
        ("run", first.name, "metrics/train/loss"),
        ("run", first.name, "params/raw"),
        ("run", "0" * 32, None),
        ("run", "1" * 32, None),
        ("run", "2" * 32, None),
        ("experiment", "77", None),
        ("run", run_77, None),
        ("experiment", "88", None),
        ("run", "8" * 32, None),
        ("registered_model", "reg", "versions/2"),
        ("registered_model", "empty", None),
        ("trace", "tr-empty", None),
        ("trace", trace, f"assessments/{assessment.name}"),
    }
    assert report.status == "partial"
    assert report.counts["run"].stored == 3
    assert all("/" + "mlruns" not in loss.reason for loss in report.losses)


def test_ids_of_digits_alone_need_no_quotes(store: Path, tmp_path: Path) -> None:
    digits = store / "5" / ("7" * 32)
    digits.mkdir(parents=True)
    (store / "5" / "meta.yaml").write_text("experiment_id: 5\nname: five\nlifecycle_stage: active\n")
    (digits / "meta.yaml").write_text(f"run_id: {digits.name}\nstatus: 3\nlifecycle_stage: active\nstart_time: 1\n")
    report = api.backup(str(store), str(tmp_path / "archive"), experiments=["five"])
    assert report.losses == ()
    assert [*_contents(tmp_path / "archive", Kind.RUN)] == [digits.name]


def test_losses_follow_the_selection(store: Path, tmp_path: Path) -> None:
    alpha = _experiment(store, "alpha")
    (alpha / ("1" * 32)).mkdir()
    (store / "models" / "empty").mkdir()
    report = api.backup(str(store), str(tmp_path / "archive"), models=["reg"])
    assert _lost(report) == set()
    report = api.backup(str(store), str(tmp_path / "second"), experiments=["alpha"])
    assert _lost(report) == {("run", "1" * 32, None)}


def test_what_is_no_file_store_is_refused(filled: Path, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="There is no folder"):
        connect_source(str(tmp_path / "absent"))
    with pytest.raises(UsageError, match="holds no experiment"):
        connect_source(str(tmp_path))
    with pytest.raises(UnsupportedError, match="can only be read"):
        connect(str(filled), read_only=False)


def test_it_is_a_server_among_urls(filled: Path, tmp_path: Path) -> None:
    assert is_server(str(filled))
    assert is_server(filled.as_uri())
    assert not is_server(str(tmp_path))
    assert not is_server("s3://bucket/mlruns")


@pytest.mark.parametrize(
    ("uri", "folder"),
    [
        ("mlruns", "mlruns"),
        ("./mlruns", "mlruns"),
        ("file:///srv/a%20b/mlruns", "/srv/a b/mlruns"),
        ("file://elsewhere/mlruns", None),
        ("http://[::1", None),
        ("localhost:5000", None),
        ("user:pw@host:5000", None),
        ("databricks", None),
        ("databricks://profile", None),
        ("sqlite:///mlflow.db", None),
        ("", None),
    ],
)
def test_which_uris_are_folders(uri: str, folder: str | None) -> None:
    assert folder_of(uri) == (None if folder is None else Path(folder))


def test_it_is_the_default_where_mlflow_takes_it_for_one(
    filled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(filled.parent)
    report = api.backup(None, str(tmp_path / "archive"), dry_run=True)
    assert report.source == filled.as_uri()
    assert report.counts["run"].stored == 3


def test_temporary_files_are_gone(filled: Path, tmp_path: Path) -> None:
    client = connect_source(str(filled), work_directory=tmp_path)
    client.close()
    assert [*tmp_path.iterdir()] == []
