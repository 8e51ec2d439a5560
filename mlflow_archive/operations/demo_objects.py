"""The objects that the demonstration begins with: a small project of every kind, as a source."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Container, Iterator
from contextlib import contextmanager

from mlflow_archive.spec.canonical import JSONObject
from mlflow_archive.spec.kinds import KIND_ORDER, Kind
from mlflow_archive.spec.manifest import SourceInfo
from mlflow_archive.spec.records import record_type
from mlflow_archive.spec.selection import Selection
from mlflow_archive.stream import Blob, Content, Item, ObjectKey, Part

#: 2026-01-05 09:00 UTC.
START_MS = 1_767_603_600_000
_MINUTE_MS = 60_000
_EXPERIMENTS = {"1": "demo/iris", "2": "demo/support-bot"}
_RUN_IDS = [f"{number:x}" * 32 for number in (1, 2, 3)]
_MODEL_ID = "m-" + "4" * 32
_TRACE_HEX = "5" * 32
_MLMODEL = f"""artifact_path: model
flavors:
  python_function:
    loader_module: mlflow.pyfunc.model
    python_version: 3.12.0
model_id: {_MODEL_ID}
run_id: {_RUN_IDS[1]}
utc_time_created: '2026-01-05 09:10:00.000000'
"""


class DemoObjects:
    """A source of objects made up here; they get ids of their own when they are stored."""

    def __init__(self, *, without: Container[Kind] = ()) -> None:
        """Leave out objects of the kinds ``without``, and what refers to them."""
        self._without = without

    def describe(self) -> SourceInfo:
        """Name the source."""
        return SourceInfo(type="mlflow", uri="demo:objects")

    def kinds(self) -> tuple[Kind, ...]:
        """Return the kinds there is an object of."""
        kinds = {item.key.kind for item in self._items()}
        return tuple(kind for kind in KIND_ORDER if kind in kinds)

    def read(self, kind: Kind, selection: Selection) -> Iterator[Item]:
        """Yield the objects of a kind, all of them: the project is only ever taken as a whole."""
        if selection.wants(kind):
            yield from (item for item in self._items() if item.key.kind is kind)

    def expected(self, kind: Kind, selection: Selection) -> int | None:  # noqa: ARG002 - the protocol's
        """Not known: there are few."""
        return None

    def notes(self) -> tuple[str, ...]:
        """Return none."""
        return ()

    def close(self) -> None:
        """Have nothing to free."""

    def _items(self) -> Iterator[Item]:
        items = _items(logged_model=Kind.LOGGED_MODEL not in self._without)
        return (item for item in items if item.key.kind not in self._without)


def _items(*, logged_model: bool) -> Iterator[Item]:
    for id, name in _EXPERIMENTS.items():
        yield _item(
            Kind.EXPERIMENT,
            id,
            {
                "experiment_id": id,
                "name": name,
                "artifact_location": "",
                "lifecycle_stage": "active",
                "tags": {"team": "demo"},
            },
            name=name,
        )
    yield _run(0, "tune", {"search": "grid"}, {})
    yield _run(1, "depth=3", {"depth": "3"}, {"mlflow.parentRunId": _RUN_IDS[0]}, model=logged_model)
    yield _run(2, "depth=5", {"depth": "5"}, {"mlflow.parentRunId": _RUN_IDS[0]}, status="FAILED")
    yield _logged_model()
    yield _registered_model(_MODEL_ID if logged_model else None)
    yield _prompt()
    yield _trace()
    yield _dataset()


def _run(
    number: int,
    name: str,
    params: dict[str, str],
    tags: dict[str, str],
    *,
    model: bool = False,
    status: str = "FINISHED",
) -> Item:
    started = START_MS + number * 10 * _MINUTE_MS
    steps = [*range(50)]
    losses = [round(math.exp(-step / (10 + number)), 6) for step in steps]
    record: JSONObject = {
        "info": {
            "run_id": _RUN_IDS[number],
            "experiment_id": "1",
            "run_name": name,
            "status": status,
            "start_time": started,
            "end_time": started + 5 * _MINUTE_MS,
            "lifecycle_stage": "active",
        },
        "params": {**params},
        "tags": {"mlflow.runName": name, "mlflow.user": "demo", **tags},
        "metrics": [{"key": "loss", "value": losses[-1], "timestamp": started + 49_000, "step": 49}],
        "model_outputs": [{"model_id": _MODEL_ID, "step": 49}] if model else [],
    }
    line: JSONObject = {
        "key": "loss",
        "timestamps": [started + step * 1000 for step in steps],
        "steps": [*steps],
        "values": [*losses],
    }
    report = "\n".join(f"{step},{loss}" for step, loss in zip(steps, losses, strict=True)).encode()
    return _item(
        Kind.RUN,
        _RUN_IDS[number],
        record,
        experiment_id="1",
        name=name,
        rows={"metrics": [line]},
        files={"report/loss.csv": report, "notes.txt": f"Run {name}.\n".encode()},
    )


def _logged_model() -> Item:
    record: JSONObject = {
        "info": {
            "model_id": _MODEL_ID,
            "experiment_id": "1",
            "name": "classifier",
            "status": "LOGGED_MODEL_READY",
            "model_type": "demo",
            "source_run_id": _RUN_IDS[1],
        },
        "params": {"depth": "3"},
        "tags": {"stage": "candidate"},
    }
    weights = bytes(byte % 251 for byte in range(64 << 10))
    return _item(
        Kind.LOGGED_MODEL,
        _MODEL_ID,
        record,
        experiment_id="1",
        name="classifier",
        files={"MLmodel": _MLMODEL.encode(), "weights.bin": weights},
    )


def _registered_model(logged_model_id: str | None) -> Item:
    record: JSONObject = {
        "name": "iris-classifier",
        "description": "Tells irises apart.",
        "tags": {"owner": "demo"},
        "aliases": {"champion": 1},
        "versions": [
            {
                "version": 1,
                "description": "The first one.",
                "source": f"models:/{logged_model_id}" if logged_model_id else f"runs:/{_RUN_IDS[1]}/report",
                "run_id": _RUN_IDS[1],
                "model_id": logged_model_id,
                "status": "READY",
                "current_stage": "None",
                "tags": {"checked": "yes"},
            }
        ],
    }
    return _item(Kind.REGISTERED_MODEL, "iris-classifier", record, name="iris-classifier")


def _prompt() -> Item:
    texts = ["Answer {{question}}.", "Answer {{question}} in one sentence."]
    record: JSONObject = {
        "name": "support-answer",
        "tags": {"mlflow.prompt.is_prompt": "true"},
        "aliases": {"production": 2},
        "versions": [
            {
                "version": number,
                "source": "dummy-source",
                "status": "READY",
                "current_stage": "None",
                "tags": {
                    "mlflow.prompt.is_prompt": "true",
                    "mlflow.prompt.text": text,
                    "_mlflow_prompt_type": "text",
                },
            }
            for number, text in enumerate(texts, start=1)
        ],
    }
    return _item(Kind.PROMPT, "support-answer", record, name="support-answer")


def _trace() -> Item:
    trace_id, started_ns = f"tr-{_TRACE_HEX}", (START_MS + 60 * _MINUTE_MS) * 1_000_000
    record: JSONObject = {
        "info": {
            "trace_id": trace_id,
            "trace_location": {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": "2"}},
            "request_time": "2026-01-05T10:00:00.000Z",
            "execution_duration": "0.250s",
            "state": "OK",
            "request_preview": '{"question": "Where is my order?"}',
            "response_preview": '"On its way."',
            "trace_metadata": {"mlflow.trace_schema.version": "3"},
        },
        "experiment_id": "2",
        "tags": {"mlflow.traceName": "answer"},
        "spans_location": "TRACKING_STORE",
    }
    spans: list[JSONObject] = []
    for name, parent in (("answer", None), ("look up", "answer")):
        attributes = {
            "mlflow.traceRequestId": json.dumps(trace_id),
            "mlflow.spanType": json.dumps("CHAIN" if parent is None else "TOOL"),
            "mlflow.spanInputs": json.dumps({"question": "Where is my order?"}),
        }
        spans.append(
            {
                "trace_id": base64.b64encode(bytes.fromhex(_TRACE_HEX)).decode(),
                "span_id": _span_id(name),
                "parent_span_id": None if parent is None else _span_id(parent),
                "name": name,
                "start_time_unix_nano": started_ns,
                "end_time_unix_nano": started_ns + 250_000_000,
                "events": [],
                "status": {"code": "STATUS_CODE_OK", "message": ""},
                "attributes": {**attributes},
            }
        )
    return _item(Kind.TRACE, trace_id, record, experiment_id="2", rows={"spans": spans})


def _dataset() -> Item:
    dataset_id = "d-" + "6" * 32
    record: JSONObject = {
        "dataset_id": dataset_id,
        "name": "support questions",
        "tags": {"kind": "golden"},
        "experiment_ids": ["2"],
    }
    rows: list[JSONObject] = [
        {
            "inputs": {"question": question},
            "expectations": {"answer": answer},
            "source": {"source_type": "HUMAN", "source_data": {}},
        }
        for question, answer in (("Where is my order?", "On its way."), ("May I return it?", "Within 30 days."))
    ]
    return _item(Kind.EVALUATION_DATASET, dataset_id, record, name="support questions", rows={"records": rows})


def _span_id(name: str) -> str:
    return base64.b64encode(name.encode().ljust(8, b"-")[:8]).decode()


def _item(
    kind: Kind,
    id: str,
    record: JSONObject,
    *,
    experiment_id: str | None = None,
    name: str = "",
    rows: dict[str, list[JSONObject]] | None = None,
    files: dict[str, bytes] | None = None,
) -> Item:
    content = Content(
        record=record_type(kind).from_json(record, f"demo {kind}"),
        parts=tuple(_part(part, lines) for part, lines in (rows or {}).items()),
        blobs=lambda: (_blob(name, data) for name, data in (files or {}).items()),
    )
    return Item(ObjectKey(kind, id, experiment_id=experiment_id, name=name), lambda: content)


def _part(name: str, lines: list[JSONObject]) -> Part:
    return Part(name, lambda: iter(lines))


def _blob(name: str, data: bytes) -> Blob:
    @contextmanager
    def open_it() -> Iterator[Iterator[bytes]]:
        yield iter([data])

    return Blob("artifacts", name, len(data), open_it)
