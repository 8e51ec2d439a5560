"""What others have made upon the tables of a fresh server is theirs: an exact restore does not drop it."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from sqlalchemy.pool import NullPool

from mlflow_archive.errors import ConflictError
from mlflow_archive.tracking.database.addresses import database_address
from tests.tracking.database.exact.archives import archive_tables, rows_of
from tests.tracking.database.exact.structure import structure_of
from tests.tracking.database.exact.test_exact_sqlite import restore


@pytest.fixture
def fresh(postgresql, new_mlflow_database):
    uri = new_mlflow_database("postgresql")
    yield uri
    postgresql.drop_database(uri)


def run(uri, *statements):
    engine = sa.create_engine(database_address(uri).url, poolclass=NullPool)
    try:
        with engine.begin() as connection:
            for statement in statements:
                connection.execute(sa.text(statement))
    finally:
        engine.dispose()


MADE = (
    "CREATE VIEW report AS SELECT run_uuid, status FROM runs",
    "CREATE SCHEMA bi",
    "CREATE MATERIALIZED VIEW bi.daily AS SELECT count(*) FROM runs",
    "CREATE TABLE bi.marks (run varchar(32) REFERENCES runs (run_uuid), mark int)",
)


def test_what_others_made_upon_the_tables_is_kept(fresh, tmp_path):
    archive = archive_tables(fresh, tmp_path / "a")
    run(fresh, *MADE)
    before = {"rows": rows_of(fresh), "structure": structure_of(fresh)}
    for name, undone in (
        ("view report", "DROP VIEW report"),
        ("materialized view bi.daily", "DROP MATERIALIZED VIEW bi.daily"),
        ("table bi.marks", "DROP TABLE bi.marks"),
    ):
        with pytest.raises(ConflictError, match=rf"{name} .*drop it first") as error:
            restore(archive, fresh)
        assert error.value.code == "not_empty"
        assert {"rows": rows_of(fresh), "structure": structure_of(fresh)} == before
        run(fresh, undone)
    assert restore(archive, fresh).status == "complete"
