"""What can be checked of an archive of mlflow-export-import: it has no digests, but it has documents and lists.

Every document must be read and understood, and what a list names must be there. At the levels above ``complete`` every
byte of every file is read as well. Whether it is the byte that was exported nobody can tell.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from mlflow_archive.archive.checking import Findings
from mlflow_archive.errors import IntegrityError, MlflowArchiveError, NotFoundError
from mlflow_archive.events import BytesMoved, Observer, SectionStarted, Silence, TransferFinished, TransferStarted
from mlflow_archive.operations.verified import VerifyReport
from mlflow_archive.predecessor.source import PredecessorSource
from mlflow_archive.spec.kinds import Kind
from mlflow_archive.spec.loss import Loss
from mlflow_archive.spec.rules import Level
from mlflow_archive.spec.selection import Selection
from mlflow_archive.stream import Blob, Item

#: The rule that what a list names and the archive does not have comes closest to.
_MISSING = "E040"
#: The code of a loss that the archive's own account tells of.
_TOLD = "not_exported"


@dataclass
class _Sums:
    """What was looked at: of one object, or of all."""

    objects: int = 0
    files: int = 0
    size_bytes: int = 0
    losses: int = 0

    def add(self, other: _Sums) -> None:
        self.objects += other.objects
        self.files += other.files
        self.size_bytes += other.size_bytes
        self.losses += other.losses


def verify(
    source: PredecessorSource, level: Level, *, parallelism: int = 8, observer: Observer | None = None
) -> VerifyReport:
    """Check an archive of mlflow-export-import. Closes nothing.

    Args:
        source: The archive.
        level: ``complete`` reads the documents, the others every file as well.
        parallelism: How many objects are read at once.
        observer: Told of progress, from the calling thread.

    Returns:
        All findings; ``losses`` counts what the archive itself tells that it lacks.

    Raises:
        NotAuthorisedError: The store refuses to be read.
        UnavailableError: The store does not answer.
    """
    started = time.monotonic()
    watcher = observer or Silence()
    watcher.notify(TransferStarted(verb="verify", source=source.describe().uri, target="", dry_run=False))
    findings, sums = Findings(), _Sums()
    look = partial(_look, findings, whole=level != "complete")
    with ThreadPoolExecutor(parallelism, thread_name_prefix="verify") as pool:
        for kind in source.kinds():
            watcher.notify(SectionStarted(kind.value, None))
            for found in _ahead(pool, 2 * parallelism, source.read(kind, Selection()), look):
                sums.add(found)
                watcher.notify(BytesMoved(found.size_bytes))
    report = VerifyReport(
        level=level,
        problems=findings.problems,
        warnings=findings.warnings,
        truncated=findings.truncated,
        objects=sums.objects,
        blobs=sums.files,
        size_bytes=sums.size_bytes,
        losses=sums.losses,
        root_digest="",
        seconds=time.monotonic() - started,
        notes=source.notes(),
    )
    status = "complete" if report.ok else "failed"
    watcher.notify(TransferFinished(status, sums.objects, 0, 0, size_bytes=sums.size_bytes, seconds=report.seconds))
    return report


def _ahead(
    pool: ThreadPoolExecutor, most: int, entries: Iterator[Item | Loss], look: Callable[[Item | Loss], _Sums]
) -> Iterator[_Sums]:
    """Look at entries in several threads, never far ahead."""
    waiting: deque[Future[_Sums]] = deque()
    for entry in entries:
        waiting.append(pool.submit(look, entry))
        if len(waiting) >= most:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _look(findings: Findings, entry: Item | Loss, *, whole: bool) -> _Sums:
    """Read one object, or note that it cannot be read."""
    if isinstance(entry, Loss):
        if entry.code == _TOLD:
            return _Sums(losses=1)
        findings.add(_MISSING, _name(entry.kind, entry.id), entry.reason)
        return _Sums()
    name = _name(entry.key.kind, entry.key.id)
    sums = _Sums()
    try:
        content = entry.load()
        sums.objects += 1
        sums.losses += len(content.losses)
        for blob in content.blobs():
            sums.add(_look_at_file(findings, name, blob, whole=whole))
    except (IntegrityError, NotFoundError) as error:
        _add(findings, name, error)
    return sums


def _look_at_file(findings: Findings, name: str, blob: Blob | Loss, *, whole: bool) -> _Sums:
    if isinstance(blob, Loss):
        findings.add(_MISSING, f"{name}: {blob.path}", blob.reason)
        return _Sums()
    sums = _Sums(files=1)
    if not whole:
        return sums
    try:
        with blob.open() as chunks:
            sums.size_bytes = sum(map(len, chunks))
    except (IntegrityError, NotFoundError) as error:
        _add(findings, f"{name}: {blob.name}", error)
        return sums
    if blob.size_bytes is not None and blob.size_bytes != sums.size_bytes:
        message = f"has {sums.size_bytes:,} bytes where the listing says {blob.size_bytes:,}"
        findings.add("E041", f"{name}: {blob.name}", message)
    return sums


def _add(findings: Findings, name: str, error: MlflowArchiveError) -> None:
    if isinstance(error, IntegrityError) and error.problems:
        findings.add_all(error.problems)
    else:
        findings.add(_MISSING if isinstance(error, NotFoundError) else "E015", name, str(error))


def _name(kind: Kind, id: str) -> str:
    return f"{kind} {id}" if id else f"the list of every {kind}"
