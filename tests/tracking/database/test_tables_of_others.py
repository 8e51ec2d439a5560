"""Tables of others in a database of MLflow, with all that MLflow's own tables never have."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from mlflow_archive.tracking.database.snapshot import BATCH_ROWS
from tests.tracking.database.test_dump import changing, dumping


@pytest.fixture
def uri(sqlite):
    """A database with as little of MLflow as there can be."""
    uri = sqlite.new_database()
    change(
        uri,
        "CREATE TABLE alembic_version (version_num TEXT)",
        "INSERT INTO alembic_version VALUES ('dc11669786a5')",
        "CREATE TABLE experiments (id INTEGER PRIMARY KEY)",
    )
    return uri


def change(uri, *statements):
    with changing(uri) as connection:
        for statement in statements:
            connection.execute(sa.text(statement))


def test_a_key_to_a_table_that_is_gone_is_of_no_account(uri):
    change(uri, "CREATE TABLE others (id INTEGER PRIMARY KEY, gone INTEGER REFERENCES nowhere (id))")
    change(uri, "INSERT INTO others VALUES (1, 2)")
    with dumping(uri) as dump:
        assert dump.rows("others") == [{"id": 1, "gone": 2}]


def test_a_long_table_whose_key_is_a_time_is_walked_to_its_end(uri):
    rows = BATCH_ROWS + 3
    change(uri, "CREATE TABLE others (at DATETIME PRIMARY KEY, text TEXT)")
    change(
        uri,
        f"WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < {rows - 1}) "
        "INSERT INTO others SELECT strftime('%Y-%m-%d %H:%M:%f', '2020-01-01', i || ' seconds'), i FROM n",
    )
    with dumping(uri) as dump:
        assert [row["text"] for row in dump.rows("others")] == [str(i) for i in range(rows)]


def test_rows_that_are_left_out_for_the_name_of_their_table_are_told(uri):
    change(uri, 'CREATE TABLE "of others" (id INTEGER)', 'INSERT INTO "of others" VALUES (1), (2)')
    change(uri, 'CREATE TABLE "empty one" (id INTEGER)')
    with dumping(uri) as dump:
        assert {table.name for table in dump.record.left_out} >= {"of others", "empty one"}
        (note,) = [note for note in dump.notes if "name" in note]
        assert "'of others' (2 rows)" in note
        assert "empty one" not in note
