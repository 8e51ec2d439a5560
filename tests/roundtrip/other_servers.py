"""Servers that take long to make, into a server of the newest MLflow: of other versions, each in an environment of its
own, and with the data of ``mlflow demo``.

Not part of the suite: it installs whole MLflows. ``tox -e servers``, or
``pytest tests/roundtrip/other_servers.py``; ``--server-python 2.22.5=/path/to/python`` uses what is there.
"""

from __future__ import annotations

import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from mlflow_archive import api
from mlflow_archive.operations.ends import archive_source
from mlflow_archive.spec.kinds import Kind
from mlflow_archive.spec.selection import Selection
from tests.comparison import NOT_RESTORED, compare_servers, describe
from tests.conftest import StartServer
from tests.roundtrip.gathering import gathered, ids, source_at
from tests.roundtrip.journey import assert_only_places_out_of_reach, assert_sound
from tests.seeding import seed_server
from tests.servers import SERVER_PYTHON

#: Version -> what its wheels need besides, to run today.
VERSIONS = {
    "2.9.2": ["setuptools<81", "sqlalchemy<2.1"],
    "2.22.5": ["setuptools<81", "sqlalchemy<2.1", "opentelemetry-sdk<1.30"],
    "3.0.1": ["sqlalchemy<2.1", "opentelemetry-sdk<1.30"],
}


@pytest.fixture(params=VERSIONS)
def version(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def python(version: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A Python with that MLflow: a given one, or a new environment."""
    given = dict(one.split("=", 1) for one in request.config.getoption("--server-python"))
    if version in given:
        return given[version]
    where = tmp_path_factory.mktemp("mlflow") / version
    subprocess.run([sys.executable, "-m", "venv", str(where)], check=True)
    made = str(where / "bin" / "python")
    install = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--python", made]
    subprocess.run([*install, f"mlflow=={version}", *VERSIONS[version]], check=True)
    return made


@pytest.mark.server
@pytest.mark.timeout(1800)
def test_an_older_server_arrives_whole(python: str, version: str, start_server: StartServer, tmp_path: Path) -> None:
    source = start_server(python=python)
    assert source.version == version
    seed_server(source, small=True)
    archive = tmp_path / "archive"
    assert_only_places_out_of_reach(api.backup(source.uri, str(archive)))
    assert_sound(archive)
    assert_single_objects_are_found(source.uri, archive)
    target = start_server()
    api.restore(str(archive), target.uri)
    # The newest client asks a server without prompts for models that are none, and gets none.
    reader = python if version == "2.9.2" else SERVER_PYTHON
    differences = compare_servers(source.uri, target.uri, left_python=reader, without=NOT_RESTORED)
    assert not differences, describe(differences)
    target.stop()

    exact = start_server(restored_exactly(archive, tmp_path / "exact"))
    differences = compare_servers(source.uri, exact.uri, left_python=reader, limits={})
    assert not differences, describe(differences)


def restored_exactly(archive: Path, folder: Path) -> Path:
    """Restore an archive made over the API with its ids; return the folder of a server on it."""
    folder.mkdir()
    roots = {"mlflow-artifacts:/": str(folder / "artifacts")}
    target = f"sqlite:///{folder / 'mlflow.db'}"
    report = api.restore(str(archive), target, exact=True, activate=True, artifact_roots=roots)
    assert_only_places_out_of_reach(report)
    assert all(count.lost == 0 for count in report.counts.values()), report.counts
    return folder


def assert_single_objects_are_found(uri: str, archive: Path) -> None:
    """Ask for objects by their ids, and for what is not deleted: the server gives what its archive gives."""
    with archive_source(str(archive), storage_options=None) as stored, closing(source_at(uri)) as server:
        every, _ = gathered(stored)
        (parent,) = (item.key.id for item in stored.read(Kind.RUN, Selection()) if item.key.name == "parent")
        wishes: list[dict[str, Any]] = [{"run_ids": [parent], "with_children": True}, {"deleted": False}]
        for kind, word in ((Kind.TRACE, "trace_ids"), (Kind.LOGGED_MODEL, "logged_model_ids")):
            wishes += [{word: [id, "none"]} for id in sorted(ids(every, kind))[:1]]
        for wish in wishes:
            assert gathered(server, **wish) == gathered(stored, **wish), wish
        assert len(ids(gathered(server, **wishes[0])[0], Kind.RUN)) == 3


@pytest.mark.server
@pytest.mark.timeout(600)
def test_the_data_of_mlflow_demo_arrives_whole(start_server: StartServer, tmp_path: Path) -> None:
    source, target = start_server(), start_server()
    command = [SERVER_PYTHON, "-m", "mlflow", "demo", "--no-browser", "--tracking-uri", source.uri]
    subprocess.run(command, check=True, cwd=tmp_path)
    archive = tmp_path / "archive"
    backup = api.backup(source.uri, str(archive))
    assert backup.losses == ()
    assert backup.counts["trace"].stored > 0
    assert_sound(archive)
    assert api.restore(str(archive), target.uri).losses == ()
    differences = compare_servers(source.uri, target.uri, without=NOT_RESTORED)
    assert not differences, describe(differences)
