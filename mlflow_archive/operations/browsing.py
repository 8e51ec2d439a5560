"""An open archive for programs: its records, metric histories and files, all lazily."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, TypeVar

from mlflow_archive.archive.reader import ArchiveReader
from mlflow_archive.errors import IntegrityError, NotFoundError, UsageError
from mlflow_archive.operations.ends import stored_source
from mlflow_archive.spec.canonical import decode_float
from mlflow_archive.spec.kinds import IN_EXPERIMENT, Kind
from mlflow_archive.spec.loss import Loss
from mlflow_archive.spec.manifest import Manifest
from mlflow_archive.spec.records.base import Record
from mlflow_archive.spec.records.database import DatabaseRecord
from mlflow_archive.spec.records.evaluation_dataset import EvaluationDatasetRecord
from mlflow_archive.spec.records.experiment import ExperimentRecord
from mlflow_archive.spec.records.logged_model import LoggedModelRecord
from mlflow_archive.spec.records.prompt import PromptRecord
from mlflow_archive.spec.records.registered_model import RegisteredModelRecord
from mlflow_archive.spec.records.run import RunRecord
from mlflow_archive.spec.records.trace import TraceRecord
from mlflow_archive.spec.selection import Selection
from mlflow_archive.storage.opening import public_url
from mlflow_archive.stream import Blob, Content, Item

if TYPE_CHECKING:
    from mlflow_archive.predecessor.source import PredecessorSource

_R = TypeVar("_R", bound=Record)


@dataclass(frozen=True, slots=True)
class MetricPoint:
    """One logged value of a metric; ``timestamp_ms`` is milliseconds since the epoch."""

    key: str
    value: float
    timestamp_ms: int
    step: int


class _Origins:
    """Where records came from, by identity and no longer than the records live.

    A record says neither its workspace nor its place in an index, and equal ones may stand in two workspaces.
    """

    def __init__(self) -> None:
        self._known: dict[int, tuple[weakref.ref[Record], Item]] = {}

    def keep(self, record: Record, item: Item) -> None:
        number, known = id(record), self._known
        known[number] = (weakref.ref(record, lambda _: known.pop(number, None)), item)

    def of(self, record: Record) -> Item | None:
        reference, item = self._known.get(id(record), (None, None))
        return item if reference is not None and reference() is record else None


class Archive:
    """A committed archive, open for reading. Made by `mlflow_archive.api.open`; close it, or use ``with``.

    Every iteration reads as it goes, so it must end before the archive is closed. Digests are checked while bytes
    pass: what does not match raises `IntegrityError`. An archive of mlflow-export-import has no digests; what it lists
    and does not have is passed over.
    """

    def __init__(self, reader: ArchiveReader | PredecessorSource, url: str, stack: ExitStack) -> None:
        """Use `Archive.open`."""
        self.url = url
        self._reader = reader
        self._stack = stack
        self._origins = _Origins()

    @classmethod
    def open(cls, url: str, *, storage_options: Mapping[str, object] | None = None) -> Archive:
        """Open the archive at a URL; see `mlflow_archive.api.open`."""
        with ExitStack() as stack:
            reader = stack.enter_context(stored_source(url, storage_options=storage_options))
            return cls(reader, public_url(url), stack.pop_all())

    def __enter__(self) -> Archive:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Free the store behind the archive; may be called twice."""
        self._stack.close()

    @property
    def manifest(self) -> Manifest:
        """The commit: counts, source, times, losses; of an archive of mlflow-export-import, what it tells of them."""
        if isinstance(self._reader, ArchiveReader):
            return self._reader.manifest
        from mlflow_archive.operations.predecessor_listing import listing

        return listing(self._reader, self.url, None, None).manifest

    @property
    def root_digest(self) -> str:
        """The sha256 of the manifest, which pins every byte of the archive; empty if it has none."""
        return self._reader.root_digest if isinstance(self._reader, ArchiveReader) else ""

    def experiments(self) -> Iterator[ExperimentRecord]:
        """Yield the experiments."""
        return self._records(Kind.EXPERIMENT, ExperimentRecord, None)

    def runs(self, experiment: str | None = None) -> Iterator[RunRecord]:
        """Yield the runs, of one experiment (a name or an id) or of all.

        Raises:
            NotFoundError: There is no such experiment in the archive.
        """
        return self._records(Kind.RUN, RunRecord, experiment)

    def logged_models(self, experiment: str | None = None) -> Iterator[LoggedModelRecord]:
        """Yield the logged models, of one experiment (a name or an id) or of all."""
        return self._records(Kind.LOGGED_MODEL, LoggedModelRecord, experiment)

    def traces(self, experiment: str | None = None) -> Iterator[TraceRecord]:
        """Yield the traces, of one experiment (a name or an id) or of all."""
        return self._records(Kind.TRACE, TraceRecord, experiment)

    def models(self) -> Iterator[RegisteredModelRecord]:
        """Yield the registered models with their versions."""
        return self._records(Kind.REGISTERED_MODEL, RegisteredModelRecord, None)

    def prompts(self) -> Iterator[PromptRecord]:
        """Yield the prompts with their versions."""
        return self._records(Kind.PROMPT, PromptRecord, None)

    def evaluation_datasets(self) -> Iterator[EvaluationDatasetRecord]:
        """Yield the evaluation datasets, without their rows."""
        return self._records(Kind.EVALUATION_DATASET, EvaluationDatasetRecord, None)

    def databases(self) -> Iterator[DatabaseRecord]:
        """Yield the databases whose tables are in the archive: that of users and permissions, and that of tracking."""
        return self._records(Kind.DATABASE, DatabaseRecord, None)

    def rows(self, database: DatabaseRecord, table: str) -> Iterator[dict[str, object]]:
        """Yield the rows of a table of a database that this archive gave, each as column -> value.

        Values are int, float, bool, str (text and JSON), bytes, naive `datetime` in UTC, or None.

        Raises:
            NotFoundError: There is no such table in the archive.
            UnsupportedError: pyarrow is not installed.
            IntegrityError: The table is damaged.
        """
        from mlflow_archive.tracking.database.parquet import read_rows

        origin = self._origins.of(database)
        described = next((known for known in database.tables if known.name == table), None)
        files = origin.load().blobs() if origin is not None else iter(())
        blob = next((file for file in files if isinstance(file, Blob) and file.name == f"{table}.parquet"), None)
        if described is None or blob is None:
            raise NotFoundError(f"There is no table {table!r} of this database in {self.url}.")
        names = [column.name for column in described.columns]
        with closing(read_rows(blob, described)) as pieces:
            for rows in pieces:
                yield from (dict(zip(names, row, strict=True)) for row in rows)

    def metrics(self, run: RunRecord) -> Iterator[MetricPoint]:
        """Yield every logged value of a run, metric after metric.

        A run that this archive gave is found at once; any other one, such as a copy, is looked for by its id.

        Raises:
            NotFoundError: There is no such run in the archive.
        """
        for part in self._content(run, Kind.RUN, run.info.run_id).parts:
            if part.name != "metrics":
                continue
            for line in part.open():
                yield from _points(line)

    def files(self, record: RunRecord | LoggedModelRecord | TraceRecord | RegisteredModelRecord) -> Iterator[Blob]:
        """Yield the files of an object; what cannot be in an archive is in ``manifest.losses``.

        A record that this archive gave is found at once; any other one, such as a copy, is looked for by its id.

        Raises:
            NotFoundError: There is no such object in the archive.
            UsageError: The record is not one that this archive gave, and several workspaces have its name.
        """
        for blob in self._content(record, *_identity(record)).blobs():
            if not isinstance(blob, Loss):
                yield blob

    def read_blob(self, blob: Blob) -> Iterator[bytes]:
        """Yield the bytes of a file that `files` gave, in chunks; the digest is checked at the end.

        Raises:
            IntegrityError: The bytes are not what was backed up.
        """
        with blob.open() as chunks:
            yield from chunks

    def _records(self, kind: Kind, type_: type[_R], experiment: str | None) -> Iterator[_R]:
        for item in self._items(kind, self._below(experiment) if kind in IN_EXPERIMENT else Selection()):
            record = item.load().record
            if isinstance(record, type_):
                self._origins.keep(record, item)
                yield record

    def _items(self, kind: Kind, selection: Selection) -> Iterator[Item]:
        for entry in self._reader.read(kind, selection):
            if isinstance(entry, Item):
                yield entry
            elif isinstance(self._reader, ArchiveReader):
                raise IntegrityError(f"The list of every {kind} cannot be read: {entry.reason}", code=entry.code)

    def _below(self, experiment: str | None) -> Selection:
        if experiment is None:
            return Selection()
        keys = [item.key for item in self._items(Kind.EXPERIMENT, Selection())]
        ids = [key.id for key in keys if experiment in (key.id, key.name)]
        if not ids:
            raise NotFoundError(f"There is no experiment named {experiment!r} in {self.url}.")
        return Selection(experiment_ids=frozenset(ids))

    def _content(self, record: Record, kind: Kind, id: str) -> Content:
        origin = self._origins.of(record)
        if origin is not None:
            return origin.load()
        found = [item for item in self._items(kind, Selection()) if item.key.id == id]
        if not found:
            raise NotFoundError(f"There is no {kind} {id!r} in {self.url}.")
        if len(found) > 1:
            places = ", ".join(sorted(item.key.workspace or "default" for item in found))
            raise UsageError(
                f"Several workspaces have a {kind} {id!r} ({places}): give a record as this archive gave it."
            )
        return found[0].load()


def _points(line: Mapping[str, object]) -> Iterator[MetricPoint]:
    key, times, steps, values = (line.get(name) for name in ("key", "timestamps", "steps", "values"))
    if not (isinstance(times, list) and isinstance(steps, list) and isinstance(values, list)):
        raise IntegrityError("A line of metrics.jsonl has no timestamps, steps and values (E015).")
    for time_ms, step, value in zip(times, steps, values, strict=True):
        yield MetricPoint(str(key), decode_float(value), int(time_ms), int(step))


def _identity(record: RunRecord | LoggedModelRecord | TraceRecord | RegisteredModelRecord) -> tuple[Kind, str]:
    if isinstance(record, RunRecord):
        return Kind.RUN, record.info.run_id
    if isinstance(record, LoggedModelRecord):
        return Kind.LOGGED_MODEL, record.info.model_id
    if isinstance(record, TraceRecord):
        return Kind.TRACE, record.info.trace_id
    return Kind.PROMPT if isinstance(record, PromptRecord) else Kind.REGISTERED_MODEL, record.name
