"""Requests to one S3 bucket: through s3fs for its credentials, options and connections, but none of its files.

Every request has a connect and a read time-out and is repeated by botocore on 429, 5xx and broken connections; what
breaks while an answer's body is read is repeated here. A service that has answered once is waited for when it is gone
for a while: a tarball of hours must not end with a minute of its network.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Coroutine, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar

import aiohttp
import fsspec.asyn
from botocore.exceptions import BotoCoreError

from mlflow_archive.errors import UnavailableError, UnsupportedError
from mlflow_archive.storage.vendor_faults import Meaning, vendor_fault

T = TypeVar("T")

#: How often an answer that breaks off is asked for again.
_ATTEMPTS = 4
#: What a broken body raises; refusals come before it and are no such errors.
_BROKEN = (aiohttp.ClientError, BotoCoreError, OSError, asyncio.TimeoutError)

#: How long a service that has answered before is waited for, in seconds, and the pauses between attempts.
PATIENCE_SECONDS = 60.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 10.0
#: What a service says that has no time or is out of order.
_BUSY = frozenset({408, 429, 500, 502, 503, 504})

_LOG = logging.getLogger(__name__)


@cache  # said once
def tell_unlocked(bucket: str) -> None:
    """Say that a service has no way to let one of several writers win."""
    _LOG.warning(
        "The service behind s3://%s does not know If-None-Match: it cannot refuse a second writer that comes at the "
        "same moment. Let only one backup at a time write to a place there.",
        bucket,
    )


@dataclass(frozen=True, slots=True)
class Block:
    """A range of an object as it was at one moment."""

    data: bytes
    #: Size of the whole object; None if the range begins behind its end.
    total_bytes: int | None
    etag: str | None


class S3Bucket:
    """One bucket. Requests run in the event loop of ``fs``, callers in threads of their own.

    Args:
        fs: An ``s3fs.S3FileSystem`` of its own.
        name: The bucket.
    """

    def __init__(self, fs: Any, name: str) -> None:
        """See the class."""
        self._fs = fs
        self.name = name
        #: Cloudflare's R2 wants all parts of one size.
        self.equal_parts = bool(fs.fixed_upload_size)
        self._has_conditions = True
        self._has_answered = False
        self._client: Any = None

    def submit(self, request: Coroutine[Any, Any, T]) -> Future[T]:
        """Start a coroutine of this class and return at once."""
        return asyncio.run_coroutine_threadsafe(request, self._fs.loop)

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Do one request and wait for the answer."""
        return self.submit(self.request(method, **parameters)).result()

    def call_if_none(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Do a request that makes an object, only if there is none, as far as the service goes.

        One that answers the condition with an error gets the request without; the caller has looked before.
        """
        if self._has_conditions:
            answer = self._answer_if_none(method, parameters)
            if answer is not None:
                return answer
        answer = self.call(method, **parameters)
        if self._has_conditions:  # it was the condition that was wrong, and nothing else
            self._has_conditions = False
            tell_unlocked(self.name)
        return answer

    def _answer_if_none(
        self, method: str, parameters: Mapping[str, Any], *, again: bool = False
    ) -> dict[str, Any] | None:
        """Return the answer to a request with the condition, None if that may be what the service does not take."""
        try:
            return self.call(method, **parameters, IfNoneMatch="*")
        except OSError as error:
            fault = vendor_fault(error)
            if fault is None or fault.meaning not in (Meaning.IMPOSSIBLE, Meaning.WRONG):
                raise
        if again or fault.meaning is Meaning.IMPOSSIBLE:
            return None
        # A body that was garbled on its way is wrong as well, but not twice.
        return self._answer_if_none(method, parameters, again=True)

    async def request(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Do one request."""
        await self.client()
        answer: dict[str, Any]
        end, pause = time.monotonic() + PATIENCE_SECONDS, _FIRST_PAUSE
        while True:
            try:
                answer = await self._fs._call_s3(method, Bucket=self.name, **parameters)
            except (OSError, BotoCoreError) as error:
                if not self._is_passing(error) or time.monotonic() + pause > end:
                    raise
            else:
                self._has_answered = True
                return answer
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    def _is_passing(self, error: Exception) -> bool:
        """Tell whether a service that was there is out of reach or out of order. A wrong address never was there."""
        fault = vendor_fault(error)
        if fault is None or not self._has_answered:
            return False
        return fault.meaning is Meaning.UNAVAILABLE and (fault.status is None or fault.status in _BUSY)

    async def client(self) -> Any:
        """Return botocore's client for the bucket."""
        await self._fs.set_session()
        client = await self._fs.get_s3(self.name)
        if client is not self._client:
            client.meta.events.register("before-send.s3", _go_on, unique_id="mlflow-archive-go-on")
            self._client = client
        return client

    def in_loop(self) -> bool:
        """Tell whether the caller is the event loop's own thread, which must not wait."""
        return bool(fsspec.asyn.iothread[0] is threading.current_thread())

    def first_block(self, key: str, start: int, size_bytes: int) -> Block:
        """Read a range by one request and wait for it; see `block`."""
        return self.submit(self.block(key, start, size_bytes)).result()

    async def block(self, key: str, start: int, size_bytes: int, etag: str | None = None) -> Block:
        """Read a range by one request, less where the object ends; with ``etag``, only of that same object."""
        for attempt in range(_ATTEMPTS):
            try:
                answer = await self._ask(key, start, size_bytes, etag)
            except OSError as error:
                fault = vendor_fault(error)
                if fault is not None and (fault.status == 416 or "InvalidRange" in fault.detail):
                    return Block(b"", None, None)
                raise
            try:
                async with answer["Body"] as body:
                    data = await body.read()
            except _BROKEN:
                if attempt == _ATTEMPTS - 1:
                    raise
                await asyncio.sleep(0.2 * 3**attempt)
                continue
            return Block(data, _total(answer, len(data)), answer.get("ETag"))
        raise UnavailableError(f"{key} could not be read.")

    async def _ask(self, key: str, start: int, size_bytes: int, etag: str | None) -> dict[str, Any]:
        same = {"IfMatch": etag} if etag else {}
        answer = await self.request("get_object", Key=key, Range=f"bytes={start}-{start + size_bytes - 1}", **same)
        if int(answer["ContentLength"]) > size_bytes or (start and "ContentRange" not in answer):
            answer["Body"].close()
            raise UnsupportedError(f"The service of the bucket {self.name} answers no ranges of objects.")
        if etag and answer.get("ETag") != etag:
            answer["Body"].close()
            raise UnavailableError(f"{key} was changed by somebody else while it was read.")
        return answer

    def pages(self, method: str, **parameters: Any) -> Iterator[dict[str, Any]]:
        """Yield the pages of a listing, lazily; the next one is under way while a page is used."""
        coming: Future[dict[str, Any]] | None = self.submit(self.request(method, **parameters))
        try:
            while coming is not None:
                page = coming.result()
                more = _continuation(page) if page.get("IsTruncated") else None
                coming = self.submit(self.request(method, **parameters, **more)) if more else None
                yield page
        finally:
            if coming is not None:
                coming.cancel()


def _go_on(request: Any, **_: Any) -> None:
    """Let no upload wait for a ``100 Continue``: aiohttp has no limit of time for that (and it is a round trip)."""
    if "Expect" in request.headers:
        del request.headers["Expect"]


def _total(answer: dict[str, Any], size_bytes: int) -> int:
    total = str(answer.get("ContentRange", "")).rpartition("/")[2]
    return int(total) if total.isdigit() else size_bytes


def _continuation(page: dict[str, Any]) -> dict[str, Any]:
    if "NextContinuationToken" in page:
        return {"ContinuationToken": page["NextContinuationToken"]}
    if "NextPartNumberMarker" in page:
        return {"PartNumberMarker": page["NextPartNumberMarker"]}
    return {"KeyMarker": page["NextKeyMarker"], "UploadIdMarker": page["NextUploadIdMarker"]}
