"""One consistent view of a database, whatever the dialect, that changes nothing in it."""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import closing

import pytest
import sqlalchemy as sa

from mlflow_archive.errors import NotFoundError, UsageError
from mlflow_archive.tracking.database.client import DatabaseClient
from mlflow_archive.tracking.database.snapshot import Snapshot
from tests.databases.fixtures import KINDS
from tests.servers import with_driver


@pytest.fixture
def database(tmp_path, empty_databases):
    import sys

    path = tmp_path / "mlflow.db"
    empty_databases.copy_to(path, sys.executable, "mlflow-artifacts:/")
    return path


def test_a_sqlite_file_keeps_every_byte(database):
    before = hashlib.sha256(database.read_bytes()).hexdigest()
    client = DatabaseClient(Snapshot.open(f"sqlite:///{database}"))
    answer = client.call("POST", "/api/2.0/mlflow/experiments/search", body={"max_results": 1000})
    client.close()
    assert [one["name"] for one in answer["experiments"]] == ["Default"]
    assert hashlib.sha256(database.read_bytes()).hexdigest() == before


def test_what_is_written_after_the_snapshot_is_not_in_it(database):
    snapshot = Snapshot.open(f"sqlite:///{database}")
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("INSERT INTO experiments (name, lifecycle_stage) VALUES ('x', 'active')")
    assert snapshot.count(snapshot.tables["experiments"]) == 1
    snapshot.close()


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_batches_are_the_table_in_the_order_of_its_key(database, size):
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.executemany(
            "INSERT INTO experiment_tags (key, value, experiment_id) VALUES (?, ?, 0)",
            [(key, f"value of {key}") for key in ("b", "ä", "", "B", "a b")],
        )
    snapshot = Snapshot.open(f"sqlite:///{database}")
    table = snapshot.tables["experiment_tags"]
    found = [row for batch in snapshot.batches(table, size=size) for row in batch]
    assert found == snapshot.tuples(sa.select(table).order_by(table.c.key, table.c.experiment_id))
    assert len(found) == 5
    snapshot.close()


@pytest.mark.parametrize("kind", KINDS)
def test_a_key_of_several_columns_is_walked_on_every_database(kind, new_mlflow_database):
    uri = new_mlflow_database(kind)
    rows = [{"key": key, "value": "v", "experiment_id": id} for key in ("b", "ä", "c", "a b") for id in (0, 7, 30)]
    engine = sa.create_engine(with_driver(uri))
    with engine.begin() as connection:
        for id in (7, 30):
            connection.execute(sa.text("INSERT INTO experiments (experiment_id, name) VALUES (:id, :id)"), {"id": id})
        insert = "INSERT INTO experiment_tags (experiment_id, value, {0}) VALUES (:experiment_id, :value, :key)"
        name = engine.dialect.identifier_preparer.quote("key")
        connection.execute(sa.text(insert.format(name)), rows)
    engine.dispose()
    snapshot = Snapshot.open(uri)
    table = snapshot.tables["experiment_tags"]
    found = [[row for batch in snapshot.batches(table, size=size) for row in batch] for size in (1, 5, 100)]
    assert found[0] == found[1] == found[2] == snapshot.tuples(sa.select(table).order_by(*table.primary_key.columns))
    assert len(found[0]) == 12
    snapshot.close()


def test_no_file_is_a_sentence(tmp_path):
    with pytest.raises(NotFoundError, match="There is no file"):
        Snapshot.open(f"sqlite:///{tmp_path / 'none.db'}")


def test_a_database_of_others_is_refused(tmp_path):
    with closing(sqlite3.connect(tmp_path / "other.db")) as connection, connection:
        connection.execute("CREATE TABLE cats (name TEXT)")
    with pytest.raises(UsageError, match="not one of MLflow's"):
        Snapshot.open(f"sqlite:///{tmp_path / 'other.db'}")
