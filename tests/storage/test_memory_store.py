from __future__ import annotations

import uuid

import fsspec
import pytest

from mlflow_archive.storage.memory_store import MemoryStore
from mlflow_archive.storage.opening import open_store
from tests.storage.conformance import StoreTests, write


class TestMemoryStore(StoreTests):
    @pytest.fixture
    def store(self):
        store = open_store(f"memory://conformance-{uuid.uuid4().hex}/root")
        assert isinstance(store, MemoryStore)
        return store

    def raw_read(self, store, key):
        fs = fsspec.filesystem("memory")
        place = f"{store.url.removeprefix('memory:/')}/{key}"
        return fs.cat_file(place) if fs.isfile(place) else None

    def raw_write(self, store, key, data):
        fsspec.filesystem("memory").pipe_file(f"{store.url.removeprefix('memory:/')}/{key}", data)


def test_two_stores_of_one_url_are_one():
    url = f"memory://{uuid.uuid4().hex}"
    write(open_store(url), "key", b"x")
    assert open_store(url).read_all("key", limit_bytes=1) == b"x"


def test_stores_of_a_common_beginning_are_two():
    url = f"memory://{uuid.uuid4().hex}"
    write(open_store(url + "-more"), "key", b"x")
    assert list(open_store(url).list()) == []
