"""Files on their way to the target: many at once, streamed, model descriptions edited."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from functools import partial

from mlflow_archive.errors import MlflowArchiveError, NotAuthorisedError, UsageError
from mlflow_archive.events import BytesMoved, Observer
from mlflow_archive.spec.loss import Loss
from mlflow_archive.stream import Blob, Content, ObjectKey
from mlflow_archive.tracking.artifact_contract import ArtifactAccess, ArtifactFile, ArtifactOwner
from mlflow_archive.tracking.idmap import IdMap
from mlflow_archive.tracking.rewriting import is_mlmodel, rewrite_mlmodel, unknown_model_ids

#: An MLmodel file is a page of text; a file of that name beyond this is not one. 16 MiB.
_MAX_MLMODEL_BYTES = 16 << 20


@dataclass
class Uploaded:
    """What came of the files of one object."""

    size_bytes: int = 0
    losses: list[Loss] = field(default_factory=list)
    waiting: list[Blob] = field(default_factory=list)
    """MLmodel files that name a logged model which is not at the target yet."""


class Uploader:
    """Uploads files of all objects through one pool, so that few big runs and many small ones go equally fast."""

    def __init__(
        self,
        artifacts: ArtifactAccess,
        ids: IdMap,
        observer: Observer,
        parallelism: int,
        *,
        edit_mlmodels: bool = True,
    ) -> None:
        """Start the pool; `close` ends it. Without ``edit_mlmodels`` every file goes as it is."""
        self.ids = ids
        self._artifacts = artifacts
        self._observer = observer
        self._edit_mlmodels = edit_mlmodels
        self._window = 2 * parallelism
        self._pool = ThreadPoolExecutor(parallelism, thread_name_prefix="upload")

    def upload(self, key: ObjectKey, content: Content, owner: ArtifactOwner) -> Uploaded:
        """Upload all files of the role ``artifacts``; returns when they are there.

        A file that cannot be read or written is a loss, the others go on.
        """
        wanted = (blob for blob in content.blobs() if isinstance(blob, Loss) or blob.role == "artifacts")
        return self.upload_blobs(key, wanted, owner)

    def upload_blobs(self, key: ObjectKey, blobs: Iterable[Blob | Loss], owner: ArtifactOwner) -> Uploaded:
        """Upload these files below the owner's root, with at most a window of them in memory."""
        result = Uploaded()
        running: dict[Future[int], Blob] = {}
        for blob in blobs:
            if isinstance(blob, Loss):
                result.losses.append(blob)
                continue
            running[self._pool.submit(self._send, blob, owner, result.waiting.append)] = blob
            if len(running) >= self._window:
                _collect(key, running, result)
        while running:
            _collect(key, running, result)
        return result

    def has(self, owner: ArtifactOwner, folder: str) -> bool:
        """Tell whether the target has a file of an owner in a folder, or of that name; True of any without a folder."""
        files = (file.name for file in self._artifacts.list(owner) if isinstance(file, ArtifactFile))
        return any(not folder or name == folder or name.startswith(f"{folder}/") for name in files)

    def send_again(self, key: ObjectKey, waiting: Iterable[Blob], owner: ArtifactOwner) -> Iterator[Loss]:
        """Upload MLmodel files once more, now that the logged models they name have their new ids."""
        for blob in waiting:
            yield from _attempt(key, blob, partial(self._send, blob, owner, lambda _: None))

    def write(self, owner: ArtifactOwner, name: str, data: Iterator[bytes]) -> None:
        """Write one file that is made on the way."""
        self._artifacts.write(owner, name, _Counter(self._observer).through(data), None)

    def close(self) -> None:
        """End the pool; uploads under way finish first."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _send(self, blob: Blob, owner: ArtifactOwner, wait_for: Callable[[Blob], None]) -> int:
        if self._edit_mlmodels and is_mlmodel(blob.name) and (blob.size_bytes or 0) <= _MAX_MLMODEL_BYTES:
            return self._send_mlmodel(blob, owner, wait_for)
        count = _Counter(self._observer)
        with blob.open() as chunks:
            self._artifacts.write(owner, blob.name, count.through(chunks), blob.size_bytes)
        return count.size_bytes

    def _send_mlmodel(self, blob: Blob, owner: ArtifactOwner, wait_for: Callable[[Blob], None]) -> int:
        data = bytearray()
        with blob.open() as chunks:
            for chunk in chunks:
                data += chunk
                if len(data) > _MAX_MLMODEL_BYTES:
                    raise UsageError(f"{blob.name} is larger than any MLmodel file can be; it was left out.")
        edited = rewrite_mlmodel(bytes(data), self.ids)
        self._artifacts.write(owner, blob.name, iter((edited,)), len(edited))
        self._observer.notify(BytesMoved(len(edited)))
        if unknown_model_ids(edited.decode("utf-8", "replace"), self.ids):
            wait_for(blob)
        return len(edited)


class _Counter:
    def __init__(self, observer: Observer) -> None:
        self.size_bytes = 0
        self._observer = observer

    def through(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            self.size_bytes += len(chunk)
            self._observer.notify(BytesMoved(len(chunk)))
            yield chunk


def _collect(key: ObjectKey, running: dict[Future[int], Blob], result: Uploaded) -> None:
    done, _ = wait(running, return_when=FIRST_COMPLETED)
    for future in done:
        result.losses += _attempt(key, running.pop(future), partial(_add, result, future))


def _add(result: Uploaded, future: Future[int]) -> None:
    result.size_bytes += future.result()


def _attempt(key: ObjectKey, blob: Blob, action: Callable[[], object]) -> Iterator[Loss]:
    try:
        action()
    except MlflowArchiveError as error:
        if isinstance(error, NotAuthorisedError) and not error.forbidden:
            raise
        path = blob.name if blob.role == "artifacts" else f"{blob.role}/{blob.name}"
        yield key.lost(error.code, str(error), path=path, retryable=error.retryable)
