"""Uploads take no more memory together than they may, and never wait for each other for ever."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

from mlflow_archive.storage.budget import COPIES, Budget, Share


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


def send(share: Share) -> None:
    share.send()()
