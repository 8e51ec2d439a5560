"""Objects in pieces, over a backend's asynchronous client: several on their way up, and the next one on its way down.

The coroutines run in the loop of the fsspec file system, which is a thread of its own; here they are only waited for.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, TypeVar

from mlflow_archive.errors import ConflictError, NotFoundError, UnavailableError
from mlflow_archive.storage.budget import FREE_BYTES, Budget, Share
from mlflow_archive.storage.store import in_chunks

T = TypeVar("T")
Task = Coroutine[Any, Any, T]
Translated = Callable[[], AbstractContextManager[None]]

#: A writer holds one of these and sends up to `PiecesWriter.in_flight` more; a reader holds two.
PIECE_BYTES = 8 << 20
#: What all writers of one store may have on its way together.
UPLOAD_BYTES = 128 << 20


class Loop:
    """Runs coroutines in another thread's event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def start(self, task: Task[T]) -> Future[T]:
        """Begin a coroutine."""
        return asyncio.run_coroutine_threadsafe(task, self._loop)

    def run(self, task: Task[T]) -> T:
        """Return a coroutine's result; it is cancelled if the waiting is interrupted."""
        future = self.start(task)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def is_here(self) -> bool:
        """Tell whether this is the loop's own thread (the garbage collector may run in any), which must not wait."""
        try:
            return asyncio.get_running_loop() is self._loop
        except RuntimeError:
            return False


class PiecesWriter:
    """Cuts what is written into pieces and sends them; the last one is left to whoever completes the object.

    Args:
        loop: Where ``send`` runs.
        send: Gets the offset and the bytes of a piece.
        translated: Gives the backend's errors their meaning.
        budget: What all writers of the store may have on its way together.
        in_flight: How many pieces may be on their way at once. With 1 they arrive in order.
        piece_bytes: Size of a piece, by its number.
    """

    def __init__(
        self,
        loop: Loop,
        send: Callable[[int, bytes], Task[None]],
        translated: Translated,
        budget: Budget,
        *,
        in_flight: int,
        piece_bytes: Callable[[int], int],
    ) -> None:
        self._loop = loop
        self._send = send
        self._translated = translated
        self._share = Share(budget)
        self._in_flight = in_flight
        self._piece_bytes = piece_bytes
        self._buffer = bytearray()
        self._waiting: deque[Future[None]] = deque()
        self.count = 0
        self.sent_bytes = 0

    def write(self, data: bytes) -> None:
        """Append; waits while as many pieces as may be are on their way."""
        view = memoryview(data)
        while view:
            limit = self._piece_bytes(self.count)
            if len(self._buffer) >= limit:
                self._flush()
                continue
            if len(self._buffer) + len(view) > FREE_BYTES:
                self._share.collect(limit)
            room = limit - len(self._buffer)
            self._buffer += view[:room]
            view = view[room:]

    def finish(self) -> bytes:
        """Wait until all pieces have arrived; return the rest, which was not sent."""
        with self._translated():
            while self._waiting:
                self._waiting.popleft().result()
        self._share.drop()
        return bytes(self._buffer)

    def cancel(self) -> None:
        """Send nothing any more."""
        self._buffer.clear()
        self._share.drop()
        while self._waiting:
            self._waiting.popleft().cancel()

    def _flush(self) -> None:
        with self._translated():
            while len(self._waiting) >= self._in_flight:
                self._waiting.popleft().result()
        data = bytes(self._buffer)
        self._buffer.clear()
        sent = self._share.send()
        sending = self._loop.start(self._send(self.sent_bytes, data))
        sending.add_done_callback(lambda _: sent())
        self._waiting.append(sending)
        self.count += 1
        self.sent_bytes += len(data)


@dataclass(frozen=True, slots=True)
class Piece:
    """A range of an object.

    Attributes:
        data: Its bytes.
        total_bytes: The size of the whole object.
        version: What tells this object from another under the same key.
    """

    data: bytes
    total_bytes: int
    version: str


#: Gets a range, by offset and length; of a certain version, if one is given.
Fetch = Callable[[int, int, "str | None"], "Task[Piece]"]


def read_pieces(
    loop: Loop, fetch: Fetch, translated: Translated, *, start: int = 0, size_bytes: int | None = None
) -> Iterator[bytes]:
    """Yield a range of an object in chunks: one request if it is small, and all pieces of one version.

    A fetch of what lies beyond the object's end gives an empty piece with the offset as total.
    """
    first = PIECE_BYTES if size_bytes is None else min(max(size_bytes, 1), PIECE_BYTES)  # for none, look if it is there
    with translated():
        piece = loop.run(fetch(start, first, None))
    end = piece.total_bytes if size_bytes is None else min(piece.total_bytes, start + size_bytes)
    offset = start
    while offset < end:
        after = offset + len(piece.data)
        if not piece.data:
            raise UnavailableError(f"An object ended at byte {offset:,} of {end:,} while it was read.")
        coming = loop.start(fetch(after, min(end - after, PIECE_BYTES), piece.version)) if after < end else None
        try:
            yield from in_chunks(piece.data)
            if coming is not None:
                piece = _later(coming, translated)
        finally:
            if coming is not None:
                coming.cancel()
        offset = after


def _later(coming: Future[Piece], translated: Translated) -> Piece:
    try:
        with translated():
            return coming.result()
    except (ConflictError, NotFoundError) as error:
        raise UnavailableError("An object was replaced or deleted while it was read.") from error
