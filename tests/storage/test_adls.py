"""Azure Blob Storage and Data Lake Storage, on Azurite."""

from __future__ import annotations

import os
import uuid

import pytest

from mlflow_archive.errors import ConflictError, NotAuthorisedError, NotFoundError
from mlflow_archive.storage.azure_store import AzureStore
from mlflow_archive.storage.opening import open_store
from mlflow_archive.storage.pieces import PIECE_BYTES
from tests.storage.conformance import write
from tests.storage.emulators.counting import requests_sent
from tests.storage.pieces_conformance import SEVERAL, PiecesStoreTests


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


class TestAzureStore(PiecesStoreTests):
    small_put = "PUT"
    nowhere = "abfs://nowhere/x"

    @pytest.fixture
    def options(self, azure_options):
        return azure_options

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


def test_a_large_object_goes_up_in_blocks(store, container):
    data = os.urandom(SEVERAL)
    with requests_sent() as seen:
        write(store, "large", data)
    assert sorted(request.query.get("comp", "") for request in seen) == ["block"] * 4 + ["blocklist"]
    assert raw(container, store, "large") == data


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


def test_folders_of_a_hierarchical_namespace_are_no_objects(store, container):
    container.upload_blob(name_of(store, "folder"), b"", metadata={"hdi_isfolder": "true"})
    write(store, "folder/key", b"x")
    assert [found.key for found in store.list()] == ["folder/key"]
    assert store.size_bytes("folder") is None
    with pytest.raises(NotFoundError):
        store.read_all("folder", limit_bytes=10)


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
