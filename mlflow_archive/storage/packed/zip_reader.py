"""A ``.zip`` as a store: read by ranges, so that nothing is unpacked and one file costs two or three requests."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Iterator
from typing import Any

from mlflow_archive.errors import IntegrityError, NotAnArchiveError, NotFoundError, Problem
from mlflow_archive.storage.faults import too_large
from mlflow_archive.storage.keys import check_raw_key
from mlflow_archive.storage.packed.finished import FinishedStore
from mlflow_archive.storage.store import CHUNK_BYTES, Store, StoredObject

#: A request for fewer bytes asks for so many. 256 KiB.
_READ_AHEAD_BYTES = 256 << 10
#: The list of names is read at once; a larger one is refused. 256 MiB.
_MOST_BYTES_AT_ONCE = 256 << 20


class ZipReader(FinishedStore):
    """The files of a zip under their names, without a single folder that is around all of them.

    Names are taken as others gave them, as long as they stay below the root.
    """

    _finished = "is a zip, which is only read"

    def __init__(self, outer: Store, key: str, url: str, file: zipfile.ZipFile) -> None:
        """Use `open`."""
        super().__init__(outer, url)
        self._key = key
        self._zip = file
        named = {check_raw_key(info.filename): info for info in file.infolist() if not info.is_dir()}
        tops = {name.partition("/")[0] for name in named}
        around = f"{tops.pop()}/" if len(tops) == 1 and all("/" in name for name in named) else ""
        self._files = {name.removeprefix(around): info for name, info in named.items()}

    @classmethod
    def open(cls, outer: Store, key: str, *, url: str) -> ZipReader:
        """Read the list of a zip's files.

        Args:
            outer: Where it is; is closed with this.
            key: Under which key.
            url: What people are told.

        Raises:
            NotAnArchiveError: There is nothing, or no zip.
            IntegrityError: A name leaves the root.
        """
        size_bytes = outer.size_bytes(key)
        if size_bytes is None:
            raise NotAnArchiveError(f"There is nothing at {url}: check the path or URL.")
        try:
            file = zipfile.ZipFile(io.BufferedReader(_Ranges(outer, key, size_bytes), _READ_AHEAD_BYTES))
        except (zipfile.BadZipFile, EOFError, ValueError) as error:
            raise NotAnArchiveError(f"{url} is not a zip, or is cut off.") from error
        return cls(outer, key, url, file)

    def read(self, key: str, *, start: int = 0, size_bytes: int | None = None) -> Iterator[bytes]:
        """Yield a file's bytes, or a range of them; what stands before the range is unpacked and dropped.

        Raises:
            IntegrityError: They are damaged, encrypted, or packed in a way that is not known here.
        """
        info = self._find(key)
        left = info.file_size - start if size_bytes is None else size_bytes
        try:
            with self._zip.open(info) as file:
                file.seek(start)
                while left > 0 and (chunk := file.read(min(left, CHUNK_BYTES))):
                    left -= len(chunk)
                    yield chunk
        except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
            message = f"cannot be unpacked: {error}"
            problem = Problem("E042", key, message)
            raise IntegrityError(f"{key} of {self.url} {message}.", problems=(problem,)) from error

    def read_all(self, key: str, *, limit_bytes: int) -> bytes:
        """Return a whole small file."""
        if self._find(key).file_size > limit_bytes:
            raise too_large(key, limit_bytes)
        return b"".join(self.read(key))

    def size_bytes(self, key: str) -> int | None:
        """Return the size of a file."""
        info = self._files.get(check_raw_key(key))
        return None if info is None else info.file_size

    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        """Yield the files."""
        folder = prefix.rstrip("/") + "/" if prefix else ""
        for key, info in self._files.items():
            if key.startswith(folder):
                yield StoredObject(key, info.file_size)

    def close(self) -> None:
        """Close the zip and the store around it."""
        self._zip.close()
        super().close()

    def _find(self, key: str) -> zipfile.ZipInfo:
        info = self._files.get(check_raw_key(key))
        if info is None:
            raise NotFoundError(f"There is no {key} in {self.url}.")
        return info


class _Ranges(io.RawIOBase):
    """An object of a store as a file that can be moved about in."""

    def __init__(self, store: Store, key: str, size_bytes: int) -> None:
        super().__init__()
        self._store = store
        self._key = key
        self._size = size_bytes
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise ValueError("a place before the beginning")
        self._at = base + offset
        return self._at

    def readinto(self, buffer: Any, /) -> int:
        wanted = min(len(buffer), self._size - self._at)
        if wanted > _MOST_BYTES_AT_ONCE:
            raise ValueError("a list that is too large")
        if wanted <= 0:
            return 0
        data = b"".join(self._store.read(self._key, start=self._at, size_bytes=wanted))
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)
