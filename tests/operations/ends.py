"""A source and a sink in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from threading import Lock

from mlflow_archive.errors import MlflowArchiveError
from mlflow_archive.spec.canonical import JSONObject
from mlflow_archive.spec.kinds import IN_EXPERIMENT, KIND_ORDER, Kind
from mlflow_archive.spec.loss import Loss
from mlflow_archive.spec.manifest import SourceInfo
from mlflow_archive.spec.records import record_type
from mlflow_archive.spec.selection import Selection
from mlflow_archive.spec.wanted import RecordFilter, life_cycle_stage, wants_object
from mlflow_archive.stream import Account, Blob, Content, Item, ObjectKey, Outcome, Part, Scope, Status, narrowed


def content(
    kind: Kind,
    record: JSONObject,
    *,
    parts: dict[str, list[JSONObject]] | None = None,
    files: dict[str, bytes] | None = None,
) -> Content:
    """Make a content out of plain values."""

    def blob(name: str, data: bytes) -> Blob:
        @contextmanager
        def open_blob() -> Iterator[Iterator[bytes]]:
            yield iter([data])

        return Blob("artifacts", name, len(data), open_blob)

    return Content(
        record=record_type(kind).model_validate(record),
        parts=tuple(Part(name, lambda rows=rows: iter(rows)) for name, rows in (parts or {}).items()),
        blobs=lambda: iter([blob(name, data) for name, data in (files or {}).items()]),
    )


def item(
    kind: Kind,
    id: str,
    load: Callable[[], Content] | Content | None = None,
    *,
    experiment_id: str | None = None,
    name: str = "",
) -> Item:
    """Make an item; without a content, it has the least its kind can have."""
    if load is None:
        load = content(kind, least(kind, id, experiment_id or "0", name))
    return Item(ObjectKey(kind, id, experiment_id=experiment_id, name=name), load if callable(load) else lambda: load)


def least(kind: Kind, id: str, experiment_id: str = "0", name: str = "") -> JSONObject:
    """Return the least record of a kind."""
    records: dict[Kind, JSONObject] = {
        Kind.EXPERIMENT: {
            "experiment_id": id,
            "name": name or id,
            "artifact_location": "x",
            "lifecycle_stage": "active",
        },
        Kind.RUN: {
            "info": {"run_id": id, "experiment_id": experiment_id, "status": "FINISHED", "lifecycle_stage": "active"}
        },
        Kind.LOGGED_MODEL: {"info": {"model_id": id, "experiment_id": experiment_id}},
        Kind.TRACE: {"info": {"trace_id": id}, "experiment_id": experiment_id},
        Kind.EVALUATION_DATASET: {"dataset_id": id, "name": name or id},
    }
    return records.get(kind, {"name": name or id, "payload": {}})


class MemorySource:
    """Gives the items it was made of, filtered as the protocol asks."""

    def __init__(self, entries: Sequence[Item | Loss], notes: tuple[str, ...] = ()) -> None:
        self.entries = list(entries)
        self.reads: list[Kind] = []
        self._notes = notes

    def describe(self) -> SourceInfo:
        return SourceInfo(type="mlflow", uri="memory://source", mlflow_version="3.0.0")

    def kinds(self) -> tuple[Kind, ...]:
        return tuple(kind for kind in KIND_ORDER if any(_kind(entry) is kind for entry in self.entries))

    def read(self, kind: Kind, selection: Selection) -> Iterator[Item | Loss]:
        self.reads.append(kind)
        asked = RecordFilter(kind, replace(selection, run_filter=None))
        for entry in self.entries:
            if _kind(entry) is not kind:
                continue
            if isinstance(entry, Loss):
                yield entry
            elif self._wants(selection, entry.key):
                try:
                    wanted = not (asked.asks_more or asked.asks_life_cycle) or asked.wants(entry.load().record)
                except MlflowArchiveError:
                    wanted = True
                if wanted:
                    yield Item(entry.key, lambda entry=entry: narrowed(entry.load(), entry.key, selection))

    def _wants(self, selection: Selection, key: ObjectKey) -> bool:
        if not wants_object(selection, key.kind, key.id, key.name, None):
            return False
        if key.kind is Kind.RUN and selection.run_filter and key.name != selection.run_filter:
            return False
        if key.kind not in IN_EXPERIMENT:
            return True
        id = key.experiment_id or ""
        above = [e for e in self.entries if _kind(e) is Kind.EXPERIMENT and isinstance(e, Item) and e.key.id == id]
        return selection.wants_experiment(id, above[0].key.name if above else "") and (
            selection.deleted or selection.wants_life_cycle(life_cycle_stage(above[0].load().record))
        )

    def expected(self, kind: Kind, selection: Selection) -> int | None:
        return None

    def notes(self) -> tuple[str, ...]:
        return self._notes

    def close(self) -> None:
        pass


def _kind(entry: Item | Loss) -> Kind:
    return entry.kind if isinstance(entry, Loss) else entry.key.kind


class MemorySink:
    """Loads every item, reads it to the end, and keeps a diary."""

    def __init__(self, act: Callable[[Item], Outcome | None] = lambda _: None) -> None:
        self.act = act
        self.stored: dict[ObjectKey, Content] = {}
        self.files: dict[tuple[str, str], bytes] = {}
        self.diary: list[tuple[str, object]] = []
        self.finished: Account | None = None
        self.at_finish: tuple[Loss, ...] = ()
        self._lock = Lock()

    def write(self, item: Item) -> Outcome:
        with self._lock:
            self.diary.append(("begin", item.key))
        outcome = self.act(item)
        if outcome is None:
            outcome = self._store(item)
        with self._lock:
            self.diary.append(("end", item.key))
        return outcome

    def _store(self, item: Item) -> Outcome:
        loaded = item.load()
        size = 0
        for part in loaded.parts:
            for _ in part.open():
                size += 1
        for blob in loaded.blobs():
            if isinstance(blob, Loss):
                continue
            with blob.open() as chunks:
                data = b"".join(chunks)
            self.files[item.key.id, blob.name] = data
            size += len(data)
        with self._lock:
            self.stored[item.key] = loaded
        return Outcome(item.key, Status.STORED, target_id=f"new-{item.key.id}", size_bytes=size)

    def close_scope(self, scope: Scope) -> None:
        with self._lock:
            self.diary.append(("close", scope))

    def finish(self, account: Account) -> tuple[Loss, ...]:
        self.finished = account
        self.diary.append(("finish", None))
        return self.at_finish

    def close(self) -> None:
        self.diary.append(("closed", None))


class Diary:
    """An observer who notes everything and tells when two events come at once."""

    def __init__(self) -> None:
        self.events: list[object] = []
        self.overlaps = 0
        self._busy = False

    def notify(self, event: object) -> None:
        self.overlaps += self._busy
        self._busy = True
        self.events.append(event)
        self._busy = False

    def of(self, type_: type) -> list:
        return [event for event in self.events if isinstance(event, type_)]
