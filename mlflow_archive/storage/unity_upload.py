"""One file on its way to a Unity Catalog volume: whole in one request if it is small, else in parts by the SDK."""

from __future__ import annotations

import io
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from queue import Empty, Full, Queue
from typing import BinaryIO, cast

from mlflow_archive.storage.databricks_api import DatabricksApi, FaultError
from mlflow_archive.storage.store import CHUNK_BYTES

#: A file up to this size is held in memory and sent in one request, which can be repeated.
_WHOLE_BYTES = 8 << 20
#: Larger ones are sent in pieces of at least this size, of which clouds take ten thousand.
_PART_BYTES = 16 << 20
_MOST_PARTS = 8000
#: Chunks of the writer that wait to be sent.
_WAITING = 8
_POLL_SECONDS = 0.2

#: Sends a whole file: path, bytes, whether it may replace one.
Put = Callable[[str, bytes, bool], None]


class UnityUpload:
    """Holds a small file until it is complete; hands a larger one to a thread that sends it."""

    def __init__(self, api: DatabricksApi, place: str, put: Put, *, overwrite: bool, expected_bytes: int) -> None:
        """Take an absolute path, and what sends a whole file."""
        self._api = api
        self._put = put
        self._place = place
        self._overwrite = overwrite
        self._part_bytes = max(_PART_BYTES, -(-expected_bytes // _MOST_PARTS))
        self._buffer = bytearray()
        self._sending: _Sending | None = None

    def write(self, data: bytes) -> None:
        """Append."""
        if self._sending is None:
            self._buffer += data
            if len(self._buffer) <= _WHOLE_BYTES:
                return
            data, self._buffer = bytes(self._buffer), bytearray()
            self._sending = _Sending(self._api, self._place, self._overwrite, self._part_bytes)
        for start in range(0, len(data), CHUNK_BYTES):
            self._sending.put(data[start : start + CHUNK_BYTES])

    def finish(self) -> None:
        """Make the file visible."""
        if self._sending is None:
            self._put(self._place, bytes(self._buffer), self._overwrite)
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
