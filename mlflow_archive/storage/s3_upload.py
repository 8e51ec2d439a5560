"""An upload to S3: one request for a small object, parts in parallel for a larger one, nothing left of a broken one."""

from __future__ import annotations

import asyncio
import hashlib
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from mlflow_archive.storage.budget import FREE_BYTES, Budget, Share
from mlflow_archive.storage.s3_bucket import S3Bucket

#: Size of the first parts. A smaller object goes in one request.
PART_BYTES = 8 << 20
#: S3 takes 10,000 parts, so they are doubled after each so many.
PARTS_PER_SIZE = 2000
MAX_PARTS = 10_000
#: An upload of which nobody knows the size begins with parts twice as large, which is enough for 1 TB.
UNKNOWN_FACTOR = 2
#: How many parts of `PART_BYTES` one upload has under way at once; larger parts are fewer.
PARTS_UNDER_WAY = 4


class Upload:
    """One object on its way. Used by one thread; the parts are sent by the event loop of the bucket.

    Args:
        bucket: Where to.
        key: Whole key in the bucket.
        budget: Shared by all uploads of the store.
        size_bytes: The size that is expected, if there is an idea.
    """

    def __init__(self, bucket: S3Bucket, key: str, budget: Budget, size_bytes: int | None) -> None:
        """See the class."""
        self._bucket = bucket
        self._key = key
        self._share = Share(budget)
        self._first_bytes = first_part_bytes(size_bytes, equal=bucket.equal_parts)
        self._buffer = bytearray()
        self._number = 0
        self._begun: Future[dict[str, Any]] | None = None
        self._id = ""
        self._under_way: deque[Future[dict[str, Any]]] = deque()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._parts: list[dict[str, Any]] = []

    def write(self, data: bytes) -> None:
        """Take bytes; waits while too many are under way, and raises what became of an earlier part."""
        view = memoryview(data)
        while view:
            room = self._part_bytes() - len(self._buffer)
            if not room:
                self._send_part()
                continue
            if len(self._buffer) + len(view) > FREE_BYTES:
                self._share.collect(self._part_bytes())
            self._buffer += view[:room]
            view = view[room:]

    def commit(self, *, exclusive: bool) -> None:
        """Make the object visible; with ``exclusive``, only if there is none."""
        try:
            self._complete(self._bucket.call_if_none if exclusive else self._bucket.call)
        finally:
            self._share.drop()

    def _complete(self, call: Callable[..., dict[str, Any]]) -> None:
        if self._begun is None:
            sent = self._share.send()
            try:
                call("put_object", Key=self._key, Body=bytes(self._buffer))
            finally:
                sent()
            return
        self._send_part()
        while self._under_way:
            self._parts.append(self._under_way.popleft().result())
        parts = {"Parts": self._parts}
        call("complete_multipart_upload", Key=self._key, UploadId=self._id, MultipartUpload=parts)

    def shows(self) -> bool:
        """Tell whether this upload is the object that is there, by its ETag; False where that says nothing."""
        if len(self._parts) < self._number:  # a part is missing: what is there can be no more than the beginning
            return False
        tag = str(self._bucket.call("head_object", Key=self._key)["ETag"]).strip('"')
        if self._begun is None:
            return tag == hashlib.md5(self._buffer, usedforsecurity=False).hexdigest()
        try:
            digests = b"".join(bytes.fromhex(part["ETag"].strip('"')) for part in self._parts)
        except ValueError:
            return False
        return tag == f"{hashlib.md5(digests, usedforsecurity=False).hexdigest()}-{len(self._parts)}"

    def discard(self) -> None:
        """Stop what is under way and have the service forget the parts."""
        self._share.drop()
        if self._begun is None:
            return
        given_up = self._bucket.submit(self._give_up(self._begun))
        if not self._bucket.in_loop():  # where the garbage collector may bring a forgotten writer to its end
            given_up.result()

    def _part_bytes(self) -> int:
        return self._first_bytes if self._bucket.equal_parts else self._first_bytes << (self._number // PARTS_PER_SIZE)

    def _send_part(self) -> None:
        if self._begun is None:
            self._begun = self._bucket.submit(self._bucket.request("create_multipart_upload", Key=self._key))
            self._id = self._begun.result()["UploadId"]
        body, self._buffer = self._buffer, bytearray()
        most = max(1, PARTS_UNDER_WAY * PART_BYTES // self._part_bytes())
        while len(self._under_way) >= most:
            self._parts.append(self._under_way.popleft().result())
        self._number += 1
        sent = self._share.send()
        part = self._bucket.submit(self._send(self._number, body))
        part.add_done_callback(lambda _: sent())
        self._under_way.append(part)

    async def _send(self, number: int, body: bytearray) -> dict[str, Any]:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101  # a coroutine of a loop runs in a task
        self._tasks.add(task)
        try:
            answer = await self._bucket.request(
                "upload_part", Key=self._key, UploadId=self._id, PartNumber=number, Body=body
            )
        finally:
            self._tasks.discard(task)
        sums = {name: value for name, value in answer.items() if name.startswith("Checksum") and name[8:].isupper()}
        return {"PartNumber": number, "ETag": answer["ETag"], **sums}

    async def _give_up(self, begun: Future[dict[str, Any]]) -> None:
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        answer = await asyncio.wrap_future(begun)
        await self._bucket.request("abort_multipart_upload", Key=self._key, UploadId=answer["UploadId"])


def first_part_bytes(size_bytes: int | None, *, equal: bool = False) -> int:
    """Return the size of the first parts of an object, so that `MAX_PARTS` of them suffice."""
    if equal:
        return max(8 * PART_BYTES, -(-(size_bytes or 0) // (MAX_PARTS * 9 // 10)))
    if size_bytes is None:
        return UNKNOWN_FACTOR * PART_BYTES
    first = PART_BYTES
    sizes = MAX_PARTS // PARTS_PER_SIZE
    while first * PARTS_PER_SIZE * ((1 << sizes) - 1) < size_bytes * 9 // 8:
        first *= 2
    return first
