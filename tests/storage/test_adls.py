"""Azure Blob Storage and Data Lake Storage, on Azurite."""

from __future__ import annotations

import asyncio
import os
import uuid

import pytest

from mlflow_archive.errors import ConflictError, NotAuthorisedError, NotFoundError, UnavailableError
from mlflow_archive.storage.azure_store import AzureStore
from mlflow_archive.storage.opening import open_store
from mlflow_archive.storage.pieces import PIECE_BYTES
from tests.storage.conformance import StoreTests, race, write, write_and_raise
from tests.storage.emulators.counting import requests_sent

SEVERAL = 3 * PIECE_BYTES + 17


@pytest.fixture
def store(azure_options, container):
    store = open_store(f"abfs://archives/{uuid.uuid4().hex}/root", storage_options=azure_options)
    assert isinstance(store, AzureStore)
    return store


def name_of(store, key):
    return f"{store.url.removeprefix('abfs://archives/')}/{key}"


def raw(container, store, key):
    from azure.core.exceptions import ResourceNotFoundError

    try:
        return container.download_blob(name_of(store, key)).readall()
    except ResourceNotFoundError:
        return None


class TestAzureStore(StoreTests):
    @pytest.fixture
    def store(self, store, container):
        self.container = container
        return store

    def raw_read(self, store, key):
        return raw(self.container, store, key)

    def raw_write(self, store, key, data):
        self.container.upload_blob(name_of(store, key), data, overwrite=True)

    def raw_keys(self, store):
        start = name_of(store, "")
        return {blob.name[len(start) :] for blob in self.container.list_blobs(name_starts_with=start)}


def test_a_large_object_goes_up_in_blocks_and_comes_back(store, container):
    data = os.urandom(SEVERAL)
    with requests_sent() as seen:
        write(store, "large", data)
    assert sorted(request.query.get("comp", "") for request in seen) == ["block"] * 4 + ["blocklist"]
    assert raw(container, store, "large") == data
    assert b"".join(store.read("large")) == data
    assert (
        b"".join(store.read("large", start=PIECE_BYTES - 5, size_bytes=PIECE_BYTES + 10))
        == (data[PIECE_BYTES - 5 : 2 * PIECE_BYTES + 5])
    )


def test_a_small_object_is_one_request_each_way(store):
    with requests_sent() as seen:
        write(store, "small", b"x" * 1000)
        assert [request.method for request in seen] == ["PUT"]
        assert store.read_all("small", limit_bytes=2000) == b"x" * 1000
        assert [request.method for request in seen] == ["PUT", "GET"]


@pytest.mark.parametrize("old", [None, b"good"])
def test_a_large_write_that_is_ended_is_never_seen(store, container, old):
    if old is not None:
        write(store, "key", old)
    with pytest.raises(ValueError, match="in the middle"):
        write_and_raise(store, "key", b"x" * SEVERAL, ValueError("in the middle"))
    assert raw(container, store, "key") == old
    assert [found.key for found in store.list()] == ([] if old is None else ["key"])
    write(store, "key", b"y" * SEVERAL)
    assert raw(container, store, "key") == b"y" * SEVERAL


@pytest.mark.parametrize("size", [10, SEVERAL])
def test_an_exclusive_write_refuses_what_is_there_at_its_end(store, container, size):
    def late():
        with store.write("key", exclusive=True) as writer:
            writer.write(b"x" * size)
            container.upload_blob(name_of(store, "key"), b"first")

    with pytest.raises(ConflictError):
        late()
    assert raw(container, store, "key") == b"first"


@pytest.mark.parametrize("size", [10, SEVERAL])
def test_an_exclusive_write_of_something_new_is_a_write(store, container, size):
    with store.write("key", exclusive=True) as writer:
        writer.write(b"x" * size)
    assert raw(container, store, "key") == b"x" * size


def test_a_create_whose_answer_was_lost_has_won(store, container, monkeypatch):
    """The client repeats a request when its answer does not come; the repeated one finds the object there."""
    blob = type(store._blob("key"))
    upload = blob.upload_blob

    async def twice(self, *args, **options):
        await upload(self, *args, **options)
        return await upload(self, *args, **options)

    monkeypatch.setattr(blob, "upload_blob", twice)
    store.create("key", b"mine")
    with pytest.raises(ConflictError):
        store.create("key", b"another")
    assert raw(container, store, "key") == b"mine"


def test_the_same_bytes_do_not_make_a_winner(store):
    store.create("key", b"same")
    with pytest.raises(ConflictError):
        store.create("key", b"same")


def test_an_object_that_is_replaced_while_it_is_read_is_no_mixture(store):
    write(store, "key", b"a" * SEVERAL)
    chunks = store.read("key")
    got = [next(chunks)]
    write(store, "key", b"b" * SEVERAL)
    with pytest.raises(UnavailableError, match="replaced"):
        got.extend(chunks)
    assert set(b"".join(got)) == {ord("a")}


def test_folders_of_a_hierarchical_namespace_are_no_objects(store, container):
    container.upload_blob(name_of(store, "folder"), b"", metadata={"hdi_isfolder": "true"})
    write(store, "folder/key", b"x")
    assert [found.key for found in store.list()] == ["folder/key"]
    assert store.size_bytes("folder") is None
    with pytest.raises(NotFoundError):
        store.read_all("folder", limit_bytes=10)


def test_a_missing_container_is_named(azure_options):
    store = open_store("abfs://nowhere/x", storage_options=azure_options)
    assert list(store.list()) == []
    assert store.size_bytes("key") is None
    with pytest.raises(NotFoundError, match="create it"):
        write(store, "key", b"x")


def test_a_wrong_key_is_refused_and_not_shown(azure_options, container):
    wrong = "d3Jvbmcta2V5LXdyb25nLWtleQ=="
    given = azure_options["connection_string"].split("AccountKey=")
    options = {"connection_string": f"{given[0]}AccountKey={wrong};{given[1].partition(';')[2]}"}
    store = open_store("abfs://archives/x", storage_options=options)
    with pytest.raises(NotAuthorisedError) as caught:
        store.create("key", b"x")
    assert wrong not in str(caught.value)


def test_blocks_grow_so_that_their_number_suffices(store):
    with store.write("key") as writer:
        sizes = [writer._piece_bytes(count) for count in (0, 4_999, 5_000, 49_999)]
        assert sizes == [PIECE_BYTES, PIECE_BYTES, 2 * PIECE_BYTES, 256 << 20]
        assert sum(map(writer._piece_bytes, range(50_000))) > 7 * 10**12


def test_one_winner_among_several_stores(store, azure_options):
    other = open_store(store.url, storage_options=azure_options)
    assert other is not store
    assert len(race(store, "lock", 8)) == 1
    with pytest.raises(ConflictError):
        other.create("lock", b"late")


def test_a_writer_may_be_collected_in_the_loop_itself(store):
    """The garbage collector may run in the loop's thread, where waiting would never end."""
    context = store.write("key")
    context.__enter__().write(b"x" * SEVERAL)
    held = [context]
    del context

    async def collect():
        held.clear()

    asyncio.run_coroutine_threadsafe(collect(), store._fs.loop).result(timeout=30)
    assert store.size_bytes("key") is None
