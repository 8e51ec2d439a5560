"""Databases that are being migrated, or whose schema nobody knows yet: a sentence, or all that is there; never less."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing, contextmanager

import pytest
import sqlalchemy as sa

from mlflow_archive import api
from mlflow_archive.errors import UnavailableError
from mlflow_archive.tracking.database import snapshot as module
from mlflow_archive.tracking.database.snapshot import Snapshot
from tests.servers import with_driver


@contextmanager
def connected(uri):
    engine = sa.create_engine(with_driver(uri))
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def test_a_sqlite_file_in_the_middle_of_a_migration_is_a_sentence(new_mlflow_database, tmp_path):
    uri = new_mlflow_database("sqlite")
    with closing(sqlite3.connect(uri.removeprefix("sqlite:///"))) as database:
        database.execute("ALTER TABLE runs RENAME TO _alembic_tmp_runs")
        database.commit()
    with pytest.raises(UnavailableError, match="try again after 'mlflow db upgrade' has come to its end"):
        api.backup(uri, str(tmp_path / "archive"))
    assert not (tmp_path / "archive" / "manifest.json").exists()


def test_a_migration_between_the_snapshot_and_the_reading_is_noticed(new_mlflow_database, monkeypatch):
    uri = new_mlflow_database("postgresql")
    keep = Snapshot._keep

    def migrated(snapshot, *arguments):
        with connected(uri) as other:
            # Rewrites the table, so that PostgreSQL shows nothing in it to who began before.
            other.exec_driver_sql("ALTER TABLE experiments ADD COLUMN later DOUBLE PRECISION DEFAULT random()")
            other.exec_driver_sql("UPDATE alembic_version SET version_num = 'of another'")
            other.commit()
        assert snapshot.count(snapshot.tables["experiments"]) == 0
        keep(snapshot, *arguments)

    monkeypatch.setattr(Snapshot, "_keep", migrated)
    with pytest.raises(UnavailableError, match="is being migrated to another MLflow"):
        Snapshot.open(uri)
    monkeypatch.undo()
    with closing(Snapshot.open(uri)) as snapshot:
        assert snapshot.count(snapshot.tables["experiments"]) == 1


def test_a_migration_that_goes_on_is_waited_for_and_then_told(new_mlflow_database, monkeypatch):
    uri = new_mlflow_database("postgresql")
    monkeypatch.setattr(module, "_LOCK_SECONDS", 1)
    with connected(uri) as other:
        other.exec_driver_sql("LOCK TABLE runs IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(UnavailableError, match="schema is being changed, perhaps by 'mlflow db upgrade'"):
            Snapshot.open(uri)
    Snapshot.open(uri).close()


def test_a_table_that_was_changed_after_the_snapshot_is_not_read_as_it_is_now(new_mlflow_database):
    uri = new_mlflow_database("mariadb")
    with closing(Snapshot.open(uri)) as snapshot:
        with connected(uri) as other:
            other.exec_driver_sql("ALTER TABLE experiments FORCE, ALGORITHM = COPY")
        with pytest.raises(UnavailableError, match="schema is being changed, perhaps by 'mlflow db upgrade'"):
            snapshot.rows(sa.select(snapshot.tables["experiments"]))


def test_connections_may_be_idle_for_as_long_as_files_take(new_mlflow_database):
    uri = new_mlflow_database("postgresql")
    name = uri.rpartition("/")[2]
    with connected(uri) as other:
        other.exec_driver_sql(f"ALTER DATABASE {name} SET idle_in_transaction_session_timeout = '200ms'")
        other.commit()
    with closing(Snapshot.open(uri, parallelism=3)) as snapshot:
        time.sleep(0.6)
        for _ in range(3):
            assert snapshot.count(snapshot.tables["experiments"]) == 1


def test_an_unknown_revision_is_stored_as_it_is_and_told(old_database, tmp_path):
    path = old_database("3.5.1")
    with closing(sqlite3.connect(path)) as database:
        database.execute("UPDATE alembic_version SET version_num = 'ffffffffffff'")
        database.execute("CREATE TABLE novelties (id INTEGER PRIMARY KEY, name TEXT)")
        database.execute("INSERT INTO novelties VALUES (1, 'one')")
        database.execute("ALTER TABLE runs ADD COLUMN novelty TEXT DEFAULT 'new'")
        database.commit()
    roots = {"mlflow-artifacts:/": str(path.parent / "artifacts")}
    report = api.backup(f"sqlite:///{path}", str(tmp_path / "archive"), artifact_roots=roots, without=["artifacts"])
    assert report.losses == ()
    (note,) = (note for note in report.notes if "ffffffffffff" in note)
    assert "its tables are stored as they are" in note
    assert report.counts["run"].stored == 21
    assert not api.verify(str(tmp_path / "archive"), level="restorable").problems
    tables = tmp_path / "archive" / "database" / "tracking" / "tables"
    assert (tables / "novelties.parquet").exists()
