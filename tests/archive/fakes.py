"""A small, deterministic source in memory, and the smallest loop that moves it; for tests of sinks and stores."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from mlflow_archive.errors import MlflowArchiveError
from mlflow_archive.spec.kinds import KIND_ORDER, Kind
from mlflow_archive.spec.loss import Loss
from mlflow_archive.spec.manifest import SourceInfo
from mlflow_archive.spec.records import record_type
from mlflow_archive.spec.records.base import Record
from mlflow_archive.spec.selection import Selection
from mlflow_archive.stream import Account, Blob, Content, Item, ObjectKey, Outcome, Part, Scope, Sink, Source, Status


@dataclass
class FakeObject:
    """An object of the fake source, which a test may change."""

    key: ObjectKey
    record: Record
    parts: dict[str, list[dict]] = field(default_factory=dict)
    files: dict[tuple[str, str], bytes] = field(default_factory=dict)
    losses: tuple[Loss, ...] = ()


class FakeSource:
    """Objects in memory as a `Source`; `reads` counts how often each file was opened."""

    def __init__(self, objects: list[FakeObject]) -> None:
        self.objects = objects
        self.reads: Counter[tuple[str, str]] = Counter()
        self.broken: dict[tuple[str, str], MlflowArchiveError] = {}
        """(object id, file or part name) -> the error its reading ends with, after some bytes."""

    def describe(self) -> SourceInfo:
        return SourceInfo(type="mlflow", uri="http://fake:5000", mlflow_version="3.17.2")

    def kinds(self) -> tuple[Kind, ...]:
        present = {item.key.kind for item in self.objects}
        return tuple(kind for kind in KIND_ORDER if kind in present)

    def read(self, kind: Kind, selection: Selection) -> Iterator[Item | Loss]:
        for item in self.objects:
            if item.key.kind is kind:
                yield Item(item.key, lambda item=item: self._load(item))

    def expected(self, kind: Kind, selection: Selection) -> int | None:
        return None

    def notes(self) -> tuple[str, ...]:
        return ("the fake has no secrets",)

    def close(self) -> None:
        pass

    def _load(self, item: FakeObject) -> Content:
        if (item.key.id, "") in self.broken:
            raise self.broken[(item.key.id, "")]
        return Content(
            record=item.record,
            parts=tuple(self._part(item, name, rows) for name, rows in item.parts.items()),
            blobs=lambda: (self._blob(item, role, name, data) for (role, name), data in item.files.items()),
            losses=item.losses,
        )

    def _part(self, item: FakeObject, name: str, rows: list[dict]) -> Part:
        def lines() -> Iterator[dict]:
            yield from rows
            if (item.key.id, name) in self.broken:
                raise self.broken[(item.key.id, name)]

        return Part(name, lines)

    def _blob(self, item: FakeObject, role: str, name: str, data: bytes) -> Blob:
        @contextmanager
        def opened() -> Iterator[Iterator[bytes]]:
            self.reads[(item.key.id, name)] += 1
            yield chunks()

        def chunks() -> Iterator[bytes]:
            for start in range(0, len(data), 1000):
                yield data[start : start + 1000]
            if (item.key.id, name) in self.broken:
                raise self.broken[(item.key.id, name)]

        return Blob(role, name, len(data), opened)


def sample_source(*, experiments: int = 2, runs: int = 3) -> FakeSource:
    """Return a source with a few objects of the main kinds; the same at every call."""
    objects: list[FakeObject] = []
    for number in range(experiments):
        experiment_id = str(number + 1)
        objects.append(
            _object(
                Kind.EXPERIMENT,
                experiment_id,
                {
                    "experiment_id": experiment_id,
                    "name": f"experiment/{number}",
                    "artifact_location": f"mlflow-artifacts:/{experiment_id}",
                    "lifecycle_stage": "active",
                    "creation_time": 1_700_000_000_000 + number,
                    "tags": {"team": "ä"},
                },
            )
        )
        for run in range(runs):
            objects.append(_run(experiment_id, number * 100 + run))
        objects.append(_logged_model(experiment_id, number))
        objects.append(_trace(experiment_id, number))
    for kind, name in ((Kind.REGISTERED_MODEL, "iris: the model"), (Kind.PROMPT, "summary")):
        record = {"name": name, "aliases": {"champion": 2}, "versions": [{"version": 1}, {"version": 2, "source": "x"}]}
        objects.append(_object(kind, name, record))
    objects[-2].files[("versions/1/artifacts", "MLmodel")] = b"flavors: {}\n"
    objects.append(
        _object(
            Kind.EVALUATION_DATASET,
            "d-1",
            {"dataset_id": "d-1", "name": "questions"},
            parts={"records": [{"inputs": {"q": n}} for n in range(5)]},
        )
    )
    return FakeSource(objects)


def _run(experiment_id: str, number: int) -> FakeObject:
    run_id = hashlib.md5(f"run-{number}".encode()).hexdigest()
    record = {
        "info": {
            "run_id": run_id,
            "experiment_id": experiment_id,
            "run_name": f"run-{number}",
            "status": "FINISHED",
            "start_time": 1_700_000_000_000 + number,
            "lifecycle_stage": "active",
            "a_field_of_tomorrow": [1, 2],
        },
        "params": {"lr": f"0.{number}"},
        "tags": {"mlflow.user": "someone"},
        "metrics": [{"key": "loss", "value": "NaN" if number % 2 else 0.5, "timestamp": 5, "step": 9}],
    }
    points = {"key": "loss", "timestamps": [1, 5], "steps": [0, 9], "values": [1.0, "NaN" if number % 2 else 0.5]}
    item = _object(
        Kind.RUN, run_id, record, experiment_id=experiment_id, name=f"run-{number}", parts={"metrics": [points]}
    )
    item.files[("artifacts", "model/MLmodel")] = b"run_id: " + run_id.encode() + b"\n"
    item.files[("artifacts", "model/weights.bin")] = bytes(range(256)) * (10 + number)
    item.files[("artifacts", "plots/ä: 100%#1?.txt")] = b"odd name"
    item.files[("artifacts", "empty")] = b""
    return item


def _logged_model(experiment_id: str, number: int) -> FakeObject:
    model_id = f"m-{number:032x}"
    record = {"info": {"model_id": model_id, "experiment_id": experiment_id, "name": "net", "creation_timestamp_ms": 7}}
    item = _object(Kind.LOGGED_MODEL, model_id, record, experiment_id=experiment_id)
    item.files[("artifacts", "MLmodel")] = b"model_id: " + model_id.encode() + b"\n"
    return item


def _trace(experiment_id: str, number: int) -> FakeObject:
    trace_id = f"tr-{number:032x}"
    record = {
        "info": {"trace_id": trace_id, "request_time": "2026-01-02T03:04:05.678Z", "state": "OK"},
        "experiment_id": experiment_id,
    }
    spans = [{"trace_id": trace_id, "span_id": f"{n:016x}", "name": f"span {n}"} for n in range(3)]
    return _object(Kind.TRACE, trace_id, record, experiment_id=experiment_id, parts={"spans": spans})


def _object(
    kind: Kind,
    id: str,
    record: dict,
    *,
    experiment_id: str | None = None,
    name: str = "",
    parts: dict[str, list[dict]] | None = None,
) -> FakeObject:
    key = ObjectKey(kind, id, experiment_id=experiment_id, name=name or id)
    return FakeObject(key, record_type(kind).from_json(record, "fake"), parts=parts or {})


@dataclass
class Moved:
    """What `move` saw."""

    outcomes: list[Outcome]
    losses: list[Loss]

    def by_id(self, id: str) -> Outcome:
        return next(outcome for outcome in self.outcomes if outcome.key.id == id)


def move(source: Source, sink: Sink, selection: Selection | None = None, *, started_ms: int = 1) -> Moved:
    """Move everything in one thread, honouring the protocols; errors of the target end it."""
    wanted = selection or Selection()
    outcomes: list[Outcome] = []
    losses: list[Loss] = []
    for kind in source.kinds():
        scope: Scope | None = None
        for item in source.read(kind, wanted):
            if isinstance(item, Loss):
                losses.append(item)
                continue
            if scope is not None and item.key.scope != scope:
                sink.close_scope(scope)
            scope = item.key.scope
            outcome = _write(sink, item)
            outcomes.append(outcome)
            losses.extend(outcome.losses)
        if scope is not None:
            sink.close_scope(scope)
    skipped: dict[str, Counter[str]] = {}
    for outcome in outcomes:
        if outcome.status is Status.SKIPPED:
            skipped.setdefault(outcome.key.kind.value, Counter())[outcome.reason] += 1
    lost = Counter(outcome.key.kind.value for outcome in outcomes if outcome.status is Status.LOST)
    account = Account(source.describe(), wanted, started_ms, tuple(losses), skipped, lost, source.notes())
    losses.extend(sink.finish(account))
    return Moved(outcomes, losses)


def _write(sink: Sink, item: Item) -> Outcome:
    try:
        content = item.load()
    except MlflowArchiveError as error:
        loss = item.key.lost(error.code, str(error), retryable=error.retryable)
        return Outcome(item.key, Status.LOST, reason=str(error), losses=(loss,))
    return sink.write(Item(item.key, lambda: content))
