"""Volumes that are written at the same time: each member goes to the one that has least to do."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from mlflow_archive.storage.packed.packer import Packer
from mlflow_archive.storage.store import ByteWriter


class Lanes:
    """Several packers, of which each is ended when its tarball is large enough, and replaced when it is needed."""

    def __init__(
        self, count: int, volume_bytes: int, begin: Callable[[], Packer], ended: Callable[[Packer], None]
    ) -> None:
        """Write ``count`` tarballs at once.

        Args:
            count: How many.
            volume_bytes: How large each becomes, more or less.
            begin: Begins one.
            ended: Is told of each that is complete.
        """
        self._lanes = [_Lane() for _ in range(count)]
        self._volume_bytes = volume_bytes
        self._begin = begin
        self._ended = ended
        self._lock = threading.Condition()

    def add(self, key: str, chunks: list[bytes], size_bytes: int) -> None:
        """Add a whole member; see `Packer.add`."""
        with self._taken(size_bytes) as packer:
            packer.add(key, chunks, size_bytes)

    @contextmanager
    def stream(self, key: str, size_bytes: int) -> Iterator[ByteWriter]:
        """Add a member as it comes; see `Packer.stream`."""
        with self._taken(size_bytes) as packer, packer.stream(key, size_bytes) as writer:
            yield writer

    def open_packers(self) -> list[Packer]:
        """Return the packers that are not ended."""
        with self._lock:
            return [lane.packer for lane in self._lanes if lane.packer is not None]

    def finish(self) -> None:
        """End all that are open."""
        for lane in self._lanes:
            self._end(lane)

    def abort(self) -> None:
        """Leave nothing of those that are open."""
        for packer in self.open_packers():
            packer.abort()

    @contextmanager
    def _taken(self, size_bytes: int) -> Iterator[Packer]:
        lane = self._take()
        try:
            if lane.packer is None:
                lane.packer = self._begin()
            lane.bytes += size_bytes
            yield lane.packer
            if lane.packer.stored_bytes >= self._volume_bytes:
                self._end(lane)
        finally:
            with self._lock:
                lane.taken = False
                self._lock.notify()

    def _take(self) -> _Lane:
        with self._lock:
            while True:
                free = [lane for lane in self._lanes if not lane.taken]
                if free:
                    # The one that is furthest, so that few small objects become few volumes.
                    lane = max(free, key=lambda lane: lane.bytes)
                    lane.taken = True
                    return lane
                self._lock.wait()

    def _end(self, lane: _Lane) -> None:
        packer = lane.packer
        if packer is not None:
            packer.finish()
            lane.packer, lane.bytes = None, 0
            self._ended(packer)


class _Lane:
    def __init__(self) -> None:
        self.packer: Packer | None = None
        self.bytes = 0
        self.taken = False
