"""A store around a store that fails at a chosen call: the cable is pulled, the disk is full, the process dies."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from mlflow_archive.errors import UnavailableError
from mlflow_archive.storage.store import ByteWriter, Store, StoredObject


class FaultyStore(Store):
    """Counts every call that reaches the backend, and fails at the ``fail_at``-th and at all after it.

    Args:
        inner: The store that works.
        fail_at: Number of the first failing call, from 1; None never fails.
        once: Fail only at that call.
        error: What is raised; by default the store is not reachable.
        count_reads: False if only writing calls count (a full disk can still be read).
    """

    def __init__(
        self,
        inner: Store,
        *,
        fail_at: int | None = None,
        once: bool = False,
        error: BaseException | None = None,
        count_reads: bool = True,
    ) -> None:
        self.url = inner.url
        self.calls: list[str] = []
        self._inner = inner
        self._fail_at = fail_at
        self._once = once
        self._error = error or UnavailableError("The store does not answer.")
        self._count_reads = count_reads
        self._lock = threading.Lock()

    def _step(self, name: str, key: str, *, reading: bool = False) -> None:
        if reading and not self._count_reads:
            return
        with self._lock:
            self.calls.append(f"{name} {key}")
            number = len(self.calls)
        if self._fail_at is not None and (number == self._fail_at if self._once else number >= self._fail_at):
            raise self._error

    @contextmanager
    def write(self, key: str, *, size_bytes: int | None = None, exclusive: bool = False) -> Iterator[ByteWriter]:
        self._step("open", key)
        with self._inner.write(key, size_bytes=size_bytes, exclusive=exclusive) as writer:
            yield _Writer(self, key, writer)
            self._step("commit", key)

    def create(self, key: str, data: bytes) -> None:
        self._step("create", key)
        self._inner.create(key, data)

    def read(self, key: str, *, start: int = 0, size_bytes: int | None = None) -> Iterator[bytes]:
        self._step("read", key, reading=True)
        for chunk in self._inner.read(key, start=start, size_bytes=size_bytes):
            self._step("chunk", key, reading=True)
            yield chunk

    def read_all(self, key: str, *, limit_bytes: int) -> bytes:
        self._step("read_all", key, reading=True)
        return self._inner.read_all(key, limit_bytes=limit_bytes)

    def size_bytes(self, key: str) -> int | None:
        self._step("size", key, reading=True)
        return self._inner.size_bytes(key)

    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        self._step("list", prefix, reading=True)
        yield from self._inner.list(prefix)

    def delete(self, key: str) -> None:
        self._step("delete", key)
        self._inner.delete(key)

    def sweep(self) -> int:
        self._step("sweep", "")
        return self._inner.sweep()


class _Writer:
    def __init__(self, store: FaultyStore, key: str, writer: ByteWriter) -> None:
        self._store = store
        self._key = key
        self._writer = writer

    def write(self, data: bytes) -> None:
        self._store._step("write", self._key)
        self._writer.write(data)
