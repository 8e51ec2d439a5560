"""Writes members into one tarball."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager

from mlflow_archive.errors import UnavailableError
from mlflow_archive.storage.packed.codec import Codec
from mlflow_archive.storage.packed.headers import END, header, padding
from mlflow_archive.storage.packed.order import Order
from mlflow_archive.storage.packed.pipeline import FrameWriter
from mlflow_archive.storage.packed.tail import make_tail
from mlflow_archive.storage.packed.toc import TableBuilder
from mlflow_archive.storage.packed.turns import Turn
from mlflow_archive.storage.store import ByteWriter, Store

#: Small members are grouped to frames of about this size. 1 MiB.
GROUP_BYTES = 1 << 20
#: Big ones are divided into frames of this size. 4 MiB.
PIECE_BYTES = 4 << 20


class Packer:
    """One tarball in the making, for several threads. `finish` or `abort` ends it.

    Members follow one another; one that is streamed keeps the others waiting, and a thread in the middle of one is
    refused another.
    """

    def __init__(self, store: Store, key: str, codec: Codec, pool: Executor, order: Order | None = None) -> None:
        """Begin a tarball under ``key`` of a store; nothing is asked of the store before the first frame.

        Args:
            store: Takes the tarball.
            key: Its key.
            codec: Compresses.
            pool: Its threads do.
            order: Tells which write of a key counts among several tarballs.
        """
        self._codec = codec
        self._frames = FrameWriter(store, key, codec, pool)
        self._table = TableBuilder()
        self._order = order or Order()
        self._order.begin(self._table)
        self._turn = Turn()
        self.ended = 0
        """How many of the tarballs were ended before this one, and this one; 0 before `finish`."""
        self._group: list[bytes] = []
        self._group_bytes = 0
        self._tar_bytes = 0

    @property
    def key(self) -> str:
        """Where the tarball will be."""
        return self._frames.key

    @property
    def stored_bytes(self) -> int:
        """How many bytes of frames are written, without what waits."""
        return self._frames.stored_bytes

    @property
    def table_bytes(self) -> int:
        """How many bytes follow them: the table and the footer; 0 before `finish`."""
        return self._frames.table_bytes

    def add(self, key: str, chunks: list[bytes], size_bytes: int, *, flush: bool = False) -> None:
        """Add a whole member.

        Args:
            key: Its name.
            chunks: Its bytes, held in memory.
            size_bytes: How many they are.
            flush: End the frame after it, so that it is read without others.

        Raises:
            UsageError: This thread is in the middle of a member, or the tarball is complete.
            MlflowArchiveError: The store failed.
        """
        with self._turn:
            self._frames.require_working()
            if size_bytes >= GROUP_BYTES:
                self._flush()
            self._begin(key, size_bytes)
            self._put(*chunks, padding(size_bytes))
            self._order.note(self._table, key, self._tar_bytes - size_bytes - len(padding(size_bytes)), size_bytes)
            if flush or self._group_bytes >= GROUP_BYTES:
                self._flush(uniform=size_bytes >= GROUP_BYTES)

    @contextmanager
    def stream(self, key: str, size_bytes: int) -> Iterator[ByteWriter]:
        """Add a member of known size as it comes.

        After an exception it is filled up with zeros and stands in no table.

        Raises:
            UsageError: This thread is in the middle of a member, or the tarball is complete.
            UnavailableError: Another number of bytes came.
            MlflowArchiveError: The store failed.
        """
        with self._turn:
            self._frames.require_working()
            self._flush()
            self._begin(key, size_bytes)
            start = self._tar_bytes
            member = _Streamed(self, size_bytes)
            try:
                yield member
                member.require_whole(key)
                self._order.note(self._table, key, start, size_bytes)
            finally:
                self._fill(start + size_bytes - self._tar_bytes)
                self._put(padding(size_bytes))
                self._flush(uniform=True)

    def drop(self, key: str) -> None:
        """Leave a member out of the table."""
        self._order.drop(self._table, key)

    def find(self, key: str) -> int | None:
        """Return the size of a member that was added; looks through all of them."""
        return self._order.find(self._table, key)

    def members(self) -> list[tuple[str, int]]:
        """Return keys and sizes of what was added."""
        return self._order.members(self._table)

    def finish(self) -> None:
        """Write the table and make the tarball visible.

        Raises:
            ConflictError: There is something under its key.
            MlflowArchiveError: The store failed.
        """
        with self._turn:
            self._put(END)
            self._flush()
            self._frames.finish(self._make_tail)

    def abort(self) -> None:
        """Leave nothing behind; harmless after `finish`."""
        self._frames.abort()

    def piece(self, data: bytes) -> None:
        """Take bytes of the member that is being streamed."""
        self._put(data)
        if self._group_bytes >= PIECE_BYTES:
            self._flush(uniform=True)

    def _make_tail(self) -> bytes:
        self.ended = self._order.end(self._table)
        return make_tail(self._table.build(self._tar_bytes, frames=self._codec.name != "none"), self._codec)

    def _begin(self, key: str, size_bytes: int) -> None:
        self._put(header(key, size_bytes))

    def _put(self, *chunks: bytes) -> None:
        for chunk in chunks:
            self._group.append(chunk)
            self._group_bytes += len(chunk)
            self._tar_bytes += len(chunk)

    def _fill(self, size_bytes: int) -> None:
        zeros = bytes(min(PIECE_BYTES, max(0, size_bytes)))
        while size_bytes > 0:
            self.piece(zeros[:size_bytes])
            size_bytes -= len(zeros)

    def _flush(self, *, uniform: bool = False) -> None:
        if not self._group_bytes:
            return
        data = self._group[0] if len(self._group) == 1 else b"".join(self._group)
        self._group, self._group_bytes = [], 0
        self._frames.submit(data, uniform=uniform, written=self._table.add_frame)


class _Streamed:
    """Takes a streamed member; what is too much is counted and not kept, so that the caller can say why."""

    def __init__(self, packer: Packer, size_bytes: int) -> None:
        self._packer = packer
        self._expected = size_bytes
        self._seen = 0

    def write(self, data: bytes) -> None:
        """Append."""
        kept = data[: max(0, self._expected - self._seen)]
        self._seen += len(data)
        for at in range(0, len(kept), PIECE_BYTES):
            self._packer.piece(kept[at : at + PIECE_BYTES] if len(kept) > PIECE_BYTES else kept)

    def require_whole(self, key: str) -> None:
        """Require the announced number of bytes."""
        if self._seen != self._expected:
            raise UnavailableError(
                f"{key} was announced with {self._expected:,} bytes and came with {self._seen:,}: it is being changed "
                "at the source.",
                code="changed",
            )
