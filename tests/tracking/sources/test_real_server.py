"""Reading a real server that holds everything the seeding knows."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterator

import pytest

from mlflow_archive.spec.kinds import Kind
from mlflow_archive.spec.loss import Loss
from mlflow_archive.spec.records.trace import parse_time_ms
from mlflow_archive.spec.selection import Selection
from mlflow_archive.stream import Content, Item
from mlflow_archive.tracking.artifacts import open_artifacts
from mlflow_archive.tracking.connecting import connect
from mlflow_archive.tracking.sources.source import MlflowSource
from tests.servers import MlflowServer

pytestmark = pytest.mark.server


@pytest.fixture(scope="module")
def source(source_server: MlflowServer) -> Iterator[MlflowSource]:
    client = connect(source_server.uri, read_only=True)
    source = MlflowSource(client, open_artifacts(client, roots={}))
    yield source
    source.close()


@pytest.fixture(scope="module")
def contents(source: MlflowSource) -> dict[Kind, dict[str, Content]]:
    result: dict[Kind, dict[str, Content]] = {}
    for kind in source.kinds():
        items = list(source.read(kind, Selection()))
        assert not [item for item in items if isinstance(item, Loss)], kind
        result[kind] = {item.key.id: item.load() for item in items if isinstance(item, Item)}
    return result


def rows(server: MlflowServer, query: str) -> list[tuple]:
    with sqlite3.connect(f"file:{server.database}?mode=ro", uri=True) as database:
        return database.execute(query).fetchall()


@pytest.mark.parametrize(
    ("kind", "query"),
    [
        (Kind.EXPERIMENT, "select experiment_id from experiments"),
        (Kind.RUN, "select run_uuid from runs"),
        (Kind.LOGGED_MODEL, "select model_id from logged_models where lifecycle_stage = 'active'"),
        (Kind.TRACE, "select request_id from trace_info"),
        (Kind.EVALUATION_DATASET, "select dataset_id from evaluation_datasets"),
        (Kind.REVIEW_QUEUE, "select queue_id from review_queues"),
        (Kind.ISSUE, "select issue_id from issues"),
        (Kind.GATEWAY_ENDPOINT, "select endpoint_id from endpoints"),
        (Kind.GATEWAY_MODEL_DEFINITION, "select model_definition_id from model_definitions"),
        (Kind.BUDGET_POLICY, "select budget_policy_id from budget_policies"),
        (Kind.GUARDRAIL, "select guardrail_id from guardrails"),
        (Kind.MCP_SERVER, "select name from mcp_servers"),
        (Kind.WEBHOOK, "select webhook_id from webhooks where deleted_timestamp is null"),
    ],
)
def test_every_row_of_the_database_is_read(source_server, contents, kind, query):
    expected = {str(id) for (id,) in rows(source_server, query)}
    assert expected
    assert expected <= contents[kind].keys()
    assert len(contents[kind]) == len(expected) or kind is Kind.LOGGED_MODEL


def test_models_and_prompts_share_the_registry(source_server, contents):
    names = {name for (name,) in rows(source_server, "select name from registered_models")}
    assert contents[Kind.REGISTERED_MODEL].keys() | contents[Kind.PROMPT].keys() == names
    assert not contents[Kind.REGISTERED_MODEL].keys() & contents[Kind.PROMPT].keys()
    assert contents[Kind.PROMPT]
    expected = Counter(
        name
        for (name,) in rows(source_server, "select name from model_versions where current_stage != 'Deleted_Internal'")
    )
    found = {**contents[Kind.REGISTERED_MODEL], **contents[Kind.PROMPT]}
    counts = {name: len(content.record.versions) for name, content in found.items()}
    assert {name: count for name, count in counts.items() if count} == expected


def test_every_point_of_every_metric_is_read(source_server, contents):
    expected = Counter(
        rows(
            source_server,
            "select run_uuid, key, timestamp, step, case when is_nan then 'NaN' else value end from metrics",
        )
    )
    found: Counter = Counter()
    for run_id, content in contents[Kind.RUN].items():
        assert content.losses == ()
        for part in content.parts:
            order = []
            for line in part.open():
                points = list(zip(line["timestamps"], line["steps"], line["values"], strict=True))
                order += [(line["key"], *point[:2]) for point in points]
                found.update((run_id, line["key"], *point) for point in points)
            assert order == sorted(order)
    assert found == expected


def test_every_span_is_read_as_it_is_stored(source_server, contents):
    expected = {
        (json.loads(content)["span_id"], json.dumps(json.loads(content), sort_keys=True))
        for (content,) in rows(source_server, "select content from spans")
    }
    found = {
        (span["span_id"], json.dumps(span, sort_keys=True))
        for content in contents[Kind.TRACE].values()
        if content.record.spans_location == "TRACKING_STORE"
        for part in content.parts
        for span in part.open()
    }
    assert found
    assert found == expected


def test_every_assessment_is_read_in_order(source_server, contents):
    expected = {id for (id,) in rows(source_server, "select assessment_id from assessments")}
    found = [one["assessment_id"] for content in contents[Kind.TRACE].values() for one in content.record.assessments]
    assert len(found) == len(expected)
    assert set(found) == expected
    for content in contents[Kind.TRACE].values():
        # A time on the whole second comes without a fraction, so the texts do not sort as the times do.
        times = [parse_time_ms(one["create_time"]) for one in content.record.assessments]
        assert None not in times
        assert times == sorted(times)


def test_links_of_traces_to_runs_are_found(source_server, contents):
    linked = rows(
        source_server,
        "select source_id, destination_id from entity_associations"
        " where source_type = 'trace' and destination_type = 'run'",
    )
    assert linked
    for trace_id, run_id in linked:
        record = contents[Kind.TRACE][trace_id].record
        assert run_id in (*record.run_ids, record.info.trace_metadata.get("mlflow.sourceRun"))


def test_inputs_and_outputs_of_runs_are_read(source_server, contents):
    expected = Counter(
        kind for (kind,) in rows(source_server, "select destination_type from inputs where source_type = 'RUN_INPUT'")
    )
    assert sum(len(content.record.model_inputs) for content in contents[Kind.RUN].values()) == expected["MODEL_INPUT"]
    outputs = rows(source_server, "select count(*) from inputs where source_type = 'RUN_OUTPUT'")[0][0]
    assert sum(len(content.record.model_outputs) for content in contents[Kind.RUN].values()) == outputs


def test_files_of_runs_are_read_byte_by_byte(source_server, contents):
    read = 0
    for content in contents[Kind.RUN].values():
        uri = content.record.info.artifact_uri
        for blob in content.blobs():
            if isinstance(blob, Loss) or not uri.startswith("mlflow-artifacts:/"):
                continue
            with blob.open() as chunks:
                data = b"".join(chunks)
            path = source_server.artifacts / uri.removeprefix("mlflow-artifacts:/") / blob.name
            assert data == path.read_bytes()
            read += 1
    assert read


def test_reading_changes_no_table(source_server, contents, source):
    tables = [name for (name,) in rows(source_server, "select name from sqlite_master where type = 'table'")]
    before = {table: rows(source_server, f"select count(*) from {table}") for table in tables}
    for kind in source.kinds():
        for item in source.read(kind, Selection()):
            if isinstance(item, Item) and kind is not Kind.RUN:
                item.load()
    assert {table: rows(source_server, f"select count(*) from {table}") for table in tables} == before
