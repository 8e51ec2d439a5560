"""How many metric points may be held in memory, and how many are."""

from __future__ import annotations

import threading

#: Points held for runs that are not written yet: about 50 MB.
MAX_POINTS = 2_000_000
#: What one batch may hold of them; what does not fit is read when it is written.
BATCH_POINTS = MAX_POINTS // 4
_FIRST_GUESS = 100


class Budget:
    """Counts the points held by all batches, and learns how many a series has."""

    def __init__(self) -> None:
        """Start empty."""
        self._lock = threading.Lock()
        self._held = 0
        self._series = 0
        self._points = 0

    def hold(self, points: int) -> None:
        """Count points that are now held, or, below zero, no longer."""
        with self._lock:
            self._held += points

    def learn(self, series: int, points: int) -> None:
        """Take into account how long some series were."""
        with self._lock:
            self._series += series
            self._points += points

    @property
    def room(self) -> bool:
        """True if a batch may be fetched ahead."""
        with self._lock:
            return self._held + BATCH_POINTS <= MAX_POINTS

    @property
    def series_length(self) -> int:
        """Points of a series, by experience."""
        with self._lock:
            return max(1, self._points // self._series) if self._series else _FIRST_GUESS
