"""Volumes of Unity Catalog: large files, lost answers, broken downloads, listings; and how both kinds are opened."""

from __future__ import annotations

import os
import subprocess
import sys
import traceback

import pytest

from mlflow_archive.errors import (
    ConflictError,
    NotAuthorisedError,
    NotFoundError,
    UnavailableError,
    UnsupportedError,
    UsageError,
)
from mlflow_archive.storage import databricks_api
from mlflow_archive.storage.databricks_api import DatabricksApi, Patience
from mlflow_archive.storage.dbfs_store import DbfsStore
from mlflow_archive.storage.opening import open_store
from mlflow_archive.storage.unity_store import UnityStore
from tests.storage.conformance import write, write_and_raise
from tests.storage.emulators.dbfs import MEBIBYTE, TOKEN, Answer, FakeDatabricks, Fault
from tests.storage.emulators.unity import VOLUME

LARGE = os.urandom(35 * MEBIBYTE)


@pytest.fixture
def fake():
    with FakeDatabricks() as fake:
        yield fake


@pytest.fixture
def store(fake):
    patience = Patience(first_pause_seconds=0.001)
    store = UnityStore(DatabricksApi({"host": fake.host, "token": TOKEN}, patience=patience), f"{VOLUME}/one")
    yield store
    store.close()


@pytest.fixture(autouse=True)
def no_credentials_of_this_machine(monkeypatch, tmp_path):
    for name in list(os.environ):
        if name.startswith(("DATABRICKS_", "ARM_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))


def kept(fake):
    return {path.removeprefix(f"{VOLUME}/one/"): data for path, (data, _) in fake.unity.files.items()}


# Writing


def test_a_small_file_is_one_request(fake, store):
    write(store, "a/key", b"x" * MEBIBYTE)
    assert [name.partition("?")[0] for name in fake.requests if "/fs/" in name] == [
        f"PUT /api/2.0/fs/files{VOLUME}/one/a/key"
    ]


def test_requests_name_the_workspace(fake, store):
    write(store, "key", b"x")
    assert fake.headers[-1]["X-Databricks-Workspace-Id"] == "4711"


@pytest.mark.parametrize("signed_urls", [True, False])
def test_a_large_file_is_streamed(fake, store, signed_urls):
    fake.unity.signed_urls = signed_urls
    with store.write("key", size_bytes=5) as writer:
        for start in range(0, len(LARGE), MEBIBYTE):
            writer.write(LARGE[start : start + MEBIBYTE])
        assert kept(fake) == {}
    assert kept(fake) == {"key": LARGE}
    assert len(fake.unity.uploads) == (0 if signed_urls else 1)  # which was begun, and cannot be ended either
    assert b"".join(store.read("key")) == LARGE
    assert fake.counted("PUT /cloud/") == (3 if signed_urls else 0)


def test_parts_grow_with_the_file(fake, store):
    with store.write("key", size_bytes=25 * MEBIBYTE * 8000) as writer:
        writer.write(LARGE)
    assert fake.counted("PUT /cloud/") == 2
    assert kept(fake) == {"key": LARGE}


@pytest.mark.parametrize("signed_urls", [True, False])
def test_a_large_file_that_is_given_up_leaves_nothing(fake, store, signed_urls):
    fake.unity.signed_urls = signed_urls
    write(store, "key", b"old")
    with pytest.raises(KeyboardInterrupt, match="in the middle"):
        write_and_raise(store, "key", LARGE, KeyboardInterrupt("in the middle"))
    assert kept(fake) == {"key": b"old"}
    assert fake.unity.uploads == {} or not signed_urls


@pytest.mark.parametrize("data", [b"new", LARGE])
def test_an_exclusive_write_replaces_nothing(fake, store, data):
    write(store, "key", b"old")
    conflict = pytest.raises(ConflictError, match="dbfs:/Volumes/main/default/vol/one/key")
    with conflict, store.write("key", exclusive=True) as writer:
        writer.write(data)
    assert kept(fake) == {"key": b"old"}
    assert fake.unity.uploads == {}


@pytest.mark.parametrize("what", ["PUT /cloud/.*part=3", "action=complete-upload", "create-upload-part-urls"])
def test_a_refused_part_ends_a_large_file(fake, store, what):
    refusal = Answer.error(400, "ODD", f"No, Bearer {TOKEN}.")
    fake.faults.append(Fault(what, times=100, skip=what.startswith("create"), answer=refusal))
    with pytest.raises(UnavailableError, match="could not be written: the upload") as caught:
        write(store, "key", LARGE)
    assert "s3cr3t" not in "".join(traceback.format_exception(caught.value))
    assert TOKEN not in "".join(traceback.format_exception(caught.value))
    assert kept(fake) == {}


def test_a_part_is_sent_again(fake, store):
    fake.faults += [Fault("PUT /cloud/.*part=2", lost=True, after=True), Fault("part=3", answer=Answer(503, b""))]
    write(store, "key", LARGE)
    assert kept(fake) == {"key": LARGE}


@pytest.mark.parametrize("after", [False, True])
def test_a_lost_answer_does_no_harm(fake, store, after):
    fake.faults.append(Fault("PUT /api", times=2, lost=True, after=after))
    store.create("lock", b"mine")
    fake.faults.append(Fault("PUT /api", lost=True, after=after))
    write(store, "key", b"x")
    assert kept(fake) == {"lock": b"mine", "key": b"x"}


def test_create_after_a_lost_answer_is_still_refused_by_another(fake, store):
    fake.unity.raw_write(f"{VOLUME}/one/lock", b"another's")
    fake.faults.append(Fault("PUT /api", lost=True))
    with pytest.raises(ConflictError):
        store.create("lock", b"mine")
    assert kept(fake) == {"lock": b"another's"}


@pytest.mark.parametrize("verb", ["PUT", "GET", "HEAD", "DELETE"])
@pytest.mark.parametrize("status", [429, 503])
def test_what_passes_is_survived(fake, store, verb, status):
    answer = Answer.error(status, "RESOURCE_EXHAUSTED", "Too many requests.")
    fake.faults.append(Fault(f"{verb} /api/2.0/fs", times=3, answer=answer))
    write(store, "key", b"x")
    assert store.size_bytes("key") == 1
    assert store.read_all("key", limit_bytes=1) == b"x"
    assert [found.key for found in store.list()] == ["key"]
    store.delete("key")
    assert kept(fake) == {}


# Reading


@pytest.mark.parametrize("ranges", [True, False])
def test_a_download_that_breaks_off_is_gone_on_with(fake, store, ranges):
    fake.unity.ranges = ranges
    data = LARGE[: 5 * MEBIBYTE]
    write(store, "key", data)
    fake.faults += [Fault("GET /api/2.0/fs/files", cut=2_500_000), Fault("GET /api/2.0/fs/files", skip=1, lost=True)]
    assert b"".join(store.read("key", start=10, size_bytes=4 * MEBIBYTE)) == data[10 : 10 + 4 * MEBIBYTE]
    assert fake.counted("GET /api/2.0/fs/files") >= 2


def test_a_download_that_breaks_off_for_ever_ends(fake, store):
    write(store, "key", b"x" * 1000)
    fake.faults.append(Fault("GET /api/2.0/fs/files", times=1000, cut=0))
    with pytest.raises(UnavailableError, match="could not be read"):
        list(store.read("key"))
    assert fake.counted("GET /api/2.0/fs/files") < 30


def test_two_versions_are_never_mixed(fake, store):
    write(store, "key", LARGE[: 5 * MEBIBYTE])
    fake.faults.append(Fault("GET /api/2.0/fs/files", cut=2 * MEBIBYTE))
    chunks = store.read("key")
    next(chunks)
    write(store, "key", LARGE[5 * MEBIBYTE : 10 * MEBIBYTE])
    with pytest.raises(UnavailableError, match=r"could not be read: The file was modified\.$"):
        list(chunks)


def test_a_listing_of_many_pages_is_complete(fake, store):
    keys = {f"runs/{number}" for number in range(2500)} | {f"deep/{number}/x" for number in range(300)}
    for key in keys:
        fake.unity.raw_write(f"{VOLUME}/one/{key}", b"x")
    assert {found.key for found in store.list()} == keys
    assert fake.counted("GET /api/2.0/fs/directories.*/runs") == 3
    assert fake.most_at_once <= 8


def test_empty_folders_can_be_removed(fake, store):
    write(store, "a/b/key", b"x")
    write(store, "c/key", b"x")
    store.delete("a/b/key")
    store.remove_folders()
    assert fake.unity.folders == {f"{VOLUME}/one", f"{VOLUME}/one/c"}
    store.delete("c/key")
    store.remove_folders()
    assert fake.unity.folders == set()


def test_a_volume_that_is_not_there(fake):
    store = open_store("dbfs:/Volumes/main/default/other/one", storage_options={"host": fake.host, "token": TOKEN})
    assert store.size_bytes("key") is None
    assert list(store.list()) == []
    with pytest.raises(NotFoundError, match="There is no dbfs:/Volumes/main/default/other/one/key"):
        list(store.read("key"))
    with pytest.raises(UnavailableError, match=r"could not be written: Volume '.*' does not exist"):
        write(store, "key", b"x")


@pytest.mark.parametrize("data", [b"x", LARGE])
def test_a_wrong_token(fake, data):
    store = open_store(f"dbfs:{VOLUME}/one", storage_options={"host": fake.host, "token": "dapi-wrong"})
    with pytest.raises(NotAuthorisedError, match="refused the credentials") as caught:
        write(store, "key", data)
    assert "dapi-wrong" not in "".join(traceback.format_exception(caught.value))


# Opening


@pytest.mark.parametrize(
    ("url", "kind", "shown"),
    [
        ("dbfs:/", DbfsStore, "dbfs:/"),
        ("dbfs:/backups/one/", DbfsStore, "dbfs:/backups/one"),
        ("dbfs:///backups//one", DbfsStore, "dbfs:/backups/one"),
        ("dbfs:/with space/100%", DbfsStore, "dbfs:/with space/100%"),
        (f"dbfs:{VOLUME}", UnityStore, f"dbfs:{VOLUME}"),
        (f"dbfs://{VOLUME}/one/", UnityStore, f"dbfs:{VOLUME}/one"),
    ],
)
def test_urls(fake, url, kind, shown):
    store = open_store(url, storage_options={"host": fake.host, "token": TOKEN})
    assert isinstance(store, kind)
    assert store.url == shown
    assert fake.requests == []  # nothing is asked before it is used
    write(store, "key", b"x")
    assert fake.files.keys() | fake.unity.files.keys() == {f"{shown.removeprefix('dbfs:').rstrip('/')}/key"}
    assert [found.key for found in store.list()] == ["key"]


@pytest.mark.parametrize(
    ("url", "options", "message"),
    [
        ("dbfs://host/path", {}, "names no host"),
        ("dbfs:/a/../b", {}, "without '..'"),
        ("dbfs:/a?token=x", {}, "without"),
        ("dbfs:/a#b", {}, "without"),
        ("dbfs:/Volumes/main/default", {}, "names no volume"),
        ("dbfs:/a", {"key": "x"}, "no storage option 'key'; it has host, token, profile"),
    ],
)
def test_what_has_no_meaning(url, options, message):
    with pytest.raises(UsageError, match=message):
        open_store(url, storage_options=options)


def test_a_missing_package(monkeypatch):
    monkeypatch.setattr(databricks_api.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UnsupportedError, match=r"pip install 'mlflow-archive\[databricks\]'"):
        open_store("dbfs:/a")


@pytest.mark.parametrize("options", [{}, {"profile": "absent"}, {"host": "https://example.com"}])
def test_no_credentials(options, monkeypatch):
    monkeypatch.setattr("databricks.sdk.config.Config._resolve_host_metadata", lambda self: None)
    store = open_store("dbfs:/a", storage_options=options)
    with pytest.raises(NotAuthorisedError, match="set DATABRICKS_HOST and DATABRICKS_TOKEN"):
        store.size_bytes("key")


def test_credentials_of_the_environment(fake, monkeypatch):
    monkeypatch.setenv("DATABRICKS_HOST", fake.host)
    monkeypatch.setenv("DATABRICKS_TOKEN", TOKEN)
    write(open_store("dbfs:/a"), "key", b"x")
    assert fake.files.keys() == {"/a/key"}


def test_credentials_of_a_profile(fake, tmp_path):
    (tmp_path / ".databrickscfg").write_text(f"[other]\nhost = {fake.host}\ntoken = {TOKEN}\n")
    write(open_store("dbfs:/a", storage_options={"profile": "other"}), "key", b"x")
    assert fake.files.keys() == {"/a/key"}


def test_a_netrc_does_not_replace_the_token(fake, tmp_path):
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login somebody password else\n")
    write(open_store("dbfs:/a", storage_options={"host": fake.host, "token": TOKEN}), "key", b"x")
    assert fake.files.keys() == {"/a/key"}


def test_opening_imports_no_sdk():
    code = "import sys; from mlflow_archive.storage.opening import open_store; open_store('dbfs:/a'); "
    code += "print('databricks.sdk.config' in sys.modules, 'mlflow' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "False False\n"
