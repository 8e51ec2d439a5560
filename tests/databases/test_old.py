"""What servers of older MLflows left: whole, small, and of nobody's machine."""

from __future__ import annotations

import gzip
import sqlite3
from contextlib import closing

import pytest

from tests.databases.filled import NEWEST, OLD, OLD_VERSIONS

REVISIONS = {
    "2.9.2": "acf3f17fdcc7",
    "2.22.5": "0584bdc529eb",
    "3.0.1": "bda7b8c39065",
    "3.5.1": "bf29a5ff90ea",
    "3.17.2": "dc11669786a5",
}
#: Of what a server does and not of what it has, and what migrations emptied for good.
EMPTY = {
    "job_locks",
    "scheduler_leases",
    "span_metrics",
    "sql_assessment_daily_rollups",
    "sql_span_cost_daily_rollups",
    "sql_trace_metric_daily_rollups",
    "sql_trace_rollup_rebuild_queue",
    "trace_metrics",
}
VERSIONS = (*OLD_VERSIONS, NEWEST)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_database_is_whole_and_has_rows_in_every_table(version, old_database):
    with closing(sqlite3.connect(old_database(version))) as connection:
        names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [(REVISIONS[version],)]
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        filled = {name for name in names if connection.execute(f'SELECT 1 FROM "{name}"').fetchone()}
    assert filled == set(names) - EMPTY


@pytest.mark.parametrize("version", VERSIONS)
def test_artifacts_are_where_the_database_says(version, old_database):
    database = old_database(version)
    with closing(sqlite3.connect(database)) as connection:
        ((root,),) = connection.execute("SELECT artifact_uri FROM runs WHERE name LIKE 'full%'")
    folder = database.parent / "artifacts" / root.removeprefix("mlflow-artifacts:/")
    assert (folder / "readme.md").read_bytes() == b"# hello\n"
    assert (folder / "空 folder" / "naïve file é.txt").read_text(encoding="utf-8") == "Ünïcode"


@pytest.mark.parametrize("path", sorted(OLD.glob("*.gz")), ids=lambda path: path.name)
def test_files_are_small_and_tell_nothing_of_a_machine(path):
    assert path.stat().st_size < 150 * 1024
    data = gzip.decompress(path.read_bytes())
    for word in (b"/home/", b"/root/", b"/tmp/", b"/Users/runner", b"site-packages"):
        assert word not in data
