"""A store around a store that fails at a chosen call: the cable is pulled, the disk is full, or it lies."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal, get_args

from mlflow_archive.errors import UnavailableError
from mlflow_archive.storage.store import ByteWriter, Store, StoredObject

Fault = Literal[
    "error",  # the call fails, and nothing was done
    "timeout",  # so it does, after a while
    "throttled",  # so it does with 429 or 503, when all retries were of no use
    "slow",  # the call takes its time and works
    "short read",  # fewer bytes come than there are, and nobody says so
    "truncated write",  # fewer bytes are kept than were written, and nobody says so
    "duplicate success",  # the write was done, and is said to have failed
    "wrong byte",  # one byte is another one, in what is read or in what is written
    "stale listing",  # a listing has nothing of what was written since the first one
]
FAULTS: tuple[Fault, ...] = get_args(Fault)
#: Faults that are told as an error of the call.
TOLD = frozenset({"error", "timeout", "throttled", "duplicate success"})
#: Calls at which a fault can strike, by the first word of `FaultyStore.calls`; the others can at all of them.
STRIKES: dict[Fault, frozenset[str]] = {
    "short read": frozenset({"chunk", "read_all"}),
    "truncated write": frozenset({"write", "create"}),
    "duplicate success": frozenset({"commit", "create", "delete"}),
    "wrong byte": frozenset({"chunk", "read_all", "write", "create"}),
    "stale listing": frozenset({"list"}),
}
_SECONDS = 0.01


class FaultyStore(Store):
    """Counts every call that reaches the backend, and fails at the ``fail_at``-th and at all after it.

    Args:
        inner: The store that works.
        fail_at: Number of the first failing call, from 1; None never fails.
        once: Fail only at that call.
        error: What is raised; by default the store is not reachable.
        count_reads: False if only writing calls count (a full disk can still be read).
        fault: In which way it fails.
    """

    def __init__(
        self,
        inner: Store,
        *,
        fail_at: int | None = None,
        once: bool = False,
        error: BaseException | None = None,
        count_reads: bool = True,
        fault: Fault = "error",
    ) -> None:
        self.url = inner.url
        self.calls: list[str] = []
        self.struck = 0
        """How often the fault came to bear."""
        self._inner = inner
        self._fail_at = fail_at
        self._once = once
        self._error = error or UnavailableError(_SENTENCES.get(fault, "The store does not answer."))
        self._count_reads = count_reads
        self._fault = fault
        self._lock = threading.Lock()
        self._listed: list[StoredObject] | None = None

    def _strikes(self, name: str, key: str, *, reading: bool = False) -> bool:
        """Count a call and tell whether the fault strikes at it."""
        if reading and not self._count_reads:
            return False
        with self._lock:
            self.calls.append(f"{name} {key}")
            number = len(self.calls)
            strikes = self._fail_at is not None and (number == self._fail_at if self._once else number >= self._fail_at)
            strikes = strikes and name in STRIKES.get(self._fault, (name,))
            self.struck += strikes
        if strikes and self._fault in ("slow", "timeout"):
            time.sleep(_SECONDS)
        if strikes and self._fault in ("error", "timeout", "throttled"):
            raise self._error
        return strikes

    def _done(self, done: Callable[[], object], *, strikes: bool) -> None:
        """Do it, and say that it failed if the fault is that."""
        done()
        if strikes and self._fault == "duplicate success":
            raise self._error

    def _spoilt(self, data: bytes, *, strikes: bool) -> bytes:
        if not strikes or not data:
            return data
        middle = len(data) // 2
        if self._fault == "wrong byte":
            return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]
        return data[:middle] if self._fault in ("short read", "truncated write") else data

    @contextmanager
    def write(self, key: str, *, size_bytes: int | None = None, exclusive: bool = False) -> Iterator[ByteWriter]:
        self._strikes("open", key)
        with self._inner.write(key, size_bytes=size_bytes, exclusive=exclusive) as writer:
            yield _Writer(self, key, writer)
            strikes = self._strikes("commit", key)
        if strikes and self._fault == "duplicate success":
            raise self._error

    def create(self, key: str, data: bytes) -> None:
        strikes = self._strikes("create", key)
        self._done(lambda: self._inner.create(key, self._spoilt(data, strikes=strikes)), strikes=strikes)

    def read(self, key: str, *, start: int = 0, size_bytes: int | None = None) -> Iterator[bytes]:
        self._strikes("read", key, reading=True)
        for chunk in self._inner.read(key, start=start, size_bytes=size_bytes):
            strikes = self._strikes("chunk", key, reading=True)
            yield self._spoilt(chunk, strikes=strikes)
            if strikes and self._fault == "short read":
                return

    def read_all(self, key: str, *, limit_bytes: int) -> bytes:
        strikes = self._strikes("read_all", key, reading=True)
        return self._spoilt(self._inner.read_all(key, limit_bytes=limit_bytes), strikes=strikes)

    def size_bytes(self, key: str) -> int | None:
        self._strikes("size", key, reading=True)
        return self._inner.size_bytes(key)

    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        if self._fault == "stale listing" and self._listed is None:
            self._listed = list(self._inner.list())[::2]
        strikes = self._strikes("list", prefix, reading=True)
        if strikes and self._listed is not None:
            yield from (found for found in self._listed if not prefix or found.key.startswith(f"{prefix.rstrip('/')}/"))
        else:
            yield from self._inner.list(prefix)

    def delete(self, key: str) -> None:
        strikes = self._strikes("delete", key)
        self._done(lambda: self._inner.delete(key), strikes=strikes)

    def sweep(self) -> int:
        self._strikes("sweep", "")
        return self._inner.sweep()


_SENTENCES = {
    "timeout": "The time for an answer was over.",
    "throttled": "The service answered 503 Slow Down, after all retries.",
}


class _Writer:
    def __init__(self, store: FaultyStore, key: str, writer: ByteWriter) -> None:
        self._store = store
        self._key = key
        self._writer = writer

    def write(self, data: bytes) -> None:
        strikes = self._store._strikes("write", self._key)
        self._writer.write(self._store._spoilt(data, strikes=strikes))
