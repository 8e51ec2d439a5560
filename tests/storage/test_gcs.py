"""Google Cloud Storage, on fake-gcs-server."""

from __future__ import annotations

import os
import uuid

import pytest

from mlflow_archive.errors import ConflictError, NotAuthorisedError, UnavailableError
from mlflow_archive.storage.gcs_store import GcsStore
from mlflow_archive.storage.opening import open_store
from mlflow_archive.storage.pieces import PIECE_BYTES
from tests.storage.conformance import write, write_and_raise
from tests.storage.emulators.counting import requests_sent
from tests.storage.pieces_conformance import SEVERAL, PiecesStoreTests


@pytest.fixture
def store(gcs_options, bucket):
    store = open_store(f"gs://archives/{uuid.uuid4().hex}/root", storage_options=gcs_options)
    assert isinstance(store, GcsStore)
    return store


def name_of(store, key):
    return f"{store.url.removeprefix('gs://archives/')}/{key}"


class TestGcsStore(PiecesStoreTests):
    small_put = "POST"
    nowhere = "gs://nowhere/x"

    @pytest.fixture
    def options(self, gcs_options):
        return gcs_options

    @pytest.fixture
    def store(self, store, bucket):
        self.bucket = bucket
        return store

    def raw_read(self, store, key):
        return self.bucket.get(name_of(store, key))

    def raw_write(self, store, key, data):
        self.bucket.put(name_of(store, key), data)

    def raw_keys(self, store):
        start = name_of(store, "")
        return {name[len(start) :] for name in self.bucket.names(start)}


def test_a_large_object_goes_up_in_one_session(store, bucket):
    data = os.urandom(SEVERAL)
    with requests_sent() as seen:
        write(store, "large", data)
    assert [request.method for request in seen] == ["POST", "PUT", "PUT", "PUT", "PUT"]
    spans = [request.headers["Content-Range"] for request in seen[1:]]
    assert spans[0] == f"bytes 0-{PIECE_BYTES - 1}/*"
    assert spans[-1] == f"bytes {3 * PIECE_BYTES}-{SEVERAL - 1}/{SEVERAL}"
    assert bucket.get(name_of(store, "large")) == data


def test_a_large_write_that_is_ended_is_cancelled(store):
    with requests_sent() as seen, pytest.raises(ValueError, match="in the middle"):
        write_and_raise(store, "key", b"x" * SEVERAL, ValueError("in the middle"))
    assert seen[-1].method == "DELETE"
    assert "upload_id" in seen[-1].query


def test_no_line_in_the_data_ends_it(store):
    data = b"before\r\n--==0==--\r\nafter\n--==0==\nmore"
    write(store, "key", data)
    assert store.read_all("key", limit_bytes=1000) == data


def test_the_kind_of_the_bucket_is_not_asked_for(store):
    """By gRPC, to a host of Google's own, which takes a minute where that cannot be reached."""
    write(store, "key", b"x")
    store.create("other", b"x")
    assert [found.key for found in store.list()] == ["key", "other"]
    assert getattr(store._fs, "_storage_control_client", None) is None
    assert getattr(store._fs, "_grpc_client", None) is None


def test_every_exclusive_upload_asks_for_no_generation(store):
    """The emulator keeps that condition for small objects only; Google keeps it for all."""
    with requests_sent() as seen:
        store.create("created", b"x")
        with store.write("small", exclusive=True) as writer:
            writer.write(b"x")
        with store.write("large", exclusive=True) as writer:
            writer.write(b"x" * SEVERAL)
        write(store, "plain", b"x")
    begun = [request for request in seen if request.method == "POST"]
    assert [request.query.get("ifGenerationMatch") for request in begun] == ["0", "0", "0", None]
    assert [request.query["uploadType"] for request in begun] == ["multipart", "multipart", "resumable", "multipart"]


def test_a_create_whose_answer_was_lost_has_won(store, bucket, monkeypatch):
    """gcsfs repeats a request when its answer does not come; the repeated one finds the object there."""
    call = store._fs._call

    async def twice(method, *args, **options):
        if method == "POST":
            await call(method, *args, **options)
        return await call(method, *args, **options)

    monkeypatch.setattr(store._fs, "_call", twice)
    store.create("key", b"mine")
    monkeypatch.undo()
    with pytest.raises(ConflictError):
        store.create("key", b"mine")
    assert bucket.get(name_of(store, "key")) == b"mine"


def test_what_google_did_not_keep_is_sent_again(store, bucket, monkeypatch):
    """A session may take less of a piece than it was sent, and says so."""
    call = store._fs._call
    spans = []

    async def half(method, path, *args, **options):
        span = (options.get("headers") or {}).get("Content-Range", "")
        spans.append(span)
        if span == f"bytes 0-{PIECE_BYTES - 1}/*":
            kept = PIECE_BYTES // 2
            options["headers"] = {**options["headers"], "Content-Range": f"bytes 0-{kept - 1}/*"}
            options["data"] = options["data"][:kept]
        return await call(method, path, *args, **options)

    monkeypatch.setattr(store._fs, "_call", half)
    data = os.urandom(SEVERAL)
    write(store, "key", data)
    assert f"bytes {PIECE_BYTES // 2}-{PIECE_BYTES - 1}/*" in spans
    assert bucket.get(name_of(store, "key")) == data


def test_folders_of_the_console_are_no_objects(store, bucket):
    bucket.put(name_of(store, "folder/"), b"")
    write(store, "folder/key", b"x")
    assert [found.key for found in store.list()] == ["folder/key"]
    assert store.size_bytes("folder") is None


def test_a_listing_of_several_pages_is_complete(store, bucket, monkeypatch):
    call = store._fs._call

    async def short_pages(method, path, *args, **options):
        if "maxResults" in options:
            options["maxResults"] = 3
        return await call(method, path, *args, **options)

    monkeypatch.setattr(store._fs, "_call", short_pages)
    for number in range(10):
        bucket.put(name_of(store, f"folder/{number}"), b"x" * number)
    with requests_sent() as seen:
        found = {(found.key, found.size_bytes) for found in store.list("folder")}
    assert found == {(f"folder/{number}", number) for number in range(10)}
    assert len(seen) == 4


@pytest.mark.parametrize(
    ("status", "expected"), [(401, NotAuthorisedError), (403, NotAuthorisedError), (400, UnavailableError)]
)
def test_a_refusal_has_a_meaning(store, monkeypatch, status, expected):
    from gcsfs.retry import validate_response

    async def refuse(method, path, *args, **options):
        validate_response(status, b'{"error": {"message": "invalid"}}', path)

    monkeypatch.setattr(store._fs, "_request", refuse)
    with pytest.raises(expected, match="gs://archives"):
        store.create("key", b"x")
    with pytest.raises(expected, match="gs://archives"):
        list(store.read("key"))
