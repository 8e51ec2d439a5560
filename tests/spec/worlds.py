"""The objects of which the vectors are made: fixed ids, fixed times."""

from __future__ import annotations

import base64

from mlflow_archive.spec.kinds import Kind
from tests.spec.building import Builder, Json, T, Thing

RUN = "0a1b2c3d4e5f60718293a4b5c6d7e8f9"
MODEL = "m-00112233445566778899aabbccddeeff"
TRACE = "tr-0123456789abcdef0123456789abcdef"


def experiment(id: str = "1", *, workspace: str | None = None, **fields: object) -> Thing:
    record: Json = {
        "experiment_id": id,
        "name": f"experiment {id}",
        "artifact_location": f"mlflow-artifacts:/{id}",
        "lifecycle_stage": "active",
        "creation_time": T,
        "last_update_time": T,
        "tags": {"mlflow.note.content": "what it is about"},
    }
    record |= fields
    return Thing(
        Kind.EXPERIMENT,
        id,
        record,
        workspace=workspace,
        name=record["name"],
        time_ms=T,
        state=record["lifecycle_stage"],
    )


def run(id: str = RUN, *, experiment_id: str = "1", workspace: str | None = None, **fields: object) -> Thing:
    record: Json = {
        "info": {
            "run_id": id,
            "experiment_id": experiment_id,
            "run_name": "smart-crane-1",
            "user_id": "ada",
            "status": "FINISHED",
            "start_time": T,
            "end_time": T + 5000,
            "artifact_uri": f"mlflow-artifacts:/{experiment_id}/{id}/artifacts",
            "lifecycle_stage": "active",
        },
        "params": {"lr": "0.1"},
        "tags": {"mlflow.runName": "smart-crane-1"},
        "metrics": [{"key": "loss", "value": 0.25, "timestamp": T + 1000, "step": 1}],
    }
    record |= fields
    return Thing(
        Kind.RUN,
        id,
        record,
        experiment_id=experiment_id,
        workspace=workspace,
        parts={"metrics": [{"key": "loss", "timestamps": [T, T + 1000], "steps": [0, 1], "values": [0.5, 0.25]}]},
        blobs={("artifacts", "notes.txt"): b"hello\n"},
        name="smart-crane-1",
        time_ms=T,
        state="FINISHED",
    )


def bare_run(id: str = RUN, **fields: object) -> Thing:
    """A run without metrics and files."""
    thing = run(id, metrics=[], **fields)
    thing.parts, thing.blobs = {}, {}
    return thing


def registered_model(name: str = "model", **fields: object) -> Thing:
    record: Json = {
        "name": name,
        "creation_timestamp": T,
        "last_updated_timestamp": T,
        "versions": [{"version": 1, "creation_timestamp": T, "current_stage": "None", "source": "s3://bucket/m"}],
    }
    record |= fields
    count = len(record["versions"])
    return Thing(Kind.REGISTERED_MODEL, name, record, time_ms=T, state=f"{count} version{'' if count == 1 else 's'}")


def logged_model(id: str = MODEL, *, experiment_id: str = "1", **info: object) -> Thing:
    record: Json = {
        "info": {
            "model_id": id,
            "experiment_id": experiment_id,
            "name": "forest",
            "creation_timestamp_ms": T,
            "last_updated_timestamp_ms": T,
            "artifact_uri": f"mlflow-artifacts:/{experiment_id}/models/{id}/artifacts",
            "status": "LOGGED_MODEL_READY",
            "model_type": "sklearn",
        }
        | info,
        "params": {"depth": "3"},
        "metrics": [{"key": "f1", "value": "NaN", "timestamp": T, "step": 0, "run_id": RUN, "model_id": id}],
    }
    thing = Thing(Kind.LOGGED_MODEL, id, record, experiment_id=experiment_id, name="forest", time_ms=T, state="READY")
    thing.blobs = {("artifacts", "MLmodel"): b"flavors: {}\n"}
    return thing


def trace(id: str = TRACE, *, experiment_id: str = "1", **fields: object) -> Thing:
    record: Json = {
        "info": {
            "trace_id": id,
            "trace_location": {
                "type": "MLFLOW_EXPERIMENT",
                "mlflow_experiment": {"experiment_id": experiment_id},
            },
            "request_preview": '{"q": "why?"}',
            "response_preview": '"because"',
            "request_time": "2026-01-01T00:00:00Z",
            "execution_duration": "0.25s",
            "state": "OK",
            "trace_metadata": {"mlflow.trace_schema.version": "3"},
        },
        "experiment_id": experiment_id,
        "tags": {"mlflow.traceName": "answer"},
        "assessments": [
            {
                "assessment_id": "a-0123456789abcdef0123456789abcdef",
                "assessment_name": "correctness",
                "trace_id": id,
                "source": {"source_type": "HUMAN", "source_id": "ada"},
                "create_time": "2026-01-01T00:01:00Z",
                "last_update_time": "2026-01-01T00:01:00Z",
                "feedback": {"value": True},
                "valid": True,
            }
        ],
        "spans_location": "TRACKING_STORE",
    }
    record |= fields
    span: Json = {
        "trace_id": "ASNFZ4mrze8BI0VniavN7w==",
        "span_id": "ASNFZ4mrze8=",
        "parent_span_id": None,
        "name": "answer",
        "start_time_unix_nano": T * 1_000_000,
        "end_time_unix_nano": T * 1_000_000 + 250_000_000,
        "events": [],
        "status": {"code": "STATUS_CODE_OK", "message": ""},
        "attributes": {"mlflow.spanType": '"CHAIN"', "mlflow.traceRequestId": f'"{id}"'},
    }
    return Thing(Kind.TRACE, id, record, experiment_id=experiment_id, parts={"spans": [span]}, time_ms=T, state="OK")


def evaluation_dataset(*experiment_ids: str) -> Thing:
    id = "d-00112233445566778899aabbccddeeff"
    record: Json = {
        "dataset_id": id,
        "name": "questions",
        "experiment_ids": list(experiment_ids),
        "created_time": T,
        "last_update_time": T,
        "created_by": "ada",
        "tags": {"mlflow.user": "ada"},
    }
    row: Json = {
        "dataset_record_id": "dr-00112233445566778899aabbccddeeff",
        "dataset_id": id,
        "inputs": {"q": "why?"},
        "expectations": {"answer": "because"},
        "created_time": T,
        "last_update_time": T,
    }
    return Thing(Kind.EVALUATION_DATASET, id, record, parts={"records": [row]}, name="questions", time_ms=T)


#: One row of two columns, as Parquet: ("w-1", NULL). Kept, as every version of a writer puts its name into a file.
WEBHOOKS = base64.b64decode(
    "UEFSMRUEFQ4VIEwVAhUAEgAAKLUv/SAHOQAAAwAAAHctMRUAFRIVJCwVAhUQFQYVBhw2ACgDdy0xGAN3LTEREQAAACi1L/0gCUkA"
    "AAIAAAACAQECABUEFQAVEkwVABUAEgAAKLUv/SAAAQAAFQAVDhUgLBUCFRAVBhUGHDYCAAAAKLUv/SAHOQAAAgAAAAIAABUEGTw1"
    "ABgGc2NoZW1hFQQAFQwlAhgKd2ViaG9va19pZCUATBwAAAAVDCUCGAZzZWNyZXQlAEwcAAAAFgIZHBksJgAcFQwZNQAGEBkYCndl"
    "Ymhvb2tfaWQVDBYCFn4WogEmRCYIHDYAKAN3LTEYA3ctMRERABksFQQVABUCABUAFRAVAgA8FgYZBhkmAAIAAAAmABwVDBk1AAYQ"
    "GRgGc2VjcmV0FQwWAhZUFngm2AEmqgEcNgIAGSwVBBUAFQIAFQAVEBUCADwWABkGGSYCAAAAABbSARYCJggWmgIAKCBwYXJxdWV0"
    "LWNwcC1hcnJvdyB2ZXJzaW9uIDI1LjAuMRksHAAAHAAAAAgBAABQQVIx"
)


def database() -> Thing:
    """A database of which one table is there, with a secret withheld."""
    columns = [
        {"name": "webhook_id", "type": "text", "nullable": False},
        {"name": "secret", "type": "text", "nullable": True, "withheld": "webhook-secrets"},
    ]
    record = {
        "dialect": "postgresql",
        "revision": "dc11669786a5",
        "mlflow_version": "3.17",
        "tables": [{"name": "webhooks", "rows": 1, "columns": columns, "primary_key": ["webhook_id"]}],
        "left_out": [{"name": "alembic_version", "reason": "the revision is in the record"}],
    }
    blobs = {("tables", "webhooks.parquet"): WEBHOOKS}
    return Thing(Kind.DATABASE, "tracking", record, blobs=blobs, state="postgresql dc11669786a5")


def server_object(kind: Kind, id: str, *, experiment_id: str | None = None, **payload: object) -> Thing:
    return Thing(kind, id, {"name": id, "payload": payload}, experiment_id=experiment_id, name=None)


def small() -> Builder:
    """An experiment with one run that has a metric and a file."""
    return Builder([experiment(), run()])


def losses() -> tuple[list[Json], list[Thing]]:
    """A run that lost a file, and another run that is lost as a whole."""
    of_file: Json = {
        "kind": "run",
        "id": RUN,
        "experiment_id": "1",
        "path": "model.pkl",
        "code": "unavailable",
        "reason": "The artifact store answered 503 after 5 attempts.",
        "retryable": True,
    }
    of_run: Json = {
        "kind": "run",
        "id": "ffffffffffffffffffffffffffffffff",
        "experiment_id": "1",
        "code": "not_found",
        "reason": "The run was deleted while it was being read.",
    }
    damaged = run()
    damaged.losses = [of_file]
    return [of_file, of_run], [experiment(), damaged]
