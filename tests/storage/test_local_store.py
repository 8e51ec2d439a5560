from __future__ import annotations

import errno
import fcntl
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mlflow_archive.errors import (
    ConflictError,
    IntegrityError,
    NotAuthorisedError,
    NotFoundError,
    UnavailableError,
)
from mlflow_archive.storage import local_store
from mlflow_archive.storage.local_store import LocalStore
from tests.storage.conformance import StoreTests, race, write


class TestLocalStore(StoreTests):
    @pytest.fixture
    def store(self, tmp_path):
        return LocalStore(tmp_path / "some" / "root")

    def raw_read(self, store, key):
        path = Path(store.url, key)
        return path.read_bytes() if path.is_file() else None

    def raw_write(self, store, key, data):
        path = Path(store.url, key)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    def raw_keys(self, store):
        root = Path(store.url)
        return {path.relative_to(root).as_posix() for path in root.rglob("*") if not path.is_dir()}


class TestLocalStoreWithoutHardLinks(TestLocalStore):
    """A FAT disk, some network shares."""

    @pytest.fixture(autouse=True)
    def no_links(self, monkeypatch):
        def refuse(*args, **kwargs):
            raise OSError(errno.EPERM, "Operation not permitted")

        monkeypatch.setattr(os, "link", refuse)


class TestLocalStoreBehindALink(TestLocalStore):
    """The root itself may be a link: it is what the user named."""

    @pytest.fixture
    def store(self, tmp_path):
        (tmp_path / "real").mkdir()
        (tmp_path / "link").symlink_to(tmp_path / "real")
        return LocalStore(tmp_path / "link")


@pytest.fixture
def store(tmp_path):
    return LocalStore(tmp_path / "root")


def test_reading_makes_no_directory(tmp_path):
    store = LocalStore(tmp_path / "absent")
    assert store.size_bytes("key") is None
    assert list(store.list()) == []
    store.sweep()
    store.delete("key")
    with pytest.raises(NotFoundError):
        store.read_all("key", limit_bytes=1)
    assert not (tmp_path / "absent").exists()


_KILLED = """
import sys, time
from pathlib import Path
from mlflow_archive.storage.local_store import LocalStore
store = LocalStore(Path(sys.argv[1]))
with store.write("folder/key") as writer:
    writer.write(b"new" * 1_000_000)
    print("written", flush=True)
    time.sleep(60)
"""


def test_a_killed_writer_leaves_what_was_there(store, tmp_path):
    write(store, "folder/key", b"old")
    with start(_KILLED, store) as process:
        parts = list(tmp_path.rglob("*.part"))
        assert len(parts) == 1
        assert store.sweep() == 0, "a living writer's file is left alone"
        assert parts[0].exists()
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert store.read_all("folder/key", limit_bytes=10) == b"old"
    assert [found.key for found in store.list()] == ["folder/key"]
    assert store.sweep() == 1
    assert list(tmp_path.rglob("*.part")) == []
    assert store.read_all("folder/key", limit_bytes=10) == b"old"


def start(code, store):
    process = subprocess.Popen([sys.executable, "-c", code, store.url], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"written\n"
    return process


def test_unfinished_names_are_short_and_of_our_own(store, tmp_path):
    key = "x" * 200
    with store.write(key) as writer:
        writer.write(b"x")
        (part,) = tmp_path.rglob("*.part")
        assert len(part.name) == len(".mla-01234567.part")
    assert not part.exists()


def test_sweep_leaves_foreign_files(store, tmp_path):
    write(store, "a/b", b"x")
    foreign = [tmp_path / "root" / "a" / name for name in (".mla-1234.part", "x.part", ".mla-0123456g.part")]
    ours = tmp_path / "root" / "a" / ".mla-0123abcd.part"
    for path in (*foreign, ours):
        path.write_bytes(b"")
    assert store.sweep() == 1
    assert all(path.exists() for path in foreign)
    assert not ours.exists()


def test_sweep_one_looks_into_the_folder_of_the_object_alone(store, tmp_path):
    write(store, "a/b", b"x")
    write(store, "a/c/d", b"x")
    ours, below, above = (tmp_path / "root" / place / ".mla-0123abcd.part" for place in ("a", "a/c", "."))
    for path in (ours, below, above):
        path.write_bytes(b"")
    with store.write("a/b") as writer:
        writer.write(b"y")
        assert store.sweep_one("a/b") == 1, "not that of a living writer"
    assert [path.exists() for path in (ours, below, above)] == [False, True, True]
    assert store.sweep_one("never/there") == 0


def test_sweep_one_spares_what_may_wait_for_a_writer_of_another_object(store, tmp_path):
    write(store, "a/b", b"x")
    new, old = (tmp_path / "root" / "a" / f".mla-0123abc{digit}.wait" for digit in "de")
    for path in (new, old):
        path.write_bytes(b"complete, and held by no lock")
    day_ago = time.time() - 25 * 3600
    os.utime(old, (day_ago, day_ago))
    assert store.sweep_one("a/b") == 1
    assert [new.exists(), old.exists()] == [True, False]
    assert {found.key for found in store.list()} == {"a/b"}
    assert store.sweep() == 1, "a place of one's own"


def test_a_link_out_of_the_root_is_not_followed(store, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(b"secret")
    write(store, "inside", b"x")
    root = tmp_path / "root"
    (root / "file").symlink_to(outside / "secret")
    (root / "folder").symlink_to(outside)
    for key in ("file", "folder/secret"):
        with pytest.raises(IntegrityError, match="E020"):
            list(store.read(key))
        with pytest.raises(IntegrityError):
            store.read_all(key, limit_bytes=100)
        with pytest.raises(IntegrityError):
            store.size_bytes(key)
    with pytest.raises(IntegrityError):
        write(store, "folder/new", b"x")
    with pytest.raises(IntegrityError):
        store.create("folder/new", b"x")
    with pytest.raises(IntegrityError):
        store.delete("folder/secret")
    with pytest.raises(IntegrityError):
        list(store.list("folder"))
    assert sorted(path.name for path in outside.iterdir()) == ["secret"]
    assert {found.key for found in store.list()} == {"inside", "file", "folder"}


def test_writing_onto_a_link_replaces_the_link(store, tmp_path):
    outside = tmp_path / "outside"
    outside.write_bytes(b"keep")
    write(store, "other", b"x")
    (tmp_path / "root" / "key").symlink_to(outside)
    write(store, "key", b"new")
    assert outside.read_bytes() == b"keep"
    assert store.read_all("key", limit_bytes=3) == b"new"


def test_a_pipe_is_refused_and_does_not_block(store, tmp_path):
    write(store, "other", b"x")
    os.mkfifo(tmp_path / "root" / "pipe")
    begun = time.monotonic()
    with pytest.raises(IntegrityError, match="device"):
        list(store.read("pipe"))
    with pytest.raises(IntegrityError):
        store.size_bytes("pipe")
    assert time.monotonic() - begun < 5


def test_a_full_disk_has_a_sentence(store, monkeypatch, tmp_path):
    write(store, "key", b"old")

    def full(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(UnavailableError, match="no space left") as caught:
        write(store, "key", b"new")
    assert caught.value.code == "disk_full"
    with pytest.raises(UnavailableError):
        store.create("new", b"x")
    monkeypatch.undo()
    assert store.read_all("key", limit_bytes=3) == b"old"
    assert [path.name for path in (tmp_path / "root").iterdir()] == ["key"]


def test_a_disk_that_is_full_at_the_sync_leaves_nothing(store, monkeypatch, tmp_path):
    def full(*args):
        raise OSError(errno.EDQUOT, "Disk quota exceeded")

    monkeypatch.setattr(os, "fsync", full)
    (tmp_path / "root").mkdir()
    with pytest.raises(UnavailableError) as caught:
        write(store, "key", b"new")
    assert caught.value.code == "disk_full"
    assert list((tmp_path / "root").iterdir()) == []


@pytest.mark.parametrize("code", [errno.EACCES, errno.EPERM, errno.EROFS])
def test_missing_rights_have_a_sentence(store, monkeypatch, code):
    write(store, "key", b"x")

    def refuse(*args, **kwargs):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(NotAuthorisedError, match="permission to read"):
        store.read_all("key", limit_bytes=1)
    with pytest.raises(NotAuthorisedError, match="permission to write"):
        write(store, "key", b"y")


def test_any_other_fault_is_unavailable(store, monkeypatch):
    write(store, "key", b"x")

    def fail(*args):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "read", fail)
    with pytest.raises(UnavailableError, match="Input/output error"):
        list(store.read("key"))


def test_the_file_and_its_folders_are_synced(store, monkeypatch, tmp_path):
    synced = []
    real = os.fsync

    def record(descriptor):
        synced.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", record)
    write(store, "a/b/key", b"x")
    write(store, "a/b/other", b"x")
    assert len(synced) == 2
    assert all(name.endswith(".part") for name in synced)
    store.create("commit", b"x")
    root = str(tmp_path / "root")
    assert synced[2].endswith(".part")
    assert sorted(synced[3:7]) == [str(tmp_path), root, f"{root}/a", f"{root}/a/b"]


def test_what_an_earlier_process_wrote_is_synced_by_the_commit(store, monkeypatch, tmp_path):
    write(store, "a/b/key", b"x")
    synced = []
    monkeypatch.setattr(local_store, "_sync_folder", synced.append)
    later = LocalStore(tmp_path / "root")
    later.sweep()
    later.create("commit", b"x")
    assert f"{tmp_path}/root/a/b" in synced


def test_a_file_where_a_folder_must_be(store):
    write(store, "a", b"x")
    with pytest.raises((UnavailableError, ConflictError)):
        write(store, "a/b", b"x")
    assert store.read_all("a", limit_bytes=1) == b"x"


def test_create_without_links_sees_one_winner_and_leaves_no_claim(store, monkeypatch, tmp_path):
    def refuse(*args, **kwargs):
        raise OSError(errno.ENOTSUP, "not supported")

    monkeypatch.setattr(os, "link", refuse)
    for round in range(20):
        assert len(race(store, f"key{round}", 6)) == 1
    assert len(list((tmp_path / "root").iterdir())) == 20


def test_a_sweep_between_the_birth_of_a_file_and_its_lock_takes_nothing_away(store, monkeypatch):
    real, swept = fcntl.flock, []

    def late(descriptor, operation):
        if not swept:
            swept.append(None)
            swept[0] = store.sweep()
        real(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", late)
    write(store, "key", b"x")
    assert swept == [1]
    assert store.read_all("key", limit_bytes=1) == b"x"


@pytest.mark.parametrize("exclusive", [False, True])
def test_a_sweep_between_the_last_byte_and_the_name_takes_nothing_away(store, tmp_path, monkeypatch, exclusive):
    real, swept = os.fsync, []

    def late(descriptor):
        real(descriptor)
        if not swept:
            swept.append(LocalStore(tmp_path / "root"))

    def sweeping(call):
        def swept_first(*args):
            swept.append(swept[0].sweep())
            call(*args)

        return swept_first

    monkeypatch.setattr(os, "fsync", late)
    monkeypatch.setattr(os, "replace", sweeping(os.replace))
    monkeypatch.setattr(os, "link", sweeping(os.link))
    with store.write("key", exclusive=exclusive) as writer:
        writer.write(b"x")
    assert swept[1:] == [0]
    assert store.read_all("key", limit_bytes=1) == b"x"
