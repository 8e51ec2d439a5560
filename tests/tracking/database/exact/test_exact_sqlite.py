"""Exact restores into SQLite: every row as it was, and never a database that only looks whole."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest

from mlflow_archive.errors import ConflictError, UnsupportedError, UsageError
from mlflow_archive.operations.ends import ServerChoices
from mlflow_archive.operations.exact import ExactChoices, restore_exactly
from mlflow_archive.spec.selection import Selection
from mlflow_archive.tracking.database.exact import schema, state
from mlflow_archive.tracking.database.exact.loading import load_table
from tests.databases.filled import OLD_VERSIONS, unpack
from tests.tracking.database.exact.archives import archive_tables, rows_of

NEW_OBJECTS = """
import sys
from mlflow import MlflowClient
client = MlflowClient(sys.argv[1])
before = {e.experiment_id for e in client.search_experiments(view_type=3)}
id = client.create_experiment("made after the restore")
assert id not in before, id
run = client.create_run(id)
client.log_metric(run.info.run_id, "m", 1.5)
client.create_registered_model("made after")
assert client.create_model_version("made after", "s3://bucket/m").version in (1, "1")
span = client.start_trace("after", experiment_id=id)
client.end_trace(span.trace_id)
print(len(client.search_runs(list(before | {id}), run_view_type=3)))
"""


def restore(archive, uri, **options):
    choices = {name: options.pop(name) for name in ("dry_run", "activate", "if_exists") if name in options}
    exact = ExactChoices(**options)
    return restore_exactly(archive, uri, selection=Selection(), exact=exact, choices=ServerChoices(**choices))


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    folder = tmp_path_factory.mktemp("exact")
    return archive_tables(f"sqlite:///{unpack('3.5.1', folder / 'old')}", folder / "a")


@pytest.mark.parametrize("version", OLD_VERSIONS[:1])  # the matrix has them all
def test_rows_of_old_revisions_survive_the_upgrade(version, old_database, tmp_path):
    source = f"sqlite:///{old_database(version)}"
    url = archive_tables(source, tmp_path / "a")
    target = f"sqlite:///{tmp_path / 'b.db'}"
    report = restore(url, target, activate=True)
    assert report.status == "complete", report.losses
    with closing(sqlite3.connect(old_database(version))) as old, closing(sqlite3.connect(tmp_path / "b.db")) as new:
        assert new.execute("SELECT version_num FROM alembic_version").fetchall() == [(schema.head(),)]
        assert new.execute("PRAGMA foreign_key_check").fetchall() == []
        assert new.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        names = {name for (name,) in new.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        assert not {state.TABLE, state.REVISION_TABLE} & names
        for table in ("runs", "metrics", "params", "registered_models", "experiments"):
            columns = ", ".join(row[1] for row in old.execute(f"PRAGMA table_info({table})"))
            asked = f"SELECT {columns} FROM {table} ORDER BY {columns}"
            assert new.execute(asked).fetchall() == old.execute(asked).fetchall(), table
    made = subprocess.run(
        [sys.executable, "-c", NEW_OBJECTS, target], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert made.returncode == 0, made.stderr[-2000:]


def test_every_row_comes_back_at_the_newest_revision(archive, tmp_path):
    first, second = (f"sqlite:///{tmp_path / name}" for name in ("one.db", "two.db"))
    restore(archive, first, activate=True)
    restore(archive_tables(first, tmp_path / "again"), second, activate=True)
    assert rows_of(second) == rows_of(first)


def break_at(monkeypatch, table):
    def load(connection, where, *rest):
        if where.name == table:
            raise KeyboardInterrupt
        return load_table(connection, where, *rest)

    monkeypatch.setattr("mlflow_archive.tracking.database.exact.stored_rows.load_table", load)


def test_no_mlflow_takes_a_half_filled_database(archive, tmp_path, monkeypatch):
    target = f"sqlite:///{tmp_path / 'b.db'}"
    with monkeypatch.context() as patched:
        break_at(patched, "tags")
        with pytest.raises(KeyboardInterrupt):
            restore(archive, target)
    program = "import sys; from mlflow import MlflowClient; MlflowClient(sys.argv[1]).search_experiments()"
    tried = subprocess.run(
        [sys.executable, "-c", program, target], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert tried.returncode != 0
    assert state.MARKER in tried.stderr
    assert restore(archive, target).status == "complete"


def test_another_archive_needs_leave_to_start_over(archive, old_database, tmp_path, monkeypatch):
    target = f"sqlite:///{tmp_path / 'b.db'}"
    other = archive_tables(f"sqlite:///{old_database('2.9.2')}", tmp_path / "other")
    with monkeypatch.context() as patched:
        break_at(patched, "tags")
        with pytest.raises(KeyboardInterrupt):
            restore(archive, target)
    with pytest.raises(ConflictError, match=r"another archive .* add --start-over"):
        restore(other, target)
    assert restore(other, target, start_over=True).status == "complete"
    with pytest.raises(ConflictError, match="is not empty"):
        restore(archive, target, start_over=True)


def test_nothing_is_written_where_something_is_refused(archive, tmp_path):
    path = tmp_path / "b.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE mine (id INTEGER)")
    before = path.read_bytes()
    with pytest.raises(ConflictError, match="not MLflow's \\(mine\\)"):
        restore(archive, f"sqlite:///{path}")
    assert path.read_bytes() == before
    with pytest.raises(UnsupportedError, match="give a shorter one"):
        restore(archive, f"sqlite:///{tmp_path / 'c.db'}", moves={"mlflow-artifacts:/": "s3://" + "x" * 300})
    with closing(sqlite3.connect(tmp_path / "c.db")) as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == []


def test_an_archive_of_a_newer_mlflow_is_refused(archive, tmp_path, monkeypatch):
    monkeypatch.setattr(schema, "_knows", lambda *_: False)
    with pytest.raises(UnsupportedError, match=r"pip install 'mlflow>=3.5'"):
        restore(archive, f"sqlite:///{tmp_path / 'b.db'}")
    assert not (tmp_path / "b.db").exists()


def test_a_selection_of_tables_alone_is_refused(archive, tmp_path):
    with pytest.raises(UsageError, match="leave the selection out"):
        restore_exactly(
            archive, f"sqlite:///{tmp_path / 'b.db'}", selection=Selection(models=("a",)), exact=ExactChoices()
        )


def test_addresses_move(archive, tmp_path):
    target = tmp_path / "b.db"
    restore(archive, f"sqlite:///{target}", moves={"mlflow-artifacts:/": "s3://new/root"})
    with closing(sqlite3.connect(target)) as connection:
        places = [uri for (uri,) in connection.execute("SELECT artifact_uri FROM runs")]
        tags = [
            uri for (uri,) in connection.execute("SELECT value FROM trace_tags WHERE key = 'mlflow.artifactLocation'")
        ]
    assert places
    assert tags
    assert all(uri.startswith("s3://new/root/") for uri in (*places, *tags))
