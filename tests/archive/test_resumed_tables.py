"""The tables of a resumed backup are of the moment of its objects, and not of the moment of the attempt before."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Literal

import pytest

from mlflow_archive.archive.reader import ArchiveReader
from mlflow_archive.archive.writer import ArchiveWriter
from mlflow_archive.operations.verify import verify
from mlflow_archive.spec.kinds import Kind
from mlflow_archive.spec.manifest import SourceInfo
from mlflow_archive.spec.records.database import DatabaseRecord
from mlflow_archive.spec.selection import Selection
from mlflow_archive.storage.containers import Packing, begin_container, open_container
from mlflow_archive.stream import Account, Blob, Item
from mlflow_archive.tracking.database.dump import DatabaseDump
from mlflow_archive.tracking.database.parquet import read_rows
from mlflow_archive.tracking.database.snapshot import Snapshot

MADE = """
CREATE TABLE alembic_version (version_num TEXT);
INSERT INTO alembic_version VALUES ('dc11669786a5');
CREATE TABLE experiments (experiment_id INTEGER PRIMARY KEY, name TEXT);
INSERT INTO experiments VALUES (1, 'before');
"""


def written(database: Path, url: str, container: Literal["tree", "volumes"], *, resume: bool) -> None:
    snapshot = Snapshot.open(f"sqlite:///{database}")
    store = begin_container(url, Packing(container=container), storage_options=None, parallelism=2)
    with closing(snapshot), closing(store), closing(ArchiveWriter.begin(store, resume=resume)) as writer:
        for item in DatabaseDump(snapshot).items(lambda sentence: None):
            writer.write(item)
        if resume:
            writer.finish(Account(SourceInfo(type="mlflow", uri="sqlite:///x"), Selection(), 1, (), {}, {}, ()))


@pytest.mark.parametrize("container", ["tree", "volumes"])
def test_rows_that_changed_since_are_written_again(tmp_path: Path, container: Literal["tree", "volumes"]) -> None:
    database, url = tmp_path / "m.db", str(tmp_path / "archive")
    with closing(sqlite3.connect(database)) as connection:
        connection.executescript(MADE)
        written(database, url, container, resume=False)
        connection.execute("UPDATE experiments SET name = 'after!'")
        connection.commit()
        written(database, url, container, resume=True)
    with closing(open_container(url)) as store:
        assert verify(store, "restorable").problems == ()
        [item] = ArchiveReader.open(store).read(Kind.DATABASE, Selection())
        assert isinstance(item, Item)
        content = item.load()
        assert isinstance(content.record, DatabaseRecord)
        [blob] = content.blobs()
        assert isinstance(blob, Blob)
        assert list(read_rows(blob, content.record.tables[0])) == [[(1, "after!")]]
