"""Fills the SQLite database of a server that is not running, row by row: a thousand times as fast as over the API."""

from __future__ import annotations

import json
import sqlite3
import uuid
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path

EPOCH_MS = 1_709_208_000_000


class Filling:
    """Writes rows of MLflow 3.17's schema. The database must be there (`EmptyDatabases`)."""

    def __init__(self, database: Path, artifacts: Path) -> None:
        self._database = database
        self._artifacts = artifacts

    def experiment(self, number: int, name: str) -> None:
        """Make an experiment with the id ``number``."""
        row = (number, name, f"mlflow-artifacts:/{number}", "active", EPOCH_MS, EPOCH_MS, "default")
        self._insert(
            "experiments (experiment_id, name, artifact_location, lifecycle_stage, creation_time, last_update_time,"
            " workspace)",
            [row],
        )

    def runs(self, experiment: int, count: int, params: int = 0, tags: int = 0) -> list[str]:
        """Make finished runs and return their ids."""
        ids = [uuid.uuid5(uuid.NAMESPACE_OID, f"{experiment}/{number}").hex for number in range(count)]
        root = f"mlflow-artifacts:/{experiment}"
        self._insert(
            "runs (run_uuid, name, user_id, status, start_time, end_time, source_type, source_name, entry_point_name,"
            " source_version, lifecycle_stage, artifact_uri, experiment_id)",
            (
                (
                    one,
                    f"run-{number}",
                    "ada",
                    "FINISHED",
                    EPOCH_MS + number,
                    EPOCH_MS + number + 9,
                    "UNKNOWN",
                    "",
                    "",
                    "",
                    "active",
                    f"{root}/{one}/artifacts",
                    experiment,
                )
                for number, one in enumerate(ids)
            ),
        )
        self._insert("params (run_uuid, key, value)", ((one, f"p{n}", str(n)) for one in ids for n in range(params)))
        self._insert("tags (run_uuid, key, value)", ((one, f"t{n}", "v" * 40) for one in ids for n in range(tags)))
        return ids

    def metrics(self, run_ids: Iterable[str], keys: int, steps: int) -> None:
        """Give each run ``keys`` metrics of ``steps`` points."""
        pairs = [(run_id, f"metric_{number:02}") for run_id in run_ids for number in range(keys)]

        def points() -> Iterator[tuple[object, ...]]:
            for run_id, key in pairs:
                for step in range(steps):
                    yield key, 1.0 / (step + 1), EPOCH_MS + step * 1000, run_id, step, 0

        self._insert("metrics (key, value, timestamp, run_uuid, step, is_nan)", points())
        last = steps - 1
        newest = ((key, 1.0 / steps, EPOCH_MS + last * 1000, last, 0, run_id) for run_id, key in pairs)
        self._insert("latest_metrics (key, value, timestamp, step, is_nan, run_uuid)", newest)

    def traces(self, experiment: int, count: int, spans: int) -> None:
        """Make traces of ``spans`` spans each, with 500 bytes of attributes each."""
        ids = [f"tr-{uuid.uuid5(uuid.NAMESPACE_OID, f'{experiment}/trace/{number}').hex}" for number in range(count)]
        begins = [EPOCH_MS + number for number in range(count)]
        self._insert(
            "trace_info (request_id, experiment_id, timestamp_ms, execution_time_ms, status)",
            ((id, experiment, begin, 9, "OK") for id, begin in zip(ids, begins, strict=True)),
        )
        pairs = [("mlflow.trace.sizeBytes", "1000"), ("user", "ada")]
        for table in ("trace_tags", "trace_request_metadata"):
            self._insert(f"{table} (key, value, request_id)", ((*pair, id) for id in ids for pair in pairs))
        self._insert(
            "spans (trace_id, experiment_id, span_id, parent_span_id, name, type, status, start_time_unix_nano,"
            " end_time_unix_nano, content)",
            (
                _span(id, experiment, number, begin * 1_000_000)
                for id, begin in zip(ids, begins, strict=True)
                for number in range(spans)
            ),
        )

    def file(self, experiment: int, run_id: str, name: str, size_bytes: int) -> None:
        """Put one file of a run where the server keeps it; a large one is a hole in the disk."""
        path = self._artifacts / str(experiment) / run_id / "artifacts" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as out:
            if size_bytes > 10_000_000:
                out.truncate(size_bytes)
            else:
                out.write(bytes(number % 251 for number in range(size_bytes)))

    def _insert(self, into: str, rows: Iterable[tuple[object, ...]]) -> None:
        places = ", ".join("?" * (into.count(",") + 1))
        with closing(sqlite3.connect(self._database)) as connection, connection:
            connection.execute("PRAGMA synchronous = OFF")
            connection.executemany(f"INSERT INTO {into} VALUES ({places})", rows)


def _span(trace_id: str, experiment: int, number: int, begin_ns: int) -> tuple[object, ...]:
    begin, end = begin_ns + number * 1000, begin_ns + number * 1000 + 900
    id, parent = f"{number + 1:016x}", f"{1:016x}" if number else None
    content = {
        "trace_id": trace_id,
        "span_id": id,
        "parent_span_id": parent,
        "name": f"step {number}",
        "start_time_unix_nano": begin,
        "end_time_unix_nano": end,
        "events": [],
        "status": {"code": "STATUS_CODE_OK", "message": ""},
        "attributes": {"mlflow.traceRequestId": json.dumps(trace_id), "mlflow.spanInputs": json.dumps(f"{id} " * 25)},
    }
    row = (trace_id, experiment, id, parent, content["name"], "CHAIN", "OK", begin, end)
    return (*row, json.dumps(content))
