"""Uploads take no more memory together than they may, and never wait for each other for ever."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from mlflow_archive.storage.budget import COPIES, Budget, Share
from mlflow_archive.storage.databricks_api import DatabricksApi
from mlflow_archive.storage.dbfs_store import DbfsStore
from mlflow_archive.storage.fsspec_store import FsspecStore
from mlflow_archive.storage.opening import open_store
from mlflow_archive.storage.unity_store import UnityStore
from tests.storage.conformance import run_threads
from tests.storage.emulators.dbfs import TOKEN, FakeDatabricks
from tests.storage.emulators.unity import VOLUME
from tests.storage.test_fsspec_store import PiecesFile, PiecesFileSystem


class Counting(Budget):
    """A budget that remembers how much was in use at most when a part was sent."""

    def __init__(self, total_bytes: int) -> None:
        super().__init__(total_bytes)
        self.most = 0

    def send(self, size_bytes: int) -> None:
        super().send(size_bytes)
        self.most = max(self.most, self._used)

    @property
    def used(self) -> int:
        return self._used


def test_many_uploads_stay_within_the_budget_and_end() -> None:
    budget = Counting(COPIES * 30 + 80)

    def upload(_: int) -> None:
        share = Share(budget)
        with ThreadPoolExecutor(2) as network:
            for _ in range(5):
                share.collect(10)
                share.collect(10)
                sent = share.send()
                network.submit(lambda sent=sent: (time.sleep(0.001), sent()))
            share.collect(10)
            share.drop()
            share.drop()

    with ThreadPoolExecutor(8) as uploads:
        list(uploads.map(upload, range(8), timeout=60))
    assert budget.used == 0
    assert COPIES * 30 <= budget.most <= COPIES * 30 + 80


def test_a_part_larger_than_the_budget_goes_alone() -> None:
    budget = Counting(5)
    share, other = Share(budget), Share(budget)
    share.collect(10)
    sent = share.send()
    other.collect(10)
    waiting = threading.Thread(target=send, args=(other,))
    waiting.start()
    waiting.join(0.05)
    assert waiting.is_alive()
    sent()
    waiting.join(10)
    assert not waiting.is_alive()
    assert budget.used == 0


def test_uploads_that_are_left_half_collected_hold_nobody_up() -> None:
    budget = Budget(10)
    for _ in range(8):
        Share(budget).collect(10)
    share = Share(budget)
    share.collect(10)
    ended = threading.Thread(target=send, args=(share,))
    ended.start()
    ended.join(10)
    assert not ended.is_alive()


def test_a_part_whose_waiting_is_interrupted_is_counted_until_it_is_given_up(monkeypatch) -> None:
    budget = Budget(10)
    share = Share(budget)
    share.collect(10)

    def interrupt(_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(budget._changed, "wait_for", interrupt)
    with pytest.raises(KeyboardInterrupt):
        share.send()
    assert budget._used == 10
    share.drop()
    assert budget._used == budget._under_way == 0


def send(share: Share) -> None:
    share.send()()


class AtOnce:
    """How many calls run at the same moment, at most."""

    def __init__(self) -> None:
        self.most = 0
        self._now = 0
        self._lock = threading.Lock()

    def counted(self, call, *args, **options):
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)
        try:
            time.sleep(0.005)
            return call(*args, **options)
        finally:
            with self._lock:
                self._now -= 1


@pytest.fixture(params=["dbfs", "volume", "fsspec"])
def narrow(request, monkeypatch):
    """A store with room for one part on its way, and how many there are at most."""
    seen = AtOnce()
    if request.param == "fsspec":
        send = PiecesFile._upload_chunk
        monkeypatch.setattr(PiecesFile, "_upload_chunk", lambda *args, **options: seen.counted(send, *args, **options))
        yield FsspecStore(PiecesFileSystem(), "bucket", "oss://bucket", upload_bytes=1), seen
        return
    with FakeDatabricks() as fake:
        serve = fake.serve

        def counting(verb, path, *args):
            part = verb == "PUT" or path.startswith("/api/2.0/dbfs/add-block")
            return seen.counted(serve, verb, path, *args) if part else serve(verb, path, *args)

        fake.serve = counting
        api = DatabricksApi({"host": fake.host, "token": TOKEN})
        kind, root = (DbfsStore, "/root") if request.param == "dbfs" else (UnityStore, f"{VOLUME}/root")
        store = kind(api, root, upload_bytes=1)
        yield store, seen
        store.close()


@pytest.mark.parametrize("mebibytes", [4, 17])
def test_every_kind_of_upload_keeps_to_the_budget(narrow, mebibytes) -> None:
    store, seen = narrow

    def upload(number: int) -> None:
        with store.write(f"key/{number}") as writer:
            for _ in range(mebibytes):
                writer.write(bytes([number]) * (1 << 20))

    run_threads([lambda n=n: upload(n) for n in range(3)])
    assert seen.most == 1
    assert store._budget._used == store._budget._under_way == 0
    assert {found.size_bytes for found in store.list()} == {mebibytes << 20}
    assert b"".join(store.read("key/2")) == bytes([2]) * (mebibytes << 20)


def test_an_upload_that_is_given_up_takes_nothing_of_the_budget(narrow) -> None:
    store, _ = narrow

    def interrupted() -> None:
        with store.write("key") as writer:
            for _ in range(20):
                writer.write(bytes(1 << 20))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert store._budget._used == store._budget._under_way == 0


def test_the_limit_reaches_stores_of_all_kinds(monkeypatch) -> None:
    monkeypatch.setattr("mlflow_archive.storage.opening.MemoryFileSystem", type(None))
    for url in ("dbfs:/one", f"dbfs:{VOLUME}/one", "memory://one"):
        assert open_store(url, upload_bytes=5)._budget._total == 5


def test_what_was_never_counted_goes_at_once_and_holds_nobody_up() -> None:
    budget = Counting(5)
    large = Share(budget)
    large.collect(10)
    sent = large.send()
    small = threading.Thread(target=send, args=(Share(budget),))
    small.start()
    small.join(10)
    assert not small.is_alive()
    sent()
    assert budget.used == 0
