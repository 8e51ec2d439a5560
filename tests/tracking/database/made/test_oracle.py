"""A real server, read over HTTP, and the tables made from its answers beside its own."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from mlflow_archive.tracking.artifacts import open_artifacts
from mlflow_archive.tracking.connecting import connect
from mlflow_archive.tracking.database.exact.made.rows import MadeRows
from mlflow_archive.tracking.sources.source import MlflowSource
from tests.servers import EmptyDatabases, MlflowServer
from tests.tracking.database.made.differences import COLUMNS, ROWS, differences
from tests.tracking.database.made.filling import emptied, fill

pytestmark = pytest.mark.server

LATER_MS = 4_000_000_000_000


@pytest.fixture(scope="module")
def made(
    source_server: MlflowServer, empty_databases: EmptyDatabases, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, MadeRows]:
    """A database with the rows that were made from the answers of the server."""
    path = tmp_path_factory.mktemp("made") / "mlflow.db"
    empty_databases.copy_to(path, sys.executable, "mlflow-artifacts:/")
    rows = MadeRows(deleted_ms=LATER_MS)
    client = connect(source_server.uri, read_only=True)
    source = MlflowSource(client, open_artifacts(client, roots={}))
    with closing(source), closing(emptied(path)) as database:
        assert fill(database, rows, source) == []
    return path, rows


@pytest.fixture
def both(made: tuple[Path, MadeRows], source_server: MlflowServer) -> Iterator[tuple[sqlite3.Connection, ...]]:
    with (
        closing(sqlite3.connect(f"file:{source_server.database}?mode=ro", uri=True)) as server,
        closing(sqlite3.connect(made[0])) as own,
    ):
        yield server, own


def test_the_tables_are_the_servers_own_but_for_what_no_answer_tells(both):
    found, needed = differences(*both)
    assert found == []
    assert needed == COLUMNS.keys() | ROWS.keys(), "an allowance is not needed any more"


def test_each_foreign_key_leads_somewhere(both):
    assert both[1].execute("PRAGMA foreign_key_check").fetchall() == []
    assert both[1].execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_the_rows_are_for_the_revision_that_they_say(both):
    assert both[0].execute("SELECT version_num FROM alembic_version").fetchall() == [(MadeRows.REVISION,)]


def test_deleted_runs_count_as_deleted_when_the_archive_was_made(both):
    query = "SELECT run_uuid, deleted_time FROM runs WHERE lifecycle_stage = 'deleted'"
    theirs, ours = (dict(database.execute(query)) for database in both)
    assert theirs.keys() == ours.keys()
    assert {*ours.values()} == {LATER_MS}
    assert all(time < LATER_MS for time in theirs.values())


def test_what_had_to_be_given_is_told_once(made):
    _, rows = made
    assert rows.losses == ()
    assert len(rows.notes) == 5
    for words in (
        "runs were deleted (3 here)",
        "no answer of a server: 2; they have none now",
        "2 webhooks",
        "Versions that the archive lacks between others: 3;",
        "linked to runs",
    ):
        assert sum(words in note for note in rows.notes) == 1, words
