"""The contract of a store: bytes under keys.

A key is a relative POSIX path (spec/v1/archive.md, "Paths"). What the specification requires of a store, and
what each implementation is held to by ``tests/storage/conformance.py``:

* an object is visible only when it is complete: after an exception, a kill or a lost connection in the middle
  of a write there is nothing under the key, or what was there before; a store that packs many objects into few may
  show them later, at the latest by `commit`, but reads of its own give them at once or raise `NotFoundError`;
* `create` lets exactly one of several writers win, where the backend can;
* a read gives what the last completed write gave, never a cached size or listing;
* listing is complete and in no particular order.

Stores are safe to use from several threads. Errors are `UnavailableError`, `NotAuthorisedError`,
`NotFoundError` (a key that is not there) and `ConflictError` (`create` on an existing key), never the backend's own.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from mlflow_archive.errors import Problem

#: Readers get chunks of at most this size; writers may give any.
CHUNK_BYTES = 1 << 20


def in_chunks(data: bytes) -> Iterator[bytes]:
    """Yield bytes in pieces of at most `CHUNK_BYTES`; nothing if there are none."""
    if len(data) <= CHUNK_BYTES:
        if data:
            yield data
        return
    for start in range(0, len(data), CHUNK_BYTES):
        yield data[start : start + CHUNK_BYTES]


class ByteWriter(Protocol):
    """Takes the bytes of one object in order."""

    def write(self, data: bytes) -> None:
        """Append; blocks when the backend is slower than the caller."""
        ...


@dataclass(frozen=True, slots=True)
class StoredObject:
    """What a listing says of an object."""

    key: str
    size_bytes: int


class Store(ABC):
    """Bytes under keys below one root."""

    #: The root as a URL for people; never holds a credential.
    url: str

    @abstractmethod
    def write(
        self, key: str, *, size_bytes: int | None = None, exclusive: bool = False
    ) -> AbstractContextManager[ByteWriter]:
        """Write one object, replacing what is there.

        The object becomes visible when the context is left without an exception; with one, it never does.

        Args:
            key: Where.
            size_bytes: The size that the caller expects, if it has an idea. A store may use it to choose how it
                writes; bytes of another number are written all the same.
            exclusive: Let the object appear only if there is none under the key at that moment, atomically where
                `create` is.

        Raises:
            ConflictError: There is one already, and ``exclusive`` was asked for; perhaps only when the context is left.
        """

    @abstractmethod
    def create(self, key: str, data: bytes) -> None:
        """Write a small object only if there is none under the key, atomically where the backend can.

        Raises:
            ConflictError: There is one already.
        """

    def commit(self, key: str, data: bytes) -> None:
        """Write the last object as `create` does, and make everything visible that was written before it.

        Stores that show each object as it is written have nothing to add to `create`; one that packs all into one
        object shows it now. Nothing may be written afterwards.

        Raises:
            ConflictError: There is one already, or something else is where this store's bytes are to be.
        """
        self.create(key, data)

    @abstractmethod
    def read(self, key: str, *, start: int = 0, size_bytes: int | None = None) -> Iterator[bytes]:
        """Yield the object's bytes, or a range of them, in chunks, lazily.

        Close the generator to end early. Raises `NotFoundError` at the first chunk.
        """

    @abstractmethod
    def read_all(self, key: str, *, limit_bytes: int) -> bytes:
        """Return a whole object that must not be larger than the limit.

        Raises:
            NotFoundError: No such key.
            IntegrityError: It is larger (E010); nothing was allocated for it.
        """

    @abstractmethod
    def size_bytes(self, key: str) -> int | None:
        """Return the size of an object, None if there is none."""

    @abstractmethod
    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        """Yield all objects below a folder (or below the root), recursively, lazily.

        Temporary objects of interrupted writes are not listed.
        """

    @abstractmethod
    def delete(self, key: str) -> None:
        """Delete an object; it is no error if there is none."""

    @abstractmethod
    def sweep(self) -> int:
        """Delete what interrupted writes left behind, where the backend shows it; returns how many."""

    def sweep_one(self, key: str) -> int:  # noqa: ARG002 - for backends that show it
        """Delete what interrupted writes of one object left behind, where that needs no look at all the others."""
        return 0

    def problems(self, *, every_byte: bool) -> Iterator[Problem]:  # noqa: ARG002 - for those that pack
        """Yield what is wrong with the container as such, where a store packs many objects into few; else nothing.

        Args:
            every_byte: Read all of it, not only what says where the objects are.
        """
        yield from ()

    def remove_folders(self) -> None:
        """Remove the folders that are empty, the root as well, where a backend has folders; for scratch places."""

    def close(self) -> None:
        """Free connections. The default has none."""
