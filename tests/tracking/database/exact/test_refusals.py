"""What an exact restore refuses, and that it leaves nothing behind then; and what it takes although it is hard."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing

import pytest
import sqlalchemy as sa
from sqlalchemy.pool import NullPool

from mlflow_archive.errors import ConflictError, UnsupportedError, UsageError
from mlflow_archive.tracking.database.addresses import database_address
from mlflow_archive.tracking.database.exact import loading, schema, state
from tests.databases.filled import unpack
from tests.databases.fixtures import EXACT_KINDS
from tests.tracking.database.exact.archives import archive_tables, rows_of
from tests.tracking.database.exact.structure import structure_of
from tests.tracking.database.exact.test_exact_sqlite import restore

SERVERS = ("postgresql", "exact_mariadb")
LARGE = 123456789012345678


@pytest.fixture(scope="module")
def newest(tmp_path_factory):
    """A SQLite file with rows of all kinds, at the newest revision."""
    folder = tmp_path_factory.mktemp("newest")
    archive = archive_tables(f"sqlite:///{unpack('3.5.1', folder / 'old')}", folder / "a")
    restore(archive, f"sqlite:///{folder / 'new.db'}", activate=True)
    return folder / "new.db"


@pytest.fixture
def archive_with(newest, tmp_path):
    """Makes the archive of a database in which something was changed by SQL."""

    def made(*statements):
        path = tmp_path / "changed.db"
        shutil.copy(newest, path)
        with closing(sqlite3.connect(path)) as connection:
            for statement in statements:
                connection.execute(statement)
            connection.commit()
        return archive_tables(f"sqlite:///{path}", tmp_path / "a")

    return made


@pytest.fixture
def target(databases):
    """Makes an empty database of a kind."""
    made = []

    def new(kind):
        made.append((databases(kind), databases(kind).new_database()))
        return made[-1][1]

    yield new
    for kind, uri in made:
        kind.drop_database(uri)


def tables_of(uri):
    engine = sa.create_engine(database_address(uri).url, poolclass=NullPool)
    try:
        return sa.inspect(engine).get_table_names()
    finally:
        engine.dispose()


def drop_one(connection, *_, **__):
    connection.exec_driver_sql("DROP TABLE latest_metrics")
    raise KeyboardInterrupt


def query(uri, statement):
    engine = sa.create_engine(database_address(uri).url, poolclass=NullPool)
    try:
        with engine.begin() as connection:
            result = connection.execute(sa.text(statement))
            return [tuple(row) for row in result] if result.returns_rows else []
    finally:
        engine.dispose()


@pytest.mark.parametrize("kind", SERVERS)
@pytest.mark.parametrize(
    ("change", "said", "dry_run"),
    [
        (
            f"UPDATE experiments SET experiment_id = {LARGE} WHERE name = 'empty'",
            rf"an experiment with the id {LARGE}, .* restore into SQLite, or without --exact, which gives new ids",
            False,
        ),
        (
            "UPDATE tags SET value = replace(hex(zeroblob(5000)), '00', 'äb')",
            r"The column tags.value has a value of 10,000 characters \('äb.*a column of 8,000",
            True,
        ),
    ],
    ids=["large-id", "long-text"],
)
def test_what_does_not_fit_is_said_before_anything_is_written(kind, change, said, dry_run, archive_with, target):
    uri = target(kind)
    with pytest.raises(UnsupportedError, match=said):
        restore(archive_with(change), uri, dry_run=dry_run)
    assert tables_of(uri) == []


def test_a_text_with_a_zero_character_is_none_for_postgresql(archive_with, target):
    archive = archive_with("UPDATE params SET value = 'a' || char(0) || 'b'")
    uri = target("postgresql")
    with pytest.raises(UnsupportedError, match=r"The column params.value has text with the character U\+0000"):
        restore(archive, uri)
    assert tables_of(uri) == []
    other = target("exact_mariadb")
    assert restore(archive, other).status == "complete"
    assert query(other, "SELECT DISTINCT HEX(value) FROM params") == [("610062",)]


def test_large_ids_and_long_texts_have_room_in_sqlite(archive_with, target):
    archive = archive_with(f"UPDATE experiments SET experiment_id = {LARGE} WHERE name = 'empty'")
    uri = target("sqlite")
    assert restore(archive, uri).status == "complete"
    assert query(uri, f"SELECT name FROM experiments WHERE experiment_id = {LARGE}") == [("empty",)]


def test_a_revision_that_no_installed_mlflow_knows_is_refused(archive_with, tmp_path):
    archive = archive_with("UPDATE alembic_version SET version_num = 'ffffffffffff'")
    with pytest.raises(UnsupportedError, match=r"of a newer MLflow .* revision ffffffffffff\) than the installed"):
        restore(archive, f"sqlite:///{tmp_path / 'b.db'}")
    assert not (tmp_path / "b.db").exists()


def test_a_dry_run_and_a_refusal_leave_no_file(archive_with, tmp_path):
    archive = archive_with()
    place = tmp_path / "targets"
    place.mkdir()
    assert restore(archive, f"sqlite:///{place / 'b.db'}", dry_run=True).status == "complete"
    assert list(place.iterdir()) == []
    with pytest.raises(UnsupportedError, match="give a shorter one"):
        restore(archive, f"sqlite:///{place / 'b.db'}", moves={"mlflow-artifacts:/": "s3://" + "x" * 300})
    assert list(place.iterdir()) == []
    with pytest.raises(UsageError, match="cannot be opened or made"):
        restore(archive, f"sqlite:///{place / 'no' / 'b.db'}")
    assert list(place.iterdir()) == []
    (place / "mine.db").touch()
    assert restore(archive, f"sqlite:///{place / 'mine.db'}", dry_run=True).status == "complete"
    assert (place / "mine.db").stat().st_size == 0


@pytest.mark.parametrize("kind", SERVERS)
def test_a_dry_run_leaves_no_table(kind, archive_with, target):
    uri = target(kind)
    report = restore(archive_with(), uri, dry_run=True)
    assert (report.status, report.dry_run) == ("complete", True)
    assert tables_of(uri) == []


@pytest.mark.parametrize("kind", ["postgresql", "mariadb"])
def test_only_what_a_fresh_server_made_gives_way(kind, archive_with, new_mlflow_database, databases, monkeypatch):
    archive = archive_with("DELETE FROM experiments WHERE name = 'customer CHURN'")
    uri = new_mlflow_database(kind)
    fresh = {"rows": rows_of(uri), "structure": structure_of(uri)}
    assert restore(archive, uri, dry_run=True).status == "complete"
    assert {"rows": rows_of(uri), "structure": structure_of(uri)} == fresh
    query(uri, "UPDATE experiments SET name = 'of a person' WHERE experiment_id = 0")
    with pytest.raises(ConflictError, match=r"is not empty \(it has rows in experiments\)"):
        restore(archive, uri)
    query(uri, "UPDATE experiments SET name = 'Default' WHERE experiment_id = 0")
    assert {"rows": rows_of(uri), "structure": structure_of(uri)} == fresh
    # Where dropping is no transaction, the mark is there before the first table goes.
    with monkeypatch.context() as patched:
        patched.setattr("mlflow_archive.tracking.database.exact.target.clear", drop_one)
        with pytest.raises(KeyboardInterrupt):
            restore(archive, uri)
    revision = state.MARKER if kind == "mariadb" else schema.head()
    assert query(uri, "SELECT version_num FROM alembic_version") == [(revision,)]
    assert restore(archive, uri).status == "complete"
    assert len(query(uri, "SELECT * FROM experiments")) > 10
    databases(kind).drop_database(uri)


#: Rows that need more than to be copied.
HARD = (
    "DELETE FROM jobs",
    *(
        "INSERT INTO jobs (id, status, job_name, params, creation_time, last_update_time, retry_count, workspace) "
        f"VALUES ('j{status}', {status}, 'x', '{{}}', 1, 1, 0, 'default')"
        for status in range(7)
    ),
    "UPDATE webhooks SET status = 'ACTIVE', secret = 'of nobody'",
    (
        "INSERT INTO online_scoring_configs (online_scoring_config_id, scorer_id, sample_rate, experiment_id) "
        "SELECT scorer_id, scorer_id, 0.5, experiment_id FROM scorers"
    ),
    (
        "INSERT INTO secrets (secret_id, secret_name, encrypted_value, wrapped_dek, kek_version, masked_value, "
        "created_at, last_updated_at) VALUES ('s1', 'key', x'0102', x'0304', 1, '{\"a\": \"b...c\"}', 1, 1)"
    ),
    "INSERT INTO workspaces (name, description) VALUES ('team-a', 'of a team')",
    "UPDATE experiments SET workspace = 'team-a' WHERE name = 'empty'",
    *(
        f"UPDATE {table} SET workspace = 'team-b'"
        for table in ("registered_models", "registered_model_aliases", "registered_model_tags")
    ),
    *(f"UPDATE {table} SET workspace = 'team-b'" for table in ("model_versions", "model_version_tags")),
)


@pytest.mark.parametrize("kind", EXACT_KINDS)
def test_hard_rows_come_back_and_nothing_acts_by_itself(kind, archive_with, target, new_mlflow_database, monkeypatch):
    """Secrets that the archive withholds leave an empty value where there must be one."""
    monkeypatch.setattr(loading, "_MANY_ROWS", 1)
    uri = target(kind)
    report = restore(archive_with(*HARD), uri)
    assert report.status == "complete"
    assert _acting(uri) == ([5, 5, 2, 3, 4, 5, 5], ["DISABLED"], [0.0])
    assert len([note for note in report.notes if "--activate restores them" in note]) == 3
    assert query(uri, "SELECT encrypted_value, wrapped_dek, secret_name FROM secrets WHERE secret_id = 's1'") == [
        (b"", b"", "key")
    ]
    assert query(uri, "SELECT DISTINCT secret FROM webhooks") == [(None,)]
    assert "secrets.encrypted_value is empty: the archive was made without gateway-secrets." in report.notes
    assert query(uri, "SELECT description FROM workspaces WHERE name = 'team-a'") == [("of a team",)]
    assert query(uri, "SELECT name FROM experiments WHERE workspace = 'team-a'") == [("empty",)]
    assert any("registered_models that name rows of workspaces which are not there" in note for note in report.notes)
    # All indexes and keys that were set aside for the rows are MLflow's own again.
    fresh = new_mlflow_database(kind)
    made, own = structure_of(uri), structure_of(fresh)
    assert {**made, "sequences": []} == {**own, "sequences": []}


def test_what_acts_by_itself_acts_on_if_that_is_wanted(archive_with, tmp_path):
    uri = f"sqlite:///{tmp_path / 'b.db'}"
    report = restore(archive_with(*HARD), uri, activate=True)
    assert _acting(uri) == ([0, 1, 2, 3, 4, 5, 6], ["ACTIVE"], [0.5])
    assert not any("--activate" in note for note in report.notes)


def _acting(uri):
    """Return the states of jobs, webhooks and online scorers."""
    asked = (
        "SELECT status FROM jobs ORDER BY id",
        "SELECT DISTINCT status FROM webhooks",
        "SELECT DISTINCT sample_rate FROM online_scoring_configs",
    )
    return tuple([value for (value,) in query(uri, statement)] for statement in asked)
