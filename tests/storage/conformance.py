"""What every store must do. A backend's tests inherit `StoreTests` and give it two hooks that bypass the store."""

from __future__ import annotations

import os
import threading
from abc import ABC, abstractmethod

import pytest

from mlflow_archive.errors import ConflictError, IntegrityError, NotFoundError, UnavailableError
from mlflow_archive.spec.paths import escape_path
from mlflow_archive.storage.store import CHUNK_BYTES, Store

ODD_KEYS = [
    "a",
    "deep/" * 30 + "file",
    escape_path("space in name/100%/#1?.txt"),
    escape_path("ä/漢字/🙂"),
    escape_path("con/aux.txt/trailing. /.hidden/..."),
    escape_path("x" * 300),
    escape_path('quote"back\\slash:colon*'),
    "~tilde",
    "-dash",
    "[brackets]{braces}(parens)&amp;$var;`tick`",
    "plus+plus=equals@at,comma!bang",
]


class StoreTests(ABC):
    """Inherit, and say how to make a store and how to look behind it."""

    exclusive_create = True
    """False for a backend that cannot promise one winner."""

    @pytest.fixture
    @abstractmethod
    def store(self, tmp_path) -> Store:
        """A store with nothing in it."""

    @abstractmethod
    def raw_read(self, store: Store, key: str) -> bytes | None:
        """Read an object without using the store; None if there is none."""

    @abstractmethod
    def raw_write(self, store: Store, key: str, data: bytes) -> None:
        """Write an object without using the store."""

    def raw_keys(self, store: Store) -> set[str]:
        """All names behind the store, unfinished ones included; by default what it lists itself."""
        return {found.key for found in store.list()}

    # Writing

    @pytest.mark.parametrize("key", ODD_KEYS)
    def test_what_is_written_is_there(self, store, key):
        write(store, key, b"data of " + key.encode())
        assert self.raw_read(store, key) == b"data of " + key.encode()
        assert b"".join(store.read(key)) == b"data of " + key.encode()
        assert [found.key for found in store.list()] == [key]

    @pytest.mark.parametrize("key", ODD_KEYS)
    def test_what_is_there_is_read(self, store, key):
        self.raw_write(store, key, b"foreign")
        assert store.read_all(key, limit_bytes=7) == b"foreign"
        assert store.size_bytes(key) == 7

    def test_an_empty_object_is_an_object(self, store):
        with store.write("empty"):
            pass
        assert self.raw_read(store, "empty") == b""
        assert list(store.read("empty")) == []
        assert store.read_all("empty", limit_bytes=0) == b""
        assert store.size_bytes("empty") == 0
        assert [(found.key, found.size_bytes) for found in store.list()] == [("empty", 0)]

    def test_many_chunks_come_in_order(self, store):
        piece = os.urandom(CHUNK_BYTES // 3)
        with store.write("big/file") as writer:
            for number in range(16):
                writer.write(bytes([number]) + piece)
        expected = b"".join(bytes([number]) + piece for number in range(16))
        chunks = list(store.read("big/file"))
        assert b"".join(chunks) == expected
        assert max(len(chunk) for chunk in chunks) <= CHUNK_BYTES
        assert store.size_bytes("big/file") == len(expected) > 5_000_000

    def test_one_large_chunk_may_be_written(self, store):
        data = os.urandom(3 * CHUNK_BYTES + 17)
        write(store, "large", data)
        assert self.raw_read(store, "large") == data

    def test_nothing_is_visible_before_the_end(self, store):
        with store.write("folder/key") as writer:
            writer.write(b"x" * 3 * CHUNK_BYTES)
            assert self.raw_read(store, "folder/key") is None
            assert store.size_bytes("folder/key") is None
            assert list(store.list()) == []
            with pytest.raises(NotFoundError):
                list(store.read("folder/key"))
        assert store.size_bytes("folder/key") == 3 * CHUNK_BYTES

    @pytest.mark.parametrize("written", [0, 1000, 12 * CHUNK_BYTES])
    @pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, UnavailableError, ConnectionResetError])
    def test_after_an_exception_there_is_nothing(self, store, written, error):
        with pytest.raises(error, match="in the middle"):
            write_and_raise(store, "key", b"x" * written, error("in the middle"))
        assert self.raw_read(store, "key") is None
        assert self.raw_keys(store) == set()

    @pytest.mark.parametrize("written", [0, 1000, 12 * CHUNK_BYTES])
    def test_after_an_exception_the_old_object_is_there(self, store, written):
        write(store, "key", b"good")
        with pytest.raises(ValueError, match="in the middle"):
            write_and_raise(store, "key", b"x" * written, ValueError("in the middle"))
        assert self.raw_read(store, "key") == b"good"
        assert self.raw_keys(store) == {"key"}

    def test_a_source_that_raises_leaves_nothing(self, store):
        def chunks():
            yield b"x" * CHUNK_BYTES
            raise UnavailableError("the source is gone")

        def copy():
            with store.write("key") as writer:
                for chunk in chunks():
                    writer.write(chunk)

        with pytest.raises(UnavailableError, match="the source is gone"):
            copy()
        assert self.raw_keys(store) == set()

    def test_an_abandoned_writer_leaves_nothing(self, store):
        context = store.write("key")
        context.__enter__().write(b"x" * 100)
        del context  # the garbage collector closes it, which must not commit
        assert self.raw_read(store, "key") is None

    def test_overwriting_replaces(self, store):
        write(store, "key", b"a long first object")
        write(store, "key", b"short")
        assert self.raw_read(store, "key") == b"short"
        assert store.size_bytes("key") == 5
        assert b"".join(store.read("key")) == b"short"

    def test_a_change_by_somebody_else_is_seen(self, store):
        write(store, "key", b"one")
        assert store.read_all("key", limit_bytes=100) == b"one"
        self.raw_write(store, "key", b"another, longer")
        assert store.read_all("key", limit_bytes=100) == b"another, longer"
        assert b"".join(store.read("key")) == b"another, longer"
        assert store.size_bytes("key") == 15
        assert [found.size_bytes for found in store.list()] == [15]

    # Creating

    def test_create_refuses_what_is_there(self, store):
        store.create("lock", b"first")
        with pytest.raises(ConflictError):
            store.create("lock", b"second")
        assert self.raw_read(store, "lock") == b"first"
        assert self.raw_keys(store) == {"lock"}

    def test_create_refuses_what_was_written(self, store):
        write(store, "folder/key", b"first")
        with pytest.raises(ConflictError):
            store.create("folder/key", b"second")
        assert self.raw_read(store, "folder/key") == b"first"

    def test_create_has_one_winner(self, store):
        for round in range(15):
            winners = race(store, f"round/{round}", 6)
            assert len(winners) == 1 if self.exclusive_create else len(winners) >= 1
            assert self.raw_read(store, f"round/{round}") in winners

    @pytest.mark.parametrize("written", [0, 1000, 12 * CHUNK_BYTES])
    def test_an_exclusive_write_refuses_what_is_there(self, store, written):
        with store.write("folder/key", exclusive=True) as writer:
            writer.write(b"first")
        with pytest.raises(ConflictError), store.write("folder/key", exclusive=True) as writer:
            writer.write(b"x" * written)
        assert self.raw_read(store, "folder/key") == b"first"
        assert self.raw_keys(store) == {"folder/key"}

    @pytest.mark.parametrize("written", [1000, 12 * CHUNK_BYTES])
    def test_an_exclusive_write_refuses_what_came_meanwhile(self, store, written):
        def overtaken():
            with store.write("key", exclusive=True) as writer:
                writer.write(b"x" * written)
                self.raw_write(store, "key", b"faster")

        with pytest.raises(ConflictError):
            overtaken()
        assert self.raw_read(store, "key") == b"faster"
        assert self.raw_keys(store) == {"key"}

    def test_exclusive_writes_have_one_winner(self, store):
        for round in range(5):
            winners = race(store, f"round/{round}", 6, create=write_exclusively)
            assert len(winners) == 1 if self.exclusive_create else len(winners) >= 1
            assert self.raw_read(store, f"round/{round}") in winners

    # Reading

    @pytest.mark.parametrize(
        ("start", "size"), [(0, 1), (0, 0), (3, 4), (9, 1), (9, 100), (10, 5), (0, None), (7, None)]
    )
    def test_ranges(self, store, start, size):
        data = b"0123456789"
        write(store, "key", data)
        end = None if size is None else start + size
        assert b"".join(store.read("key", start=start, size_bytes=size)) == data[start:end]

    def test_a_range_over_chunks(self, store):
        data = os.urandom(2 * CHUNK_BYTES + 100)
        write(store, "key", data)
        got = b"".join(store.read("key", start=CHUNK_BYTES - 10, size_bytes=CHUNK_BYTES + 20))
        assert got == data[CHUNK_BYTES - 10 : 2 * CHUNK_BYTES + 10]

    def test_reading_may_end_early(self, store):
        write(store, "key", b"x" * 3 * CHUNK_BYTES)
        chunks = store.read("key")
        assert next(chunks)
        chunks.close()
        store.delete("key")
        assert self.raw_read(store, "key") is None

    def test_read_all_has_a_limit(self, store):
        write(store, "key", b"12345")
        assert store.read_all("key", limit_bytes=5) == b"12345"
        with pytest.raises(IntegrityError) as caught:
            store.read_all("key", limit_bytes=4)
        assert [problem.rule for problem in caught.value.problems] == ["E010"]

    @pytest.mark.parametrize("key", ["absent", "absent/too", "there/below"])
    def test_what_is_absent(self, store, key):
        write(store, "there", b"x")
        assert store.size_bytes(key) is None
        with pytest.raises(NotFoundError):
            next(iter(store.read(key)))
        with pytest.raises(NotFoundError):
            store.read_all(key, limit_bytes=10)

    def test_a_folder_is_no_object(self, store):
        write(store, "folder/key", b"x")
        assert store.size_bytes("folder") is None
        with pytest.raises(NotFoundError):
            list(store.read("folder"))
        with pytest.raises(NotFoundError):
            store.read_all("folder", limit_bytes=10)

    @pytest.mark.parametrize(
        "key", ["", "/abs", "../up", "a/../b", "a//b", "a/./b", "a/", "nul\0", "back\\slash", "c:x"]
    )
    def test_keys_that_are_none_are_refused(self, store, key):
        with pytest.raises(IntegrityError):
            write(store, key, b"x")
        with pytest.raises(IntegrityError):
            store.create(key, b"x")
        with pytest.raises(IntegrityError):
            list(store.read(key))
        with pytest.raises(IntegrityError):
            store.read_all(key, limit_bytes=10)
        with pytest.raises(IntegrityError):
            store.size_bytes(key)
        with pytest.raises(IntegrityError):
            store.delete(key)
        assert self.raw_keys(store) == set()

    # Listing and deleting

    def test_an_empty_store_lists_nothing(self, store):
        assert list(store.list()) == []
        assert list(store.list("folder")) == []
        assert store.sweep() == 0

    def test_listing_is_complete_and_below_the_folder(self, store):
        keys = {f"{a}/{b}/{c}" for a in ("one", "two", "oneself") for b in ("x", "y") for c in range(5)} | {
            "top",
            "one.txt",
        }
        for key in keys:
            self.raw_write(store, key, key.encode())
        assert {(f.key, f.size_bytes) for f in store.list()} == {(key, len(key)) for key in keys}
        assert {f.key for f in store.list("one")} == {key for key in keys if key.startswith("one/")}
        assert {f.key for f in store.list("one/x")} == {key for key in keys if key.startswith("one/x/")}
        assert list(store.list("none")) == []

    def test_a_listing_shows_what_another_writer_did_in_between(self, store):
        write(store, "a/one", b"1")
        assert {found.key for found in store.list("a")} == {"a/one"}
        assert store.size_bytes("a/two") is None
        self.raw_write(store, "a/two", b"22")
        self.raw_write(store, "a/one", b"1111")
        assert {(found.key, found.size_bytes) for found in store.list("a")} == {("a/one", 4), ("a/two", 2)}
        assert store.size_bytes("a/two") == 2
        assert b"".join(store.read("a/two")) == b"22"

    def test_delete(self, store):
        write(store, "a/b", b"x")
        write(store, "a/c", b"x")
        store.delete("a/b")
        store.delete("a/b")
        store.delete("never/there")
        assert self.raw_keys(store) == {"a/c"}
        assert store.size_bytes("a/b") is None

    # Threads

    def test_writers_of_different_keys_do_not_meet(self, store):
        def work(number):
            for round in range(5):
                write(store, f"shared/{round}/{number}", bytes([number]) * 10_000 * (round + 1))

        run_threads([lambda n=n: work(n) for n in range(8)])
        assert len(list(store.list("shared"))) == 40
        for number in range(8):
            assert store.read_all(f"shared/4/{number}", limit_bytes=50_000) == bytes([number]) * 50_000
        assert {key for key in self.raw_keys(store) if ".mla-" in key} == set()

    def test_readers_of_one_key_do_not_meet(self, store):
        data = os.urandom(2 * CHUNK_BYTES)
        write(store, "key", data)
        seen = []
        run_threads([lambda: seen.append(b"".join(store.read("key")) == data) for _ in range(6)])
        assert seen == [True] * 6

    def test_writers_of_one_key_leave_one_whole_object(self, store):
        run_threads([lambda n=n: write(store, "key", bytes([n]) * 2 * CHUNK_BYTES) for n in range(6)])
        data = self.raw_read(store, "key")
        assert len(data) == 2 * CHUNK_BYTES
        assert len(set(data)) == 1
        assert self.raw_keys(store) == {"key"}


def write(store: Store, key: str, data: bytes) -> None:
    with store.write(key) as writer:
        writer.write(data)


def write_and_raise(store: Store, key: str, data: bytes, error: BaseException) -> None:
    with store.write(key) as writer:
        writer.write(data)
        raise error


def write_exclusively(store: Store, key: str, data: bytes) -> None:
    with store.write(key, exclusive=True) as writer:
        writer.write(data)


def create(store: Store, key: str, data: bytes) -> None:
    store.create(key, data)


def race(store: Store, key: str, contenders: int, create=create) -> list[bytes]:
    """Let several threads create one key at once; return what the winners wrote."""
    barrier = threading.Barrier(contenders)
    winners: list[bytes] = []

    def contend(number: int) -> None:
        barrier.wait()
        try:
            create(store, key, f"contender {number}".encode())
        except ConflictError:
            return
        winners.append(f"contender {number}".encode())

    run_threads([lambda n=n: contend(n) for n in range(contenders)])
    return winners


def run_threads(tasks) -> None:
    """Run tasks at once; raise the first exception of any."""
    errors: list[BaseException] = []

    def run(task) -> None:
        try:
            task()
        except BaseException as error:  # noqa: BLE001
            errors.append(error)

    threads = [threading.Thread(target=run, args=(task,)) for task in tasks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
