"""SQLite files as servers keep them, and as servers that died left them: copied whole, with nothing changed there."""

from __future__ import annotations

import hashlib
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing

import pytest

from mlflow_archive.errors import UnavailableError
from mlflow_archive.tracking import sqlite_file
from mlflow_archive.tracking.sqlite_file import copy_database, read_facts

#: Writes 10 rows, then as the word says: ends, dies, or dies within a transaction that is partly in the file.
WRITER = """
import os, sqlite3, sys
path, mode, end = sys.argv[1:]
database = sqlite3.connect(path)
database.execute(f"PRAGMA journal_mode = {mode}")
database.execute("CREATE TABLE alembic_version (version_num TEXT)")
database.execute("INSERT INTO alembic_version VALUES ('acf3f17fdcc7')")
database.execute("CREATE TABLE experiments (experiment_id INTEGER PRIMARY KEY, name TEXT)")
database.executemany("INSERT INTO experiments (name) VALUES (?)", [("x" * 2000,)] * 10)
database.commit()
if end == "within":
    database.execute("PRAGMA cache_size = 5")
    database.executemany("INSERT INTO experiments (name) VALUES (?)", [("y" * 2000,)] * 500)
if end == "closed":
    database.close()
os._exit(0)
"""
ALL = [("DELETE", "closed", ""), ("DELETE", "within", ""), ("WAL", "closed", ""), ("WAL", "died", "")]
#: As after a copy of the two files that count, or a start of the machine with files in memory.
WITHOUT_MEMORY = ("WAL", "died", "-shm")


@pytest.fixture
def left(tmp_path):
    """Makes a database as a process left it, without the file of an ending beside it."""
    folder = tmp_path / "source"
    folder.mkdir()

    def make(mode: str, end: str, without: str):
        path = folder / "mlflow.db"
        subprocess.run([sys.executable, "-c", WRITER, str(path), mode, end], check=True)
        if without:
            path.with_name(path.name + without).unlink()
        return path

    return make


def state(path):
    """Return name and digest of what is in the folder; the memory that SQLite shares among processes is nobody's."""
    return {
        file.name: "" if file.name.endswith("-shm") else hashlib.sha256(file.read_bytes()).hexdigest()
        for file in path.parent.iterdir()
    }


@pytest.mark.parametrize("how", [*ALL, WITHOUT_MEMORY], ids=" ".join)
def test_what_was_committed_is_copied_and_nothing_is_made_beside_it(left, tmp_path, how):
    path = left(*how)
    before = state(path)
    assert (how[1] == "closed") == (len(before) == 1)
    copy_database(path, tmp_path / "copy.db")
    assert state(path) == before
    with closing(sqlite3.connect(tmp_path / "copy.db")) as copy:
        assert copy.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert copy.execute("SELECT count(*), max(name) FROM experiments").fetchall() == [(10, "x" * 2000)]


@pytest.mark.parametrize("how", [one for one in ALL if one[1] != "within"], ids=" ".join)
def test_looking_at_a_file_makes_nothing_beside_it(left, how):
    path = left(*how)
    before = state(path)
    assert len(read_facts(path).experiment_ids) == 10
    assert state(path) == before


def test_a_file_that_must_be_rolled_back_first_cannot_be_looked_at(left):
    with pytest.raises(UnavailableError, match="start the MLflow server on it"):
        read_facts(left("DELETE", "within", ""))


def test_a_link_leads_to_the_journal_of_the_file(left, tmp_path):
    path = left(*WITHOUT_MEMORY)
    (tmp_path / "link.db").symlink_to(path)
    copy_database(tmp_path / "link.db", tmp_path / "copy.db")
    with closing(sqlite3.connect(tmp_path / "copy.db")) as copy:
        assert copy.execute("SELECT count(*) FROM experiments").fetchall() == [(10,)]


def test_a_lock_that_is_not_given_back_is_a_sentence(left, tmp_path, monkeypatch):
    monkeypatch.setattr(sqlite_file, "_LOCK_SECONDS", 0.2)
    path = left("DELETE", "closed", "")
    with closing(sqlite3.connect(path)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(UnavailableError, match="database is locked"):
            copy_database(path, tmp_path / "copy.db")


def test_writers_wait_no_longer_than_a_copy_takes_and_do_not_keep_it_from_its_end(tmp_path):
    """Whoever commits all the while waits for steps of a copy at first, and for one whole copy at most."""
    path = tmp_path / "mlflow.db"
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE filler (data BLOB)")
        database.executemany("INSERT INTO filler VALUES (?)", [(bytes(1 << 20),)] * 96)
        database.execute("CREATE TABLE numbers (number INTEGER PRIMARY KEY)")
        database.commit()
    began = time.monotonic()
    copy_database(path, tmp_path / "alone.db")
    alone_seconds = time.monotonic() - began
    stop, waits = threading.Event(), []

    def write() -> None:
        with closing(sqlite3.connect(path, timeout=60)) as database:
            while not stop.is_set():
                start = time.monotonic()
                database.execute("INSERT INTO numbers VALUES (NULL)")
                database.commit()
                waits.append(time.monotonic() - start)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        while not waits:
            time.sleep(0.001)
        written = len(waits)
        began = time.monotonic()
        copy_database(path, tmp_path / "busy.db")
        busy_seconds = time.monotonic() - began
    finally:
        stop.set()
        writer.join()
    with closing(sqlite3.connect(tmp_path / "busy.db")) as copy:
        assert copy.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        numbers = [number for (number,) in copy.execute("SELECT number FROM numbers ORDER BY number")]
    assert numbers == [*range(1, len(numbers) + 1)]
    assert written <= len(numbers) <= len(waits)
    # On a machine that does other things too, a copy can take several times as long as one before it.
    assert max(waits) < 5 * alone_seconds + 2
    assert busy_seconds < 15 * alone_seconds + 5
