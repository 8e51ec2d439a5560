"""The oracle: a server with everything in it, through an archive, into an empty server, and nothing is different.

The servers are compared through MLflow's own client (tests/comparison), by code that shares nothing with the package.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from mlflow_archive import api
from mlflow_archive.spec.kinds import Kind
from tests.comparison import NOT_RESTORED, compare_servers, describe
from tests.conftest import StartServer
from tests.roundtrip.journey import assert_only_places_out_of_reach, assert_sound, sections
from tests.seeding import seed_server
from tests.servers import SERVER_PYTHON, MlflowServer

pytestmark = [pytest.mark.server, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def archive(source_server: MlflowServer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backup of everything."""
    target = tmp_path_factory.mktemp("archives") / "first"
    assert_only_places_out_of_reach(api.backup(source_server.uri, str(target)))
    return target


@pytest.fixture(scope="module")
def restored(archive: Path, start_module_server: StartServer) -> MlflowServer:
    """An empty server that the archive was restored into."""
    server = start_module_server()
    report = api.restore(str(archive), server.uri)
    lost = {kind for kind, count in report.counts.items() if count.lost}
    assert lost <= NOT_RESTORED.keys(), [loss for loss in report.losses if loss.kind not in NOT_RESTORED]
    return server


def test_an_archive_of_everything_is_sound(archive: Path) -> None:
    assert_sound(archive)


def test_a_second_backup_is_the_same(archive: Path, source_server: MlflowServer, tmp_path: Path) -> None:
    again = tmp_path / "again"
    api.backup(source_server.uri, str(again), parallelism=2)
    assert sections(again) == sections(archive)


@pytest.fixture(scope="module")
def installed_server(source_server: MlflowServer, start_module_server: StartServer) -> MlflowServer:
    """A server of the MLflow that is installed beside the package, with everything that it knows."""
    if sys.executable == SERVER_PYTHON:
        return source_server
    server = start_module_server(python=sys.executable)
    seed_server(server, small=True)
    return server


def test_a_store_without_a_server_gives_the_same(installed_server: MlflowServer, tmp_path: Path) -> None:
    served, stored, database = tmp_path / "served", tmp_path / "stored", tmp_path / "mlflow.db"
    assert_only_places_out_of_reach(api.backup(installed_server.uri, str(served)))
    shutil.copyfile(installed_server.database, database)
    roots = {"mlflow-artifacts:/": str(installed_server.artifacts)}
    assert_only_places_out_of_reach(api.backup(f"sqlite:///{database}", str(stored), artifact_roots=roots))
    report = api.diff(str(served), str(stored), without=["database"])
    assert (*report.different, *report.only_left) == (), report.to_json()
    # A server lists no deleted logged model that no run names.
    assert {key.kind for key in report.only_right} <= {Kind.LOGGED_MODEL}


def test_a_store_is_read_whichever_mlflow_is_installed(source_server: MlflowServer, tmp_path: Path) -> None:
    database, target = tmp_path / "mlflow.db", tmp_path / "archive"
    shutil.copyfile(source_server.database, database)
    report = api.backup(f"sqlite:///{database}", str(target), only=["experiments"])
    assert (report.losses, report.stored_count > 1) == ((), True)


def test_a_second_restore_creates_nothing(archive: Path, restored: MlflowServer, tmp_path: Path) -> None:
    before, after = tmp_path / "before", tmp_path / "after"
    api.backup(restored.uri, str(before))
    report = api.restore(str(archive), restored.uri)
    assert report.stored_count == 0, report.counts
    api.backup(restored.uri, str(after))
    assert sections(after) == sections(before)


def test_a_backup_of_the_restored_server_is_equal(archive: Path, restored: MlflowServer, tmp_path: Path) -> None:
    back = tmp_path / "back"
    api.backup(restored.uri, str(back))
    report = api.diff(str(archive), str(back))
    missing = [key for key in report.only_left if key.kind not in NOT_RESTORED]
    assert [*report.different, *missing, *report.only_right] == [], report.to_json()


def test_a_restored_server_is_equal(archive: Path, source_server: MlflowServer, restored: MlflowServer) -> None:
    # Last: MLflow's client changes a server by looking at its label schemas.
    differences = compare_servers(source_server.uri, restored.uri, without=NOT_RESTORED)
    assert not differences, describe(differences)


def test_files_with_names_no_server_can_carry(start_server: StartServer, tmp_path: Path) -> None:
    """Where clients reach artifacts themselves, names with ``%`` and ``#`` come along too."""
    source = start_server(serve_artifacts=False)
    seed_server(source, small=True)
    target = start_server(serve_artifacts=False)
    assert_only_places_out_of_reach(api.backup(source.uri, str(tmp_path / "archive")))
    assert_sound(tmp_path / "archive")
    api.restore(str(tmp_path / "archive"), target.uri)
    differences = compare_servers(source.uri, target.uri, without=NOT_RESTORED)
    assert not differences, describe(differences)
