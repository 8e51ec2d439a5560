"""A tarball on its way to its place: frames are compressed by a few threads and written, in order, by one more.

So reading, compressing and uploading overlap. What waits is bounded.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from contextlib import suppress
from dataclasses import dataclass

from mlflow_archive.errors import UnavailableError, UsageError
from mlflow_archive.storage.packed.codec import Codec
from mlflow_archive.storage.store import Store

#: So many frames wait to be written at most.
_DEPTH = 4
#: How an executor words that it takes nothing any more.
_ENDED = "cannot schedule new futures"
#: So often a thread that waits for its turn looks whether there will be one.
_PATIENCE_SECONDS = 1.0


class FrameWriter:
    """Writes one object of a store out of frames. `finish` or `abort` ends it; only `finish` makes it visible."""

    def __init__(self, store: Store, key: str, codec: Codec, pool: Executor) -> None:
        """Begin an object; nothing is asked of the store before the first frame."""
        self.key = key
        self.stored_bytes = 0
        """How many bytes of frames were handed to the store."""
        self.table_bytes = 0
        """How many bytes followed the frames; 0 before `finish`."""
        self._store = store
        self._codec = codec
        self._pool = pool
        self._jobs: queue.Queue[_Job] = queue.Queue(_DEPTH)
        self._error: BaseException | None = None
        self._ended = False
        self._thread: threading.Thread | None = None

    def submit(self, data: bytes, *, uniform: bool, written: Callable[[int, int], None]) -> None:
        """Hand on the next frame; blocks while too many wait.

        Args:
            data: Of the tar.
            uniform: It is of one member, see `Codec.frame`.
            written: Is told the frame's size as stored and its content's, in the order of the frames.

        Raises:
            UsageError: The object was ended.
            MlflowArchiveError: The store failed, now or at an earlier frame.
        """
        self.require_working()
        try:
            frame = self._pool.submit(self._codec.frame, data, uniform=uniform)
            if self._thread is None:
                thread = threading.Thread(target=self._run, name=f"packing {self.key}", daemon=True)
                thread.start()
                self._thread = thread
            self._hand_on(_Job(frame, len(data), written))
        except RuntimeError as error:  # the threads were ended, or there can be no more of them
            self._ended = self._ended or _ENDED in str(error)
            self._lose()
        except BaseException:
            self._lose()
            raise
        self.require_working()

    def finish(self, tail: Callable[[], bytes]) -> None:
        """Write what follows the last frame and make the object visible.

        Raises:
            ConflictError: There is one under the key.
            MlflowArchiveError: The store failed; nothing is visible.
        """
        self._hand_on(_Job(tail=tail))
        self._join()
        if self._error is not None:
            raise self._error

    def abort(self) -> None:
        """End without a trace; harmless after `finish`."""
        if self._thread is not None and self._thread.is_alive():
            self._jobs.put(_Job())
            self._join()
        self._ended = True

    def require_working(self) -> None:
        """Require that frames can be handed on.

        Raises:
            UsageError: The object was ended.
            MlflowArchiveError: The store failed.
        """
        if self._error is not None:
            raise self._error
        if self._ended:
            raise UsageError(f"Nothing can be added to {self.key}: it was ended.")

    def _lose(self) -> None:
        """Never show the object: a frame is lost, and what comes after it would be where nobody looks for it."""
        if self._error is None and not self._ended:
            self._error = UnavailableError(
                f"{self.key} cannot be completed, as a piece of it was lost: this process was interrupted or could "
                "start no more threads."
            )

    def _hand_on(self, job: _Job) -> None:
        """Wait for room in the queue, as long as somebody takes from it."""
        while True:
            self.require_working()
            with suppress(queue.Full):
                self._jobs.put(job, timeout=_PATIENCE_SECONDS)
                return

    def _join(self) -> None:
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        job: _Job | None = None
        try:
            with self._store.write(self.key, exclusive=True) as writer:
                while (job := self._jobs.get()).frame is not None:
                    frame = job.frame.result()
                    writer.write(frame)
                    self.stored_bytes += len(frame)
                    job.written(len(frame), job.tar_bytes)
                tail = job.make_tail()
                writer.write(tail)
                self.table_bytes = len(tail)
        except _AbortedError:
            return
        except BaseException as error:  # noqa: BLE001  # raised again in the thread that hands on frames
            self._error = error
            while job is None or job.frame is not None:
                job = self._jobs.get()
        finally:
            self._ended = True


class _AbortedError(Exception):
    """Ends the upload from within."""


@dataclass(frozen=True, slots=True)
class _Job:
    """A frame; or, without one, the end: with a tail to write, or without any to abort."""

    frame: Future[bytes] | None = None
    tar_bytes: int = 0
    written: Callable[[int, int], None] = lambda stored, tar: None  # noqa: ARG005
    tail: Callable[[], bytes] | None = None

    def make_tail(self) -> bytes:
        """Return what follows the last frame."""
        if self.tail is None:
            raise _AbortedError
        return self.tail()
