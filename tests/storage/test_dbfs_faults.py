"""What becomes of DBFS when requests are refused, answers get lost and writers are slow."""

from __future__ import annotations

import json
import os
import time
import traceback

import pytest

from mlflow_archive.errors import ConflictError, NotAuthorisedError, NotFoundError, UnavailableError
from mlflow_archive.storage.budget import Budget
from mlflow_archive.storage.databricks_api import DatabricksApi, Patience
from mlflow_archive.storage.dbfs_store import DbfsStore
from mlflow_archive.storage.dbfs_upload import BlockUpload
from tests.storage.conformance import write
from tests.storage.emulators.dbfs import MEBIBYTE, TOKEN, Answer, FakeDatabricks, Fault

BIG = os.urandom(3 * MEBIBYTE + 17)
WRITES = ["put", "create", "add-block", "close", "move", "get-status"]


@pytest.fixture
def fake():
    with FakeDatabricks() as fake:
        yield fake


@pytest.fixture
def store(fake):
    store = DbfsStore(api_of(fake), "/one")
    yield store
    store.close()


def api_of(fake, *, pauses=None, **options):
    sleep = time.sleep if pauses is None else pauses.append
    patience = Patience(first_pause_seconds=0.001, sleep=sleep)
    return DatabricksApi({"host": fake.host, "token": TOKEN, **options}, patience=patience)


def throttled(**headers):
    return Answer.error(429, "RESOURCE_EXHAUSTED", "Too many requests.", **headers)


def broken(status=503):
    return Answer.error(status, "TEMPORARILY_UNAVAILABLE", "Try again later.")


# Requests that are refused


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
@pytest.mark.parametrize("call", WRITES)
@pytest.mark.parametrize("data", [b"small", BIG])
def test_a_write_survives_what_passes(fake, store, call, status, data):
    answer = throttled() if status == 429 else broken(status)
    fake.faults.append(Fault(f"/dbfs/{call}", times=3, answer=answer))
    write(store, "folder/key", data)
    assert fake.files.keys() == {"/one/folder/key"}
    assert fake.files["/one/folder/key"][0] == data


@pytest.mark.parametrize("call", ["read", "list", "get-status", "delete"])
@pytest.mark.parametrize("status", [429, 503])
def test_reading_and_deleting_survive_what_passes(fake, store, call, status):
    write(store, "key", BIG)
    fake.faults.append(Fault(f"/dbfs/{call}", times=3, answer=throttled() if status == 429 else broken()))
    assert b"".join(store.read("key")) == BIG
    assert store.size_bytes("key") == len(BIG)
    assert [found.key for found in store.list()] == ["key"]
    store.delete("key")
    assert fake.files == {}


@pytest.mark.parametrize("call", ["put", "create", "add-block", "close", "move"])
def test_a_write_that_is_refused_for_ever_leaves_nothing(fake, store, call):
    data = b"small" if call == "put" else BIG
    write(store, "key", b"old")
    fake.faults.append(Fault(f"/dbfs/{call}", times=1000, answer=throttled()))
    with pytest.raises(UnavailableError, match=r"^dbfs:/one/key could not be written: Too many requests\.$"):
        write(store, "key", data)
    assert fake.files.keys() == {"/one/key"}
    assert fake.files["/one/key"][0] == b"old"
    assert 1 <= fake.counted(f"/dbfs/{call}") <= 8


def test_the_pause_that_is_asked_for_is_made(fake):
    pauses: list[float] = []
    store = DbfsStore(api_of(fake, pauses=pauses), "/one")
    fake.faults.append(Fault("/dbfs/put", answer=throttled(**{"Retry-After": "7"})))
    write(store, "key", b"x")
    assert pauses == [7.0]


def test_a_pause_without_measure_is_not_made(fake):
    pauses: list[float] = []
    store = DbfsStore(api_of(fake, pauses=pauses), "/one")
    fake.faults.append(Fault("/dbfs/put", times=9, answer=throttled(**{"Retry-After": "86400"})))
    with pytest.raises(UnavailableError):
        write(store, "key", b"x")
    assert pauses == []


# Answers that get lost


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("call", ["put", "create", "close", "move", "get-status"])
@pytest.mark.parametrize("data", [b"small", BIG])
def test_a_lost_answer_does_no_harm(fake, store, call, data, after):
    fake.faults.append(Fault(f"/dbfs/{call}", lost=True, after=after))
    write(store, "key", data)
    assert fake.files["/one/key"][0] == data
    partial = [name for name in fake.files if name != "/one/key"]
    assert len(partial) == (call == "create" and after and data == BIG)  # its handle is unknown; a sweep takes it


def test_a_block_that_did_not_arrive_is_sent_again(fake, store):
    fake.faults.append(Fault("/dbfs/add-block", lost=True, skip=1))
    write(store, "key", BIG)
    assert fake.files["/one/key"][0] == BIG


@pytest.mark.parametrize("visible", [True, False])
def test_a_block_that_arrived_twice_is_noticed(visible):
    with FakeDatabricks(visible_on_create=visible) as fake:
        store = DbfsStore(api_of(fake), "/one")
        write(store, "key", b"old")
        fake.faults.append(Fault("/dbfs/add-block", lost=True, after=True, skip=1))
        with pytest.raises(UnavailableError, match=r"3,145,745 bytes were sent and 4,194,321 are there\.$"):
            write(store, "key", BIG)
        assert {name: data for name, (data, _) in fake.files.items()} == {"/one/key": b"old"}


@pytest.mark.parametrize("after", [False, True])
def test_create_is_not_refused_by_its_own_lost_answer(fake, store, after):
    fake.faults.append(Fault("/dbfs/move", lost=True, after=after))
    store.create("lock", b"mine")
    assert fake.files["/one/lock"][0] == b"mine"


def test_create_is_refused_by_another_that_came_in_between(fake, store):
    fake.raw_write("/one/lock", b"another's")
    absent = Answer.error(404, "RESOURCE_DOES_NOT_EXIST", "There is nothing.")
    fake.faults.append(Fault("/dbfs/get-status", answer=absent))
    with pytest.raises(ConflictError, match="dbfs:/one/lock"):
        store.create("lock", b"mine")
    assert {name: data for name, (data, _) in fake.files.items()} == {"/one/lock": b"another's"}


def test_an_exclusive_write_replaces_nothing(fake, store):
    write(store, "key", b"old")
    with pytest.raises(ConflictError), store.write("key", exclusive=True) as writer:
        writer.write(BIG)
    assert {name: data for name, (data, _) in fake.files.items()} == {"/one/key": b"old"}


def test_an_answer_that_is_cut_off_is_asked_for_again(fake, store):
    write(store, "key", b"x" * 1000)
    fake.faults.append(Fault("/dbfs/read", cut=500))
    assert store.read_all("key", limit_bytes=1000) == b"x" * 1000


def test_a_file_that_becomes_shorter_while_it_is_read_is_not_the_end(fake, store):
    write(store, "key", BIG)
    chunks = store.read("key")
    next(chunks)
    size = Answer(200, json.dumps({"path": "/one/key", "file_size": len(BIG)}).encode())
    fake.faults.append(Fault("/dbfs/get-status", answer=size))
    fake.raw_write("/one/key", b"short")
    with pytest.raises(UnavailableError, match="shorter while it was read"):
        list(chunks)


# Slow writers


def test_a_writer_that_is_too_slow_fails_and_leaves_nothing(fake, store):
    fake.clock = lambda: clock[0]
    clock = [0.0]

    def write_slowly():
        with store.write("key") as writer:
            writer.write(BIG)
            clock[0] = 601.0
            writer.write(BIG)

    with pytest.raises(UnavailableError, match="stood still for more than ten minutes"):
        write_slowly()
    assert fake.files == {}
    assert [found.key for found in store.list()] == []


def test_a_slow_writer_is_kept_alive(fake):
    fake.handle_seconds = 1.5
    upload = BlockUpload(api_of(fake), "/one", Budget(1), idle_seconds=0.05)
    upload.write(BIG)
    time.sleep(2.5)
    upload.write(b"the end")
    assert upload.finish() == len(BIG) + 7
    assert fake.files[upload.path][0] == BIG + b"the end"
    assert fake.counted("add-block") > 8


def test_what_fails_while_the_writer_waits_is_told_to_it(fake):
    upload = BlockUpload(api_of(fake), "/one", Budget(1), idle_seconds=0.05)
    upload.write(BIG)
    fake.faults.append(Fault("add-block", times=100, answer=Answer.error(403, "PERMISSION_DENIED", "Gone.")))
    until = time.monotonic() + 10
    before = fake.counted("add-block")
    while fake.counted("add-block") < before + 2 and time.monotonic() < until:
        time.sleep(0.02)
    with pytest.raises(Exception, match="Gone"):
        upload.write(b"more")
    upload.discard()
    assert fake.files == {}


# Limits


def test_a_small_object_is_two_requests(fake, store):
    write(store, "folder/key", b"x" * 700_000)
    assert [name.rpartition("/")[2] for name in fake.requests if "/dbfs/" in name] == ["put", "move"]


def test_a_large_object_is_sent_and_read_by_whole_blocks(fake, store):
    data = os.urandom(10 * MEBIBYTE)
    with store.write("key") as writer:
        for start in range(0, len(data), 100_000):
            writer.write(data[start : start + 100_000])
    assert fake.counted("add-block") == 10
    assert b"".join(store.read("key")) == data
    assert fake.counted("dbfs/read") == 10
    assert fake.most_at_once <= 8


def test_few_blocks_are_read_ahead(fake, store):
    write(store, "key", bytes(20 * MEBIBYTE))
    chunks = store.read("key")
    next(chunks)
    next(chunks)
    chunks.close()
    assert fake.counted("dbfs/read") <= 7


@pytest.mark.parametrize("empty", [True, False])
def test_a_range_behind_the_end_is_empty(empty):
    with FakeDatabricks(empty_behind_end=empty) as fake:
        store = DbfsStore(api_of(fake), "/one")
        write(store, "key", b"0123")
        assert list(store.read("key", start=4)) == []
        assert list(store.read("key", start=100, size_bytes=3)) == []
        with pytest.raises(NotFoundError):
            list(store.read("absent", start=100))


def test_a_listing_of_many_folders_is_complete(fake, store):
    keys = {f"runs/{number % 150}/{number}" for number in range(3000)}
    for key in keys:
        fake.raw_write(f"/one/{key}", b"x")
    assert {found.key for found in store.list()} == keys
    assert fake.counted("dbfs/list") == 152
    assert fake.most_at_once <= 8


def test_sweep_deletes_what_is_old(fake, store):
    now = int(time.time() * 1000)
    fake.raw_write("/one/a/.mla-0123abcd.part", b"old", modified_ms=now - 25 * 3600 * 1000)
    fake.raw_write("/one/a/.mla-89abcdef.part", b"perhaps somebody's", modified_ms=now - 3600 * 1000)
    fake.raw_write("/one/a/key", b"x", modified_ms=0)
    assert [found.key for found in store.list()] == ["a/key"]
    assert store.sweep() == 1
    assert fake.files.keys() == {"/one/a/.mla-89abcdef.part", "/one/a/key"}


def test_empty_folders_can_be_removed(fake, store):
    write(store, "a/b/key", b"x")
    write(store, "c/key", b"x")
    store.delete("a/b/key")
    store.remove_folders()
    assert fake.folders == {"/", "/one", "/one/c"}
    store.delete("c/key")
    store.remove_folders()
    assert fake.folders == {"/"}


# What is said


@pytest.mark.parametrize(
    ("answer", "error", "sentence"),
    [
        (
            Answer.error(401, "UNAUTHENTICATED", "Not sent."),
            NotAuthorisedError,
            "Databricks refused the credentials for dbfs:/one/key: Not sent; check the token or the profile.",
        ),
        (
            Answer.error(403, "403", "Bad access token."),
            NotAuthorisedError,
            "Databricks refused the credentials for dbfs:/one/key: Bad access token; check the token or the profile.",
        ),
        (
            Answer.error(403, "PERMISSION_DENIED", "Public DBFS root is disabled. Access is denied."),
            NotAuthorisedError,
            "There is no permission to read dbfs:/one/key: Public DBFS root is disabled. Access is denied.",
        ),
        (
            Answer.error(404, "RESOURCE_DOES_NOT_EXIST", "No file or directory exists."),
            NotFoundError,
            "There is no dbfs:/one/key.",
        ),
        (
            Answer(404, b"<html>not found</html>"),
            UnavailableError,
            "dbfs:/one/key could not be read: no Databricks workspace answers at the host.",
        ),
        (
            Answer(302, b"", {"Location": "https://example.com/login.html"}),
            UnavailableError,
            "dbfs:/one/key could not be read: no Databricks workspace answers at the host.",
        ),
        (
            Answer(200, b"<html>Log in</html>"),
            UnavailableError,
            "dbfs:/one/key could not be read: no Databricks workspace answers at the host.",
        ),
        (Answer(418, b""), UnavailableError, "dbfs:/one/key could not be read: the workspace answers 418."),
    ],
)
def test_refusals_are_sentences(fake, store, answer, error, sentence):
    fake.faults.append(Fault("/dbfs/read", answer=answer))
    with pytest.raises(error) as caught:
        store.read_all("key", limit_bytes=10)
    assert str(caught.value) == sentence


def test_a_workspace_that_does_not_answer(fake):
    store = DbfsStore(api_of(fake), "/one")
    assert store.size_bytes("key") is None
    fake.faults.append(Fault("/dbfs/", times=1000, lost=True))
    with pytest.raises(UnavailableError, match=r"^dbfs:/one/key could not be read: the connection broke\.$"):
        store.size_bytes("key")


def test_a_wrong_token(fake):
    store = DbfsStore(api_of(fake, token="dapi-wrong"), "/one")
    for call in (
        lambda: list(store.list()),
        lambda: store.size_bytes("key"),
        lambda: write(store, "key", b"x"),
        lambda: write(store, "key", BIG),
        lambda: store.create("key", b"x"),
        lambda: store.delete("key"),
        store.sweep,
    ):
        with pytest.raises(NotAuthorisedError) as caught:
            call()
        assert "dapi" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("token", [TOKEN, "dapi secret\nX-More: header", "dapi-sécret"])
@pytest.mark.parametrize("status", [400, 401, 403, 500])
def test_no_error_shows_the_token(fake, token, status):
    store = DbfsStore(api_of(fake, token=token), "/one")
    echo = Answer.error(status, "ODD", f"The header 'Bearer {token}' is odd.")
    fake.faults.append(Fault("/dbfs/", times=1000, answer=echo))
    with pytest.raises((NotAuthorisedError, UnavailableError)) as caught:
        write(store, "key", BIG)
    shown = "".join(traceback.format_exception(caught.value))
    for secret in (token, token.partition("\n")[0], token[5:]):
        assert secret not in shown
