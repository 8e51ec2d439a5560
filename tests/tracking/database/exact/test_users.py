"""Exact restores of users and permissions: the database of MLflow's basic authentication, beside the other or in it."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest
import sqlalchemy as sa
from sqlalchemy.pool import NullPool

from mlflow_archive import api
from mlflow_archive.errors import ConflictError, UnsupportedError, UsageError
from mlflow_archive.operations.ends import ServerChoices, stored_source
from mlflow_archive.operations.exact import ExactChoices, restore_exactly
from mlflow_archive.operations.tables import users_tables
from mlflow_archive.spec.selection import Selection
from mlflow_archive.tracking.database.addresses import database_address
from mlflow_archive.tracking.database.exact import schema, state
from mlflow_archive.tracking.database.exact.families import OF_BASIC_AUTH
from mlflow_archive.tracking.database.exact.sink import ExactSink
from mlflow_archive.tracking.database.leaving_out import reason_to_leave_out
from tests.databases.filled import unpack
from tests.servers import MlflowServer
from tests.tracking.database.exact.archives import rows_of
from tests.tracking.database.exact.structure import structure_of

#: Makes each of the databases as a server of the installed MLflow does, and users in the first.
FILL = """
import sys
from mlflow.server.auth.sqlalchemy_store import SqlAlchemyStore
stores = []
for uri in sys.argv[1:]:
    stores.append(SqlAlchemyStore())
    stores[-1].init_db(uri)
    stores[-1].create_user("admin", "of nobody 12", is_admin=True)
first = stores[0]
alice = first.create_user("alice", "wonderland 12")
first.create_user("Bob", "builder of 12")
first.create_experiment_permission("1", "alice", "READ")
role = first.create_role("readers", "default")
first.add_role_permission(role.id, "registered_model", "*", "READ")
first.assign_role_to_user(alice.id, role.id)
"""
PASSWORDS = {"admin": "of nobody 12", "alice": "wonderland 12", "Bob": "builder of 12"}


_STATE = "the state of an exact restore"


def driver(uri):
    return database_address(uri).url.render_as_string(hide_password=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("users")


@pytest.fixture(scope="module")
def fresh(databases, folder):
    """Databases of users that only a fresh server has opened, by kind; and the source of the archive."""
    made = {kind: databases(kind).new_database() for kind in ("postgresql", "sqlite")}
    made["source"] = f"sqlite:///{folder / 'basic_auth.db'}"
    order = [made["source"], *(uri for kind, uri in made.items() if kind != "source")]
    done = subprocess.run(
        [sys.executable, "-c", FILL, *map(driver, order)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    yield made
    for kind in ("postgresql", "sqlite"):
        databases(kind).drop_database(made[kind])


@pytest.fixture(scope="module")
def tracking(folder):
    return f"sqlite:///{unpack('3.5.1', folder / 'old')}"


@pytest.fixture(scope="module")
def archive(fresh, tracking, folder):
    how = {"only": ("database",), "auth_database": fresh["source"], "secrets": ("password-hashes",)}
    assert api.backup(tracking, str(folder / "a"), **how).status == "complete"
    return str(folder / "a")


def restore(archive, uri, auth_uri=None, **options):
    dry_run = options.pop("dry_run", False)
    exact = ExactChoices(auth_uri=auth_uri, **options)
    return restore_exactly(archive, uri, selection=Selection(), exact=exact, choices=ServerChoices(dry_run=dry_run))


def query(uri, statement):
    engine = sa.create_engine(database_address(uri).url, poolclass=NullPool)
    try:
        with engine.begin() as connection:
            result = connection.execute(sa.text(statement))
            return [tuple(row) for row in result] if result.returns_rows else []
    finally:
        engine.dispose()


def rows_of_users(uri):
    found = rows_of(uri, version_table="alembic_version_auth", must_have="users")
    return {name: rows for name, rows in found.items() if name in OF_BASIC_AUTH.known_among([name])}


def tables_of(uri):
    return {str(name) for (name,) in query(uri, "SELECT name FROM sqlite_master WHERE type = 'table'")}


def structure_of_users(uri):
    found = structure_of(uri, "alembic_version_auth")
    return {name: found[name] for name in ("revision", *OF_BASIC_AUTH.known_among(found))}


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_users_and_permissions_come_back_as_they_were(kind, archive, fresh, databases, folder):
    """Beside the tracking database, over what a fresh server made; on PostgreSQL both in one."""
    uri = databases(kind).new_database() if kind != "postgresql" else fresh[kind]
    structure = structure_of_users(fresh[kind])
    report = restore(archive, uri, fresh[kind])
    assert (report.status, report.counts["database"].stored) == ("complete", 2)
    assert rows_of_users(fresh[kind]) == rows_of_users(fresh["source"])
    assert structure_of_users(fresh[kind]) == structure
    assert query(uri, "SELECT version_num FROM alembic_version") == [(schema.head(),)]
    assert len(query(uri, "SELECT * FROM runs")) > 5
    assert not {name for name in structure_of(uri) if name.startswith("mlflow_archive")}
    if kind == "postgresql":
        with pytest.raises(ConflictError, match="is not empty"):
            restore(archive, uri, fresh[kind])
    else:
        databases(kind).drop_database(uri)


class AuthServer(MlflowServer):
    """A server that lets nobody in without a password."""

    def _wait(self):
        for _ in range(900):
            assert self._process.poll() is None, self.log[-4000:]
            try:
                return urllib.request.urlopen(f"{self.uri}/health", timeout=5).read().decode()
            except OSError:
                time.sleep(0.2)
        raise AssertionError(self.log[-4000:])

    def ask(self, path, user, password, body=None):
        """Return the status of a request."""
        secret = base64.b64encode(f"{user}:{password}".encode()).decode()
        headers = {"Authorization": f"Basic {secret}", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        try:
            request = urllib.request.Request(f"{self.uri}/api/2.0/mlflow/{path}", data, headers)
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            return error.code


@pytest.mark.server
def test_users_log_in_after_the_restore(archive, tmp_path):
    users = f"sqlite:///{tmp_path / 'basic_auth.db'}"
    assert restore(archive, f"sqlite:///{tmp_path / 'mlflow.db'}", users).status == "complete"
    settings = tmp_path / "auth.ini"
    settings.write_text(
        f"[mlflow]\ndefault_permission = NO_PERMISSIONS\ndatabase_uri = {users}\nadmin_username = admin\n"
        "authorization_function = mlflow.server.auth:authenticate_request_basic_auth\n"
    )
    env = {"MLFLOW_AUTH_CONFIG_PATH": str(settings), "MLFLOW_FLASK_SERVER_SECRET_KEY": "of nobody"}
    with AuthServer(tmp_path, env=env, options=("--app-name", "basic-auth")) as server:
        for user, password in PASSWORDS.items():
            seen = [server.ask(f"experiments/get?experiment_id={id}", user, password) for id in (1, 2)]
            assert seen == {"admin": [200, 200], "alice": [200, 403], "Bob": [403, 403]}[user], server.log[-2000:]
            assert server.ask("experiments/get?experiment_id=1", user, "another 1234") == 401
        new = {"username": "carol", "password": "a new one 12"}
        assert server.ask("users/create", "admin", PASSWORDS["admin"], new) == 200
        assert server.ask("experiments/get?experiment_id=1", "carol", "a new one 12") == 403


def test_without_the_option_users_are_skipped_by_name(archive, tmp_path):
    report = restore(archive, f"sqlite:///{tmp_path / 'b.db'}", dry_run=True)
    assert (report.counts["database"].stored, report.counts["database"].skipped) == (1, 1)
    assert report.skipped["database"] == {"users and permissions, for which --auth-database names the database": 1}


def test_nothing_is_written_where_other_users_are(archive, fresh, tmp_path):
    before = (tmp_path / "other.db", tmp_path / "b.db")
    query(f"sqlite:///{before[0]}", "CREATE TABLE users (id INTEGER, username TEXT, is_admin BOOLEAN)")
    query(f"sqlite:///{before[0]}", "INSERT INTO users VALUES (1, 'admin', 1), (2, 'dora', 0)")
    data = before[0].read_bytes()
    with pytest.raises(ConflictError, match=r"other.db is not empty \(it has rows in users\)"):
        restore(archive, f"sqlite:///{before[1]}", f"sqlite:///{before[0]}")
    assert before[0].read_bytes() == data
    assert not before[1].exists()
    query(f"sqlite:///{before[0]}", "DROP TABLE users")
    query(f"sqlite:///{before[0]}", "CREATE TABLE own_permissions (id INTEGER)")
    with pytest.raises(ConflictError, match=r"not MLflow's \(own_permissions\)"):
        restore(archive, f"sqlite:///{before[1]}", f"sqlite:///{before[0]}")
    assert not before[1].exists()


def test_where_mlflow_cannot_keep_users_none_are_restored(archive, tmp_path):
    with pytest.raises(UnsupportedError, match="MLflow itself cannot make the tables"):
        restore(archive, f"sqlite:///{tmp_path / 'b.db'}", "mysql://a:b@127.0.0.1:9/users")
    assert list(tmp_path.iterdir()) == []


def test_a_restore_that_is_interrupted_between_the_two_goes_on(archive, fresh, tmp_path, monkeypatch):
    uri, users = (f"sqlite:///{tmp_path / name}" for name in ("b.db", "users.db"))

    def interrupt(method):
        def called(self):
            if self._family is not OF_BASIC_AUTH:
                raise KeyboardInterrupt
            return method(self)

        return called

    with monkeypatch.context() as patched:
        patched.setattr(ExactSink, "complete", interrupt(ExactSink.complete))
        with pytest.raises(KeyboardInterrupt):
            restore(archive, uri, users)
    assert query(uri, "SELECT version_num FROM alembic_version") == [(state.MARKER,)]
    assert rows_of_users(users) == rows_of_users(fresh["source"])
    with monkeypatch.context() as patched:
        patched.setattr(ExactSink, "let_go", interrupt(ExactSink.let_go))
        with pytest.raises(KeyboardInterrupt):
            restore(archive, uri, users)
    assert query(uri, "SELECT version_num FROM alembic_version") == [(schema.head(),)]
    assert {reason_to_leave_out(name) for name in tables_of(uri) if "mlflow_archive" in name} == {_STATE}
    assert restore(archive, uri, users).status == "complete"
    assert rows_of_users(users) == rows_of_users(fresh["source"])
    assert not {name for name in tables_of(uri) | tables_of(users) if name.startswith("mlflow_archive")}


def test_users_of_an_old_server_get_roles_and_no_password_where_it_was_withheld(tracking, tmp_path):
    """Before MLflow 3.6 the revision was in the table that tracking has too."""
    old, new = (f"sqlite:///{tmp_path / name}" for name in ("old.db", "new.db"))
    engine = sa.create_engine(old, poolclass=NullPool)
    with engine.begin() as connection:
        schema.create(connection, "8606fa83a998", OF_BASIC_AUTH)
        connection.exec_driver_sql("ALTER TABLE mlflow_archive_revision_auth RENAME TO alembic_version")
        connection.exec_driver_sql("INSERT INTO users VALUES (7, 'alice', 'scrypt:x$y$z', 0)")
        connection.exec_driver_sql("INSERT INTO experiment_permissions VALUES (1, '1', 7, 'EDIT')")
    api.backup(tracking, str(tmp_path / "a"), only=("database",), auth_database=old)
    with stored_source(str(tmp_path / "a"), storage_options=None) as reader:
        record = users_tables(reader).load().record
    assert (record.revision, record.mlflow_version) == ("8606fa83a998", "2.9")
    report = restore(str(tmp_path / "a"), f"sqlite:///{tmp_path / 'b.db'}", new)
    assert report.status == "complete"
    assert any(note.startswith("No user can log in") for note in report.notes)
    assert query(new, "SELECT id, username, password_hash FROM users") == [(7, "alice", "")]
    granted = "SELECT resource_type, resource_pattern, permission FROM role_permissions"
    assert query(new, granted) == [("experiment", "1", "EDIT")]
    assert query(new, "SELECT version_num FROM alembic_version_auth") == [(schema.head(OF_BASIC_AUTH),)]


def test_users_that_the_archive_has_not_cannot_be_asked_for(tracking, tmp_path):
    api.backup(tracking, str(tmp_path / "a"), only=("database",))
    with pytest.raises(UsageError, match="has no users and permissions"):
        restore(str(tmp_path / "a"), f"sqlite:///{tmp_path / 'b.db'}", f"sqlite:///{tmp_path / 'users.db'}")
    with pytest.raises(UsageError, match="add --exact"):
        api.restore(str(tmp_path / "a"), f"sqlite:///{tmp_path / 'b.db'}", auth_database="sqlite:///users.db")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
