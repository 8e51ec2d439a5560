"""Files of an exact restore: to where the rows say, on this machine only into folders that were named."""

from __future__ import annotations

import shutil
import sqlite3
import sys
from contextlib import closing

import pytest

from mlflow_archive import api
from mlflow_archive.errors import UsageError
from mlflow_archive.events import Silence
from mlflow_archive.spec.kinds import Kind
from mlflow_archive.spec.records import parse_record
from mlflow_archive.stream import ObjectKey
from mlflow_archive.tracking.database.addresses import database_address
from mlflow_archive.tracking.database.exact.files import ExactFiles
from mlflow_archive.tracking.database.exact.roots import Moves
from tests.benchmarks.filling import Filling
from tests.spec.worlds import run


@pytest.fixture
def archive(tmp_path, empty_databases):
    """An archive of a run with two files, whose address is a folder of this machine."""
    source = tmp_path / "source"
    source.mkdir()
    root = source / "mlruns"
    empty_databases.copy_to(source / "mlflow.db", sys.executable, str(root))
    filling = Filling(source / "mlflow.db", root)
    filling.experiment(1, "e")
    (run_id,) = filling.runs(1, 1)
    for name in ("model/weights.bin", "notes.txt"):
        filling.file(1, run_id, name, 100)
    with closing(sqlite3.connect(source / "mlflow.db")) as connection, connection:
        for column, table in (("artifact_location", "experiments"), ("artifact_uri", "runs")):
            connection.execute(
                f"UPDATE {table} SET {column} = replace({column}, 'mlflow-artifacts:/', ?)", (f"{root}/",)
            )
    report = api.backup(f"sqlite:///{source / 'mlflow.db'}", str(tmp_path / "archive"))
    assert report.losses == ()
    shutil.rmtree(source)
    return tmp_path / "archive"


def files_below(folder):
    return sorted(path.relative_to(folder).as_posix().split("/", 3)[3] for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("dry_run", [False, True])
def test_folders_of_this_machine_that_nobody_named_are_refused(archive, tmp_path, dry_run):
    (tmp_path / "target").mkdir()
    target = tmp_path / "target" / "mlflow.db"
    with pytest.raises(UsageError, match=r"--artifact-root .*/source/mlruns") as refusal:
        api.restore(str(archive), f"sqlite:///{target}", exact=True, dry_run=dry_run)
    assert "--move-artifacts" in str(refusal.value)
    assert not target.exists()
    assert not (tmp_path / "source").exists()


@pytest.mark.parametrize("how", ["named", "moved", "beside", "elsewhere"])
def test_files_come_to_folders_that_were_named(archive, tmp_path, how):
    old, new = tmp_path / "source" / "mlruns", tmp_path / "new"
    folder = tmp_path / "source" if how == "beside" else tmp_path / "target"
    folder.mkdir()
    named = {
        "named": {"artifact_roots": {str(old): str(old)}},
        "moved": {"move_artifacts": {str(old): str(new)}},
        "beside": {},
        "elsewhere": {"artifact_roots": {str(old): str(new)}},
    }[how]
    report = api.restore(str(archive), f"sqlite:///{folder / 'mlflow.db'}", exact=True, **named)
    assert report.losses == ()
    there = new if how in ("moved", "elsewhere") else old
    assert files_below(there) == ["model/weights.bin", "notes.txt"]
    with closing(sqlite3.connect(folder / "mlflow.db")) as connection:
        ((address,),) = connection.execute("SELECT artifact_uri FROM runs")
    assert address.startswith(str(new if how == "moved" else old))


@pytest.mark.parametrize("address", ["{target}/.ssh", "./.ssh", "./bin/1/r1/artifacts", "{target}/mlruns-of-others/x"])
def test_what_else_is_beside_a_sqlite_file_is_not_named(address, tmp_path):
    target = tmp_path / "target"
    target.mkdir()
    files = ExactFiles(
        database_address(f"sqlite:///{target / 'mlflow.db'}"),
        Moves({}),
        roots={},
        storage_options=None,
        overwrite=False,
        observer=Silence(),
        parallelism=1,
    )
    thing = run(info={**run().record["info"], "artifact_uri": address.format(target=target)})
    record = parse_record(Kind.RUN, thing.record, "run.json")
    with closing(files), pytest.raises(UsageError, match="allow it by --artifact-root"):
        files.require_way(ObjectKey(Kind.RUN, thing.id), record, ["artifacts"])
