"""The state of an exact restore that this version did not write."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest
import sqlalchemy as sa

from mlflow_archive.errors import ConflictError
from mlflow_archive.tracking.database.exact import state


@pytest.mark.parametrize(
    ("item", "value"),
    [
        ("identity", '{"archive_id": "a"}'),
        ("identity", "[]"),
        ("identity", "later"),
        ("table:runs", '{"rows": 1, "digest": "a", "later": 2}'),
        ("foreign_keys", "7"),
    ],
)
def test_what_cannot_be_understood_is_said_and_not_taken_for_nothing(item, value, tmp_path):
    known = {
        "identity": '{"archive_id": "a", "root_digest": "b", "revision": "c", "made": false}',
        "phase": state.ROWS,
    }
    with closing(sqlite3.connect(tmp_path / "x.db")) as connection, connection:
        connection.execute(f"CREATE TABLE {state.TABLE} (item TEXT, value TEXT)")
        rows = {**known, item: value}
        connection.executemany(f"INSERT INTO {state.TABLE} VALUES (?, ?)", rows.items())
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'x.db'}")
    with engine.connect() as connection, pytest.raises(ConflictError, match="by the version that began it") as error:
        state.read(connection)
    assert error.value.code == "other_restore"
    engine.dispose()
