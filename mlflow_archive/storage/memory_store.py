"""The memory of this process as a store: fsspec's own, so that other fsspec users in the process see it too."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from fsspec.implementations.memory import MemoryFile, MemoryFileSystem

from mlflow_archive.errors import NotFoundError
from mlflow_archive.spec.paths import check_path
from mlflow_archive.storage.faults import taken, too_large
from mlflow_archive.storage.keys import KeyCheck
from mlflow_archive.storage.store import CHUNK_BYTES, ByteWriter, Store, StoredObject

#: fsspec's memory is one for the whole process, and it has no lock.
_LOCK = threading.Lock()


class MemoryStore(Store):
    """Objects are fsspec's memory files, put there when they are complete."""

    def __init__(self, fs: MemoryFileSystem, root: str, url: str, *, check: KeyCheck = check_path) -> None:
        """Keep objects of ``fs`` below ``root``, with keys that pass ``check``."""
        self.url = url
        self._check = check
        self._fs = fs
        self._root = f"/{root.strip('/')}".rstrip("/")

    @contextmanager
    def write(
        self,
        key: str,
        *,
        size_bytes: int | None = None,  # noqa: ARG002
        exclusive: bool = False,
    ) -> Iterator[ByteWriter]:
        """Write one object; it is held apart until it is complete."""
        place = self._place(key)
        buffer = _Buffer()
        yield buffer
        with _LOCK:
            if exclusive:
                self._require_free(place, key)
            self._put(place, b"".join(buffer.chunks))

    def create(self, key: str, data: bytes) -> None:
        """Write an object if there is none."""
        place = self._place(key)
        with _LOCK:
            self._require_free(place, key)
            self._put(place, data)

    def read(self, key: str, *, start: int = 0, size_bytes: int | None = None) -> Iterator[bytes]:
        """Yield an object or a range of it."""
        data = self._get(key)
        end = len(data) if size_bytes is None else min(len(data), start + size_bytes)
        for offset in range(start, end, CHUNK_BYTES):
            yield data[offset : min(offset + CHUNK_BYTES, end)]

    def read_all(self, key: str, *, limit_bytes: int) -> bytes:
        """Return a whole small object."""
        data = self._get(key)
        if len(data) > limit_bytes:
            raise too_large(key, limit_bytes)
        return data

    def size_bytes(self, key: str) -> int | None:
        """Return the size of an object, None if there is none."""
        place = self._place(key)
        with _LOCK:
            found = self._fs.store.get(place)
            return None if found is None else int(found.size)

    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        """Yield the objects that are there when the iteration begins."""
        start = f"{self._root}/{prefix.rstrip('/')}/" if prefix else f"{self._root}/"
        with _LOCK:
            found = [(place, int(file.size)) for place, file in self._fs.store.items() if place.startswith(start)]
        for place, size in found:
            yield StoredObject(place[len(self._root) + 1 :], size)

    def delete(self, key: str) -> None:
        """Delete an object, if it is there."""
        place = self._place(key)
        with _LOCK:
            self._fs.store.pop(place, None)

    def sweep(self) -> int:
        """Return 0: an interrupted write never reaches the store."""
        return 0

    def _place(self, key: str) -> str:
        return f"{self._root}/{self._check(key)}"

    def _require_free(self, place: str, key: str) -> None:
        if place in self._fs.store:
            raise taken(self.url, key)

    def _put(self, place: str, data: bytes) -> None:
        MemoryFile(self._fs, place, data).commit()

    def _get(self, key: str) -> bytes:
        place = self._place(key)
        with _LOCK:
            found = self._fs.store.get(place)
            if found is None:
                raise NotFoundError(f"There is no {self.url.rstrip('/')}/{key}.")
            return bytes(found.getvalue())


class _Buffer:
    def __init__(self) -> None:
        self.chunks: list[bytes] = []

    def write(self, data: bytes) -> None:
        """Keep a chunk."""
        self.chunks.append(bytes(data))
