"""Traces straight from the rows of a database: paged, in batches, big ones piece by piece, of any revision."""

from __future__ import annotations

import base64
import json
import shutil
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest

from mlflow_archive.errors import UnavailableError
from mlflow_archive.spec.kinds import Kind
from mlflow_archive.spec.selection import Selection
from mlflow_archive.stream import Content, Item
from mlflow_archive.tracking.artifacts import open_artifacts
from mlflow_archive.tracking.database import trace_rows
from mlflow_archive.tracking.database.client import DatabaseClient
from mlflow_archive.tracking.database.snapshot import Snapshot
from mlflow_archive.tracking.sources import stored_spans
from mlflow_archive.tracking.sources.source import MlflowSource

EPOCH_MS = 1_760_000_000_000


@pytest.fixture
def database(tmp_path, empty_databases):
    path = tmp_path / "mlflow.db"
    empty_databases.copy_to(path, sys.executable, "mlflow-artifacts:/")
    return path


def run(database: Path, *statements: tuple) -> None:
    with closing(sqlite3.connect(database)) as connection, connection:
        for statement, *values in statements:
            connection.execute(statement, values)


def trace(id: str, time_ms: int = EPOCH_MS, *, state: str = "OK", location: str = "TRACKING_STORE") -> list[tuple]:
    columns = "INSERT INTO trace_info (request_id, experiment_id, timestamp_ms, execution_time_ms, status)"
    tag = "INSERT INTO trace_tags (request_id, key, value) VALUES (?, 'mlflow.trace.spansLocation', ?)"
    return [(f"{columns} VALUES (?, 0, ?, 5, ?)", id, time_ms, state), (tag, id, location)]


def span(trace_id: str, number: int, content: str | None = None, *, parent: str | None = "root") -> tuple:
    columns = "trace_id, experiment_id, span_id, parent_span_id, status, start_time_unix_nano, content"
    text = json.dumps({"span_id": str(number), "attributes": {}}) if content is None else content
    values = (trace_id, f"{number:04}", parent, number, text)
    return (f"INSERT INTO spans ({columns}) VALUES (?, 0, ?, ?, 'OK', ?, ?)", *values)


def read(database: Path, selection: Selection | None = None, root: Path | None = None) -> dict[str, Content]:
    client = DatabaseClient(Snapshot.open(f"sqlite:///{database}"))
    roots = {"mlflow-artifacts:/": str(root or database.parent / "artifacts")}
    source = MlflowSource(client, open_artifacts(client, roots=roots))
    items = list(source.read(Kind.TRACE, selection or Selection()))
    assert all(isinstance(item, Item) for item in items)
    found = {item.key.id: item.load() for item in items}
    for content in found.values():
        for part in content.parts:
            # Spans are read when they are asked for, which may be after the source is closed.
            object.__setattr__(part, "open", _kept(part))
    source.close()
    assert len(found) == len(items)
    return found


def _kept(part):
    try:
        lines = list(part.open())
    except UnavailableError as error:
        failure = error

        def fail():
            raise failure

        return fail
    return lambda: iter(lines)


def spans(content: Content) -> list[str]:
    return [line["span_id"] for part in content.parts for line in part.open()]


def test_pages_of_traces_of_the_same_moment_miss_none_and_repeat_none(database):
    ids = [f"tr-{number:04}" for number in range(1103)]
    run(database, *(one for number, id in enumerate(ids) for one in trace(id, EPOCH_MS + number // 700)))
    assert sorted(read(database)) == ids


def test_times_of_a_selection_bound_the_search(database):
    run(database, *(one for number in range(5) for one in trace(f"tr-{number}", EPOCH_MS + number)))
    assert sorted(read(database, Selection(since_ms=EPOCH_MS + 1, until_ms=EPOCH_MS + 3))) == ["tr-1", "tr-2"]


def test_a_trace_is_found_by_its_id(database):
    run(database, *trace("tr-a"), *trace("tr-b"), span("tr-b", 1, parent=None))
    found = read(database, Selection(trace_ids=frozenset({"tr-b", "tr-none"})))
    assert spans(found["tr-b"]) == ["1"]
    assert list(found) == ["tr-b"]


def test_spans_come_roots_first_and_then_as_they_began(database):
    run(database, *trace("tr-a"), span("tr-a", 1), span("tr-a", 3), span("tr-a", 2), span("tr-a", 9, parent=None))
    assert spans(read(database)["tr-a"]) == ["9", "1", "2", "3"]


@pytest.mark.parametrize("room", [0, 400, 1 << 20])
def test_spans_are_the_same_in_a_batch_and_piece_by_piece(database, monkeypatch, room):
    monkeypatch.setattr(stored_spans, "BATCH_BYTES", room)
    monkeypatch.setattr(trace_rows, "_PIECE_BYTES", 100)
    sizes = {f"tr-{number}": number * 3 for number in range(7)}
    rows = [one for id, count in sizes.items() for one in (*trace(id), *(span(id, number) for number in range(count)))]
    run(database, *rows)
    assert {id: len(spans(content)) for id, content in read(database).items()} == sizes


def test_a_trace_in_progress_comes_with_the_spans_that_it_has(database):
    run(database, *trace("tr-a", state="IN_PROGRESS"), span("tr-a", 2))
    content = read(database)["tr-a"]
    assert (content.record.state, spans(content), content.losses) == ("IN_PROGRESS", ["2"], ())


def test_numbers_that_json_has_not_come_as_words(database):
    text = '{"span_id": "1", "attributes": {"a": NaN, "b": [-Infinity, 1e999], "c": 0.5}}'
    run(database, *trace("tr-a"), span("tr-a", 1, text))
    [line] = read(database)["tr-a"].parts[0].open()
    assert line["attributes"] == {"a": "NaN", "b": ["-Infinity", "Infinity"], "c": 0.5}


def test_a_span_that_is_no_json_fails_its_trace_alone(database):
    run(database, *trace("tr-a"), span("tr-a", 1, "{not"), *trace("tr-b"), span("tr-b", 1))
    found = read(database)
    assert spans(found["tr-b"]) == ["1"]
    with pytest.raises(UnavailableError, match="A span of the trace tr-a is not JSON"):
        spans(found["tr-a"])


@pytest.mark.parametrize("there", [True, False])
def test_spans_that_mlflow_archived_are_read_from_their_file(database, there):
    from mlflow.entities.span import Span
    from mlflow.tracing.otel.otel_archival import spans_to_traces_data_pb

    raw = bytes(range(16))
    id, place = f"tr-{raw.hex()}", database.parent / "archived"
    line = {
        "trace_id": base64.b64encode(raw).decode(),
        "span_id": base64.b64encode(b"12345678").decode(),
        "parent_span_id": None,
        "name": "kept",
        "start_time_unix_nano": EPOCH_MS * 10**6,
        "end_time_unix_nano": EPOCH_MS * 10**6 + 5,
        "events": [],
        "status": {"code": "STATUS_CODE_OK", "message": ""},
        "attributes": {"mlflow.traceRequestId": json.dumps(id)},
    }
    place.mkdir()
    if there:
        (place / "traces.pb").write_bytes(spans_to_traces_data_pb([Span.from_dict(line)]))
    tag = "INSERT INTO trace_tags (request_id, key, value) VALUES (?, 'mlflow.trace.archiveLocation', ?)"
    run(database, *trace(id, location="ARCHIVE_REPO"), (tag, id, str(place)), span(id, 1, "", parent=None))
    content = read(database)[id]
    assert [loss.path for loss in content.losses] == ([] if there else ["spans"])
    assert [line["name"] for part in content.parts for line in part.open()] == (["kept"] if there else [])


@pytest.mark.parametrize(("version", "count"), [("2.22.5", 8), ("3.0.1", 8), ("3.5.1", 13)])
def test_old_databases_have_their_traces_with_spans(old_database, version, count):
    path = old_database(version)
    found = read(path)
    assert len(found) == count
    assert max(sum(1 for part in content.parts for _ in part.open()) for content in found.values()) == 6
    assert not [loss for content in found.values() for loss in content.losses]


def test_spans_of_mlflow_3_5_are_found_in_the_database_where_their_files_are_gone(old_database):
    path = old_database("3.5.1")
    files = {id: content.record.spans_location for id, content in read(path).items()}
    with closing(sqlite3.connect(path)) as connection:
        rows = {id for (id,) in connection.execute("SELECT DISTINCT trace_id FROM spans")}
    shutil.rmtree(path.parent / "artifacts")
    found = read(path)
    assert rows
    assert {id for id, content in found.items() if content.record.spans_location == "TRACKING_STORE"} == rows
    assert "TRACKING_STORE" not in files.values()


def test_a_database_from_before_traces_has_none(old_database):
    client = DatabaseClient(Snapshot.open(f"sqlite:///{old_database('2.9.2')}"))
    assert Kind.TRACE not in client.only_kinds
    client.close()
