"""How much memory uploads may take."""

from __future__ import annotations

import threading


class Budget:
    """The bytes that all uploads of a store together may have under way."""

    def __init__(self, total_bytes: int) -> None:
        """Allow that many; one part larger than all may go alone."""
        self._total = total_bytes
        self._used = 0
        self._freed = threading.Condition()

    def take(self, size_bytes: int) -> None:
        """Wait until there is room."""
        with self._freed:
            self._freed.wait_for(lambda: self._used == 0 or self._used + size_bytes <= self._total)
            self._used += size_bytes

    def give_back(self, size_bytes: int) -> None:
        """Make room."""
        with self._freed:
            self._used -= size_bytes
            self._freed.notify_all()
