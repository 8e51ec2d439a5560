"""The database servers of the suite: empty databases, copies of them, and an end that comes for sure."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sqlalchemy import create_engine, inspect, make_url, text
from sqlalchemy.exc import IntegrityError, OperationalError

from tests.databases import MariaDB, PostgreSQL
from tests.databases.fixtures import KINDS
from tests.databases.installing import install_database_servers
from tests.servers import with_driver

ROOT = Path(__file__).parents[2]
PAIR = [
    "CREATE TABLE parents (id INTEGER PRIMARY KEY, name VARCHAR(50) NOT NULL UNIQUE)",
    "CREATE TABLE children (id INTEGER PRIMARY KEY, parent INTEGER NOT NULL REFERENCES parents (id))",
    "INSERT INTO parents VALUES (0, 'Grüße, 世界 🌍'), (1, 'two')",
    "INSERT INTO children VALUES (7, 0)",
]
#: Starts a server, says where, and waits.
PROGRAM = """
import sys
from tests.databases import {name}
server = {name}().start()
print(server.port, server.folder, flush=True)
sys.stdin.read()
"""


def engine_for(uri):
    return create_engine(with_driver(uri))


def execute(uri, *statements):
    engine = engine_for(uri)
    try:
        with engine.begin() as connection:
            for statement in statements:
                answer = connection.execute(text(statement))
            return answer.fetchall() if answer.returns_rows else None
    finally:
        engine.dispose()


def tables(uri):
    engine = engine_for(uri)
    try:
        return sorted(inspect(engine).get_table_names())
    finally:
        engine.dispose()


def test_a_database_is_empty_and_keeps_every_letter(empty_database):
    assert tables(empty_database) == []
    execute(empty_database, *PAIR)
    assert tables(empty_database) == ["children", "parents"]
    assert execute(empty_database, "SELECT id, name FROM parents ORDER BY id") == [(0, "Grüße, 世界 🌍"), (1, "two")]


def test_databases_know_nothing_of_each_other(databases):
    for kind in KINDS:
        made = [databases(kind).new_database() for _ in range(2)]
        assert made[0] != made[1]
        execute(made[0], *PAIR)
        assert tables(made[1]) == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_copy_has_the_rows_and_the_rules(databases, kind):
    place = databases(kind)
    origin = place.new_database()
    execute(origin, *PAIR)
    copied = place.copy(origin)
    execute(copied, "INSERT INTO children VALUES (8, 1)")
    assert execute(copied, "SELECT id, parent FROM children ORDER BY id") == [(7, 0), (8, 1)]
    assert execute(origin, "SELECT id, parent FROM children") == [(7, 0)]
    engine = engine_for(copied)
    (key,) = inspect(engine).get_foreign_keys("children")
    engine.dispose()
    assert key["referred_table"] == "parents"


@pytest.mark.parametrize(("kind", "told_apart"), [("mariadb", False), ("exact_mariadb", True)])
def test_texts_are_told_apart_as_the_database_was_made_to(databases, kind, told_apart):
    place = databases(kind)
    origin = place.new_database()
    execute(origin, *PAIR)
    for uri in (origin, place.copy(origin)):
        for number, name in enumerate(("TWO", "two "), 2):
            insert = f"INSERT INTO parents VALUES ({number}, '{name}')"
            if told_apart:
                execute(uri, insert)
            else:
                with pytest.raises(IntegrityError, match="Duplicate entry"):
                    execute(uri, insert)
        # What is made in a copy is of the same kind.
        execute(uri, "CREATE TABLE more (name VARCHAR(50) UNIQUE)", "INSERT INTO more VALUES ('a')")
        assert execute(uri, "SELECT count(*) FROM more WHERE name = 'A'") == [(0 if told_apart else 1,)]


@pytest.mark.parametrize("kind", KINDS)
def test_a_database_goes_even_while_somebody_is_connected(databases, kind):
    place = databases(kind)
    uri = place.new_database()
    engine = engine_for(uri)
    with engine.connect() as connection:
        connection.execute(text("SELECT 1"))
        place.drop_database(uri)
        connection.invalidate()
    engine.dispose()
    if kind == "sqlite":
        assert tables(uri) == []
        return
    with pytest.raises(OperationalError, match=make_url(uri).database):
        tables(uri)


def test_the_owner_of_a_database_may_not_look_into_others(postgresql, mariadb):
    assert execute(postgresql.new_database(), "SELECT rolsuper FROM pg_roles WHERE rolname = current_user") == [
        (False,)
    ]
    with pytest.raises(OperationalError, match="denied"):
        execute(mariadb.new_database(), "SELECT user FROM mysql.user")


@pytest.mark.parametrize("server", [MariaDB, PostgreSQL])
def test_a_server_ends_with_who_started_it(server):
    program = [sys.executable, "-c", PROGRAM.format(name=server.__name__)]
    starter = subprocess.Popen(program, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    port, folder = starter.stdout.readline().split()
    socket.create_connection(("127.0.0.1", int(port)), timeout=5).close()
    starter.send_signal(signal.SIGKILL)
    starter.communicate()
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and is_open(int(port)):
        time.sleep(0.1)
    assert not is_open(int(port))
    # The folder stays: who might have removed it is gone.
    shutil.rmtree(folder)


def is_open(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.parametrize("server", [MariaDB, PostgreSQL])
def test_a_server_leaves_nothing_behind(server):
    with server() as running:
        folder, port = running.folder, running.port
        assert is_open(port)
    assert not is_open(port)
    assert not folder.exists()


def test_what_is_missing_is_named_to_who_may_not_install_it(monkeypatch, tmp_path):
    monkeypatch.setattr("tests.databases.installing.program", lambda name: None)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(SystemExit, match="mariadb-client-core, mariadb-server-core, postgresql: install them"):
        install_database_servers()
