"""Azure Blob Storage and Data Lake Storage as a store: blobs in blocks, over the client that adlfs has signed in.

adlfs' own files complete an upload whatever happens, and wait for each block before they take the next.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import TYPE_CHECKING, Any

from azure.core import MatchConditions
from azure.core.exceptions import HttpResponseError
from azure.storage.blob import BlobBlock

from mlflow_archive.errors import ConflictError, NotFoundError
from mlflow_archive.spec.paths import check_path
from mlflow_archive.storage.budget import Budget
from mlflow_archive.storage.faults import too_large, translated
from mlflow_archive.storage.partial import is_partial
from mlflow_archive.storage.pieces import PIECE_BYTES, UPLOAD_BYTES, Loop, Piece, PiecesWriter, read_pieces
from mlflow_archive.storage.store import ByteWriter, Store, StoredObject

if TYPE_CHECKING:
    from adlfs import AzureBlobFileSystem

#: Blocks of one blob that are on their way at once.
_IN_FLIGHT = 3
#: Azure takes 50,000 blocks: after each 5,000 they are twice as large, up to 256 MiB, which is enough for 7 TB.
_BLOCKS_OF_A_SIZE = 5_000
_DOUBLINGS = 5
#: Metadata by which a writer knows its own blob again, when the answer to its request was lost and it was repeated.
_WRITER = "mlflow_archive_writer"


class AzureStore(Store):
    """Blobs of one container below a folder.

    A blob appears when its list of blocks is committed. Blocks of a write that was ended have no name, and Azure
    deletes them after a week.

    Args:
        fs: adlfs' file system.
        root: Container and folder.
        url: The same for people.
        check: Returns a key, or raises if it may not be one.
    """

    def __init__(
        self,
        fs: AzureBlobFileSystem,
        root: str,
        url: str,
        *,
        check: Callable[[str], str] = check_path,
        upload_bytes: int = UPLOAD_BYTES,
    ) -> None:
        """See the class."""
        self._check = check
        self.url = url
        self._fs = fs
        self._loop = Loop(fs.loop)
        self._budget = Budget(upload_bytes)
        self._container, _, folder = root.strip("/").partition("/")
        self._start = f"{folder}/" if folder else ""

    @contextmanager
    def write(
        self,
        key: str,
        *,
        size_bytes: int | None = None,  # noqa: ARG002
        exclusive: bool = False,
    ) -> Iterator[ByteWriter]:
        """Write one blob: in one request if it is small, else in blocks."""
        blob = self._blob(key)
        ids: list[str] = []

        def send(_offset: int, data: bytes) -> Any:
            ids.append(uuid.uuid4().hex)
            return blob.stage_block(ids[-1], data, length=len(data))

        pieces = PiecesWriter(
            self._loop,
            send,
            lambda: self._translated(key, writing=True),
            self._budget,
            in_flight=_IN_FLIGHT,
            piece_bytes=lambda count: PIECE_BYTES << min(count // _BLOCKS_OF_A_SIZE, _DOUBLINGS),
        )
        try:
            yield pieces
            rest = pieces.finish()
            self._complete(key, blob, ids, rest, exclusive=exclusive)
        except BaseException:
            pieces.cancel()
            raise

    def create(self, key: str, data: bytes) -> None:
        """Write a small blob if there is none, which Azure itself decides."""
        self._complete(key, self._blob(key), [], data, exclusive=True)

    def read(self, key: str, *, start: int = 0, size_bytes: int | None = None) -> Iterator[bytes]:
        """Yield a blob or a range of it."""
        blob = self._blob(key)

        async def fetch(offset: int, length: int, version: str | None) -> Piece:
            condition = {"etag": version, "match_condition": MatchConditions.IfNotModified} if version else {}
            try:
                download = await blob.download_blob(offset, length, **condition)
            except HttpResponseError as error:
                if error.status_code != 416:  # the range begins at the end, or the blob is empty
                    raise
                _require_object(await blob.get_blob_properties())
                return Piece(b"", offset, "")
            _require_object(download.properties)
            total = int(str(download.properties.content_range).rpartition("/")[2])
            return Piece(await download.readall(), total, download.properties.etag)

        yield from read_pieces(self._loop, fetch, lambda: self._translated(key), start=start, size_bytes=size_bytes)

    def read_all(self, key: str, *, limit_bytes: int) -> bytes:
        """Return a whole small blob."""
        data = b"".join(self.read(key, size_bytes=limit_bytes + 1))
        if len(data) > limit_bytes:
            raise too_large(key, limit_bytes)
        return data

    def size_bytes(self, key: str) -> int | None:
        """Return the size of a blob, None if there is none."""
        blob = self._blob(key)
        try:
            with self._translated(key):
                properties = self._loop.run(blob.get_blob_properties())
        except NotFoundError:
            return None
        return None if _is_folder(properties) else int(properties.size)

    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        """Yield all blobs below a folder, a page at a time."""
        yield from (found for found in self._find(prefix.rstrip("/")) if not is_partial(found.key))

    def delete(self, key: str) -> None:
        """Delete a blob, if it is there."""
        blob = self._blob(key)
        with suppress(NotFoundError), self._translated(key):
            self._loop.run(blob.delete_blob())

    def sweep(self) -> int:
        """Return 0: an interrupted write leaves nothing that has a name."""
        return 0

    def _blob(self, key: str) -> Any:
        return self._fs.service_client.get_blob_client(self._container, self._start + self._check(key))

    def _complete(self, key: str, blob: Any, sent: Sequence[str], rest: bytes, *, exclusive: bool) -> None:
        writer = uuid.uuid4().hex
        marks = {_WRITER: writer}
        condition = {"match_condition": MatchConditions.IfMissing} if exclusive else {}

        async def complete() -> None:
            if not sent:
                await blob.upload_blob(rest, length=len(rest), overwrite=not exclusive, metadata=marks)
                return
            ids = [*sent, uuid.uuid4().hex]
            await blob.stage_block(ids[-1], rest, length=len(rest))
            await blob.commit_block_list([BlobBlock(id) for id in ids], metadata=marks, **condition)

        try:
            with self._translated(key, writing=True):
                self._loop.run(complete())
        except ConflictError:
            with self._translated(key, writing=True):
                found = self._loop.run(blob.get_blob_properties())
            if (found.metadata or {}).get(_WRITER) != writer:
                raise

    def _find(self, folder: str) -> Iterator[StoredObject]:
        start = self._start + (f"{self._check(folder)}/" if folder else "")
        container = self._fs.service_client.get_container_client(self._container)
        pages = container.list_blobs(name_starts_with=start, include=["metadata"]).by_page()
        while True:
            try:
                with self._translated(folder):
                    page = self._loop.run(_next_page(pages))
            except NotFoundError:
                return
            if page is None:
                return
            for found in page:
                if not _is_folder(found):
                    yield StoredObject(found.name[len(self._start) :], int(found.size))

    def _translated(self, key: str, *, writing: bool = False) -> AbstractContextManager[None]:
        return translated(self.url, key, writing=writing)


def _require_object(properties: Any) -> None:
    if _is_folder(properties):
        raise FileNotFoundError(properties.name)


def _is_folder(properties: Any) -> bool:
    """Tell whether a blob stands for a folder, as in accounts with a hierarchical namespace."""
    metadata = {name.lower(): value for name, value in (properties.metadata or {}).items()}
    return str(metadata.get("hdi_isfolder", "")).lower() == "true"


async def _next_page(pages: AsyncIterator[AsyncIterator[Any]]) -> list[Any] | None:
    try:
        page = await pages.__anext__()
    except StopAsyncIteration:
        return None
    return [found async for found in page]
