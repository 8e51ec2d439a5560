"""Volumes that are written at the same time: each member goes to the one that has least to do."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from mlflow_archive.errors import MlflowArchiveError
from mlflow_archive.storage.packed.packer import Packer
from mlflow_archive.storage.packed.turns import in_the_middle
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
        """Add a whole member; see `Packer.add`.

        Raises:
            UsageError: This thread is in the middle of another member, so that lanes could wait for one another.
        """
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
        """End all that are open; where some cannot be, the others are, and the first error is raised."""
        errors = [self._error_at_end(lane) for lane in self._lanes]
        for error in errors:
            if error is not None:
                raise error

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
                lane.taken, lane.owner = False, None
                self._lock.notify()

    def _take(self) -> _Lane:
        me = threading.get_ident()
        with self._lock:
            if any(lane.owner == me for lane in self._lanes):
                raise in_the_middle()
            while True:
                free = [lane for lane in self._lanes if not lane.taken]
                if free:
                    # The one that is furthest, so that few small objects become few volumes.
                    lane = max(free, key=lambda lane: lane.bytes)
                    lane.taken, lane.owner = True, me
                    return lane
                self._lock.wait()

    def _error_at_end(self, lane: _Lane) -> MlflowArchiveError | None:
        try:
            self._end(lane)
        except MlflowArchiveError as error:
            return error
        return None

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
        self.owner: int | None = None
