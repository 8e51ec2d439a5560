"""A bucket of S3, or of a service that speaks as S3 does, as a store.

Each request costs money and a round trip, so a small object is one request to write and one to read. Large ones go
in parts, several at once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta, timezone
from typing import Any

from mlflow_archive.errors import (
    ConflictError,
    MlflowArchiveError,
    NotAuthorisedError,
    NotFoundError,
    UnavailableError,
    UnsupportedError,
)
from mlflow_archive.spec.paths import check_path
from mlflow_archive.storage.budget import Budget
from mlflow_archive.storage.faults import TranslatedWriter, taken, too_large, translated
from mlflow_archive.storage.keys import KeyCheck
from mlflow_archive.storage.s3_bucket import Block
from mlflow_archive.storage.s3_obstore import open_bucket
from mlflow_archive.storage.s3_upload import Upload
from mlflow_archive.storage.store import ByteWriter, Store, StoredObject, in_chunks

#: Size of one range of a large object, and how many ranges are fetched ahead of the reader.
BLOCK_BYTES = 8 << 20
BLOCKS_AHEAD = 3
#: Bytes that all uploads of one store together may have under way.
UPLOAD_BYTES = 256 << 20
#: An unfinished upload to which nothing came for so long is nobody's any more.
ABANDONED_AFTER = timedelta(hours=1)


class S3Store(Store):
    """Objects below a prefix of a bucket.

    `create` and exclusive writes look whether there is something, then write with ``If-None-Match: *``. They are atomic
    where the service knows that (AWS, MinIO, Ceph, R2). One that ignores it (rclone), or answers it with an error and
    gets the object without, lets the last of several writers that come at the same moment win. The second kind is
    told of by a warning, once; the first shows only when it is tried out, as `doctor` does.

    Args:
        fs: An ``s3fs.S3FileSystem`` of its own (``skip_instance_cache``).
        root: Bucket and prefix, as ``fs`` has them.
        url: The same for people, without credentials.
        check: What keys may be.
    """

    def __init__(
        self, fs: Any, root: str, url: str, *, check: KeyCheck = check_path, upload_bytes: int = UPLOAD_BYTES
    ) -> None:
        """See the class."""
        self.url = url
        bucket, prefix, _ = fs.split_path(root.rstrip("/"))
        self._bucket = open_bucket(fs, bucket)
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self._check = check
        self._budget = Budget(upload_bytes)

    @contextmanager
    def write(self, key: str, *, size_bytes: int | None = None, exclusive: bool = False) -> Iterator[ByteWriter]:
        """Write one object; see `Store.write`."""
        upload = Upload(self._bucket, self._place(key), self._budget, size_bytes)
        try:
            yield TranslatedWriter(self.url, key, upload)
            if exclusive:
                self._require_free(key)
            try:
                with translated(self.url, key, writing=True):
                    upload.commit(exclusive=exclusive)
            except (ConflictError, UnavailableError):
                # A request that was repeated because its answer was lost finds its own work done.
                if not self._is_done(key, upload):
                    raise
        except BaseException:
            with suppress(MlflowArchiveError), translated(self.url, key, writing=True):
                upload.discard()
            raise

    def create(self, key: str, data: bytes) -> None:
        """Write an object if there is none."""
        self._require_free(key)
        place = self._place(key)
        try:
            with translated(self.url, key, writing=True):
                self._bucket.call_if_none("put_object", Key=place, Body=data)
        except ConflictError:
            # A request that was repeated because its answer was lost finds what it has written itself, and no package
            # tells each time that it repeated one. What is written this way holds an id or a time of its writer.
            if self.read_all(key, limit_bytes=len(data) + 1) != data:
                raise

    def read(self, key: str, *, start: int = 0, size_bytes: int | None = None) -> Iterator[bytes]:
        """Yield an object or a range of it: one request for a small one, else some ranges ahead of the reader."""
        place = self._place(key)
        left = size_bytes
        if left == 0:
            return
        wanted = BLOCK_BYTES if left is None else min(BLOCK_BYTES, left)
        with translated(self.url, key):
            block = self._bucket.first_block(place, start, wanted)
        yield from in_chunks(block.data)
        if block.total_bytes is None:
            return
        end = block.total_bytes if left is None else min(block.total_bytes, start + left)
        yield from self._rest(key, start + len(block.data), end, block.etag)

    def _rest(self, key: str, start: int, end: int, etag: str | None) -> Iterator[bytes]:
        place = self._place(key)
        coming: deque[tuple[int, Future[Block]]] = deque()
        try:
            while start < end or coming:
                while start < end and len(coming) < BLOCKS_AHEAD:
                    size = min(BLOCK_BYTES, end - start)
                    coming.append((size, self._bucket.submit(self._bucket.block(place, start, size, etag))))
                    start += size
                size, future = coming.popleft()
                try:
                    with translated(self.url, key):
                        data = future.result().data
                except ConflictError as error:
                    raise self._changed(key) from error
                if len(data) != size:
                    raise self._changed(key)
                yield from in_chunks(data)
        finally:
            for _, future in coming:
                future.cancel()

    def read_all(self, key: str, *, limit_bytes: int) -> bytes:
        """Return a whole small object, by one request."""
        place = self._place(key)
        with translated(self.url, key):
            block = self._bucket.first_block(place, 0, limit_bytes + 1)
        if len(block.data) > limit_bytes:
            raise too_large(key, limit_bytes)
        return block.data

    def size_bytes(self, key: str) -> int | None:
        """Return the size of an object, None if there is none."""
        place = self._place(key)
        try:
            with translated(self.url, key):
                return int(self._bucket.call("head_object", Key=place)["ContentLength"])
        except NotFoundError:
            return None

    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        """Yield all objects below a folder, a thousand a request. What tools leave to mark a folder is none."""
        folder = prefix.rstrip("/")
        start = f"{self._place(folder)}/" if folder else self._prefix
        pages = self._bucket.pages("list_objects_v2", Prefix=start)
        while True:
            with translated(self.url, folder):
                page = next(pages, None)
            if page is None:
                return
            for found in page.get("Contents", ()):
                key = found["Key"][len(self._prefix) :]
                if key and not key.endswith("/"):
                    yield StoredObject(key, int(found["Size"]))

    def delete(self, key: str) -> None:
        """Delete an object, if it is there."""
        place = self._place(key)
        with suppress(NotFoundError), translated(self.url, key, writing=True):
            self._bucket.call("delete_object", Key=place)

    def sweep(self) -> int:
        """Abort unfinished uploads below the root to which nothing came for `ABANDONED_AFTER`; returns how many.

        Younger ones may be another process's. Without the right to list them there is nothing to sweep; a lifecycle
        rule of the bucket (AbortIncompleteMultipartUpload) does the same.
        """
        return self._sweep(self._prefix, lambda _: True)

    def sweep_one(self, key: str) -> int:
        """As `sweep`, but only uploads of this object."""
        place = self._place(key)
        return self._sweep(place, lambda found: found == place)

    def _sweep(self, prefix: str, ours: Callable[[str], bool]) -> int:
        count = 0
        with suppress(NotAuthorisedError, UnsupportedError, NotFoundError), translated(self.url, ""):
            for page in self._bucket.pages("list_multipart_uploads", Prefix=prefix):
                for upload in page.get("Uploads", ()):
                    if ours(upload["Key"]):
                        count += self._abort_abandoned(upload)
        return count

    def _abort_abandoned(self, upload: dict[str, Any]) -> int:
        which = {"Key": upload["Key"], "UploadId": upload["UploadId"]}
        limit = datetime.now(timezone.utc) - ABANDONED_AFTER
        if _time(upload["Initiated"]) > limit:
            return 0
        key = upload["Key"][len(self._prefix) :]
        with suppress(NotFoundError), translated(self.url, key):
            for page in self._bucket.pages("list_parts", **which):
                if any(_time(part["LastModified"]) > limit for part in page.get("Parts", ())):
                    return 0
            self._bucket.call("abort_multipart_upload", **which)
            return 1
        return 0

    def _place(self, key: str) -> str:
        return f"{self._prefix}{self._check(key)}"

    def _is_done(self, key: str, upload: Upload) -> bool:
        try:
            with translated(self.url, key):
                return upload.shows()
        except MlflowArchiveError:
            return False

    def _require_free(self, key: str) -> None:
        """Refuse what is there for long, for services without the condition."""
        if self.size_bytes(key) is not None:
            raise taken(self.url, key)

    def _changed(self, key: str) -> UnavailableError:
        return UnavailableError(
            f"{self.url.rstrip('/')}/{key} was changed by somebody else while it was read: try again."
        )


def _time(value: datetime) -> datetime:
    return value if value.tzinfo else value.replace(tzinfo=timezone.utc)
