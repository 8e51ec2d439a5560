"""The same selection of a real server and of an archive of it: the same objects, versions and losses."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from mlflow_archive import api
from mlflow_archive.errors import NotFoundError
from mlflow_archive.operations.ends import archive_source
from mlflow_archive.operations.selecting import make_selection
from mlflow_archive.spec.kinds import Kind
from mlflow_archive.spec.selection import PARENT_RUN_TAG
from mlflow_archive.stream import Blob, Item, Source
from tests.roundtrip.gathering import gathered, ids, source_at
from tests.servers import MlflowServer

pytestmark = pytest.mark.server


@pytest.fixture(scope="module")
def server(source_server: MlflowServer) -> Iterator[Source]:
    with closing(source_at(source_server.uri)) as source:
        yield source


@pytest.fixture(scope="module")
def archive(source_server: MlflowServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Source]:
    url = str(tmp_path_factory.mktemp("archive") / "all")
    assert api.backup(source_server.uri, url, without=["artifacts"]).status == "complete"
    with archive_source(url, storage_options=None) as source:
        yield source


def column(server: MlflowServer, query: str, *values: str) -> list[str]:
    with closing(sqlite3.connect(f"file:{server.database}?mode=ro", uri=True)) as database:
        return [str(value) for (value,) in database.execute(query, values)]


def runs_named(server: MlflowServer, *names: str) -> list[str]:
    marks = ", ".join("?" * len(names))
    return column(server, f"select run_uuid from runs where name in ({marks})", *names)


@pytest.mark.parametrize(
    "wishes",
    [
        {},
        {"deleted": False},
        {"experiments": ["Customer churn", "deleted"]},
        {"experiments": ["Customer churn"], "deleted": False},
        {"experiments": ["100%25 of 50% #1 & more?"]},
        {"experiments": ["Customer churn"], "run_filter": "params.p = 'q'"},
        {"experiments": ["*"], "since": "2024-02-29T12:00:05Z", "until": "2024-02-29T12:00:05.002Z", "only": ["run"]},
        {"models": ["churn"]},
        {"models": ["churn"], "stages": ["Production"]},
        {"models": ["churn"], "latest_versions": True},
        {"models": ["churn"], "latest_versions": True, "stages": ["None"]},
        {"models": ["churn", "sources*"], "versions": [1, 2, 5]},
        {"models": ["churn"], "versions": [1, 3, 99]},
        {"models": ["sources of all.kinds"], "deleted": False},
        {"models": ["sources of all.kinds"], "whole_experiments": True},
        {"prompts": ["summary"], "prompt_versions": [2, 3]},
        {"prompts": ["summary"], "prompt_versions": [2, 4]},
        {"datasets": ["empty", "questions*", "of no experiment"]},
        {"datasets": ["empty", "nothing of this name"]},
        {"experiments": ["Customer churn"], "datasets": ["of no experiment"], "only": ["evaluation_dataset"]},
    ],
    ids=str,
)
def test_a_server_and_its_archive_give_the_same(server: Source, archive: Source, wishes: dict[str, Any]) -> None:
    here, lost_here = gathered(server, **wishes)
    there, lost_there = gathered(archive, **wishes)
    assert here == there
    assert lost_here == lost_there
    assert here


@pytest.mark.parametrize("name", ["server", "archive"])
class TestEach:
    """Against what the database of the server says."""

    @pytest.fixture
    def source(self, name: str, request: pytest.FixtureRequest) -> Source:
        made: Source = request.getfixturevalue(name)
        return made

    def test_a_run_with_all_that_is_below_it(self, source_server: MlflowServer, source: Source) -> None:
        (parent,) = runs_named(source_server, "parent")
        below = column(
            source_server,
            "with recursive family(id) as (select ? union select t.run_uuid from tags t join family f "
            f"on t.key = '{PARENT_RUN_TAG}' and t.value = f.id) select id from family",
            parent,
        )
        assert len(below) == 3
        assert ids(gathered(source, run_ids=[parent])[0], Kind.RUN) == {parent}
        found, losses = gathered(source, run_ids=[parent], with_children=True)
        assert ids(found, Kind.RUN) == set(below)
        home = column(source_server, "select experiment_id from runs where run_uuid = ?", parent)
        assert ids(found, Kind.EXPERIMENT) == set(home)
        assert losses == []

    def test_what_is_below_a_deleted_run(self, source_server: MlflowServer, source: Source) -> None:
        parent, orphan = runs_named(source_server, "deleted parent") + runs_named(source_server, "orphan")
        found, _ = gathered(source, run_ids=[parent], with_children=True)
        assert ids(found, Kind.RUN) == {parent, orphan}
        with pytest.raises(NotFoundError, match="that is not deleted"):
            gathered(source, run_ids=[parent], with_children=True, deleted=False)

    def test_what_is_not_deleted(self, source_server: MlflowServer, source: Source) -> None:
        found, _ = gathered(source, deleted=False)
        active = "where lifecycle_stage = 'active'"
        experiments = set(column(source_server, f"select experiment_id from experiments {active}"))
        runs = column(
            source_server,
            "select run_uuid from runs join experiments using (experiment_id) "
            "where runs.lifecycle_stage = 'active' and experiments.lifecycle_stage = 'active'",
        )
        models = column(source_server, f"select model_id from logged_models {active}")
        assert ids(found, Kind.EXPERIMENT) == experiments
        assert ids(found, Kind.RUN) == set(runs)
        assert ids(found, Kind.LOGGED_MODEL) == set(models)

    def test_single_traces_and_logged_models(self, source_server: MlflowServer, source: Source) -> None:
        traces = column(source_server, "select request_id from trace_info order by request_id")[:2]
        homes = column(
            source_server, "select distinct experiment_id from trace_info where request_id in (?, ?)", *traces
        )
        found, losses = gathered(source, trace_ids=[*traces, "tr-none"])
        assert found.keys() == {*((Kind.TRACE, id) for id in traces), *((Kind.EXPERIMENT, id) for id in homes)}
        assert losses == [(Kind.TRACE, "tr-none", None)]
        query = "select model_id from logged_models where source_run_id = ? and lifecycle_stage = 'active'"
        run = column(source_server, "select source_run_id from logged_models where source_run_id is not null")[0]
        model = column(source_server, query, run)[0]
        found, losses = gathered(source, logged_model_ids=[model, "m-none"])
        assert ids(found, Kind.LOGGED_MODEL) == {model}
        assert ids(found, Kind.RUN) == {run}
        assert losses == [(Kind.LOGGED_MODEL, "m-none", None)]

    def test_a_run_brings_the_models_it_made(self, source_server: MlflowServer, source: Source) -> None:
        run = column(source_server, "select source_run_id from logged_models where source_run_id is not null")[0]
        # A deleted one is known only where a run names it.
        query = "select model_id from logged_models where source_run_id = ? and lifecycle_stage = 'active'"
        made = column(source_server, query, run)
        found, _ = gathered(source, run_ids=[run])
        assert set(made) <= ids(found, Kind.LOGGED_MODEL)
        assert ids(found, Kind.RUN) == {run}

    def test_versions_by_stage(self, source: Source) -> None:
        model = (Kind.REGISTERED_MODEL, "churn")
        assert gathered(source, models=["churn"], stages=["production"])[0][model] == (4, 5)
        assert gathered(source, models=["churn"], latest_versions=True)[0][model] == (1, 2, 5, 11)
        assert gathered(source, models=["churn"], latest_versions=True, stages=["None"])[0][model] == (11,)
        found, losses = gathered(source, models=["churn"], versions=[2, 3])
        assert found == {model: (2,)}
        assert losses == [(*model, "versions/3")]
        with pytest.raises(NotFoundError, match="has no version 3"):
            gathered(source, models=["churn"], versions=[3])


def test_an_archive_with_the_files_of_versions(source_server: MlflowServer, tmp_path: Path) -> None:
    wish: dict[str, Any] = {"models": ["sources of all.kinds"], "versions": [1, 2, 4, 6], "without": ["run"]}
    for version_files in (False, True):
        url = str(tmp_path / f"archive-{version_files}")
        report = api.backup(source_server.uri, url, version_files=version_files, **wish)
        assert report.losses == ()
        with archive_source(url, storage_options=None) as source:
            (item,) = source.read(Kind.REGISTERED_MODEL, make_selection())
            assert isinstance(item, Item)
            blobs = [blob for blob in item.load().blobs() if isinstance(blob, Blob)]
        expected = {f"versions/{number}/artifacts" for number in (1, 2, 4, 6)}
        assert {blob.role for blob in blobs} == (expected if version_files else set())
        assert {blob.name for blob in blobs if "/4/" in blob.role} == ({"kept.txt"} if version_files else set())
        assert api.verify(url).ok
