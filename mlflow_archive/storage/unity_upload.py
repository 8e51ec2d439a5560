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

from mlflow_archive.storage.budget import FREE_BYTES, Budget, Share
from mlflow_archive.storage.databricks_api import DatabricksApi, FaultError
from mlflow_archive.storage.store import CHUNK_BYTES, in_chunks

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

    def __init__(
        self, api: DatabricksApi, place: str, put: Put, budget: Budget, *, overwrite: bool, expected_bytes: int
    ) -> None:
        """Take an absolute path, what sends a whole file, and what all uploads of the store share."""
        self._api = api
        self._put = put
        self._place = place
        self._overwrite = overwrite
        self._part_bytes = max(_PART_BYTES, -(-expected_bytes // _MOST_PARTS))
        self._share = Share(budget)
        self._buffer = bytearray()
        self._sending: _Sending | None = None

    def write(self, data: bytes) -> None:
        """Append."""
        if self._sending is None:
            self._buffer += data
            if len(self._buffer) > FREE_BYTES:
                self._share.collect(_WHOLE_BYTES)
            if len(self._buffer) <= _WHOLE_BYTES:
                return
            self._share.drop()
            data, self._buffer = bytes(self._buffer), bytearray()
            self._sending = _Sending(self._api, self._place, self._share, self._overwrite, self._part_bytes)
        for chunk in in_chunks(data):
            self._sending.put(chunk)

    def finish(self) -> None:
        """Make the file visible."""
        if self._sending is not None:
            self._sending.finish()
        elif len(self._buffer) <= FREE_BYTES:
            self._put(self._place, bytes(self._buffer), self._overwrite)
        else:
            sent = self._share.send()
            try:
                self._put(self._place, bytes(self._buffer), self._overwrite)
            finally:
                sent()

    def discard(self) -> None:
        """Give up what is under way; harmless after the end."""
        if self._sending is not None:
            self._sending.discard()
        self._share.drop()


class _Sending:
    """An upload in a thread of its own."""

    def __init__(self, api: DatabricksApi, place: str, share: Share, overwrite: bool, part_bytes: int) -> None:
        self._pipe = _Pipe(share, part_bytes)
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="mlflow-archive-upload")
        stream = cast("BinaryIO", self._pipe)

        def send() -> None:
            try:
                api.upload(place, stream, overwrite=overwrite, part_bytes=part_bytes)
            finally:
                self._pipe.release()

        self._result = self._pool.submit(send)

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
    """Chunks of one thread as a stream for another; an empty chunk is the end.

    Whoever reads much at once makes a part of it, and asks for more when that is sent.
    """

    def __init__(self, share: Share, part_bytes: int) -> None:
        super().__init__()
        self._share = share
        self._part_bytes = part_bytes
        self._sent: Callable[[], None] | None = None
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
        self.release()
        if wanted > FREE_BYTES:
            self._share.collect(self._part_bytes)
        found = bytearray()
        while len(found) < wanted and (self._left or not self._ended):
            if not self._left:
                self._left = self._next()
                self._ended = not self._left
            taken = self._left[: wanted - len(found)]
            self._left = self._left[len(taken) :]
            found += taken
        if found and wanted > FREE_BYTES:
            self._sent = self._share.send()
        return bytes(found)

    def release(self) -> None:
        """Take nothing of the budget any more."""
        self._share.drop()
        if self._sent is not None:
            self._sent()
            self._sent = None

    def readline(self, size: int | None = -1) -> bytes:
        """Return a chunk: who sends this line by line means to send it piece by piece."""
        return self.read(CHUNK_BYTES if size is None or size < 0 else size)

    def _next(self) -> bytes:
        while not self._given_up.is_set():
            with suppress(Empty):
                return self._chunks.get(timeout=_POLL_SECONDS)
        raise _GivenUpError
