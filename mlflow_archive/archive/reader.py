"""The reader: an archive as a source, and for browsing. Trusts nothing it reads."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass, replace

from mlflow_archive.archive.place import read_commit
from mlflow_archive.archive.verified import broken, read_chunks, read_document, read_lines, read_whole_lines
from mlflow_archive.errors import MlflowArchiveError
from mlflow_archive.spec.canonical import JSONObject, parse_object
from mlflow_archive.spec.descriptor import Descriptor
from mlflow_archive.spec.kinds import IN_EXPERIMENT, KIND_ORDER, Kind
from mlflow_archive.spec.layout import document_name, object_folder
from mlflow_archive.spec.loss import Loss
from mlflow_archive.spec.manifest import Manifest, Marker, SourceInfo
from mlflow_archive.spec.object import BlobEntry, IndexEntry, ObjectDocument, PartEntry, Section
from mlflow_archive.spec.paths import check_path
from mlflow_archive.spec.records import parse_record
from mlflow_archive.spec.selection import Selection
from mlflow_archive.spec.wanted import RecordFilter, wants_object
from mlflow_archive.storage.hashing import sha256_of
from mlflow_archive.storage.store import Store
from mlflow_archive.stream import Blob, Content, Item, ObjectKey, Part, narrowed

#: Paths of losses: the files of an object, or of a version. Whoever wants no files does not miss them.
_OF_FILES = re.compile(r"(versions/\d+/)?artifacts(/.*)?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class PlacedSection:
    """A section and where it stands.

    Attributes:
        section: The section.
        experiment: The index entry of the experiment it is below; None at the root.
    """

    section: Section
    experiment: IndexEntry | None

    def key(self, entry: IndexEntry) -> ObjectKey:
        """Return the key of one of its objects."""
        return ObjectKey(
            self.section.kind,
            entry.id,
            experiment_id=self.experiment.id if self.experiment else None,
            workspace=self.section.workspace,
            name=entry.name or entry.id,
        )


class ArchiveReader:
    """A committed archive. Made by `open`.

    Everything that is read is held against its descriptor: documents and parts before they are given out, indexes and
    files at their end.
    Nothing is kept but the manifest, so memory does not grow with the archive. Safe to use from several threads.
    """

    def __init__(self, store: Store, marker: Marker, manifest: Manifest, root_digest: str) -> None:
        """Use `open`."""
        self.marker = marker
        self.manifest = manifest
        self.root_digest = root_digest
        """sha256 of the manifest, which vouches for everything else."""
        self._store = store

    @classmethod
    def open(cls, store: Store) -> ArchiveReader:
        """Open an archive; the store stays the caller's to close.

        Raises:
            NotAnArchiveError: There is none, or only an interrupted backup.
            IntegrityError: Marker or manifest break the specification.
            UnsupportedError: The version (E002) or a named feature (E004) is not known to this version.
        """
        marker, manifest, data = read_commit(store)
        return cls(store, marker, manifest, sha256_of(data))

    # As a source

    def describe(self) -> SourceInfo:
        """Say where the archive is, and of which MLflow version its objects are."""
        return SourceInfo(type="archive", uri=self._store.url, mlflow_version=self.manifest.source.mlflow_version)

    @property
    def origin(self) -> SourceInfo:
        """Where the backup was taken, without credentials."""
        return self.manifest.source

    def kinds(self) -> tuple[Kind, ...]:
        """Return the kinds of which the archive has objects."""
        counts = self.manifest.counts
        return tuple(kind for kind in KIND_ORDER if kind.value in counts and counts[kind.value].stored)

    def read(self, kind: Kind, selection: Selection) -> Iterator[Item | Loss]:
        """List the objects of a kind that the selection wants, section after section.

        A damaged index yields what could be read of it and then a `Loss`. Where a selection asks for what no index has
        (a run filter, parents of runs), documents are read while listing.

        Raises:
            UsageError: The run filter is wrong.
        """
        asked = RecordFilter(kind, selection)
        if not selection.wants(kind):
            return
        try:
            for placed in self._placed(kind, selection):
                yield from self._read_section(placed, selection, asked)
        except MlflowArchiveError as error:
            yield ObjectKey(kind, "").lost(error.code, str(error), retryable=error.retryable)

    def expected(self, kind: Kind, selection: Selection) -> int | None:
        """Return what the manifest counted, unless the selection leaves objects out."""
        if not replace(selection, kinds=None, artifacts=True).is_everything:
            return None
        count = self.manifest.counts.get(kind.value)
        return count.stored if count else 0

    def notes(self) -> tuple[str, ...]:
        """Return what the backup noted."""
        return self.manifest.notes

    def close(self) -> None:
        """Do nothing: the store belongs to who opened it."""

    # For browsing

    def sections(self, kind: Kind | None = None) -> Iterator[PlacedSection]:
        """Yield all sections, or those of a kind, with those below experiments, lazily.

        Raises:
            IntegrityError: An index of experiments is damaged.
        """
        for wanted in KIND_ORDER if kind is None else (kind,):
            yield from self._placed(wanted, Selection())

    def entries(self, section: Section) -> Iterator[IndexEntry]:
        """Yield the entries of a section, lazily; the digest is checked at the end.

        Raises:
            IntegrityError: The index is missing, damaged, or has a line that is none.
        """
        with closing(read_lines(self._store, section.index)) as lines:
            for line in lines:
                yield IndexEntry.from_bytes(line, section.index.path)

    def experiments(self) -> Iterator[IndexEntry]:
        """Yield the entries of all experiments, of all workspaces, lazily."""
        for section in self.manifest.sections:
            if section.kind is Kind.EXPERIMENT:
                yield from self.entries(section)

    def document(self, entry: IndexEntry) -> ObjectDocument:
        """Return the document of an object, verified before it is parsed.

        Raises:
            IntegrityError: It is missing or damaged, is of another object (E034), or names files outside the
                object's folder (E021).
        """
        return self.document_and_bytes(entry)[0]

    def document_and_bytes(self, entry: IndexEntry) -> tuple[ObjectDocument, bytes]:
        """Return a document as `document` does, and the bytes that it was read from."""
        path = entry.descriptor.path
        data = read_document(self._store, entry.descriptor)
        document = ObjectDocument.from_bytes(data, path)
        folder = _folder(document)
        if document.id != entry.id or path != f"{folder}/{document_name(document.kind)}":
            raise broken("E034", path, f"is the document of the {document.kind} {document.id!r} and stands elsewhere")
        for descriptor in _descriptors(document):
            if not check_path(descriptor.path).startswith(f"{folder}/"):
                raise broken("E021", path, f"names {descriptor.path}, which is not below its own folder")
        return document, data

    def blob(self, descriptor: Descriptor) -> AbstractContextManager[Iterator[bytes]]:
        """Open a file for reading in chunks; the digest is checked at the end, see `verified.read_chunks`."""
        return closing(read_chunks(self._store, descriptor))

    def lines(self, descriptor: Descriptor) -> Iterator[JSONObject]:
        """Yield the rows of a part, or the lines of ``losses.jsonl``, lazily; none of a file that is damaged.

        Raises:
            IntegrityError: The file is missing or damaged, or a line is not a JSON object.
        """
        with closing(read_whole_lines(self._store, descriptor)) as lines:
            for line in lines:
                yield parse_object(line, descriptor.path)

    def losses(self) -> Iterator[Loss]:
        """Yield what the backup could not read, lazily."""
        descriptor = self.manifest.losses.descriptor
        if descriptor is not None:
            for line in self.lines(descriptor):
                yield Loss.from_json(line, descriptor.path)

    def _placed(self, kind: Kind, selection: Selection) -> Iterator[PlacedSection]:
        for section in self.manifest.sections:
            if section.kind is kind and kind not in IN_EXPERIMENT:
                yield PlacedSection(section, None)
            elif section.kind is Kind.EXPERIMENT and kind in IN_EXPERIMENT:
                asked = RecordFilter(Kind.EXPERIMENT, selection)
                for entry in self.entries(section):
                    if self._wants(selection, Kind.EXPERIMENT, entry, asked):
                        yield from (PlacedSection(child, entry) for child in entry.children if child.kind is kind)

    def _read_section(self, placed: PlacedSection, selection: Selection, asked: RecordFilter) -> Iterator[Item | Loss]:
        kind = placed.section.kind
        try:
            for entry in self.entries(placed.section):
                if self._wants(selection, kind, entry, asked):
                    yield self._item(placed.key(entry), entry, selection)
        except MlflowArchiveError as error:
            experiment_id = placed.experiment.id if placed.experiment else None
            key = ObjectKey(kind, "", experiment_id=experiment_id, workspace=placed.section.workspace)
            yield key.lost(error.code, str(error), retryable=error.retryable)

    def _wants(self, selection: Selection, kind: Kind, entry: IndexEntry, asked: RecordFilter) -> bool:
        """Ask the index, and the record where that is needed.

        A damaged object is let through, so that it becomes a loss of its own when it is loaded.
        """
        if not wants_object(selection, kind, entry.id, entry.name or entry.id, entry.time_ms):
            return False
        # The index tells of the deletion of experiments and runs; of logged models only the record does.
        told = kind is not Kind.LOGGED_MODEL and entry.state is not None
        if asked.asks_life_cycle and told and "deleted" in (entry.state or "").split():
            return False
        if not asked.asks_more and (told or not asked.asks_life_cycle):
            return True
        try:
            return asked.wants(parse_record(kind, self.document(entry).record, entry.descriptor.path))
        except MlflowArchiveError:
            return True

    def _item(self, key: ObjectKey, entry: IndexEntry, selection: Selection) -> Item:
        def load() -> Content:
            document = self.document(entry)
            stated = (document.kind, document.experiment_id, document.workspace)
            if stated != (key.kind, key.experiment_id, key.workspace):
                raise broken("E034", entry.descriptor.path, f"is a document that the index of the {key.kind}s names")
            content = Content(
                record=parse_record(key.kind, document.record, entry.descriptor.path),
                parts=tuple(self._part(part) for part in document.parts),
                blobs=lambda: (
                    (self._blob(blob) for blob in document.blobs) if selection.wants_files(key.kind) else iter(())
                ),
                # The archive will lack them the next time as well.
                losses=tuple(
                    loss.model_copy(update={"retryable": False})
                    for loss in document.losses
                    if selection.wants_files(key.kind) or not _OF_FILES.fullmatch(loss.path or "")
                ),
            )
            return narrowed(content, key, selection)

        return Item(key, load)

    def _part(self, part: PartEntry) -> Part:
        return Part(part.name, lambda: self.lines(part.descriptor), part.descriptor)

    def _blob(self, blob: BlobEntry) -> Blob:
        return Blob(
            blob.role,
            blob.name,
            blob.descriptor.size_bytes,
            lambda: self.blob(blob.descriptor),
            blob.descriptor,
        )


def _folder(document: ObjectDocument) -> str | None:
    """Return the folder that the layout gives to an object; None if it says too little."""
    if document.kind in IN_EXPERIMENT and document.experiment_id is None:
        return None
    return object_folder(document.kind, document.id, experiment_id=document.experiment_id, workspace=document.workspace)


def _descriptors(document: ObjectDocument) -> Iterator[Descriptor]:
    yield from (part.descriptor for part in document.parts)
    yield from (blob.descriptor for blob in document.blobs)
