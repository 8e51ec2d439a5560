"""Objects by hand, and a sink on a real server, for the tests of the sinks."""

from __future__ import annotations

import base64
import contextlib
import json
from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

from mlflow_archive.errors import ConflictError, MlflowArchiveError
from mlflow_archive.events import Silence
from mlflow_archive.spec.kinds import KIND_ORDER, Kind
from mlflow_archive.spec.manifest import SourceInfo
from mlflow_archive.spec.records import record_type
from mlflow_archive.spec.renaming import Renaming
from mlflow_archive.spec.selection import Selection
from mlflow_archive.stream import Account, Blob, Content, Item, ObjectKey, Outcome, Part, Status
from mlflow_archive.tracking.artifacts import ArtifactFile, ArtifactOwner
from mlflow_archive.tracking.client import ServerClient
from mlflow_archive.tracking.http_client import HttpClient
from mlflow_archive.tracking.sinks.options import IfExists, SinkOptions
from mlflow_archive.tracking.sinks.sink import MlflowSink

ROUTE = "/api/2.0/mlflow-artifacts/artifacts"
RUN_A = "a" * 32
RUN_B = "b" * 32
MODEL_A = "m-" + "c" * 32
ACCOUNT = Account(
    source=SourceInfo(type="mlflow", uri="http://source"),
    selection=Selection(),
    started_ms=0,
    losses=(),
    skipped={},
    lost={},
    notes=(),
)


class ProxyArtifacts:
    """Artifact access through the server's proxy, in a few lines."""

    def __init__(self, client: ServerClient) -> None:
        self._client = client

    def list(self, owner: ArtifactOwner) -> Iterator[ArtifactFile]:
        yield from self._list(owner, "")

    def _list(self, owner: ArtifactOwner, folder: str) -> Iterator[ArtifactFile]:
        root = "/".join(part for part in (_path(owner.uri), folder) if part)
        answer = self._client.call("GET", ROUTE, params={"path": root})
        for entry in answer.get("files") or []:
            name = f"{folder}/{entry['path']}" if folder else entry["path"]
            if entry.get("is_dir"):
                yield from self._list(owner, name)
            else:
                yield ArtifactFile(name, int(entry.get("file_size") or 0))

    @contextlib.contextmanager
    def open(self, owner: ArtifactOwner, name: str) -> Iterator[Iterator[bytes]]:
        with self._client.download(f"{ROUTE}/{quote(_path(owner.uri))}/{quote(name)}") as chunks:
            yield chunks

    def write(self, owner: ArtifactOwner, name: str, data: Iterator[bytes], size_bytes: int | None) -> None:
        self._client.upload("PUT", f"{ROUTE}/{quote(_path(owner.uri))}/{quote(name)}", b"".join(data))

    def close(self) -> None:
        pass

    def read(self, owner: ArtifactOwner, name: str) -> bytes:
        with self.open(owner, name) as chunks:
            return b"".join(chunks)


def _write(sink: MlflowSink, item: Item) -> Outcome:
    """As the transfer does it: an object that fails is lost, a conflict ends it all."""
    try:
        return sink.write(item)
    except ConflictError:
        raise
    except MlflowArchiveError as error:
        return Outcome(item.key, Status.LOST, str(error), losses=(item.key.lost(error.code, str(error)),))


def _path(uri: str) -> str:
    return uri.removeprefix("mlflow-artifacts:").lstrip("/")


class Target:
    """A server, asked directly."""

    def __init__(self, uri: str) -> None:
        self.client = HttpClient.at(uri, parallelism=8)
        self.files = ProxyArtifacts(self.client)

    def sink(self, **options: object) -> MlflowSink:
        observer = options.pop("observer", None) or Silence()
        wishes: dict[str, Any] = {
            **options,
            "if_exists": IfExists(options.get("if_exists", "skip")),
            "rename_experiment": Renaming.of(options.get("rename_experiment")),  # type: ignore[arg-type]
            "rename_model": Renaming.of(options.get("rename_model")),  # type: ignore[arg-type]
        }
        return MlflowSink(self.client, self.files, SinkOptions(**wishes), parallelism=4, observer=observer)  # type: ignore[arg-type]

    def restore(self, items: Sequence[Item], **options: object) -> SimpleNamespace:
        """Bring items to the server; return the outcomes by id, those of the end, and the sink."""
        sink = self.sink(**options)
        outcomes: dict[str, Outcome] = {}
        with contextlib.closing(sink):
            for kind in KIND_ORDER:
                of_kind = [item for item in items if item.key.kind is kind]
                for item in of_kind:
                    outcomes[item.key.id] = _write(sink, item)
                for scope in {item.key.scope for item in of_kind}:
                    sink.close_scope(scope)
            late = sink.finish(ACCOUNT)
        losses = [*(loss for outcome in outcomes.values() for loss in outcome.losses), *late]
        return SimpleNamespace(outcomes=outcomes, late=late, losses=losses, ids=sink.ids, sink=sink)

    def get(self, path: str, **params: object) -> dict:
        return self.client.call("GET", path if path.startswith("/") else f"/api/2.0/mlflow/{path}", params=params)

    def post(self, path: str, **body: object) -> dict:
        path = path if path.startswith("/") else f"/api/2.0/mlflow/{path}"
        return self.client.call("POST", path, body=body)  # type: ignore[arg-type]

    def run(self, run_id: str) -> dict:
        run = self.get("runs/get", run_id=run_id)["run"]
        data = run.get("data", {})
        run["tags"] = {tag["key"]: tag["value"] for tag in data.get("tags", [])}
        run["params"] = {param["key"]: param["value"] for param in data.get("params", [])}
        run["metrics"] = {metric["key"]: metric["value"] for metric in data.get("metrics", [])}
        return run


def item(
    kind: Kind,
    id: str,
    record: dict,
    *,
    experiment_id: str | None = None,
    files: dict[str, bytes] | None = None,
    parts: dict[str, list] | None = None,
    role: str = "artifacts",
    name: str = "",
) -> Item:
    """An object in memory."""

    def blob(path: str, data: bytes) -> Blob:
        return Blob(role, path, len(data), lambda: contextlib.nullcontext(iter([data])))

    content = Content(
        record_type(kind).from_json(record, "test"),
        tuple(Part(part, lambda lines=lines: iter(lines)) for part, lines in (parts or {}).items()),
        lambda: (blob(path, data) for path, data in (files or {}).items()),
    )
    return Item(ObjectKey(kind, id, experiment_id, name=name), lambda: content)


def experiment(id: str, name: str, **fields: object) -> Item:
    record = {
        "experiment_id": id,
        "name": name,
        "artifact_location": f"mlflow-artifacts:/{id}",
        "lifecycle_stage": "active",
        "tags": {"team": "blue"},
        **fields,
    }
    return item(Kind.EXPERIMENT, id, record, name=name)


def run(id: str, experiment_id: str, **fields: object) -> Item:
    files = fields.pop("files", None)
    parts = fields.pop("parts", None)
    info = {
        "run_id": id,
        "experiment_id": experiment_id,
        "run_name": f"run-{id[:3]}",
        "user_id": "ada",
        "status": "FINISHED",
        "start_time": 1_700_000_000_000,
        "end_time": 1_700_000_060_000,
        "artifact_uri": f"mlflow-artifacts:/{experiment_id}/{id}/artifacts",
        "lifecycle_stage": "active",
        **fields.pop("info", {}),  # type: ignore[dict-item]
    }
    record = {"info": info, **fields}
    return item(Kind.RUN, id, record, experiment_id=experiment_id, files=files, parts=parts)  # type: ignore[arg-type]


def logged_model(id: str, experiment_id: str, **fields: object) -> Item:
    files = fields.pop("files", None)
    info = {
        "model_id": id,
        "experiment_id": experiment_id,
        "name": "classifier",
        "artifact_uri": f"mlflow-artifacts:/{experiment_id}/models/{id}/artifacts",
        "status": "LOGGED_MODEL_READY",
        "model_type": "sklearn",
        **fields.pop("info", {}),  # type: ignore[dict-item]
    }
    record = {"info": info, **fields}
    return item(Kind.LOGGED_MODEL, id, record, experiment_id=experiment_id, files=files)  # type: ignore[arg-type]


def registered_model(name: str, versions: list[dict], kind: Kind = Kind.REGISTERED_MODEL, **fields: object) -> Item:
    files = fields.pop("files", None)
    role = fields.pop("role", "artifacts")
    record = {"name": name, "versions": versions, **fields}
    return item(kind, name, record, name=name, files=files, role=role)  # type: ignore[arg-type]


def span(trace_id: str, span_id: str, parent: str | None = None, **attributes: object) -> dict:
    """A span as `mlflow.entities.Span.to_dict` writes it."""

    def encoded(hexadecimal: str) -> str:
        return base64.b64encode(bytes.fromhex(hexadecimal)).decode()

    return {
        "trace_id": encoded(trace_id.removeprefix("tr-")),
        "span_id": encoded(span_id),
        "parent_span_id": encoded(parent) if parent else None,
        "name": f"span {span_id}",
        "start_time_unix_nano": 1_700_000_000_000_000_001,
        "end_time_unix_nano": 1_700_000_001_000_000_002,
        "events": [{"name": "e", "time_unix_nano": 1_700_000_000_500_000_000, "attributes": {"a": 1}}],
        "status": {"code": "STATUS_CODE_OK", "message": ""},
        "attributes": {
            "mlflow.traceRequestId": json.dumps(trace_id),
            "mlflow.spanType": '"CHAIN"',
            **{key: json.dumps(value) for key, value in attributes.items()},
        },
        "links": [],
    }


def trace(id: str, experiment_id: str, **fields: object) -> Item:
    files, spans = fields.pop("files", None), fields.pop("spans", None)
    info = {
        "trace_id": id,
        "trace_location": {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": experiment_id}},
        "request_time": "2026-01-02T03:04:05.678Z",
        "execution_duration": "0.250s",
        "state": "OK",
        "request_preview": '{"q": 1}',
        "response_preview": '{"a": 2}',
        **fields.pop("info", {}),  # type: ignore[dict-item]
    }
    record = {"info": info, "experiment_id": experiment_id, **fields}
    parts = {"spans": spans} if spans else None
    return item(Kind.TRACE, id, record, experiment_id=experiment_id, files=files, parts=parts)  # type: ignore[arg-type]
