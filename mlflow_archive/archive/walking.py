"""The walk of a verification from the sections down: indexes first, then the objects, in parallel."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial

from mlflow_archive.archive.checking import PARTS, Checker, Findings, LineReader
from mlflow_archive.archive.references import REFERRED, Ids, identity_fault, missing_references
from mlflow_archive.archive.sampling import Sampling
from mlflow_archive.archive.tables import TableChecks
from mlflow_archive.archive.tasks import run_tasks
from mlflow_archive.errors import IntegrityError
from mlflow_archive.events import BytesMoved, ItemFinished, Observer, SectionStarted
from mlflow_archive.spec.descriptor import INDEX_TYPE, OBJECT_TYPE, Descriptor
from mlflow_archive.spec.kinds import IN_EXPERIMENT, Kind
from mlflow_archive.spec.layout import MANIFEST, document_name, index_path, object_folder, part_name, section_folder
from mlflow_archive.spec.loss import Loss
from mlflow_archive.spec.object import IndexEntry, ObjectDocument, Section
from mlflow_archive.spec.records import record_type
from mlflow_archive.spec.rules import Level

LossKey = tuple[str | None, ...]


@dataclass(slots=True)
class Progress:
    """The sums of a verification; told from one thread.

    Attributes:
        objects: Documents read.
        blobs: Files of objects that are named.
        size_bytes: Bytes read.
        files: Parts and blobs that are named, which a sample is taken of.
        files_bytes: Their size.
        hashed: Those whose bytes were read.
        hashed_bytes: Their size.
    """

    observer: Observer
    objects: int = 0
    blobs: int = 0
    size_bytes: int = 0
    files: int = 0
    files_bytes: int = 0
    hashed: int = 0
    hashed_bytes: int = 0

    def read(self, size_bytes: int) -> None:
        """Count bytes that were read."""
        self.size_bytes += size_bytes
        self.observer.notify(BytesMoved(size_bytes))


@dataclass(frozen=True, slots=True)
class Place:
    """A section with where it stands: below the root, or below an experiment."""

    section: Section
    experiment_id: str | None

    @property
    def kind(self) -> Kind:
        """The kind of its objects."""
        return self.section.kind

    @property
    def folder(self) -> str:
        """The folder of its objects."""
        return section_folder(self.kind, experiment_id=self.experiment_id, workspace=self.section.workspace)

    @property
    def index(self) -> str:
        """Where its index must be."""
        return index_path(self.kind, experiment_id=self.experiment_id, workspace=self.section.workspace)


@dataclass(frozen=True, slots=True)
class _Done:
    """What a task leaves: bytes read, further tasks, and the object it was about with its files."""

    size_bytes: int = 0
    blobs: int = 0
    files: int = 0
    files_bytes: int = 0
    hashed: bool = False
    more: tuple[Callable[[], _Done], ...] = ()
    finished: ItemFinished | None = None


_Task = Callable[[], _Done]


@dataclass(slots=True)
class Walk:
    """Checks sections, indexes and objects.

    Attributes:
        stored: Number of index entries by kind, after `sections`.
        whole: False if an index that names sections could not be read, so that `stored` is too low.
    """

    checker: Checker
    level: Level
    progress: Progress
    known_losses: set[LossKey] | None
    tables: TableChecks
    sampling: Sampling | None = None
    stored: Counter[Kind] = field(default_factory=Counter)
    whole: bool = True
    _ids: Ids = field(default_factory=lambda: {kind: set() for kind in REFERRED})

    def sections(self, sections: tuple[Section, ...], parallelism: int) -> None:
        """Check the sections at the root and all below: the indexes first, so that references can be resolved."""
        places = list(self._placed(sections, None, MANIFEST, self.checker.findings))
        for place in places:
            self._index(place)
        tasks = (task for place in places for task in self._objects(place))
        run_tasks(
            tasks,
            parallelism,
            self._settle,
            enough=lambda: self.checker.findings.full,
            abandon=self.checker.abandoned.set,
        )

    def _placed(
        self, sections: tuple[Section, ...], parent: tuple[Place, IndexEntry] | None, path: str, found: Findings
    ) -> Iterator[Place]:
        """Yield the sections that stand where their kind belongs (E053)."""
        seen: set[tuple[Kind, str | None]] = set()
        for section in sections:
            fault = ""
            experiment_id = parent[1].id if parent else None
            if (section.kind in IN_EXPERIMENT) != (experiment_id is not None):
                fault = "does not belong here"
            elif parent is not None and section.workspace != parent[0].section.workspace:
                fault = f"of {parent[1].id!r} is in another workspace"
            elif (section.kind, section.workspace) in seen:
                fault = "is here twice"
            if fault:
                found.add("E053", path, f"the section of kind {section.kind} {fault}")
                self.checker.inventory.claim(section.index.path)
                self.stored[section.kind] += section.count if (section.kind, section.workspace) not in seen else 0
                self.checker.inventory.look_away(section.index.path.rpartition("/")[0])
                continue
            seen.add((section.kind, section.workspace))
            yield Place(section, experiment_id)

    def _children(self, entry: IndexEntry, place: Place, found: Findings) -> Iterator[Place]:
        if place.kind is Kind.EXPERIMENT:
            yield from self._placed(entry.children, (place, entry), place.section.index.path, found)
        elif entry.children:
            found.add("E053", place.section.index.path, f"{entry.id!r} is no experiment and cannot have sections")

    def _index(self, place: Place) -> None:
        """Check one index, and those below it."""
        section, checker = place.section, self.checker
        path = section.index.path
        if not checker.place(section.index, path=place.index, media_type=INDEX_TYPE):
            checker.inventory.look_away(place.folder)
            self._unread(place)
            return
        reader = LineReader(checker.store, path)
        scratch = Findings()
        order = _Order()
        total = 0
        for line in checker.each_line(reader):
            order.lines += 1
            entry = checker.parsed(IndexEntry, line, path, scratch, line=True)
            if entry is None:
                checker.inventory.look_away(place.folder)
                continue
            order.add(entry.id, path, scratch)
            total += entry.total_bytes + sum(child.total_bytes for child in entry.children)
            if self.level == "restorable" and place.kind in self._ids:
                self._ids[place.kind].add(entry.id)
            for child in self._children(entry, place, scratch):
                self._index(child)
        self.progress.read(section.index.size_bytes)
        sound = checker.bytes_match(section.index, reader.ended)
        if not sound:
            self._unread(place)
        else:
            self.stored[place.kind] += order.lines
            if order.lines != section.count:
                scratch.add("E032", path, f"the index has {order.lines} lines, its section says {section.count}")
            if total != section.total_bytes:
                scratch.add("E036", path, f"the entries have {total} bytes, the section says {section.total_bytes}")
            checker.findings.absorb(scratch)

    def _unread(self, place: Place) -> None:
        """Believe the count of a section whose index is damaged, so as not to blame the manifest."""
        self.stored[place.kind] += place.section.count
        self.whole = self.whole and place.kind is not Kind.EXPERIMENT

    def _objects(self, place: Place) -> Iterator[_Task]:
        """Yield a task for each object of a section and of those below, reading the index once more."""
        section = place.section
        if self.checker.store.size_bytes(section.index.path) != section.index.size_bytes:
            return
        self.progress.observer.notify(SectionStarted(kind=place.kind.value, expected=section.count))
        ignored = Findings()
        for line in self.checker.each_line(LineReader(self.checker.store, section.index.path), ignored):
            entry = self.checker.parsed(IndexEntry, line, section.index.path, ignored, line=True)
            if entry is None:
                continue
            yield self._task(entry, place)
            for child in self._children(entry, place, ignored):
                yield from self._objects(child)

    def _task(self, entry: IndexEntry, place: Place) -> _Task:
        return lambda: self._object(entry, place)

    def _object(self, entry: IndexEntry, place: Place) -> _Done:
        """Check one object document; what it names is left to further tasks."""
        checker = self.checker
        workspace = place.section.workspace
        folder = object_folder(place.kind, entry.id, experiment_id=place.experiment_id, workspace=workspace)
        path = f"{folder}/{document_name(place.kind)}"
        document = None
        if checker.place(entry.descriptor, path=path, media_type=OBJECT_TYPE):
            document = checker.document(ObjectDocument, entry.descriptor)
        if document is None:
            checker.inventory.look_away(folder)
            return _Done()
        path = entry.descriptor.path
        stated = (document.kind, document.id, document.experiment_id, document.workspace)
        if stated != (place.kind, entry.id, place.experiment_id, workspace):
            checker.findings.add("E034", path, f"the document is of {document.kind} {document.id!r}, its entry is not")
        more = (*self._parts(document, folder, path), *self._blobs(document, folder, path))
        self._sums(document, entry, path)
        if self.level == "restorable":
            self._record(document, path)
        size = entry.descriptor.size_bytes
        finished = ItemFinished(place.kind.value, entry.id, entry.name or "", "checked", "", entry.total_bytes)
        files = [*(part.descriptor for part in document.parts), *(blob.descriptor for blob in document.blobs)]
        files_bytes = sum(descriptor.size_bytes for descriptor in files)
        return _Done(size, len(document.blobs), len(files), files_bytes, more=more, finished=finished)

    def _sums(self, document: ObjectDocument, entry: IndexEntry, path: str) -> None:
        add = self.checker.findings.add
        total = entry.descriptor.size_bytes
        total += sum(part.descriptor.size_bytes for part in document.parts)
        total += sum(blob.descriptor.size_bytes for blob in document.blobs)
        if total != entry.total_bytes:
            add("E036", path, f"document, parts and blobs have {total} bytes, the index says {entry.total_bytes}")
        if len(document.blobs) != entry.blobs:
            add("E037", path, f"there are {len(document.blobs)} blobs, the index says {entry.blobs}")
        for loss in document.losses if self.known_losses is not None else ():
            if _loss_key(loss) not in (self.known_losses or ()):
                add("E039", path, f"the loss of {(loss.path or 'the object')!r} is not in losses.jsonl")

    def _parts(self, document: ObjectDocument, folder: str, path: str) -> Iterator[_Task]:
        checker = self.checker
        seen: set[str] = set()
        for part in document.parts:
            media_type = PARTS.get((document.kind, part.name))
            if media_type is None or part.name in seen:
                message = f"a {document.kind} cannot have {'two parts' if media_type else 'a part'} {part.name!r}"
                checker.findings.add("E054", path, message)
                checker.inventory.claim(part.descriptor.path)
                continue
            seen.add(part.name)
            placed = checker.place(part.descriptor, path=f"{folder}/{part_name(part.name)}", media_type=media_type)
            if placed and self.level == "valid" and self._sampled(part.descriptor):
                yield partial(self._reading, part.descriptor, partial(checker.hash, part.descriptor))
            elif placed and self.level == "restorable":
                yield partial(self._reading, part.descriptor, partial(checker.part, part))

    def _blobs(self, document: ObjectDocument, folder: str, path: str) -> Iterator[_Task]:
        checker = self.checker
        last: tuple[str, str] | None = None
        names = _Names()
        tables = self.tables.files(document, path, understood=self.level == "restorable")
        for blob in document.blobs:
            if last is not None and (blob.role, blob.name) <= last:
                checker.findings.add("E052", path, f"the blob {blob.name!r} of {blob.role!r} is out of order")
            last = (blob.role, blob.name)
            names.add(blob.descriptor.path, checker.findings)
            placed = checker.place(blob.descriptor, below=f"{folder}/{blob.role}")
            if placed and self.level != "complete" and self._sampled(blob.descriptor):
                table = tables.get(blob.name)
                rows = partial(self.tables.rows, blob, table) if table else partial(checker.hash, blob.descriptor)
                yield partial(self._reading, blob.descriptor, rows)
        names.check_folders(checker.findings)

    @staticmethod
    def _reading(descriptor: Descriptor, read: Callable[[], None]) -> _Done:
        """Read a file to its end, as a task."""
        read()
        return _Done(descriptor.size_bytes, hashed=True)

    def _sampled(self, descriptor: Descriptor) -> bool:
        return self.sampling is None or self.sampling.takes(descriptor.path)

    def _record(self, document: ObjectDocument, path: str) -> None:
        findings = self.checker.findings
        try:
            record = record_type(document.kind).from_json(document.record, path, strict=True)
        except IntegrityError as error:
            findings.add_all(error.problems)
            return
        fault = identity_fault(document, record)
        if fault:
            findings.add("E035", path, fault)
        for rule, message in missing_references(record, self._ids):
            findings.add(rule, path, message)

    def _settle(self, done: _Done) -> tuple[_Task, ...]:
        progress = self.progress
        if done.finished is not None:
            progress.objects += 1
            progress.blobs += done.blobs
            progress.files += done.files
            progress.files_bytes += done.files_bytes
            progress.observer.notify(done.finished)
        if done.hashed:
            progress.hashed += 1
            progress.hashed_bytes += done.size_bytes
        if done.size_bytes:
            progress.read(done.size_bytes)
        return done.more


def read_losses(checker: Checker, descriptor: Descriptor, codes: Counter[str]) -> set[LossKey] | None:
    """Read ``losses.jsonl``, counting codes; return what is lost, None if the file is broken."""
    reader = LineReader(checker.store, descriptor.path)
    scratch = Findings()
    keys: set[LossKey] = set()
    for line in checker.each_line(reader):
        loss = checker.parsed(Loss, line, descriptor.path, scratch, line=True)
        if loss is not None:
            codes[loss.code] += 1
            keys.add(_loss_key(loss))
    if not checker.bytes_match(descriptor, reader.ended):
        return None
    checker.findings.absorb(scratch)
    return None if scratch.problems else keys


class _Order:
    """Watches the ids of an index go by."""

    def __init__(self) -> None:
        self.lines = 0
        self._last: str | None = None
        self._folded: set[int] = set()

    def add(self, id: str, path: str, found: Findings) -> None:
        if self._last is not None and id <= self._last:
            found.add("E033", path, f"the id {id!r} comes after {self._last!r}")
        elif hash(id.casefold()) in self._folded:
            found.add("W004", path, f"the id {id!r} differs from another only in case")
        self._last = id
        self._folded.add(hash(id.casefold()))


class _Names:
    """Watches the paths of an object's blobs go by: which would fall together on some file systems (W004)."""

    def __init__(self) -> None:
        self._paths: dict[str, str] = {}
        self._folders: set[str] = set()

    def add(self, path: str, found: Findings) -> None:
        folded = path.casefold()
        if self._paths.setdefault(folded, path) != path:
            found.add("W004", path, f"the path differs from {self._paths[folded]} only in case")
        while "/" in folded:
            folded = folded.rpartition("/")[0]
            if folded in self._folders:
                break
            self._folders.add(folded)

    def check_folders(self, found: Findings) -> None:
        for folded in self._folders & self._paths.keys():
            found.add("W004", self._paths[folded], "this file is also the folder of another")


def _loss_key(loss: Loss) -> LossKey:
    return (loss.kind.value, loss.id, loss.experiment_id, loss.workspace, loss.path, loss.code)
