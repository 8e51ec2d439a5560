"""One file on its way to DBFS: whole in one request if it is small, else block by block.

DBFS may show a file while it is written, so it is written under a name of its own. An answer that got lost leaves it
open whether a block was appended; the block is sent again, and the size at the end shows whether it was there twice.
"""

from __future__ import annotations

import base64
import threading

from mlflow_archive.storage.budget import Budget, Share
from mlflow_archive.storage.databricks_api import DatabricksApi, FaultError
from mlflow_archive.storage.partial import partial_name

#: The most that one request takes, before it is encoded.
BLOCK_BYTES = 1 << 20
#: A file up to this size goes in one request: encoded it is below the limit, however that is counted.
_WHOLE_BYTES = 700 << 10
#: DBFS closes a file that nothing was appended to for ten minutes. So much earlier some bytes are sent ...
_IDLE_SECONDS = 240.0
#: ... of those that are held back for that, a few at a time: some four hours.
_HELD_BYTES = 64 << 10
_SIP_BYTES = 1 << 10


class BlockUpload:
    """Takes bytes; they are at `path` after `finish`. For one thread; a second one keeps the file open.

    Args:
        api: The workspace.
        folder: Absolute path of the folder, which the first request makes.
        budget: Shared by all uploads of the store, for the blocks on their way; what is collected is one block.
        idle_seconds: So long after the last block some bytes are sent to keep the file open.
    """

    def __init__(self, api: DatabricksApi, folder: str, budget: Budget, *, idle_seconds: float = _IDLE_SECONDS) -> None:
        """See the class; nothing is sent yet."""
        self.path = ""
        self._api = api
        self._folder = folder
        self._share = Share(budget)
        self._idle_seconds = idle_seconds
        self._buffer = bytearray()
        self._handle: int | None = None
        self._sent_bytes = 0
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._spent = threading.Event()
        self._fault: FaultError | None = None

    def write(self, data: bytes) -> None:
        """Append; all but the last bytes are sent at once."""
        with self._lock:
            self._require_whole()
            view = memoryview(data)
            while view:
                taken = view[:BLOCK_BYTES]
                view = view[BLOCK_BYTES:]
                self._buffer += taken
                while len(self._buffer) >= BLOCK_BYTES + _HELD_BYTES:
                    self._send(BLOCK_BYTES)

    def finish(self) -> int:
        """Send the rest, and make sure that all is there; return the size."""
        with self._lock:
            self._require_whole()
            if self._handle is None and len(self._buffer) <= _WHOLE_BYTES:
                self._put()
            else:
                while self._buffer:
                    self._send(BLOCK_BYTES)
                self._close()
        return self._sent_bytes

    def discard(self) -> None:
        """Delete what was sent; harmless at any time. The place of a finished file must have been forgotten before.

        Raises:
            FaultError: It could not be deleted; a later sweep does it.
        """
        self._over.set()
        with self._lock:
            if not self.path:
                return
            if self._handle is not None:
                handle, self._handle = self._handle, None
                try:
                    self._api.once("POST", "/api/2.0/dbfs/close", body={"handle": handle})
                except FaultError:
                    self._fault = None  # DBFS closes it by itself
            self._api.call("POST", "/api/2.0/dbfs/delete", body={"path": self.path, "recursive": False})
            self.path = ""

    def forget(self) -> None:
        """Take note that the file has another name now."""
        self.path = ""

    def _put(self) -> None:
        self.path = f"{self._folder}/{partial_name()}"
        contents = base64.b64encode(self._buffer).decode()
        body = {"path": self.path, "contents": contents, "overwrite": True}
        self._api.call("POST", "/api/2.0/dbfs/put", body=body)
        self._sent_bytes = len(self._buffer)

    def _send(self, size_bytes: int) -> None:
        if self._handle is None:
            self._handle = self._api.repeat(self._create)
            threading.Thread(target=self._keep_open, name="mlflow-archive-dbfs", daemon=True).start()
        block = self._buffer[:size_bytes]
        self._share.collect(len(block))
        sent = self._share.send()
        try:
            body = {"handle": self._handle, "data": base64.b64encode(block).decode()}
            self._api.call("POST", "/api/2.0/dbfs/add-block", body=body)
        except FaultError as fault:
            if fault.absent:
                said = "it stood still for more than ten minutes, and DBFS gave it up"
                raise FaultError(0, "", said, hopeful=False) from None
            raise
        finally:
            sent()
        del self._buffer[:size_bytes]
        self._sent_bytes += len(block)
        self._spent.set()

    def _create(self) -> int:
        # Under a fresh name each time: a file whose handle was lost in an answer is closed by DBFS ten minutes later.
        self.path = f"{self._folder}/{partial_name()}"
        answer = self._api.once("POST", "/api/2.0/dbfs/create", body={"path": self.path, "overwrite": True})
        return int(answer["handle"])

    def _close(self) -> None:
        self._over.set()
        try:
            self._api.call("POST", "/api/2.0/dbfs/close", body={"handle": self._handle})
        except FaultError as fault:
            if not fault.absent:  # closed already, or an answer got lost: the size tells
                raise
        self._handle = None
        found = self._api.call("GET", "/api/2.0/dbfs/get-status", query={"path": self.path})
        size = int(found.get("file_size", 0))
        if size != self._sent_bytes:
            said = f"{self._sent_bytes:,} bytes were sent and {size:,} are there"
            raise FaultError(0, "", said, hopeful=False)

    def _require_whole(self) -> None:
        if self._fault is not None:
            raise self._fault

    def _keep_open(self) -> None:
        while not self._over.is_set():
            self._spent.clear()
            if self._spent.wait(self._idle_seconds) or self._over.is_set():
                continue
            with self._lock:
                if self._handle is None or self._over.is_set() or len(self._buffer) <= _SIP_BYTES:
                    continue
                try:
                    self._send(_SIP_BYTES)
                except FaultError as fault:
                    self._fault = fault
                    return
