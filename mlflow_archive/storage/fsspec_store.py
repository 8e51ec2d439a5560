"""Any fsspec file system as a store.

The trap: ``close``, ``__exit__`` and even ``__del__`` of an fsspec file commit what was written so far, over
whatever was there. So an unfinished upload is taken apart by hand; where the file is not one of fsspec's buffered
uploads, it is written under a name of its own and moved.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from fsspec.spec import AbstractBufferedFile, AbstractFileSystem

from mlflow_archive.errors import NotFoundError
from mlflow_archive.spec.paths import check_path
from mlflow_archive.storage.budget import FREE_BYTES, Budget, Share
from mlflow_archive.storage.faults import TranslatedWriter, taken, too_large, translated
from mlflow_archive.storage.keys import KeyCheck
from mlflow_archive.storage.partial import is_partial, partial_name
from mlflow_archive.storage.pieces import UPLOAD_BYTES
from mlflow_archive.storage.store import CHUNK_BYTES, ByteWriter, Store, StoredObject, in_chunks

#: Size of an upload's pieces: with 10,000 of them, the most S3 takes, an object may have 160 GB.
BLOCK_BYTES = 16 << 20
#: Size of the blocks that an object is read in.
READ_BYTES = 8 << 20


class FsspecStore(Store):
    """Objects of a file system below a root path.

    Args:
        fs: A file system of its own (``skip_instance_cache``), without listing caches.
        root: The path below which everything is kept, as ``fs`` has it.
        url: The same for people, without credentials.
        check: What a key may be.
        upload_bytes: What all uploads together may take in memory, where the file system cuts them into pieces.
    """

    def __init__(
        self,
        fs: AbstractFileSystem,
        root: str,
        url: str,
        *,
        check: KeyCheck = check_path,
        upload_bytes: int = UPLOAD_BYTES,
    ) -> None:
        """See the class."""
        self._budget = Budget(upload_bytes)
        self.url = url
        self._check = check
        self._fs = fs
        self._root = root.rstrip("/")

    @contextmanager
    def write(
        self,
        key: str,
        *,
        size_bytes: int | None = None,  # noqa: ARG002
        exclusive: bool = False,
    ) -> Iterator[ByteWriter]:
        """Write one object; see `Store.write`. An exclusive one is checked for just before it appears."""
        place = self._place(key)
        with translated(self.url, key, writing=True):
            upload = _begin(self._fs, place)
        share = Share(self._budget)
        blocks = _Blocks(upload.file, share)
        try:
            yield TranslatedWriter(self.url, key, blocks)
            if exclusive:
                self._require_free(key)
            with translated(self.url, key, writing=True), blocks.sending():
                upload.commit()
        except BaseException:
            with suppress(OSError):
                upload.discard()
            raise
        finally:
            share.drop()

    def create(self, key: str, data: bytes) -> None:
        """Write an object if there is none: by the backend's own condition where fsspec passes it on."""
        place = self._place(key)
        self._require_free(key)
        with translated(self.url, key, writing=True):
            self._fs.pipe_file(place, data, mode="create")

    def read(self, key: str, *, start: int = 0, size_bytes: int | None = None) -> Iterator[bytes]:
        """Yield an object or a range of it, a block a request; the size is asked for only if there is a second one."""
        place = self._place(key)
        end: int | None = None if size_bytes is None else start + size_bytes
        asked = False
        while end is None or start < end:
            wanted = READ_BYTES if end is None else min(READ_BYTES, end - start)
            with translated(self.url, key):
                block = bytes(self._fs.cat_file(place, start=start, end=start + wanted))
            for offset in range(0, min(len(block), wanted), CHUNK_BYTES):
                yield block[offset : min(offset + CHUNK_BYTES, wanted)]
            start += len(block)
            if len(block) < wanted:
                return
            if not asked:  # a service may refuse a range behind the end
                asked = True
                total = self.size_bytes(key) or 0
                end = total if end is None else min(end, total)

    def read_all(self, key: str, *, limit_bytes: int) -> bytes:
        """Return a whole small object, by one request where the file system can read a range of an unknown one."""
        place = self._place(key)
        with translated(self.url, key):
            data = bytes(self._fs.cat_file(place, start=0, end=limit_bytes + 1))
        if len(data) > limit_bytes:
            raise too_large(key, limit_bytes)
        return data

    def size_bytes(self, key: str) -> int | None:
        """Return the size of an object, None if there is none."""
        place = self._place(key)
        try:
            with translated(self.url, key):
                info = self._fs.info(place)
        except NotFoundError:
            return None
        return None if info["type"] == "directory" else int(info["size"])

    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        """Yield all objects below a folder; the listing is one flat call, where the backend has it."""
        yield from (found for found in self._find(prefix.rstrip("/")) if not is_partial(found.key))

    def delete(self, key: str) -> None:
        """Delete an object, if it is there."""
        place = self._place(key)
        with suppress(NotFoundError), translated(self.url, key):
            self._fs.rm_file(place)

    def sweep(self) -> int:
        """Delete unfinished objects where they have a name; uploads in pieces are left to the backend's own rules."""
        count = 0
        for found in self._find(""):
            if is_partial(found.key):
                with translated(self.url, found.key, writing=True):
                    self._fs.rm_file(f"{self._root}/{found.key}")
                count += 1
        return count

    def remove_folders(self) -> None:
        """Remove the empty folders, where they are more than a part of a name."""
        if _uploads(self._fs):
            return
        with suppress(OSError):
            found: dict[str, dict[str, Any]] = self._fs.find(self._root, withdirs=True, detail=True)
            folders = {self._root, *(name for name, info in found.items() if info["type"] == "directory")}
            for folder in sorted(folders, key=len, reverse=True):
                with suppress(OSError):  # not empty
                    self._fs.rmdir(folder)

    def _place(self, key: str) -> str:
        return f"{self._root}/{self._check(key)}"

    def _require_free(self, key: str) -> None:
        if self.size_bytes(key) is not None:
            raise taken(self.url, key)

    def _find(self, folder: str) -> Iterator[StoredObject]:
        place = self._place(folder) if folder else self._root
        try:
            with translated(self.url, folder):
                found: dict[str, dict[str, Any]] = self._fs.find(place, withdirs=False, detail=True)
        except NotFoundError:
            return
        start = self._root.lstrip("/") + "/"
        for name, info in found.items():
            key = name.lstrip("/").removeprefix(start) if self._root else name.lstrip("/")
            if not folder or key.startswith(f"{folder}/"):
                yield StoredObject(key, int(info["size"] or 0))


class _Upload:
    """A buffered upload of fsspec, which becomes visible when it is closed."""

    def __init__(self, file: AbstractBufferedFile) -> None:
        self.file: Any = file

    def commit(self) -> None:
        self.file.close()

    def discard(self) -> None:
        """Make sure that neither ``close`` nor the garbage collector commits; pieces already sent are given up."""
        file = self.file
        try:
            if file.offset is not None:
                file.discard()
        finally:
            file.forced = True
            file.closed = True
            file.buffer = None


class _Move:
    """A file that is visible while it is written: kept under a name of its own, then moved."""

    def __init__(self, fs: AbstractFileSystem, place: str) -> None:
        self._fs = fs
        self._place = place
        self._part = f"{place.rpartition('/')[0]}/{partial_name()}"
        fs.makedirs(place.rpartition("/")[0], exist_ok=True)
        self.file: Any = fs.open(self._part, "wb")

    def commit(self) -> None:
        self.file.close()
        self._fs.mv(self._part, self._place)

    def discard(self) -> None:
        self.file.close()
        with suppress(FileNotFoundError):
            self._fs.rm_file(self._part)


class _Blocks:
    """Writes to a file that collects a block and then sends it, with an eye on the budget.

    A file that passes on what it gets, as those of most systems with folders do, takes nothing of it.
    """

    def __init__(self, file: Any, share: Share) -> None:
        self._file = file
        self._share = share
        self._block_bytes: int | None = file.blocksize if isinstance(file, AbstractBufferedFile) else None
        self._held_bytes = 0

    def write(self, data: bytes) -> None:
        """Append."""
        if self._block_bytes is None:
            self._file.write(data)
            return
        for chunk in in_chunks(data):
            self._held_bytes += len(chunk)
            if self._held_bytes > FREE_BYTES:
                self._share.collect(self._block_bytes)
            if self._held_bytes < self._block_bytes:
                self._file.write(chunk)
                continue
            with self.sending():
                self._file.write(chunk)
            self._held_bytes = 0

    @contextmanager
    def sending(self) -> Iterator[None]:
        """Hold the file's block while it is on its way, if it counts."""
        sent = self._share.send() if self._held_bytes > FREE_BYTES else None
        try:
            yield
        finally:
            if sent is not None:
                sent()


def _begin(fs: AbstractFileSystem, place: str) -> _Upload | _Move:
    if _uploads(fs):
        return _Upload(fs.open(place, "wb", block_size=BLOCK_BYTES))
    return _Move(fs, place)


def _uploads(fs: AbstractFileSystem) -> bool:
    """Tell whether the file system sends objects in pieces and shows them at the end, as object stores do."""
    protocol = fs.protocol if isinstance(fs.protocol, str) else fs.protocol[0]
    return protocol in _OBJECT_STORES


#: Protocols (as fsspec's classes name themselves) of stores where an object appears when its upload is completed.
_OBJECT_STORES = frozenset({"s3", "s3a", "gs", "gcs", "abfs", "az", "abfss", "adl", "oss", "oci", "tos"})
