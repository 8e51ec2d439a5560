"""The library's front door."""

from __future__ import annotations

import inspect
import json

import pytest

import mlflow_archive as ma
from mlflow_archive import api
from mlflow_archive.operations.backup import archive
from mlflow_archive.operations.demo_objects import DemoObjects
from mlflow_archive.operations.ends import archive_source
from mlflow_archive.spec.kinds import Kind
from mlflow_archive.storage.opening import open_store


@pytest.fixture
def stored(tmp_path):
    """An archive of the demonstration's objects, with its report."""
    url = str(tmp_path / "archive")
    report = archive(DemoObjects(), open_store(url), ma.Selection(), parallelism=2)
    assert report.losses == ()
    return url, report


def test_every_public_name_is_there_and_sorted():
    assert list(ma.__all__) == sorted(ma.__all__)
    for name in ma.__all__:
        assert getattr(ma, name) is not None
    assert set(ma.__all__) <= set(dir(ma))
    with pytest.raises(AttributeError):
        _ = ma.no_such_name


@pytest.mark.parametrize("name", api.__all__)
def test_every_call_is_documented_and_typed(name):
    call = getattr(api, name)
    signature = inspect.signature(call)
    assert all(p.annotation is not inspect.Parameter.empty for p in signature.parameters.values())
    assert signature.return_annotation is not inspect.Signature.empty
    doc = inspect.getdoc(call)
    assert doc
    if name != "copy":
        undocumented = [p for p in signature.parameters if f"{p}:" not in doc]
        assert undocumented == []


def test_a_selection_names_parts_and_names_with_signs():
    wish = ma.make_selection(experiments=[ma.exactly("a[1]")], run_ids=["r"], with_children=True, deleted=False)
    assert wish.wants_experiment("7", "a[1]")
    assert not wish.wants_experiment("7", "a1")
    assert (wish.run_ids, wish.with_children, wish.deleted) == (frozenset({"r"}), True, False)


def test_a_selection_takes_no_further_wishes(tmp_path):
    with pytest.raises(ma.UsageError, match="models"):
        ma.backup("http://localhost:1", str(tmp_path / "x"), selection=ma.Selection(), models=["m"])


@pytest.mark.parametrize("number", [0, -1])
@pytest.mark.parametrize(
    "call",
    [
        lambda url, number: ma.backup("http://localhost:1", url, parallelism=number),
        lambda url, number: ma.restore(url, "http://localhost:1", parallelism=number),
        lambda url, number: ma.copy("http://localhost:1", "http://localhost:2", parallelism=number),
        lambda url, number: ma.verify(url, parallelism=number),
        lambda url, number: ma.diff(url, url, parallelism=number),
    ],
)
def test_nothing_is_done_by_nobody(stored, call, number):
    with pytest.raises(ma.UsageError, match=f"^parallelism is {number}; give a number of 1 or more"):
        call(stored[0], number)


def test_an_open_archive_gives_records_points_and_files(stored):
    url, report = stored
    with ma.open(url) as opened:
        assert opened.root_digest == report.root_digest
        assert opened.manifest.status == "complete"
        assert [experiment.name for experiment in opened.experiments()] == ["demo/iris", "demo/support-bot"]
        runs = {run.info.run_name: run for run in opened.runs(experiment="demo/iris")}
        assert sorted(runs) == ["depth=3", "depth=5", "tune"]
        assert list(opened.runs(experiment="2")) == []
        points = list(opened.metrics(runs["tune"]))
        assert len(points) == 50
        assert (points[0].key, points[0].value, points[0].step) == ("loss", 1.0, 0)
        files = {blob.name: blob for blob in opened.files(runs["tune"])}
        assert b"".join(opened.read_blob(files["notes.txt"])) == b"Run tune.\n"
        assert [model.name for model in opened.models()] == ["iris-classifier"]
        assert [prompt.aliases for prompt in opened.prompts()] == [{"production": 2}]
        assert len(list(opened.traces())) == len(list(opened.logged_models())) == 1
        assert [dataset.name for dataset in opened.evaluation_datasets()] == ["support questions"]
        with pytest.raises(ma.NotFoundError, match="nope"):
            next(opened.runs(experiment="nope"))


def test_ls_shows_the_overview_then_one_kind_then_one_experiment(stored):
    url, report = stored
    overview = ma.ls(url)
    assert overview.root_digest == report.root_digest
    experiments = next(section for section in overview.sections if section.kind is Kind.EXPERIMENT)
    assert [(row.name, dict(row.below)) for row in experiments.rows] == [
        ("demo/iris", {"run": 3, "logged_model": 1}),
        ("demo/support-bot", {"trace": 1}),
    ]
    runs = ma.ls(url, kind="runs").sections
    assert [(section.count, len(section.rows)) for section in runs] == [(3, 3)]
    assert runs[0].experiment is not None
    assert runs[0].experiment.name == "demo/iris"
    below = ma.ls(url, experiment="demo/iris").sections
    assert {section.kind for section in below} == {Kind.RUN, Kind.LOGGED_MODEL}
    assert json.loads(json.dumps(overview.to_json()))["manifest"]["status"] == "complete"
    with pytest.raises(ma.NotFoundError):
        ma.ls(url, experiment="nope")
    with pytest.raises(ma.UsageError, match="below an experiment"):
        ma.ls(url, kind="model" + "s", experiment="demo/iris")


def test_show_finds_by_id_or_name(stored):
    url, _ = stored
    document = ma.show(url, "tune")
    assert document["kind"] == "run"
    assert document == ma.show(url, str(document["id"]))
    with pytest.raises(ma.NotFoundError, match="nope"):
        ma.show(url, "nope")
    with pytest.raises(ma.NotFoundError, match="prompt"):
        ma.show(url, "tune", kind="prompt")


def test_verify_and_the_digest_of_the_report(stored):
    url, report = stored
    assert ma.verify(url, level="restorable", digest=report.root_digest).ok
    assert not ma.verify(url, digest="0" * 64).ok


def test_an_archive_equals_itself_and_not_a_part_of_itself(stored, tmp_path):
    url, _ = stored
    assert ma.diff(url, url).same
    part = str(tmp_path / "part")
    with archive_source(url, storage_options=None) as whole:
        archive(whole, open_store(part), ma.make_selection(experiments=["demo/iris"]))
    report = ma.diff(url, part)
    assert {key.kind for key in report.only_left} >= {Kind.PROMPT, Kind.TRACE}
    assert report.only_right == ()
    assert ma.diff(url, part, experiments=["demo/iris"]).same


def test_a_report_as_json_has_everything(stored):
    _, report = stored
    value = json.loads(json.dumps(report.to_json()))
    assert value["status"] == "complete"
    assert value["counts"]["run"] == {"stored": 3, "skipped": 0, "lost": 0}
    assert value["root_digest"] == report.root_digest
    assert report.exit_code is ma.ExitCode.DONE
    assert report.stored_count == 10


def test_there_is_no_archive_where_there_is_none(tmp_path):
    with pytest.raises(ma.NotAnArchiveError):
        ma.open(str(tmp_path / "nothing"))


def test_the_demonstration_refuses_a_folder_with_something_in_it(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(ma.ConflictError, match="empty"):
        ma.demo(str(tmp_path))
