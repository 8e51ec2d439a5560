"""How much memory the uploads of a store take together."""

from __future__ import annotations

import threading
from collections.abc import Callable

#: A part takes so many times its size on its way: itself, and what the HTTP client copies of it (measured with s3fs).
COPIES = 3
#: What an upload collects below this is not counted, as most objects are small. 1 MiB.
FREE_BYTES = 1 << 20


class Budget:
    """The bytes that all uploads of a store together may take in memory.

    A part that is being collected takes its size, and never waits: a volume may be left half collected while nobody
    writes to it, so whoever waited for it might wait for ever. A part is sent when there is room for it, or
    when none is on its way.
    """

    def __init__(self, total_bytes: int) -> None:
        """Allow that many."""
        self._total = total_bytes
        self._used = 0
        self._under_way = 0
        self._changed = threading.Condition()

    def collect(self, size_bytes: int) -> None:
        """Count a part that an upload begins to collect."""
        with self._changed:
            self._used += size_bytes

    def drop(self, size_bytes: int) -> None:
        """Count a collected part no more: it is not sent."""
        with self._changed:
            self._used -= size_bytes
            self._changed.notify_all()

    def send(self, size_bytes: int) -> None:
        """Wait until a part that was collected may be sent."""
        more = (COPIES - 1) * size_bytes
        with self._changed:
            self._changed.wait_for(lambda: not self._under_way or self._used + more <= self._total)
            self._used += more
            self._under_way += 1

    def sent(self, size_bytes: int) -> None:
        """Count a part no more that is sent, or was given up on its way."""
        with self._changed:
            self._used -= COPIES * size_bytes
            self._under_way -= 1
            self._changed.notify_all()


class Share:
    """What one upload takes of the budget. Used by one thread at a time."""

    def __init__(self, budget: Budget) -> None:
        """Take nothing yet."""
        self._budget = budget
        self._collecting = 0

    def collect(self, part_bytes: int) -> None:
        """Count the part that is being collected, if it is not counted yet."""
        if not self._collecting:
            self._collecting = part_bytes
            self._budget.collect(part_bytes)

    def send(self) -> Callable[[], None]:
        """Wait until the part may be sent; the result is to be called when it is, or failed.

        A part so small that it was never counted goes at once.
        """
        size = self._collecting
        if not size:
            return lambda: None
        self._budget.send(size)
        self._collecting = 0
        return lambda: self._budget.sent(size)

    def drop(self) -> None:
        """Give up the part that is being collected; harmless if there is none."""
        size, self._collecting = self._collecting, 0
        self._budget.drop(size)
