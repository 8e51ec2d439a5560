"""Azure Blob Storage and Data Lake Storage as a store: blobs in blocks, over the client that adlfs has signed in.

adlfs' own files complete an upload whatever happens, and wait for each block before they take the next.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from typing import Any

from azure.core import MatchConditions
from azure.core.exceptions import HttpResponseError
from azure.storage.blob import BlobBlock

from mlflow_archive.errors import NotFoundError
from mlflow_archive.storage.pieces import PIECE_BYTES, Fetch, Piece, Task
from mlflow_archive.storage.pieces_store import WRITER, Page, PiecesStore

#: Azure takes 50,000 blocks: after each 5,000 they are twice as large, up to 256 MiB, which is enough for 7 TB.
_BLOCKS_OF_A_SIZE = 5_000
_DOUBLINGS = 5


class AzureStore(PiecesStore):
    """Blobs of one container below a folder, over adlfs' file system.

    A blob appears when its list of blocks is committed. Blocks of a write that was ended have no name and cannot be
    deleted; Azure does so after a week.
    """

    def size_bytes(self, key: str) -> int | None:
        """Return the size of a blob, None if there is none."""
        try:
            properties = self._about(key)
        except NotFoundError:
            return None
        return None if _is_folder(properties) else int(properties.size)

    def delete(self, key: str) -> None:
        """Delete a blob, if it is there."""
        blob = self._blob(key)
        with suppress(NotFoundError), self._translated(key):
            self._loop.run(blob.delete_blob())

    def _blob(self, key: str) -> Any:
        return self._fs.service_client.get_blob_client(self._bucket, self._name(key))

    def _about(self, key: str) -> Any:
        blob = self._blob(key)
        with self._translated(key):
            return self._loop.run(blob.get_blob_properties())

    def _writer_of(self, key: str) -> str | None:
        return (self._about(key).metadata or {}).get(WRITER)

    def _upload(self, key: str, *, exclusive: bool) -> _Upload:
        return _Upload(self._blob(key), exclusive=exclusive)

    def _fetch(self, key: str) -> Fetch:
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

        return fetch

    def _pages(self, start: str, folder: str) -> Iterator[Page]:
        container = self._fs.service_client.get_container_client(self._bucket)
        pages = container.list_blobs(name_starts_with=start, include=["metadata"]).by_page()
        while True:
            with self._translated(folder):
                page = self._loop.run(_next_page(pages))
            if page is None:
                return
            yield [(found.name, int(found.size)) for found in page if not _is_folder(found)]


class _Upload:
    """One blob on its way: a single request, or blocks."""

    #: Blocks that are on their way at once.
    in_flight = 3

    def __init__(self, blob: Any, *, exclusive: bool) -> None:
        self._blob = blob
        self._exclusive = exclusive
        self._ids: list[str] = []
        self.writer = uuid.uuid4().hex

    def piece_bytes(self, count: int) -> int:
        return PIECE_BYTES << min(count // _BLOCKS_OF_A_SIZE, _DOUBLINGS)

    def send(self, _offset: int, data: bytes) -> Task[None]:
        """Send a block; its place among the others is that of the call."""
        sent: Task[None] = self._blob.stage_block(self._begin_block(), data, length=len(data))
        return sent

    async def complete(self, rest: bytes) -> None:
        """Send the last block and commit all, or send the whole blob."""
        marks = {WRITER: self.writer}
        if not self._ids:
            await self._blob.upload_blob(rest, length=len(rest), overwrite=not self._exclusive, metadata=marks)
            return
        condition = {"match_condition": MatchConditions.IfMissing} if self._exclusive else {}
        await self._blob.stage_block(self._begin_block(), rest, length=len(rest))
        await self._blob.commit_block_list([BlobBlock(id) for id in self._ids], metadata=marks, **condition)

    def _begin_block(self) -> str:
        self._ids.append(uuid.uuid4().hex)
        return self._ids[-1]


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
