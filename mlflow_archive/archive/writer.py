"""The writer: an archive as a sink."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress

from mlflow_archive.archive.blobs import BlobCopier
from mlflow_archive.archive.documents import RowsError, put_bytes, put_lines, put_part
from mlflow_archive.archive.guide import GUIDE
from mlflow_archive.archive.ledger import Ledger
from mlflow_archive.archive.place import claim
from mlflow_archive.archive.stored import find_whole
from mlflow_archive.errors import ConflictError, IntegrityError, MlflowArchiveError
from mlflow_archive.events import BytesMoved, Observer, Silence
from mlflow_archive.spec.canonical import JSONObject
from mlflow_archive.spec.descriptor import LOSSES_TYPE, MARKER_TYPE, OBJECT_TYPE, TEXT_TYPE, Descriptor
from mlflow_archive.spec.kinds import KIND_ORDER
from mlflow_archive.spec.layout import LOSSES, MANIFEST, MARKER, README, document_name, object_folder
from mlflow_archive.spec.loss import Loss
from mlflow_archive.spec.manifest import KindCount, LossSummary, Manifest, Marker, SourceInfo, Tool
from mlflow_archive.spec.object import BlobEntry, IndexEntry, ObjectDocument, PartEntry
from mlflow_archive.spec.paths import check_path
from mlflow_archive.spec.records.base import Record
from mlflow_archive.spec.version import FORMAT, SPEC_VERSION, TOOL_VERSION
from mlflow_archive.storage.hashing import sha256_of
from mlflow_archive.storage.store import Store
from mlflow_archive.stream import Account, Content, Item, ObjectKey, Outcome, Part, Scope, Status


def now_ms() -> int:
    """Return milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


class ArchiveWriter:
    """Writes objects into a store and commits them with a manifest. Made by `begin`.

    The order of writing: marker; for each object its files, its rows, then its document; the index of each section;
    the losses; last the manifest. So whatever is named is there, and without the manifest there is no archive.
    """

    def __init__(
        self,
        store: Store,
        marker: Marker,
        *,
        resumed: bool,
        parallelism: int,
        observer: Observer,
        clock_ms: Callable[[], int],
        source_tags: str | None,
    ) -> None:
        """Use `begin`."""
        self.marker = marker
        self.root_digest: str | None = None
        """sha256 of the manifest; None before `finish`."""
        self.manifest: Manifest | None = None
        """The commit; None before `finish`."""
        self._store = store
        self._resumed = resumed
        self._observer = observer
        self._clock_ms = clock_ms
        self._source_tags = source_tags
        self._begun = False
        self._ledger = Ledger(store)
        self._blobs = BlobCopier(store, parallelism, self._moved)

    @classmethod
    def begin(
        cls,
        store: Store,
        *,
        resume: bool = False,
        parallelism: int = 8,
        observer: Observer | None = None,
        clock_ms: Callable[[], int] = now_ms,
        source_tags: str | None = None,
    ) -> ArchiveWriter:
        """Begin an archive, or go on with one that was interrupted.

        Args:
            store: An empty place, or with ``resume`` one with an interrupted backup; stays the caller's to close.
            resume: Go on: objects that are whole are not read again, the marker stays.
            parallelism: How many files are copied at once, over all objects.
            observer: Hears of bytes moved, from several threads.
            clock_ms: Tells the time, milliseconds since the epoch.
            source_tags: In which layout a restore is to tell of the source in tags (`SourceInfo.source_tags`).

        Raises:
            ConflictError: A committed archive, an interrupted backup (without ``resume``) or foreign files are there.
        """
        marker = claim(store, resume=resume)
        with store.write(README) as writer:
            writer.write(GUIDE.encode("utf-8"))
        return cls(
            store,
            marker,
            resumed=resume,
            parallelism=parallelism,
            observer=observer or Silence(),
            clock_ms=clock_ms,
            source_tags=source_tags,
        )

    def write(self, item: Item) -> Outcome:
        """Store one object; what of it cannot be read is a loss and stands in its document.

        Raises:
            MlflowArchiveError: `Item.load` failed, the object cannot be stored under its name, or the store failed.
        """
        self._begun = True
        key = item.key
        folder = _folder(key)
        if not self._ledger.reserve(key):
            return Outcome(key, Status.SKIPPED, reason="duplicate")
        entered = False
        try:
            outcome, entry = self._write(key, folder, item.load())
            self._ledger.enter(key, entry)
            entered = True
        finally:
            if not entered:
                self._ledger.release(key)
        return outcome

    def close_scope(self, scope: Scope) -> None:
        """Write the index of a section."""
        self._require_uncommitted()
        self._ledger.close_scope(scope)

    def finish(self, account: Account) -> tuple[Loss, ...]:
        """Write the indexes that are left and the losses, then commit.

        Raises:
            ConflictError: Another writer committed here.
        """
        self._begun = True
        self._require_uncommitted()
        losses = self._put_losses(account.losses)
        sections = self._ledger.sections()
        manifest = Manifest(
            format=FORMAT,
            spec_version=SPEC_VERSION,
            archive_id=self.marker.archive_id,
            status="partial" if losses.count else "complete",
            started_ms=account.started_ms,
            finished_ms=self._clock_ms(),
            tool=Tool(name="mlflow-archive", version=TOOL_VERSION),
            source=self._source(account.source),
            selection=account.selection.to_json(),
            counts=self._counts(account),
            skipped=_by_reason(account),
            losses=losses,
            notes=account.notes,
            total_bytes=sum(section.total_bytes for section in sections),
            files=self._files(),
            sections=sections,
        )
        data = manifest.to_bytes()
        try:
            self._store.commit(MANIFEST, data)
        except ConflictError as error:
            raise self._beaten() from error
        self.manifest = manifest
        self.root_digest = sha256_of(data)
        return ()

    def _source(self, source: SourceInfo) -> SourceInfo:
        return source.model_copy(update={"source_tags": self._source_tags}) if self._source_tags else source

    def close(self) -> None:
        """End the copying threads; without `finish` before it, an interrupted backup stays behind.

        Where not even one object was begun (wrong credentials, a name that nobody has), there is nothing to go on
        with: the place is left as it was found.
        """
        self._blobs.close()
        if not (self._begun or self._resumed):
            # What cannot be removed now is an interrupted backup like any other.
            with suppress(MlflowArchiveError):
                self._leave_place()

    def _leave_place(self) -> None:
        if {found.key for found in self._store.list()} <= {README, MARKER}:
            self._store.delete(README)
            self._store.delete(MARKER)

    def _write(self, key: ObjectKey, folder: str, content: Content) -> tuple[Outcome, IndexEntry]:
        path = check_path(f"{folder}/{document_name(key.kind)}")
        if self._resumed:
            found = find_whole(self._store, path, folder, key, content)
            if found is not None:
                document, descriptor = found
                entry = _index_entry(key, content.record, document, descriptor)
                return Outcome(key, Status.STORED, reason="resumed", target_id=key.id), entry
        blobs, losses = self._blobs.copy(key, folder, content.blobs())
        parts: list[PartEntry] = []
        for part in content.parts:
            stored = self._put_part(key, folder, part)
            if isinstance(stored, Loss):
                losses.append(stored)
            else:
                parts.append(stored)
        document = _document(key, content, parts, blobs, losses)
        descriptor = _put_document(self._store, path, document)
        entry = _index_entry(key, content.record, document, descriptor)
        self._moved(entry.total_bytes - sum(blob.descriptor.size_bytes for blob in blobs))
        outcome = Outcome(key, Status.STORED, target_id=key.id, size_bytes=entry.total_bytes, losses=document.losses)
        return outcome, entry

    def _put_part(self, key: ObjectKey, folder: str, part: Part) -> PartEntry | Loss:
        try:
            return put_part(self._store, folder, part)
        except RowsError as fault:
            error = fault.error
            return key.lost(error.code, str(error), path=part.name, retryable=error.retryable)

    def _put_losses(self, losses: tuple[Loss, ...]) -> LossSummary:
        summary = LossSummary(count=len(losses), by_code=dict(Counter(loss.code for loss in losses)))
        if not losses:
            return summary
        lines = sorted(loss.to_line() for loss in losses)
        return LossSummary(
            count=summary.count,
            by_code=summary.by_code,
            descriptor=put_lines(self._store, LOSSES, lines, LOSSES_TYPE),
        )

    def _files(self) -> tuple[Descriptor, ...]:
        """Name what belongs to no object, so that the root digest covers it too."""
        readme, marker = GUIDE.encode("utf-8"), self.marker.to_bytes()
        return (
            Descriptor(path=README, media_type=TEXT_TYPE, size_bytes=len(readme), sha256=sha256_of(readme)),
            Descriptor(path=MARKER, media_type=MARKER_TYPE, size_bytes=len(marker), sha256=sha256_of(marker)),
        )

    def _counts(self, account: Account) -> dict[str, KindCount]:
        stored = self._ledger.counts()
        counts = {}
        for kind in KIND_ORDER:
            skipped = sum(account.skipped.get(kind.value, {}).values())
            lost = account.lost.get(kind.value, 0)
            if stored.get(kind, 0) or skipped or lost:
                counts[kind.value] = KindCount(stored=stored.get(kind, 0), skipped=skipped, lost=lost)
        return counts

    def _require_uncommitted(self) -> None:
        """Stop a second writer that resumed the same backup before it changes what the first one committed."""
        if self._resumed and self._store.size_bytes(MANIFEST) is not None:
            raise self._beaten()

    def _beaten(self) -> ConflictError:
        return ConflictError(f"Another backup has completed the archive at {self._store.url} meanwhile.")

    def _moved(self, size_bytes: int) -> None:
        self._observer.notify(BytesMoved(size_bytes))


def _folder(key: ObjectKey) -> str:
    try:
        key.id.encode("utf-8")
        return check_path(object_folder(key.kind, key.id, experiment_id=key.experiment_id, workspace=key.workspace))
    except ValueError as error:
        raise IntegrityError(
            f"An archive cannot hold an object of the name {key.id!r}: {error}", code="name"
        ) from error


def _document(
    key: ObjectKey, content: Content, parts: list[PartEntry], blobs: list[BlobEntry], losses: list[Loss]
) -> ObjectDocument:
    fields: dict[str, object] = {"kind": key.kind, "id": key.id, "record": content.record.to_json()}
    if key.scope.experiment_id is not None:
        fields["experiment_id"] = key.experiment_id
    if key.workspace is not None:
        fields["workspace"] = key.workspace
    if parts:
        fields["parts"] = tuple(parts)
    if blobs:
        fields["blobs"] = tuple(blobs)
    all_losses = dict.fromkeys((*content.losses, *losses))
    if all_losses:
        fields["losses"] = tuple(sorted(all_losses, key=Loss.to_line))
    return ObjectDocument.model_validate(fields)


def _put_document(store: Store, path: str, document: ObjectDocument) -> Descriptor:
    try:
        data = document.to_bytes()
    except ValueError as error:
        raise IntegrityError(f"{path} cannot be written as JSON: {error}.", code="invalid") from error
    return put_bytes(store, path, data, OBJECT_TYPE)


def _index_entry(key: ObjectKey, record: Record, document: ObjectDocument, descriptor: Descriptor) -> IndexEntry:
    beside = sum(part.descriptor.size_bytes for part in document.parts)
    beside += sum(blob.descriptor.size_bytes for blob in document.blobs)
    fields: JSONObject = {
        "id": key.id,
        "total_bytes": descriptor.size_bytes + beside,
        "blobs": len(document.blobs),
        "descriptor": descriptor.to_json(),
    }
    if record.title and record.title != key.id:
        fields["name"] = record.title
    if record.time_ms is not None:
        fields["time_ms"] = record.time_ms
    if record.state is not None:
        fields["state"] = record.state
    return IndexEntry.model_validate(fields)


def _by_reason(account: Account) -> dict[str, int]:
    total: Counter[str] = Counter()
    for reasons in account.skipped.values():
        total.update(reasons)
    return dict(total)
