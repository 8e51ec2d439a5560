"""Exact restores whose database breaks midway: a full disk, a connection that its server ends."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import sqlalchemy as sa
from sqlalchemy.pool import NullPool

from mlflow_archive.errors import UnavailableError
from mlflow_archive.tracking.database.addresses import database_address
from mlflow_archive.tracking.database.exact import connection, state, stored_rows
from mlflow_archive.tracking.database.exact.loading import load_table
from tests.databases.filled import unpack
from tests.tracking.database.exact.archives import archive_tables, rows_of
from tests.tracking.database.exact.structure import structure_of
from tests.tracking.database.exact.test_exact_sqlite import restore


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("breaks")


@pytest.fixture(scope="module")
def archive(folder):
    return archive_tables(f"sqlite:///{unpack('3.5.1', folder / 'old')}", folder / "a")


@pytest.fixture(scope="module")
def wanted(archive, folder):
    """The SQLite file of a restore that nothing disturbed."""
    restore(archive, f"sqlite:///{folder / 'whole.db'}")
    return folder / "whole.db"


def query(uri, statement):
    engine = sa.create_engine(database_address(uri).url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as found:
            return found.execute(sa.text(statement)).scalar()
    finally:
        engine.dispose()


def test_a_full_disk_is_said_and_the_same_command_goes_on(archive, wanted, tmp_path, monkeypatch):
    """SQLite itself says so, of a file that may not grow beyond nine tenths of what it needs."""
    uri = f"sqlite:///{tmp_path / 'b.db'}"
    pages = Path(wanted).stat().st_size // 4096 * 9 // 10

    def prepare(raw, record):
        prepare_sqlite(raw, record)
        raw.execute(f"PRAGMA max_page_count = {pages}")

    prepare_sqlite = connection._prepare_sqlite
    with monkeypatch.context() as patched:
        patched.setattr(connection, "_prepare_sqlite", prepare)
        with pytest.raises(UnavailableError, match="has no space left: make some, and repeat the command") as raised:
            restore(archive, uri)
    assert raised.value.code == "disk_full"
    assert query(uri, "SELECT version_num FROM alembic_version") == state.MARKER
    assert restore(archive, uri).status == "complete"
    assert rows_of(uri) == rows_of(f"sqlite:///{wanted}")
    with sqlite3.connect(tmp_path / "b.db") as found:
        assert found.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


@pytest.mark.parametrize("kind", ["postgresql", "exact_mariadb"])
def test_a_connection_that_the_server_ends_is_said_and_the_same_command_goes_on(
    kind, archive, databases, new_mlflow_database, monkeypatch
):
    place = databases(kind)
    uri = place.new_database()

    def load(target, table, *rest):
        if table.name == "tags" and not ended:
            number = "pg_backend_pid()" if kind == "postgresql" else "CONNECTION_ID()"
            ended.append(target.exec_driver_sql(f"SELECT {number}").scalar())
            query(uri, f"SELECT pg_terminate_backend({ended[0]})" if kind == "postgresql" else f"KILL {ended[0]}")
        return load_table(target, table, *rest)

    ended = []
    monkeypatch.setattr(stored_rows, "load_table", load)
    with pytest.raises(UnavailableError, match=f"127.0.0.1:{urlsplit(uri).port}/.* failed: ") as raised:
        restore(archive, uri)
    assert raised.value.code == "database_broke"
    assert "not%20a%20secret" not in str(raised.value)
    assert query(uri, "SELECT version_num FROM alembic_version") == state.MARKER
    assert query(uri, "SELECT COUNT(*) FROM experiments") > 5
    report = restore(archive, uri)
    assert report.status == "complete"
    made, own = structure_of(uri), structure_of(new_mlflow_database(kind))
    assert {**made, "sequences": []} == {**own, "sequences": []}
    assert query(uri, "SELECT COUNT(*) FROM tags") > 5
    place.drop_database(uri)
