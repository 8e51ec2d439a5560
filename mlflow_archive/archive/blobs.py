"""Files on their way into an archive: several at once, in bounded memory, hashed while they pass."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import closing

from mlflow_archive.errors import IntegrityError, MlflowArchiveError, UnavailableError
from mlflow_archive.spec.descriptor import BLOB_TYPE, Descriptor
from mlflow_archive.spec.layout import blob_path
from mlflow_archive.spec.loss import Loss
from mlflow_archive.spec.object import BlobEntry
from mlflow_archive.spec.paths import check_path
from mlflow_archive.storage.hashing import Digest, HashingWriter
from mlflow_archive.storage.store import Store
from mlflow_archive.stream import Blob, ObjectKey

#: A file that changes while it is read, or breaks off, is read once more.
_ATTEMPTS = 2


class BlobCopier:
    """Copies files into a store with a bounded pool of threads that all objects share.

    A thread holds one chunk of one file at a time, so memory is bounded by ``parallelism`` chunks of the source.
    """

    def __init__(self, store: Store, parallelism: int, moved: Callable[[int], None]) -> None:
        """Copy into ``store``; ``moved`` hears of every piece of bytes, from the pool's threads."""
        self._store = store
        self._window = max(1, parallelism)
        self._pool = ThreadPoolExecutor(self._window, thread_name_prefix="blobs")
        self._moved = moved

    def copy(self, key: ObjectKey, folder: str, blobs: Iterator[Blob | Loss]) -> tuple[list[BlobEntry], list[Loss]]:
        """Copy the files of one object, and return them sorted by role and name, and what could not be copied.

        Raises:
            MlflowArchiveError: The store failed; nothing under way is left behind.
        """
        names = _Names(folder)
        entries: list[BlobEntry] = []
        losses: list[Loss] = []
        flying: set[Future[BlobEntry | Loss]] = set()
        try:
            for blob in _listed(key, blobs):
                if isinstance(blob, Loss):
                    losses.append(blob)
                    continue
                path = _placed(key, names, blob)
                if isinstance(path, Loss):
                    losses.append(path)
                    continue
                while len(flying) >= self._window:
                    flying = _collect(flying, entries, losses)
                flying.add(self._pool.submit(self._copy_one, key, path, blob))
            while flying:
                flying = _collect(flying, entries, losses)
        finally:
            for future in flying:
                future.cancel()
            wait(flying)
        entries.sort(key=lambda entry: (entry.role, entry.name))
        return entries, losses

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _copy_one(self, key: ObjectKey, path: str, blob: Blob) -> BlobEntry | Loss:
        attempt = 1
        while True:
            try:
                return BlobEntry(role=blob.role, name=blob.name, descriptor=self._stream(path, blob))
            except _SourceFault as fault:
                error = fault.error
            if attempt == _ATTEMPTS or not error.retryable:
                return key.lost(error.code, str(error), path=blob.name, retryable=error.retryable)
            attempt += 1

    def _stream(self, path: str, blob: Blob) -> Descriptor:
        with self._store.write(path, size_bytes=blob.size_bytes) as target, closing(_chunks(blob)) as chunks:
            writer = HashingWriter(target)
            for chunk in chunks:
                writer.write(chunk)
                self._moved(len(chunk))
            _check(blob, writer.digest)
        return Descriptor(
            path=path, media_type=BLOB_TYPE, size_bytes=writer.digest.size_bytes, sha256=writer.digest.sha256
        )


class _SourceFault(Exception):  # noqa: N818
    """The source failed in the middle of a write; keeps its faults apart from the store's."""

    def __init__(self, error: MlflowArchiveError) -> None:
        super().__init__(str(error))
        self.error = error


class _Names:
    """The paths of one object's files."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._files: set[str] = set()
        self._folders: set[str] = set()

    def place(self, role: str, name: str) -> str:
        """Return the path for a file.

        An object store may have a file ``a`` and a file ``a/b``; the second of the two gets a name of its own,
        because a directory cannot hold both. Readers take names from the document, not from paths.

        Raises:
            ValueError: The name cannot be written, or is there already.
        """
        name.encode("utf-8")
        path = blob_path(self._folder, role, name)
        above = _folders_of(path)
        if path in self._folders or any(folder in self._files for folder in above):
            digest = hashlib.sha256(name.encode("utf-8")).hexdigest()
            path = f"{self._folder}/{role}/~{digest}"
            above = _folders_of(path)
        check_path(path)
        if path in self._files:
            raise ValueError("there is another file of this name")
        self._files.add(path)
        self._folders.update(above)
        return path


def _folders_of(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts))]


def _placed(key: ObjectKey, names: _Names, blob: Blob) -> str | Loss:
    try:
        return names.place(blob.role, blob.name)
    except ValueError as error:
        shown = blob.name.encode("utf-8", "backslashreplace").decode("utf-8")
        return key.lost("name", f"An archive cannot hold a file of the name {shown!r}: {error}.", path=shown)


def _listed(key: ObjectKey, blobs: Iterator[Blob | Loss]) -> Iterator[Blob | Loss]:
    """Yield what the source lists; a listing that breaks off ends with a loss."""
    try:
        yield from blobs
    except MlflowArchiveError as error:
        reason = f"The files could not be listed to the end: {error}"
        yield key.lost(error.code, reason, path="artifacts", retryable=error.retryable)


def _chunks(blob: Blob) -> Generator[bytes, None, None]:
    try:
        with blob.open() as chunks:
            yield from chunks
    except MlflowArchiveError as error:
        raise _SourceFault(error) from error
    except OSError as error:
        detail = error.strerror or type(error).__name__
        raise _SourceFault(UnavailableError(f"The file {blob.name!r} could not be read: {detail}.")) from error


def _check(blob: Blob, digest: Digest) -> None:
    """Compare what came with what the source said."""
    told = blob.descriptor
    if told is not None and (told.size_bytes, told.sha256) != (digest.size_bytes, digest.sha256):
        raise _SourceFault(IntegrityError(f"The file {blob.name!r} is not what its archive says it is."))
    if blob.size_bytes is not None and blob.size_bytes != digest.size_bytes:
        message = (
            f"The file {blob.name!r} was said to have {blob.size_bytes:,} bytes and came with {digest.size_bytes:,}: "
            "it is being changed at the source."
        )
        raise _SourceFault(UnavailableError(message, code="changed"))


def _collect(
    flying: set[Future[BlobEntry | Loss]], entries: list[BlobEntry], losses: list[Loss]
) -> set[Future[BlobEntry | Loss]]:
    """Wait for the first to end, take the results, and return what still flies."""
    done, left = wait(flying, return_when=FIRST_COMPLETED)
    for future in done:
        result = future.result()
        if isinstance(result, Loss):
            losses.append(result)
        else:
            entries.append(result)
    return left
