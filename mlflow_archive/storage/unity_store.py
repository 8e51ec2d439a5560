"""A Unity Catalog volume as a store, by the Files API.

A file appears when its upload is complete. `UnityStore.create` asks the service to refuse if there is one already;
its documentation does not say what it does with two uploads at the same moment, so it is no lock.
"""

from __future__ import annotations

import io
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from queue import Empty, Full, Queue
from typing import Any, BinaryIO, cast
from urllib.parse import quote

import requests

from mlflow_archive.errors import NotFoundError
from mlflow_archive.spec.paths import check_path
from mlflow_archive.storage.databricks_api import DatabricksApi, FaultError, broken, told
from mlflow_archive.storage.databricks_walk import Found, Listing, walk
from mlflow_archive.storage.faults import too_large
from mlflow_archive.storage.keys import KeyCheck
from mlflow_archive.storage.partial import is_partial
from mlflow_archive.storage.store import CHUNK_BYTES, ByteWriter, Store, StoredObject

#: A file up to this size is held in memory and sent in one request, which can be repeated.
_WHOLE_BYTES = 8 << 20
#: Larger ones are sent in pieces of at least this size, of which clouds take ten thousand.
_PART_BYTES = 16 << 20
_MOST_PARTS = 8000
#: Chunks of the writer that wait to be sent.
_WAITING = 8
_POLL_SECONDS = 0.2
#: Slashes in ``/Volumes/catalog/schema/volume``.
_VOLUME_DEPTH = 4
#: How often a download that broke off is gone on with when nothing comes any more.
_MOST_BREAKS = 4


class UnityStore(Store):
    """Objects are files below a folder of a volume.

    Args:
        api: The workspace; closed with the store.
        root: Absolute path: ``/Volumes/<catalog>/<schema>/<volume>``, perhaps with more behind it.
        check: What a key may be.
    """

    def __init__(self, api: DatabricksApi, root: str, *, check: KeyCheck = check_path) -> None:
        """See the class."""
        self._check = check
        self.url = f"dbfs:{root}"
        self._api = api
        self._root = root

    @contextmanager
    def write(self, key: str, *, size_bytes: int | None = None, exclusive: bool = False) -> Iterator[ByteWriter]:
        """Write one object; see `Store.write`."""
        place = self._place(key)
        writer = _Writer(self, place, overwrite=not exclusive, expected_bytes=size_bytes or 0)
        try:
            yield writer
            writer.finish()
        finally:
            writer.discard()

    def create(self, key: str, data: bytes) -> None:
        """Write a small object if there is none, as far as the service goes."""
        place = self._place(key)
        with told(self._shown(key), writing=True):
            self._put(place, data, overwrite=False)

    def read(self, key: str, *, start: int = 0, size_bytes: int | None = None) -> Iterator[bytes]:
        """Yield an object or a range of it; a connection that breaks is taken up again where it broke."""
        place = self._place(key)
        end = sys.maxsize if size_bytes is None else start + size_bytes
        if start >= end:
            if self.size_bytes(key) is None:
                raise NotFoundError(f"There is no {self._shown(key)}.")
            return
        download = _Download(self._api, place, start, end)
        try:
            while True:
                with told(self._shown(key)):
                    chunk = download.next()
                if not chunk:
                    return
                yield chunk
        finally:
            download.close()

    def read_all(self, key: str, *, limit_bytes: int) -> bytes:
        """Return a whole small object."""
        found = bytearray()
        for chunk in self.read(key, size_bytes=limit_bytes + 1):
            found += chunk
        if len(found) > limit_bytes:
            raise too_large(key, limit_bytes)
        return bytes(found)

    def size_bytes(self, key: str) -> int | None:
        """Return the size of a file, None if there is none."""
        place = self._place(key)
        with told(self._shown(key)):
            try:
                return self._api.repeat(lambda: self._head(place))
            except FaultError as fault:
                if fault.absent:
                    return None
                raise

    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        """Yield all files below a folder, which is asked for folder by folder."""
        folder = prefix.rstrip("/")
        for found in walk(self._place(folder) if folder else self._root, self._listed):
            key = found.path[len(self._root) + 1 :]
            if not is_partial(key):
                yield StoredObject(key, found.size_bytes)

    def delete(self, key: str) -> None:
        """Delete a file, if it is there."""
        place = self._place(key)
        with told(self._shown(key), writing=True):
            try:
                self._api.call("DELETE", _file(place))
            except FaultError as fault:
                if not fault.absent:
                    raise

    def sweep(self) -> int:
        """Return 0: an interrupted upload is never seen, and Databricks takes it away."""
        return 0

    def remove_folders(self) -> None:
        """Remove the folders that are empty, the root as well if it is not the volume."""
        with told(self.url, writing=True):
            self._remove_empty(self._root)

    def close(self) -> None:
        """End the connections."""
        self._api.close()

    def _remove_empty(self, folder: str) -> None:
        files, folders = self._listed(folder)
        for below in folders:
            self._remove_empty(below)
        if files or folder.count("/") <= _VOLUME_DEPTH:
            return
        try:
            self._api.call("DELETE", f"/api/2.0/fs/directories{quote(folder)}")
        except FaultError as fault:
            if not fault.absent and fault.status != 400:  # not empty: there are files in a folder below
                raise

    def _place(self, key: str) -> str:
        return f"{self._root}/{self._check(key)}"

    def _shown(self, key: str) -> str:
        return f"{self.url}/{key}"

    def _head(self, place: str) -> int:
        with self._api.send("HEAD", _file(place)) as response:
            return int(response.headers.get("Content-Length", 0))

    def _put(self, place: str, data: bytes, *, overwrite: bool) -> None:
        """Send a whole file. A refusal after an answer got lost is looked into: the file may be our own."""
        doubt = False

        def once() -> None:
            nonlocal doubt
            headers = {"Content-Type": "application/octet-stream"}
            query = {"overwrite": "true" if overwrite else "false"}
            try:
                self._api.send("PUT", _file(place), query=query, headers=headers, data=data).close()
            except FaultError as fault:
                if not (fault.exists and doubt and self._holds(place, data)):
                    doubt = doubt or fault.hopeful
                    raise

        self._api.repeat(once)

    def _holds(self, place: str, data: bytes) -> bool:
        with self._api.send("GET", _file(place), stream=True) as response:
            if int(response.headers.get("Content-Length", -1)) != len(data):
                return False
            try:
                return response.content == data
            except requests.RequestException as error:
                raise broken(error) from None

    def _listed(self, folder: str) -> Listing:
        files: list[Found] = []
        folders: list[str] = []
        query: dict[str, str] = {}
        while True:
            try:
                with told(f"dbfs:{folder}"):
                    answer = self._api.call("GET", f"/api/2.0/fs/directories{quote(folder)}", query=query)
            except NotFoundError:
                return files, folders
            for entry in answer.get("contents") or ():
                path = str(entry["path"])
                if entry.get("is_directory"):
                    folders.append(path.rstrip("/"))
                else:
                    files.append(Found(path, int(entry.get("file_size", 0)), int(entry.get("last_modified", 0))))
            if not answer.get("next_page_token"):
                return files, folders
            query = {"page_token": str(answer["next_page_token"])}


class _Writer:
    """Holds a small file until it is complete; hands a larger one to a thread that sends it."""

    def __init__(self, store: UnityStore, place: str, *, overwrite: bool, expected_bytes: int) -> None:
        self._store = store
        self._place = place
        self._overwrite = overwrite
        self._part_bytes = max(_PART_BYTES, -(-expected_bytes // _MOST_PARTS))
        self._buffer = bytearray()
        self._sending: _Sending | None = None

    def write(self, data: bytes) -> None:
        """Append."""
        with told(f"dbfs:{self._place}", writing=True):
            if self._sending is None:
                self._buffer += data
                if len(self._buffer) <= _WHOLE_BYTES:
                    return
                data, self._buffer = bytes(self._buffer), bytearray()
                self._sending = _Sending(self._store._api, self._place, self._overwrite, self._part_bytes)
            for start in range(0, len(data), CHUNK_BYTES):
                self._sending.put(data[start : start + CHUNK_BYTES])

    def finish(self) -> None:
        """Make the file visible."""
        with told(f"dbfs:{self._place}", writing=True):
            if self._sending is None:
                self._store._put(self._place, bytes(self._buffer), overwrite=self._overwrite)
            else:
                self._sending.finish()

    def discard(self) -> None:
        """Give up what is under way; harmless after the end."""
        if self._sending is not None:
            self._sending.discard()


class _Sending:
    """An upload in a thread of its own."""

    def __init__(self, api: DatabricksApi, place: str, overwrite: bool, part_bytes: int) -> None:
        self._pipe = _Pipe()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="mlflow-archive-upload")
        stream = cast("BinaryIO", self._pipe)
        self._result = self._pool.submit(api.upload, place, stream, overwrite=overwrite, part_bytes=part_bytes)

    def put(self, data: bytes) -> None:
        while not self._pipe.offer(data):
            if self._result.done():
                self._result.result()
                raise FaultError(0, "", "the upload ended before the file", hopeful=False)

    def finish(self) -> None:
        self.put(b"")
        self._result.result()

    def discard(self) -> None:
        self._pipe.give_up()
        self._pool.shutdown(wait=True)


class _GivenUpError(Exception):
    """The writer did not come to the end, so the upload must not either."""


class _Pipe(io.RawIOBase):
    """Chunks of one thread as a stream for another; an empty chunk is the end."""

    def __init__(self) -> None:
        super().__init__()
        self._chunks: Queue[bytes] = Queue(_WAITING)
        self._left = b""
        self._ended = False
        self._given_up = threading.Event()

    def readable(self) -> bool:
        return True

    def offer(self, data: bytes) -> bool:
        """Add a chunk; False if there is no room for it yet."""
        try:
            self._chunks.put(data, timeout=_POLL_SECONDS)
        except Full:
            return False
        return True

    def give_up(self) -> None:
        self._given_up.set()

    def read(self, size: int = -1) -> bytes:
        """Return so many bytes, fewer only at the end: the SDK makes parts of what it gets."""
        wanted = sys.maxsize if size is None or size < 0 else size
        found = bytearray()
        while len(found) < wanted and (self._left or not self._ended):
            if not self._left:
                self._left = self._next()
                self._ended = not self._left
            taken = self._left[: wanted - len(found)]
            self._left = self._left[len(taken) :]
            found += taken
        return bytes(found)

    def readline(self, size: int | None = -1) -> bytes:
        """Return a chunk: who sends this line by line means to send it piece by piece."""
        return self.read(CHUNK_BYTES if size is None or size < 0 else size)

    def _next(self) -> bytes:
        while not self._given_up.is_set():
            with suppress(Empty):
                return self._chunks.get(timeout=_POLL_SECONDS)
        raise _GivenUpError


class _Download:
    """A range of a file, by as many requests as it takes; the file must stay the same."""

    def __init__(self, api: DatabricksApi, place: str, start: int, end: int) -> None:
        self._api = api
        self._place = place
        self._offset = start
        self._end = end
        self._since: str | None = None
        self._response: requests.Response | None = None
        self._chunks: Iterator[bytes] = iter(())
        self._breaks = 0

    def next(self) -> bytes:
        """Return the next bytes, none at the end."""
        while True:
            try:
                if self._response is None:
                    self._api.repeat(self._begin)
                chunk = next(self._chunks, b"")
            except requests.RequestException as error:
                fault = broken(error)
            else:
                if chunk or self._offset >= self._end:
                    self._offset += len(chunk)
                    self._breaks = 0 if chunk else self._breaks
                    return chunk
                fault = FaultError(0, "", "the answer was cut off", hopeful=True)
            self.close()
            self._breaks += 1
            if self._breaks > _MOST_BREAKS or not fault.hopeful:
                raise fault

    def close(self) -> None:
        """Free the connection."""
        if self._response is not None:
            self._response.close()
            self._response = None

    def _begin(self) -> None:
        last = "" if self._end == sys.maxsize else str(self._end - 1)
        headers = {"Range": f"bytes={self._offset}-{last}"} if self._offset or last else {}
        if self._since is not None:
            headers["If-Unmodified-Since"] = self._since
        try:
            response = self._api.send("GET", _file(self._place), headers=headers, stream=True)
        except FaultError as fault:
            if fault.status != 416:
                raise
            self._end = self._offset
            self._chunks = iter(())
            return
        self._since = response.headers.get("Last-Modified", self._since)
        length: Any = response.headers.get("Content-Length")
        skipped = self._offset if response.status_code == 200 else 0  # a range that was not heeded
        if length is not None:
            self._end = min(self._end, self._offset + int(length) - skipped)
        self._response = response
        self._chunks = _behind(response.iter_content(CHUNK_BYTES), skipped, self._end - self._offset)


def _behind(chunks: Iterator[bytes], skipped: int, wanted: int) -> Iterator[bytes]:
    for chunk in chunks:
        rest = chunk[skipped:]
        skipped = max(0, skipped - len(chunk))
        rest = rest[:wanted]
        wanted -= len(rest)
        if rest:
            yield rest
        if not wanted:
            return


def _file(place: str) -> str:
    return f"/api/2.0/fs/files{quote(place)}"
