"""What stores have in common that reach their service through the asynchronous client of an fsspec file system."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol

from mlflow_archive.errors import ConflictError, NotFoundError
from mlflow_archive.spec.paths import check_path
from mlflow_archive.storage.budget import Budget
from mlflow_archive.storage.faults import too_large, translated
from mlflow_archive.storage.keys import KeyCheck
from mlflow_archive.storage.partial import is_partial
from mlflow_archive.storage.pieces import UPLOAD_BYTES, Fetch, Loop, PiecesWriter, Task, read_pieces
from mlflow_archive.storage.store import ByteWriter, Store, StoredObject

#: Metadata by which a writer knows its own object again, when the answer to its request was lost and it was repeated.
WRITER = "mlflow_archive_writer"

#: Names and sizes.
Page = list[tuple[str, int]]


class Upload(Protocol):
    """One object on its way: pieces, then the rest, upon which it appears.

    Attributes:
        writer: What `WRITER` is of this object.
        in_flight: How many pieces may be on their way at once. With 1 they arrive in order.
    """

    writer: str
    in_flight: int

    def piece_bytes(self, count: int) -> int:
        """Return the size of a piece by its number."""
        ...

    def send(self, offset: int, data: bytes) -> Task[None]:
        """Send a piece that is not the last one."""
        ...

    async def complete(self, rest: bytes) -> None:
        """Send what is left, and make the object visible."""
        ...


class PiecesStore(Store):
    """Objects of one bucket below a folder, which go up and come down in pieces.

    Args:
        fs: The fsspec file system that has signed in.
        root: Bucket and folder.
        url: The same for people.
        check: Returns a key, or raises if it may not be one.
        upload_bytes: What all uploads together may take in memory.
    """

    def __init__(
        self, fs: Any, root: str, url: str, *, check: KeyCheck = check_path, upload_bytes: int = UPLOAD_BYTES
    ) -> None:
        """See the class."""
        self._check = check
        self.url = url
        self._fs = fs
        self._loop = Loop(fs.loop)
        self._budget = Budget(upload_bytes)
        self._bucket, _, folder = root.strip("/").partition("/")
        self._start = f"{folder}/" if folder else ""

    @contextmanager
    def write(
        self,
        key: str,
        *,
        size_bytes: int | None = None,  # noqa: ARG002
        exclusive: bool = False,
    ) -> Iterator[ByteWriter]:
        """Write one object: in one request if it is small, else in pieces."""
        upload = self._upload(key, exclusive=exclusive)
        pieces = PiecesWriter(
            self._loop,
            upload.send,
            lambda: self._translated(key, writing=True),
            self._budget,
            in_flight=upload.in_flight,
            piece_bytes=upload.piece_bytes,
        )
        try:
            yield pieces
            rest = pieces.finish()
            if exclusive and pieces.count:
                self._before_large(key)
            self._complete(key, upload, rest)
        except BaseException:
            pieces.cancel()
            self._discard(upload)
            raise

    def create(self, key: str, data: bytes) -> None:
        """Write a small object if there is none, which the service itself decides."""
        self._complete(key, self._upload(key, exclusive=True), data)

    def read(self, key: str, *, start: int = 0, size_bytes: int | None = None) -> Iterator[bytes]:
        """Yield an object or a range of it."""
        fetch = self._fetch(key)
        yield from read_pieces(self._loop, fetch, lambda: self._translated(key), start=start, size_bytes=size_bytes)

    def read_all(self, key: str, *, limit_bytes: int) -> bytes:
        """Return a whole small object."""
        data = b"".join(self.read(key, size_bytes=limit_bytes + 1))
        if len(data) > limit_bytes:
            raise too_large(key, limit_bytes)
        return data

    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        """Yield all objects below a folder, a page at a time."""
        folder = prefix.rstrip("/")
        pages = self._pages(self._name(folder) + "/" if folder else self._start, folder)
        while True:
            try:
                page = next(pages, None)
            except NotFoundError:
                return
            if page is None:
                return
            for name, size in page:
                key = name[len(self._start) :]
                if not is_partial(key):
                    yield StoredObject(key, size)

    def sweep(self) -> int:
        """Return 0: an interrupted write leaves nothing that has a name."""
        return 0

    @abstractmethod
    def _upload(self, key: str, *, exclusive: bool) -> Upload:
        """Return an upload of which nothing was sent yet."""

    @abstractmethod
    def _fetch(self, key: str) -> Fetch:
        """Return what gets ranges of an object."""

    @abstractmethod
    def _pages(self, start: str, folder: str) -> Iterator[Page]:
        """Yield names and sizes of the objects whose names begin so, a page a request."""

    @abstractmethod
    def _writer_of(self, key: str) -> str | None:
        """Return the `WRITER` of the object that is there."""

    def _before_large(self, key: str) -> None:
        """Do what is to be done before an exclusive upload in pieces is completed."""

    def _discard(self, upload: Any) -> None:
        """Give up what was sent."""

    def _name(self, key: str) -> str:
        return self._start + self._check(key)

    def _complete(self, key: str, upload: Upload, rest: bytes) -> None:
        try:
            with self._translated(key, writing=True):
                self._loop.run(upload.complete(rest))
        except ConflictError:
            if self._writer_of(key) != upload.writer:
                raise

    def _translated(self, key: str, *, writing: bool = False) -> AbstractContextManager[None]:
        return translated(self.url, key, writing=writing)
