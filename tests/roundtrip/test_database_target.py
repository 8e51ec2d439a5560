"""An archive restored over MLflow's own store into databases without a server."""

from __future__ import annotations

import tarfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from mlflow_archive import api
from mlflow_archive.errors import UsageError
from mlflow_archive.operations.ends import archive_source
from mlflow_archive.spec.kinds import Kind
from mlflow_archive.spec.selection import Selection
from mlflow_archive.tracking.connecting import connect_source
from tests.databases.fixtures import Databases

OLD = Path(__file__).parents[1] / "databases" / "old" / "filestore-2.9.tar.gz"


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An archive of a file store."""
    folder = tmp_path_factory.mktemp("archive")
    with tarfile.open(OLD) as tar:
        tar.extractall(folder, filter="data")
    assert api.backup(str(folder / "mlruns"), str(folder / "archive")).losses == ()
    return str(folder / "archive")


@pytest.fixture(params=["postgresql", "mariadb"])
def target(request: pytest.FixtureRequest, databases: Callable[[str], Databases]) -> Iterator[str]:
    kind = databases(request.param)
    uri = kind.new_database()
    yield uri
    kind.drop_database(uri)


def test_an_archive_fills_an_empty_database(archive: str, target: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--artifacts-destination"):
        api.restore(archive, target)
    roots = {"mlflow-artifacts:/": str(tmp_path / "files")}

    planned = api.restore(archive, target, dry_run=True, artifact_roots=roots)
    assert planned.counts["run"].stored == 2

    done = api.restore(archive, target, artifact_roots=roots)

    assert done.losses == ()
    assert (done.counts["run"].stored, done.counts["registered_model"].stored) == (2, 1)
    new = done.ids["run"]
    with closing(connect_source(target)) as client:
        for id in new.values():
            run = client.call("GET", "/api/2.0/mlflow/runs/get", params={"run_id": id})["run"]
            uri = run["info"]["artifact_uri"]  # type: ignore[index, call-overload]
            assert str(uri).startswith("mlflow-artifacts:/")
    assert sorted(path.read_text() for path in (tmp_path / "files").rglob("*.txt")) == ["bye", "hello"]

    again = api.restore(archive, target, dry_run=True, artifact_roots=roots)
    assert again.counts["run"].stored == 0


def test_what_came_in_goes_out_again(archive: str, target: str, tmp_path: Path) -> None:
    roots = {"mlflow-artifacts:/": str(tmp_path / "files")}
    done = api.restore(archive, target, artifact_roots=roots)

    report = api.backup(target, str(tmp_path / "second"), artifact_roots=roots)

    assert report.losses == ()
    with (
        archive_source(archive, storage_options=None) as first,
        archive_source(str(tmp_path / "second"), storage_options=None) as second,
    ):
        before = {item.key.id: item.load() for item in first.read(Kind.RUN, Selection())}
        after = {item.key.id: item.load() for item in second.read(Kind.RUN, Selection())}
        for old, new in done.ids["run"].items():
            assert before[old].record.params == after[new].record.params  # type: ignore[attr-defined]
            assert [*map(_lines, before[old].parts)] == [*map(_lines, after[new].parts)]


def _lines(part: object) -> list[object]:
    return [*part.open()]  # type: ignore[attr-defined]
