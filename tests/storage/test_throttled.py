"""A store with a limit of bytes a second: as good as the one it wraps, and never faster than allowed."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from mlflow_archive.errors import UsageError
from mlflow_archive.storage.local_store import LocalStore
from mlflow_archive.storage.store import Store
from mlflow_archive.storage.throttled import BURST_SECONDS, Allowance, ThrottledStore
from tests.storage.conformance import StoreTests


class TestThrottledStore(StoreTests):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Store:
        return ThrottledStore(LocalStore(tmp_path / "root"), Allowance(1e12))

    def raw_read(self, store: Store, key: str) -> bytes | None:
        path = Path(store.url, key)
        return path.read_bytes() if path.is_file() else None

    def raw_write(self, store: Store, key: str, data: bytes) -> None:
        path = Path(store.url, key)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


class Clock:
    """Time that passes only in sleep."""

    def __init__(self) -> None:
        self.now = 0.0
        self.lock = threading.Lock()

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        with self.lock:
            self.now += seconds


def test_no_more_passes_than_is_allowed(tmp_path: Path) -> None:
    clock = Clock()
    store = ThrottledStore(LocalStore(tmp_path), Allowance(1 << 20, clock=clock, sleep=clock.sleep))

    with store.write("a") as writer:
        writer.write(b"x" * (5 << 20))
    assert clock.now == pytest.approx(5, abs=BURST_SECONDS)
    assert sum(map(len, store.read("a"))) == 5 << 20
    assert clock.now == pytest.approx(10, abs=BURST_SECONDS)


def test_time_that_was_not_used_is_not_saved_up() -> None:
    clock = Clock()
    allowance = Allowance(1000, clock=clock, sleep=clock.sleep)
    clock.now = 3600.0

    allowance.take(10_000)

    assert clock.now - 3600 >= 10 - BURST_SECONDS


def test_threads_share_the_allowance(tmp_path: Path) -> None:
    store = ThrottledStore(LocalStore(tmp_path), Allowance(4 << 20))

    def write(number: int) -> None:
        with store.write(f"{number}") as writer:
            writer.write(b"x" * (1 << 20))

    begun = time.monotonic()
    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert time.monotonic() - begun >= 1 - BURST_SECONDS - 0.05


@pytest.mark.parametrize("limit", [0, -1.0])
def test_a_limit_that_lets_nothing_pass_is_refused(limit: float) -> None:
    with pytest.raises(UsageError):
        Allowance(limit)
