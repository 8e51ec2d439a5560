"""What stores over asynchronous clients (Azure, Google Cloud) must do besides `StoreTests`."""

from __future__ import annotations

import asyncio
import os

import pytest

from mlflow_archive.errors import ConflictError, NotFoundError, UnavailableError
from mlflow_archive.storage.opening import open_store
from mlflow_archive.storage.pieces import PIECE_BYTES
from tests.storage.conformance import StoreTests, race, write, write_and_raise
from tests.storage.emulators.counting import requests_sent

SEVERAL = 3 * PIECE_BYTES + 17


class PiecesStoreTests(StoreTests):
    """Inherit, and say how to make a store, `options` for it, and how to look behind it."""

    #: The method of the one request that writes a small object.
    small_put: str
    #: A URL of a bucket that is not there.
    nowhere: str

    @pytest.fixture
    def options(self):
        """The storage options of the stores."""
        raise AssertionError("to be overridden")

    @pytest.mark.parametrize("size", [PIECE_BYTES, PIECE_BYTES + 1, 2 * PIECE_BYTES])
    def test_sizes_at_the_edge_of_a_piece(self, store, size):
        data = os.urandom(size)
        write(store, "key", data)
        assert self.raw_read(store, "key") == data

    def test_a_large_object_goes_up_in_pieces_and_comes_back(self, store):
        data = os.urandom(SEVERAL)
        write(store, "large", data)
        assert self.raw_read(store, "large") == data
        assert b"".join(store.read("large")) == data
        middle = b"".join(store.read("large", start=PIECE_BYTES - 5, size_bytes=PIECE_BYTES + 10))
        assert middle == data[PIECE_BYTES - 5 : 2 * PIECE_BYTES + 5]

    def test_a_small_object_is_one_request_each_way(self, store):
        with requests_sent() as seen:
            write(store, "small", b"x" * 1000)
            assert [request.method for request in seen] == [self.small_put]
            assert store.read_all("small", limit_bytes=2000) == b"x" * 1000
            assert [request.method for request in seen] == [self.small_put, "GET"]

    @pytest.mark.parametrize("old", [None, b"good"])
    def test_a_large_write_that_is_ended_is_never_seen(self, store, old):
        if old is not None:
            write(store, "key", old)
        with pytest.raises(ValueError, match="in the middle"):
            write_and_raise(store, "key", b"x" * SEVERAL, ValueError("in the middle"))
        assert self.raw_read(store, "key") == old
        assert [found.key for found in store.list()] == ([] if old is None else ["key"])
        write(store, "key", b"y" * SEVERAL)
        assert self.raw_read(store, "key") == b"y" * SEVERAL

    @pytest.mark.parametrize("size", [10, SEVERAL])
    def test_an_exclusive_write_of_something_new_is_a_write(self, store, size):
        with store.write("key", exclusive=True) as writer:
            writer.write(b"x" * size)
        assert self.raw_read(store, "key") == b"x" * size

    def test_the_same_bytes_do_not_make_a_winner(self, store):
        store.create("key", b"same")
        with pytest.raises(ConflictError):
            store.create("key", b"same")

    def test_an_object_that_is_replaced_while_it_is_read_is_no_mixture(self, store):
        write(store, "key", b"a" * SEVERAL)
        chunks = store.read("key")
        got = [next(chunks)]
        write(store, "key", b"b" * SEVERAL)
        with pytest.raises(UnavailableError, match="replaced"):
            got.extend(chunks)
        assert set(b"".join(got)) == {ord("a")}

    def test_a_missing_bucket_is_named(self, options):
        store = open_store(self.nowhere, storage_options=options)
        assert list(store.list()) == []
        assert store.size_bytes("key") is None
        with pytest.raises(NotFoundError, match="create it"):
            write(store, "key", b"x")

    def test_one_winner_among_several_stores(self, store, options):
        other = open_store(store.url, storage_options=options)
        assert other is not store
        assert len(race(store, "lock", 8)) == 1
        with pytest.raises(ConflictError):
            other.create("lock", b"late")

    def test_a_writer_may_be_collected_in_the_loop_itself(self, store):
        """The garbage collector may run in the loop's thread, where waiting would never end."""
        context = store.write("key")
        context.__enter__().write(b"x" * SEVERAL)
        held = [context]
        del context

        async def collect():
            held.clear()

        asyncio.run_coroutine_threadsafe(collect(), store._fs.loop).result(timeout=30)
        assert store.size_bytes("key") is None
