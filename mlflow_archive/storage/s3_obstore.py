"""obstore as the engine of small uploads and of reads from S3, where it is installed: a fraction of the work.

The contract: whatever obstore does is what s3fs would have done, or it is not done by obstore.

* It sends two kinds of requests that may be repeated at will: an upload of one small object that may replace another
  one, and the first range of a read, which is all of a small object. Creation only if there is none, parts, further
  ranges, listings and deletions stay with s3fs.
* A store's first upload and its first get go through s3fs too. How they looked when they succeeded is the shape of all
  others (`s3_shape`); without an ordinary shape there is no obstore.
* obstore tries once, without repeating anything. What is not a plain success, and an answer that is not the range
  that was asked for, counts for nothing: the request is done again through s3fs, whose attempts, pauses, redirects,
  time-outs and errors are the ones that count.
* Where s3fs succeeds again and again at what obstore failed at, obstore is asked no more.
* Credentials are those that botocore's own object gives, refreshed when it refreshes them.
* It works in the threads of a pool, which wait for it. The main thread has to hear of signals, and what is under way
  in a thread that Python does not wait for when it ends would end it by a crash: both use s3fs.
"""

from __future__ import annotations

import re
import threading
import time
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from mlflow_archive.storage.s3_bucket import Block, S3Bucket
from mlflow_archive.storage.s3_shape import Shape, plain_environment, plain_options, sent_requests, shape_of, watch

#: Larger objects go through s3fs: obstore's limit of time for an answer would include their upload.
SMALL_BYTES = 4 << 20
#: After so many failures of obstore in a row at what s3fs could do, it is asked no more.
MISTRUST_AFTER = 8
#: How long credentials are used before botocore, which renews them minutes before they expire, is asked again.
_TRUSTED_SECONDS = 1.0
#: Seconds before s3fs repeats what a service had no time for.
_PAUSE = 0.1
#: A service that has no time, in obstore's words. It is only about the pause.
_BUSY = re.compile(r"\b(408|429|5\d\d)\b")
#: Keys that both write into a URL in the same way.
_PLAIN_KEY = re.compile(r"[^\x00-\x1f\x7f/]+(/[^\x00-\x1f\x7f/]+)*")
#: No request takes longer; stalled ones end long before.
_LONGEST = timedelta(hours=1)
#: Shorter than what services keep an idle connection for, as s3fs has it.
_IDLE = timedelta(seconds=12)


def open_bucket(fs: Any, name: str) -> S3Bucket:
    """Return a bucket with the quickest engine that is installed and knows all options of ``fs``."""
    try:
        import obstore
    except ImportError:
        return S3Bucket(fs, name)
    return ObstoreBucket(fs, name, obstore) if plain_options(fs.storage_options) else S3Bucket(fs, name)


@dataclass(frozen=True, slots=True)
class _Learnt:
    """A shape, and whose it is."""

    shape: Shape | None
    #: botocore's client, and the one that s3fs began with, which differs from it in a region of its own.
    client: Any
    first_client: Any


@dataclass(frozen=True, slots=True)
class _Engine:
    """obstore's client for one shape and one set of credentials."""

    credentials: Any
    store: Any
    #: When botocore gave the credentials.
    asked: float
    limit: threading.BoundedSemaphore

    def is_trusted(self) -> bool:
        """Tell whether the credentials need not be asked for again."""
        return time.monotonic() - self.asked < _TRUSTED_SECONDS


class ObstoreBucket(S3Bucket):
    """A bucket whose small uploads and reads obstore does."""

    def __init__(self, fs: Any, name: str, obstore: Any) -> None:
        """See `S3Bucket`; ``obstore`` is the package."""
        super().__init__(fs, name)
        self._obstore = obstore
        #: What such errors mean is asked of s3fs, by doing the same again.
        self._faults = (obstore.exceptions.BaseError, OSError, ValueError)
        #: By method of botocore.
        self._learnt: dict[str, _Learnt] = {}
        self._engines: dict[Shape, _Engine] = {}
        self._building = threading.Lock()
        self._failures = 0
        #: The service does not mark ranges as such (rclone); obstore reads whole objects from it and no ranges.
        self._answers_whole = False

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Do one request and wait for the answer."""
        engine = None
        if method == "put_object" and parameters.keys() == {"Key", "Body"} and len(parameters["Body"]) <= SMALL_BYTES:
            engine = self._engine(method, parameters["Key"])
        answer = self._put(engine, parameters["Key"], parameters["Body"]) if engine else None
        if answer is not None:
            self._failures = 0
            return answer
        answer = super().call(method, **parameters)
        self._failures += engine is not None
        return answer

    def first_block(self, key: str, start: int, size_bytes: int) -> Block:
        """Read a range by one request and wait for it; see `block`."""
        engine = None if start and self._answers_whole else self._engine("get_object", key)
        block = self._get(engine, key, start, size_bytes) if engine else None
        if block is not None:
            self._failures = 0
            return block
        block = super().first_block(key, start, size_bytes)
        # Nobody can read behind the end, nor obstore a range from a service that does not call it one.
        possible = block.total_bytes is not None and not self._answers_whole
        self._failures += engine is not None and possible
        return block

    def _put(self, engine: _Engine, key: str, body: bytes) -> dict[str, Any] | None:
        try:
            with engine.limit:
                answer = self._obstore.put(engine.store, key, body, use_multipart=False)
        except self._faults as error:
            _pause(error)
            return None
        return {"ETag": answer["e_tag"]}

    def _get(self, engine: _Engine, key: str, start: int, size_bytes: int) -> Block | None:
        options = None if self._answers_whole else {"range": (start, start + size_bytes)}
        try:
            with engine.limit:
                answer = self._obstore.get(engine.store, key, options=options)
                if options is None and answer.meta["size"] > size_bytes:
                    return None  # which ends the request
                data = bytes(answer.bytes())
        except self._faults as error:
            _pause(error)
            return None
        etag, total = answer.meta["e_tag"], int(answer.meta["size"])
        if not etag or answer.range[0] != start or len(data) != min(size_bytes, total - start):
            return None
        return Block(data, total, etag)

    # What is learnt from s3fs

    async def request(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Do one request through s3fs, and keep its shape if it is the first of its kind that succeeds."""
        if method not in ("put_object", "get_object"):
            return await super().request(method, **parameters)
        if method in self._learnt or "IfNoneMatch" in parameters or not _PLAIN_KEY.fullmatch(parameters["Key"]):
            answer = await super().request(method, **parameters)
        else:
            client = await self.client()
            first = self._fs._s3
            watch(client)
            with sent_requests() as sent:
                answer = await super().request(method, **parameters)
            if sent:
                shape = shape_of(sent[-1], client, parameters["Key"])
                self._learnt.setdefault(method, _Learnt(shape, client, first))
        if method == "get_object" and answer["ResponseMetadata"]["HTTPStatusCode"] == 200:
            self._answers_whole = True
        return answer

    def _engine(self, method: str, key: str) -> _Engine | None:
        """Return what obstore is to do a request with; None if s3fs is to do it."""
        learnt = self._learnt.get(method)
        if learnt is None or learnt.shape is None or self._failures >= MISTRUST_AFTER:
            return None
        if not may_wait() or not _PLAIN_KEY.fullmatch(key):
            return None
        engine = self._engines.get(learnt.shape)
        if engine is not None and engine.is_trusted():
            return engine
        with self._building:
            engine = self._engines.get(learnt.shape)
            if engine is None or not engine.is_trusted():
                engine = self._renewed(engine, method, learnt, learnt.shape)
            return engine

    def _renewed(self, old: _Engine | None, method: str, learnt: _Learnt, shape: Shape) -> _Engine | None:
        """Return an engine with the credentials of now. Under the lock."""
        if self._fs._s3 is not learnt.first_client:  # s3fs has begun anew, and so is the shape to be
            self._learnt.pop(method, None)
            return None
        now = time.monotonic()
        try:
            credentials = self.submit(learnt.client._request_signer._credentials.get_frozen_credentials()).result()
        except (BotoCoreError, ClientError, OSError, RuntimeError):
            return None  # s3fs meets the same, and it is to say so
        same = old is not None and old.credentials == credentials
        store = old.store if old is not None and same else self._opened(shape, credentials)
        if store is None:
            self._learnt[method] = replace(learnt, shape=None)
            return None
        limit = old.limit if old is not None else threading.BoundedSemaphore(shape.connections)
        engine = self._engines[shape] = _Engine(credentials, store, now, limit)
        return engine

    def _opened(self, shape: Shape, credentials: Any) -> Any:
        """Return a store of obstore, None if it cannot be had as it should be."""
        scheme = shape.base_url.partition(":")[0]
        if not plain_environment(scheme):
            return None
        try:
            return self._obstore.store.S3Store(
                self.name,
                config=_config(shape),
                client_options={
                    "allow_http": scheme == "http",
                    "connect_timeout": timedelta(seconds=shape.connect_timeout),
                    "read_timeout": timedelta(seconds=shape.read_timeout),
                    "timeout": _LONGEST,
                    "pool_idle_timeout": _IDLE,
                },
                retry_config={"max_retries": 0},
                credential_provider=lambda: {
                    "access_key_id": credentials.access_key,
                    "secret_access_key": credentials.secret_key,
                    "token": credentials.token,
                    "expires_at": None,
                },
            )
        except (*self._faults, TypeError):
            return None


def may_wait() -> bool:
    """Tell whether this thread may be where no signal is heard until a request is over."""
    thread = threading.current_thread()
    return thread is not threading.main_thread() and not thread.daemon


def _config(shape: Shape) -> dict[str, object]:
    """Return a configuration that leaves nothing to the environment."""
    return {
        "region": shape.region,
        "endpoint": shape.base_url,
        "aws_endpoint_url_s3": shape.base_url,
        "virtual_hosted_style_request": True,  # the bucket stands in the URL already
        **({"checksum_algorithm": "SHA256"} if shape.checksums else {}),
    }


def _pause(error: Exception) -> None:
    if _BUSY.search(str(error)):
        time.sleep(_PAUSE)
