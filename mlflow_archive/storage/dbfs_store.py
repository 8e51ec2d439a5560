"""DBFS as a store, by its REST API.

What DBFS does not have, and what that means:

* no rename over something: an object that is replaced is deleted first, and a crash right then leaves none;
* no create-if-absent that was ever promised: `DbfsStore.create` looks, then moves its file there, which DBFS refuses
  if something came in between, as far as its documentation goes. It is no lock;
* no paging: listing a folder with tens of thousands of entries may be refused after a minute. Fewer, larger objects
  (tarball or volumes) are the better containers here.
"""

from __future__ import annotations

import base64
import sys
import time
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any

from mlflow_archive.errors import NotFoundError, UsageError
from mlflow_archive.spec.paths import check_path
from mlflow_archive.storage.databricks_api import DatabricksApi, FaultError, told
from mlflow_archive.storage.databricks_store import DatabricksStore, ToldWriter
from mlflow_archive.storage.databricks_walk import Found, Listing
from mlflow_archive.storage.dbfs_upload import BLOCK_BYTES, BlockUpload
from mlflow_archive.storage.faults import taken, too_large
from mlflow_archive.storage.keys import KeyCheck
from mlflow_archive.storage.partial import is_partial
from mlflow_archive.storage.pieces import UPLOAD_BYTES
from mlflow_archive.storage.store import ByteWriter, Store
from mlflow_archive.storage.unity_store import UnityStore

#: Blocks of one object that are read at once.
_AHEAD = 4
#: Another process may still be writing an unfinished object that is younger.
_ABANDONED_SECONDS = 24 * 3600
#: How often a file is put in the place of another, when others do the same.
_MOST_REPLACEMENTS = 20


def open_dbfs(
    url: str, options: Mapping[str, object], *, check: KeyCheck = check_path, upload_bytes: int = UPLOAD_BYTES
) -> Store:
    """Return the store for ``dbfs:/path``; below ``/Volumes`` it is a Unity Catalog volume's.

    Args:
        url: With one slash or three; the path is taken as it is written.
        options: ``host``, ``token``, ``profile``; see `DatabricksApi`.
        check: What a key may be.
        upload_bytes: What all uploads together may take in memory.

    Raises:
        UsageError: The URL or an option has no meaning.
        UnsupportedError: databricks-sdk is not installed.
    """
    rest = url.partition(":")[2]
    if rest.startswith("//") and not rest.startswith("///"):
        raise UsageError("A dbfs URL names no host: write dbfs:/path, and give the storage option host or profile.")
    parts = [part for part in rest.split("/") if part]
    if {".", ".."} & set(parts) or "?" in rest or "#" in rest:
        raise UsageError("A dbfs URL is dbfs:/path, without '..', '?' and '#'.")
    root = "".join(f"/{part}" for part in parts)
    if parts[:1] != ["Volumes"]:
        return DbfsStore(DatabricksApi(options), root, check=check, upload_bytes=upload_bytes)
    if len(parts) < 4:
        raise UsageError(f"dbfs:{root} names no volume: write dbfs:/Volumes/catalog/schema/volume.")
    return UnityStore(DatabricksApi(options), root, check=check, upload_bytes=upload_bytes)


class DbfsStore(DatabricksStore):
    """Objects are files below a folder of DBFS."""

    @contextmanager
    def write(
        self,
        key: str,
        *,
        size_bytes: int | None = None,  # noqa: ARG002
        exclusive: bool = False,
    ) -> Iterator[ByteWriter]:
        """Write one object; see `Store.write`. Between deleting an old object and moving the new one there is none."""
        place = self._place(key)
        upload = BlockUpload(self._api, place.rpartition("/")[0], self._budget)
        try:
            yield ToldWriter(self._shown(key), upload)
            with told(self._shown(key), writing=True):
                self._publish(upload, place, upload.finish(), exclusive=exclusive)
        finally:
            with suppress(FaultError):
                upload.discard()

    def create(self, key: str, data: bytes) -> None:
        """Write a small object if there is none: no lock, see the module."""
        if self.size_bytes(key) is not None:
            raise taken(self.url, key)
        with self.write(key, exclusive=True) as writer:
            writer.write(data)

    def read(self, key: str, *, start: int = 0, size_bytes: int | None = None) -> Iterator[bytes]:
        """Yield an object or a range of it; of a large one some blocks are read ahead."""
        place = self._place(key)
        end = sys.maxsize if size_bytes is None else start + size_bytes
        first = self._block(key, place, start, min(BLOCK_BYTES, end - start))
        if first:
            yield first
        start += len(first)
        if len(first) < BLOCK_BYTES or start >= end:
            return
        size = self.size_bytes(key)
        if size is None:
            raise NotFoundError(f"There is no {self._shown(key)}.")
        yield from self._blocks(key, place, start, min(end, size))

    def read_all(self, key: str, *, limit_bytes: int) -> bytes:
        """Return a whole small object."""
        place = self._place(key)
        found = bytearray()
        while len(found) <= limit_bytes:
            wanted = min(BLOCK_BYTES, limit_bytes + 1 - len(found))
            block = self._block(key, place, len(found), wanted)
            found += block
            if len(block) < wanted:
                return bytes(found)
        raise too_large(key, limit_bytes)

    def size_bytes(self, key: str) -> int | None:
        """Return the size of a file, None if there is none."""
        with told(self._shown(key)):
            status = self._status(self._place(key))
        return None if status is None or status.get("is_dir") else int(status.get("file_size", 0))

    def delete(self, key: str) -> None:
        """Delete a file, if it is there."""
        place = self._place(key)
        with told(self._shown(key), writing=True):
            self._delete(place)

    def sweep(self) -> int:
        """Delete unfinished files that are older than a day; a younger one may have a living writer.

        Nothing tells more of their owner: DBFS has no locks and no metadata, whether a file's time moves while it is
        written is not documented, and a mark beside it whose time the writer renews would cost each file requests for
        the whole of its writing, only to take away a little earlier what no reader ever sees.
        """
        count = 0
        newest = (time.time() - _ABANDONED_SECONDS) * 1000
        for found in self._walk(""):
            if is_partial(found.path) and found.modified_ms < newest:
                with told(f"dbfs:{found.path}", writing=True):
                    self._delete(found.path)
                count += 1
        return count

    def _remove_folder(self, folder: str) -> None:
        if folder:
            self._delete(folder)

    def _status(self, place: str) -> dict[str, Any] | None:
        try:
            return self._api.call("GET", "/api/2.0/dbfs/get-status", query={"path": place})
        except FaultError as fault:
            if fault.absent:
                return None
            raise

    def _publish(self, upload: BlockUpload, place: str, size: int, *, exclusive: bool) -> None:
        """Move a finished file to its place; what is there goes first, which others may do at the same time."""
        left = 0 if exclusive else _MOST_REPLACEMENTS
        while not self._moved(upload.path, place, size, or_taken=left > 0):
            self._delete(place)
            left -= 1
        upload.forget()

    def _moved(self, part: str, place: str, size: int, *, or_taken: bool) -> bool:
        try:
            self._move(part, place, size)
        except FaultError as fault:
            if not fault.exists or not or_taken:
                raise
            return False
        return True

    def _move(self, part: str, place: str, size: int) -> None:
        """Move a file; if an answer got lost, look first whether it was moved already."""
        doubt = False

        def once() -> None:
            nonlocal doubt
            if doubt and self._status(part) is None:
                status = self._status(place)
                if status is not None and int(status.get("file_size", -1)) == size:
                    return
            doubt = True
            body = {"source_path": part, "destination_path": place}
            self._api.once("POST", "/api/2.0/dbfs/move", body=body)

        self._api.repeat(once)

    def _delete(self, place: str) -> None:
        try:
            self._api.call("POST", "/api/2.0/dbfs/delete", body={"path": place, "recursive": False})
        except FaultError as fault:
            if fault.absent:
                return
            status = self._status(place) if fault.code == "IO_ERROR" else None
            if status is None or not status.get("is_dir"):  # a folder is no object
                raise

    def _block(self, key: str, place: str, offset: int, length: int) -> bytes:
        """Return some bytes, at most a block; fewer at the end of the file."""
        if length <= 0:
            offset, length = 0, 1
            self._block(key, place, offset, length)
            return b""
        query = {"path": place, "offset": offset, "length": length}
        with told(self._shown(key)):
            try:
                return _decoded(self._api.call("GET", "/api/2.0/dbfs/read", query=query))
            except FaultError as fault:
                if fault.code != "INVALID_PARAMETER_VALUE":
                    raise
                # A folder, or an offset behind the end, of which the documentation does not say what is answered.
                status = self._status(place)
                if status is None or status.get("is_dir"):
                    raise NotFoundError(f"There is no {self._shown(key)}.") from None
                if offset < int(status.get("file_size", 0)):
                    raise
                return b""

    def _blocks(self, key: str, place: str, start: int, end: int) -> Iterator[bytes]:
        offsets = iter(range(start, end, BLOCK_BYTES))
        running: deque[tuple[int, Future[bytes]]] = deque()
        pool = ThreadPoolExecutor(_AHEAD, thread_name_prefix="mlflow-archive-read")

        def begin() -> None:
            offset = next(offsets, None)
            if offset is not None:
                length = min(BLOCK_BYTES, end - offset)
                running.append((length, pool.submit(self._block, key, place, offset, length)))

        try:
            for _ in range(_AHEAD):
                begin()
            while running:
                length, block = running.popleft()
                data = block.result()
                with told(self._shown(key)):
                    if len(data) < length:
                        raise FaultError(0, "", "it became shorter while it was read", hopeful=False)
                begin()
                yield data
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def _listed(self, folder: str, _after: str | None) -> Listing:
        with told(f"dbfs:{folder}"):
            try:
                answer = self._api.call("GET", "/api/2.0/dbfs/list", query={"path": folder})
            except FaultError as fault:
                if fault.absent:
                    return Listing()
                raise
        files: list[Found] = []
        folders: list[str] = []
        for entry in answer.get("files") or ():
            path = str(entry["path"])
            if entry.get("is_dir"):
                folders.append(path)
            elif path != folder:  # the listing of a file is the file itself
                files.append(Found(path, int(entry.get("file_size", 0)), int(entry.get("modification_time", 0))))
        return Listing(files, folders)


def _decoded(answer: dict[str, Any]) -> bytes:
    data = base64.b64decode(str(answer.get("data") or ""))
    if len(data) != int(answer.get("bytes_read", len(data))):
        raise FaultError(0, "", "the answer was cut off", hopeful=True)
    return data
