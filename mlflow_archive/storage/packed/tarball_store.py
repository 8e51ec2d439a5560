"""A new archive as one tarball."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from mlflow_archive.errors import ConflictError, NotFoundError, UnavailableError
from mlflow_archive.spec.paths import check_path
from mlflow_archive.storage.packed.codec import Codec
from mlflow_archive.storage.packed.member import write_member
from mlflow_archive.storage.packed.packer import Packer
from mlflow_archive.storage.store import ByteWriter, Store, StoredObject

#: Threads that compress.
COMPRESSORS = 2


class TarballStore(Store):
    """Packs all that is written into one object of an outer store, which becomes visible at `commit`.

    What was written cannot be read back. Closing without a commit leaves nothing behind.
    """

    def __init__(self, outer: Store, name: str, codec: Codec, *, url: str, hold_bytes: int) -> None:
        """Write a new tarball.

        Args:
            outer: Takes the tarball; is closed with this.
            name: The tarball's key there.
            codec: Compresses.
            url: What people are told.
            hold_bytes: Objects up to this size wait in memory for their turn.
        """
        self.url = url
        self._outer = outer
        self._name = name
        self._folder = name[: name.rfind("/") + 1]
        self._hold_bytes = hold_bytes
        self._pool = ThreadPoolExecutor(COMPRESSORS, thread_name_prefix="compress")
        self._packer = Packer(outer, name, codec, self._pool)
        self._fresh = True

    @contextmanager
    def write(self, key: str, *, size_bytes: int | None = None, exclusive: bool = False) -> Iterator[ByteWriter]:
        """Write one object; see `Store.write`. While a large one is written, other threads wait.

        Raises:
            UsageError: This thread is in the middle of another large object.
            UnavailableError: It came with another size than announced, and was too large to wait in memory.
        """
        if exclusive:
            self._require_new(key)
        check_path(key)
        with (
            self._told(),
            write_member(
                self._packer, self._outer, self._folder, key, size_bytes=size_bytes, hold_bytes=self._hold_bytes
            ) as member,
        ):
            yield member

    def create(self, key: str, data: bytes) -> None:
        """Add a small object in a frame of its own.

        The first one takes away what was on its way to the tarball's name when a process was killed.
        """
        self._require_new(key)
        with self._told():
            if self._fresh:
                self._fresh = False
                self._outer.sweep_one(self._name)
            self._packer.add(key, [data], len(data), flush=True)

    def commit(self, key: str, data: bytes) -> None:
        """Add the last object and show the tarball.

        Raises:
            ConflictError: There is something under the tarball's name.
        """
        self.create(key, data)
        with self._told():
            self._packer.finish()

    def read(self, key: str, *, start: int = 0, size_bytes: int | None = None) -> Iterator[bytes]:  # noqa: ARG002
        """Raise `NotFoundError`: what is packed cannot be read before it is complete."""
        yield from ()
        raise self._absent(key)

    def read_all(self, key: str, *, limit_bytes: int) -> bytes:  # noqa: ARG002
        """Raise `NotFoundError`, or `ConflictError` if there is something under the tarball's name."""
        raise self._absent(key)

    def size_bytes(self, key: str) -> int | None:
        """Return the size of an object that was written."""
        return self._packer.find(check_path(key))

    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        """Yield what was written."""
        folder = f"{prefix.rstrip('/')}/" if prefix else ""
        for key, size in self._packer.members():
            if key.startswith(folder):
                yield StoredObject(key, size)

    def delete(self, key: str) -> None:
        """Leave an object out."""
        self._packer.drop(check_path(key))

    def sweep(self) -> int:
        """Do nothing: an interrupted tarball was never there."""
        return 0

    def close(self) -> None:
        """End the threads, and the upload if it was not committed."""
        self._packer.abort()
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._outer.close()

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Say of a full disk what can be done about it here: nothing of a tarball is kept."""
        try:
            yield
        except UnavailableError as error:
            if error.code != "disk_full":
                raise
            raise UnavailableError(
                f"There is no space left to write {self.url}: free some space and begin again, as nothing is kept of a "
                "tarball, or use the container volumes.",
                code=error.code,
            ) from error

    def _require_new(self, key: str) -> None:
        if self.size_bytes(key) is not None:
            raise ConflictError(f"There is already a {key} in {self.url}.")

    def _absent(self, key: str) -> Exception:
        check_path(key)
        if self._outer.size_bytes(self._name) is not None:
            return ConflictError(f"There is already something at {self.url}: choose another name.")
        return NotFoundError(f"{key} cannot be read before {self.url} is complete.")
