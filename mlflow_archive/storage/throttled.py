"""A store that moves no more bytes a second than it is allowed to."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager

from mlflow_archive.errors import Problem, UsageError
from mlflow_archive.storage.store import ByteWriter, Store, StoredObject, in_chunks

#: What was not used of the last moments may be made up for.
BURST_SECONDS = 0.25


class Allowance:
    """So many bytes a second, shared by all who take of it. Safe to use from several threads."""

    def __init__(
        self,
        bytes_per_second: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Allow ``bytes_per_second`` from now on.

        Raises:
            UsageError: It is not more than 0.
        """
        if not bytes_per_second > 0:
            raise UsageError(f"A limit of {bytes_per_second} bytes a second lets nothing pass: give more than 0.")
        self._rate = bytes_per_second
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._paid_until = clock()

    def take(self, size_bytes: int) -> None:
        """Wait until so many more bytes may have passed."""
        with self._lock:
            now = self._clock()
            self._paid_until = max(self._paid_until, now - BURST_SECONDS) + size_bytes / self._rate
            wait = self._paid_until - now
        if wait > 0:
            self._sleep(wait)


class ThrottledStore(Store):
    """Any store, with an allowance for the bytes that are written and read, all threads together."""

    def __init__(self, store: Store, allowance: Allowance) -> None:
        """Wrap ``store``, which is closed with this one."""
        self.url = store.url
        self._store = store
        self._allowance = allowance

    @contextmanager
    def write(self, key: str, *, size_bytes: int | None = None, exclusive: bool = False) -> Iterator[ByteWriter]:
        """Write one object, slowly."""
        with self._store.write(key, size_bytes=size_bytes, exclusive=exclusive) as writer:
            yield _Writer(writer, self._allowance)

    def create(self, key: str, data: bytes) -> None:
        """Write an object if there is none."""
        self._allowance.take(len(data))
        self._store.create(key, data)

    def commit(self, key: str, data: bytes) -> None:
        """Write the last object."""
        self._allowance.take(len(data))
        self._store.commit(key, data)

    def read(self, key: str, *, start: int = 0, size_bytes: int | None = None) -> Generator[bytes, None, None]:
        """Yield an object or a range of it, slowly."""
        chunks = self._store.read(key, start=start, size_bytes=size_bytes)
        try:
            for chunk in chunks:
                self._allowance.take(len(chunk))
                yield chunk
        finally:
            if isinstance(chunks, Generator):
                chunks.close()

    def read_all(self, key: str, *, limit_bytes: int) -> bytes:
        """Return a whole small object."""
        data = self._store.read_all(key, limit_bytes=limit_bytes)
        self._allowance.take(len(data))
        return data

    def size_bytes(self, key: str) -> int | None:
        """Return the size of an object, None if there is none."""
        return self._store.size_bytes(key)

    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        """Yield all objects below a folder."""
        return self._store.list(prefix)

    def delete(self, key: str) -> None:
        """Delete an object, if it is there."""
        self._store.delete(key)

    def sweep(self) -> int:
        """Delete what interrupted writes left behind."""
        return self._store.sweep()

    def sweep_one(self, key: str) -> int:
        """Delete what interrupted writes of one object left behind."""
        return self._store.sweep_one(key)

    def problems(self, *, every_byte: bool) -> Iterator[Problem]:
        """Yield what is wrong with the container as such."""
        return self._store.problems(every_byte=every_byte)

    def remove_folders(self) -> None:
        """Remove the folders that are empty."""
        self._store.remove_folders()

    def close(self) -> None:
        """Close the store."""
        self._store.close()


class _Writer:
    def __init__(self, writer: ByteWriter, allowance: Allowance) -> None:
        self._writer = writer
        self._allowance = allowance

    def write(self, data: bytes) -> None:
        """Append, in pieces that pass evenly."""
        for piece in in_chunks(data):
            self._allowance.take(len(piece))
            self._writer.write(piece)
