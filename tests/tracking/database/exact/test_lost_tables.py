"""An archive that lost a table, or has what is none of MLflow's, is not restored as if it were whole."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from mlflow_archive.errors import IntegrityError
from tests.databases.filled import unpack
from tests.tracking.database.exact.archives import archive_tables
from tests.tracking.database.exact.test_exact_sqlite import restore


@pytest.mark.parametrize("value", ["CAST(x'ff41' AS TEXT)", "x'ff41'"], ids=["no-utf-8", "bytes"])
def test_a_table_with_a_value_that_is_no_text_is_lost_and_missed(value, tmp_path):
    path = unpack("2.9.2", tmp_path / "old")
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(f"UPDATE params SET value = {value} WHERE rowid = (SELECT min(rowid) FROM params)")
    archive = archive_tables(f"sqlite:///{path}", tmp_path / "a")
    with pytest.raises(IntegrityError, match=r"no rows of the table params.* --without database") as error:
        restore(archive, f"sqlite:///{tmp_path / 'new.db'}")
    assert error.value.code == "lost_table"
    assert not (tmp_path / "new.db").exists()


def test_texts_are_no_numbers(tmp_path):
    path = unpack("2.9.2", tmp_path / "old")
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("PRAGMA writable_schema = ON")
        schema = (
            "UPDATE sqlite_master SET sql = replace(sql, 'start_time BIGINT', 'start_time TEXT') WHERE name = 'runs'"
        )
        assert connection.execute(schema).rowcount == 1
    archive = archive_tables(f"sqlite:///{path}", tmp_path / "a")
    with pytest.raises(IntegrityError, match=r"type text for runs\.start_time, where MLflow has numbers"):
        restore(archive, f"sqlite:///{tmp_path / 'new.db'}")
    assert not (tmp_path / "new.db").exists()
