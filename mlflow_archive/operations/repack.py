"""Repack: an archive to another place, into another container, as the same archive.

What is copied is exactly what the manifest vouches for, file by file, each held against its size and digest. Nothing
is parsed that need not be, nothing is written anew: the manifest keeps every byte, and so its digest.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass

from mlflow_archive.archive.place import read_commit, read_marker
from mlflow_archive.archive.reader import ArchiveReader, PlacedSection
from mlflow_archive.archive.tasks import run_tasks
from mlflow_archive.archive.verified import broken, read_chunks
from mlflow_archive.errors import ConflictError, IntegrityError, NotFoundError, UnsupportedError
from mlflow_archive.events import (
    BytesMoved,
    ItemFinished,
    Observer,
    SectionStarted,
    Silence,
    TransferFinished,
    TransferStarted,
)
from mlflow_archive.operations.ends import existing_store, new_store, stored
from mlflow_archive.operations.repacked import RepackReport
from mlflow_archive.operations.transfer import SerialisedObserver
from mlflow_archive.spec.descriptor import Descriptor
from mlflow_archive.spec.kinds import IN_EXPERIMENT, Kind
from mlflow_archive.spec.layout import MANIFEST, MARKER, index_path
from mlflow_archive.spec.manifest import Manifest, Marker
from mlflow_archive.spec.object import IndexEntry, Section
from mlflow_archive.spec.version import SPEC_VERSION
from mlflow_archive.storage.containers import Packing
from mlflow_archive.storage.hashing import sha256_of
from mlflow_archive.storage.store import Store

#: A marker is a few hundred bytes.
_MARKER_LIMIT_BYTES = 1 << 20


def repack(
    src_url: str,
    dst_url: str,
    *,
    packing: Packing,
    parallelism: int = 8,
    resume: bool = False,
    src_storage_options: Mapping[str, object] | None = None,
    dst_storage_options: Mapping[str, object] | None = None,
    observer: Observer | None = None,
) -> RepackReport:
    """Copy an archive into another container; see `mlflow_archive.api.repack`."""
    started = time.monotonic()
    watcher = SerialisedObserver(observer or Silence())
    with ExitStack() as stack:
        source = stack.enter_context(closing(stored(src_url, storage_options=src_storage_options)))
        if not isinstance(source, Store):
            from mlflow_archive.operations.converting import convert

            return convert(
                source,
                dst_url,
                packing=packing,
                parallelism=parallelism,
                resume=resume,
                storage_options=dst_storage_options,
                observer=observer,
            )
        target = stack.enter_context(
            closing(
                new_store(dst_url, packing, storage_options=dst_storage_options, parallelism=parallelism, resume=resume)
            )
        )
        watcher.notify(TransferStarted(verb="repack", source=source.url, target=target.url, dry_run=False))
        work = copy_archive(source, target, parallelism=parallelism, resume=resume, observer=watcher)
        urls = (source.url, target.url)
    digest = _read_back(dst_url, work, dst_storage_options)
    report = RepackReport(*urls, digest, *work.sums(), seconds=time.monotonic() - started)
    watcher.notify(
        TransferFinished("complete", report.objects, 0, 0, size_bytes=report.size_bytes, seconds=report.seconds)
    )
    return report


def copy_archive(
    source: Store, target: Store, *, parallelism: int = 8, resume: bool = False, observer: Observer
) -> ArchiveCopy:
    """Copy a committed archive into a store and commit it there. Closes neither.

    Args:
        source: Where it is.
        target: An empty place, or with ``resume`` one where this was interrupted.
        parallelism: How many files are copied at once.
        resume: Keep the files that are there and right.
        observer: Hears of it, from several threads.

    Raises:
        NotAnArchiveError: There is no archive.
        IntegrityError: A file is missing or damaged; the target has no commit.
        UnsupportedError: The archive's format is newer than this version.
        ConflictError: Something else is at the target.
    """
    marker, manifest, data = read_commit(source)
    _require_known(marker)
    marker_bytes = source.read_all(MARKER, limit_bytes=_MARKER_LIMIT_BYTES)
    _claim(target, marker, marker_bytes, resume=resume)
    reader = ArchiveReader(source, marker, manifest, sha256_of(data))
    there = {found.key: found.size_bytes for found in target.list()} if resume else {}
    work = ArchiveCopy(source, target, reader, there, observer)
    work.count(len(marker_bytes))
    work.run(parallelism)
    try:
        target.commit(MANIFEST, data)
    except ConflictError as error:
        raise ConflictError(f"Another writer has completed an archive at {target.url} meanwhile.") from error
    work.count(len(data))
    return work


@dataclass(frozen=True, slots=True)
class _Copied:
    """What a task leaves: the file, whether it was there before, further tasks, and the object it was of."""

    size_bytes: int
    kept: bool = False
    more: tuple[Callable[[], _Copied], ...] = ()
    finished: ItemFinished | None = None


_Task = Callable[[], _Copied]


class ArchiveCopy:
    """One copy of an archive: walks from the manifest down, with memory for one document a thread."""

    def __init__(
        self, source: Store, target: Store, reader: ArchiveReader, there: Mapping[str, int], observer: Observer
    ) -> None:
        """Copy what ``reader`` names; ``there`` are the sizes of what may be kept at the target."""
        self.root_digest = reader.root_digest
        self.archive_id = reader.manifest.archive_id
        self._source = source
        self._target = target
        self._reader = reader
        self._manifest: Manifest = reader.manifest
        self._there = there
        self._observer = observer
        self._stopped = threading.Event()
        self._taken = {file.path for file in _own_files(reader.manifest)} | {MARKER, MANIFEST}
        self._objects = self._files = self._bytes = self._kept_files = self._kept_bytes = 0

    def run(self, parallelism: int) -> None:
        """Copy everything but marker and manifest.

        Raises:
            IntegrityError: A file is missing or damaged, or named where it must not be.
        """
        run_tasks(self._tasks(), parallelism, self._settle, abandon=self._stopped.set)

    def count(self, size_bytes: int) -> None:
        """Count a file that was written without a task."""
        self._files += 1
        self._bytes += size_bytes
        self._observer.notify(BytesMoved(size_bytes))

    def sums(self) -> tuple[int, int, int, int, int, int]:
        """Return the figures of a `RepackReport`, from objects to losses."""
        losses = self._manifest.losses.count
        return self._objects, self._files, self._bytes, self._kept_files, self._kept_bytes, losses

    def _tasks(self) -> Iterator[_Task]:
        named = {MANIFEST}
        for file in _own_files(self._manifest):
            if file.path in named:
                raise broken("E022", file.path, "is named by more than one descriptor")
            named.add(file.path)
            if file.path != MARKER:
                yield self._file(file)
        for placed in _placed(self._manifest.sections, None, MANIFEST):
            yield from self._section(placed)

    def _section(self, placed: PlacedSection) -> Iterator[_Task]:
        """Yield the objects of a section, with those below them, and then its index."""
        section = placed.section
        self._observer.notify(SectionStarted(section.kind.value, section.count))
        last: str | None = None
        for entry in self._reader.entries(section):
            if last is not None and entry.id <= last:
                raise broken("E033", section.index.path, f"has the id {entry.id!r} after {last!r}")
            last = entry.id
            yield self._object(entry, placed)
            for child in _placed(entry.children, entry, section.index.path):
                yield from self._section(child)
        yield self._file(section.index)

    def _object(self, entry: IndexEntry, placed: PlacedSection) -> _Task:
        def copy() -> _Copied:
            document, data = self._reader.document_and_bytes(entry)
            path = entry.descriptor.path
            key = placed.key(entry)
            if (document.kind, document.experiment_id, document.workspace) != (
                key.kind,
                key.scope.experiment_id,
                key.workspace,
            ):
                raise broken("E034", path, f"is a document that the index of the {key.kind}s names")
            files = [part.descriptor for part in document.parts] + [blob.descriptor for blob in document.blobs]
            paths = {path}
            for file in files:
                if file.path in paths:
                    raise broken("E022", file.path, "is named by more than one descriptor")
                paths.add(file.path)
            finished = ItemFinished(key.kind.value, key.id, key.name, "stored", "", entry.total_bytes)
            more = tuple(self._file(file) for file in files)
            if self._is_there(entry.descriptor):
                return _Copied(len(data), kept=True, more=more, finished=finished)
            self._require_free(path)
            with self._target.write(path, size_bytes=len(data)) as writer:
                writer.write(data)
            self._observer.notify(BytesMoved(len(data)))
            return _Copied(len(data), more=more, finished=finished)

        return copy

    def _file(self, descriptor: Descriptor) -> _Task:
        def copy() -> _Copied:
            if self._is_there(descriptor):
                return _Copied(descriptor.size_bytes, kept=True)
            if descriptor not in _own_files(self._manifest):
                self._require_free(descriptor.path)
            with (
                closing(read_chunks(self._source, descriptor)) as chunks,
                self._target.write(descriptor.path, size_bytes=descriptor.size_bytes) as writer,
            ):
                for chunk in chunks:
                    self._go_on()
                    writer.write(chunk)
                    self._observer.notify(BytesMoved(len(chunk)))
            return _Copied(descriptor.size_bytes)

        return copy

    def _require_free(self, path: str) -> None:
        if path in self._taken:
            raise broken("E022", path, "is named by more than one descriptor")

    def _is_there(self, descriptor: Descriptor) -> bool:
        """Tell whether the target has the file, every byte of it."""
        if self._there.get(descriptor.path) != descriptor.size_bytes:
            return False
        try:
            for _ in read_chunks(self._target, descriptor):
                self._go_on()
        except IntegrityError:
            return False
        return True

    def _go_on(self) -> None:
        if self._stopped.is_set():
            raise InterruptedError

    def _settle(self, done: _Copied) -> tuple[_Task, ...]:
        self._files += 1
        self._bytes += done.size_bytes
        if done.kept:
            self._kept_files += 1
            self._kept_bytes += done.size_bytes
        if done.finished is not None:
            self._objects += 1
            self._observer.notify(done.finished)
        return done.more


def _own_files(manifest: Manifest) -> tuple[Descriptor, ...]:
    """Return what the manifest names besides the sections."""
    losses = manifest.losses.descriptor
    return (*manifest.files, losses) if losses else manifest.files


def _placed(sections: tuple[Section, ...], experiment: IndexEntry | None, path: str) -> Iterator[PlacedSection]:
    """Yield sections that stand where their kind belongs, each once, so that no two can name the same file."""
    seen: set[tuple[Kind, str | None]] = set()
    for section in sections:
        if (section.kind in IN_EXPERIMENT) != (experiment is not None) or (section.kind, section.workspace) in seen:
            raise broken("E053", path, f"has a section of kind {section.kind} that does not belong there")
        seen.add((section.kind, section.workspace))
        wanted = index_path(
            section.kind, experiment_id=experiment.id if experiment else None, workspace=section.workspace
        )
        if section.index.path != wanted:
            raise broken("E021", section.index.path, f"is the index that the layout puts at {wanted}")
        yield PlacedSection(section, experiment)


def _require_known(marker: Marker) -> None:
    """Refuse a newer minor version: it may name files in fields that are not known here, which would stay behind."""
    if int(marker.spec_version.split(".")[1]) > int(SPEC_VERSION.split(".")[1]):
        raise UnsupportedError(
            f"The archive has version {marker.spec_version} of the format, of which this version knows all only up to "
            f"{SPEC_VERSION}; repack it with a newer mlflow-archive.",
            code="version",
        )


def _claim(target: Store, marker: Marker, marker_bytes: bytes, *, resume: bool) -> None:
    """Write the marker at an empty place, or find it there."""
    try:
        there = read_marker(target)
    except NotFoundError:
        for found in target.list():
            raise ConflictError(
                f"{target.url} is not empty and holds no archive (there is {found.key}): choose an empty place."
            ) from None
        try:
            target.create(MARKER, marker_bytes)
        except ConflictError as error:
            raise ConflictError(f"Another writer has just begun at {target.url}: choose another place.") from error
        return
    if target.size_bytes(MANIFEST) is not None:
        raise ConflictError(f"There is a complete archive at {target.url} already: choose another place.")
    if not resume or there != marker:
        whose = "this" if there == marker else "another"
        hint = "go on with it by --resume, or choose" if there == marker else "choose"
        raise ConflictError(f"There is an interrupted copy of {whose} archive at {target.url}: {hint} another place.")
    target.sweep()


def _read_back(url: str, work: ArchiveCopy, storage_options: Mapping[str, object] | None) -> str:
    """Return the root digest as a reader finds it at the target.

    Raises:
        ConflictError: A whole archive is there, and it is another writer's.
        IntegrityError: What is there is not what was written.
    """
    try:
        told, archive_id, found = _found(url, storage_options)
    except IntegrityError:  # another writer's archive may have come between two requests
        told, archive_id, found = _found(url, storage_options)
    if archive_id != work.archive_id:
        raise ConflictError(
            f"Another writer has replaced the archive at {told} by its own at the same time, which this place cannot "
            "refuse: let one write to it at a time, and look with mlflow-archive verify."
        )
    if found != work.root_digest:
        raise IntegrityError(
            f"{told} was written with the root digest {work.root_digest}, and reads back with {found}: "
            "do not use it, and check the place with mlflow-archive doctor."
        )
    return found


def _found(url: str, storage_options: Mapping[str, object] | None) -> tuple[str, str, str]:
    """Return the URL that people are told, the archive's id and its root digest."""
    with closing(existing_store(url, storage_options=storage_options)) as store:
        marker, _, data = read_commit(store)
        return store.url, marker.archive_id, sha256_of(data)
