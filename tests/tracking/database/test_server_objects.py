"""What a database tells of kinds of minor use beyond what a server does, and how little it writes for it."""

from __future__ import annotations

import sqlite3
import sys
from contextlib import closing

import pytest

from mlflow_archive.spec.kinds import Kind
from mlflow_archive.spec.selection import Selection
from mlflow_archive.tracking.artifacts import open_artifacts
from mlflow_archive.tracking.database.answers import review_queues
from mlflow_archive.tracking.database.client import DatabaseClient
from mlflow_archive.tracking.database.snapshot import Snapshot
from mlflow_archive.tracking.sources.source import MlflowSource

SCHEMA = (
    "INSERT INTO label_schemas (schema_id, experiment_id, name, type, input_type, input_config, created_time,"
    " last_update_time) VALUES ('ls-1', 0, 'tone', 'feedback', 'text', '{\"max_length\": null}', 1, 2)"
)
QUEUE = (
    "INSERT INTO review_queues (queue_id, experiment_id, name, name_key, queue_type, creation_time_ms,"
    " last_update_time_ms) VALUES ('rq-1', 0, 'Weekly', 'weekly', 'custom', 1, 2)"
)
ITEM = (
    "INSERT INTO review_queue_items (queue_id, item_type, item_id, status, creation_time_ms, last_update_time_ms)"
    " VALUES ('rq-1', 'trace', ?, 'pending', ?, 2)"
)
ENDPOINT = (
    "INSERT INTO endpoints (endpoint_id, name, created_at, last_updated_at, usage_tracking)"
    " VALUES ('e-1', 'to nowhere', 1, 2, 1)"
)
DELETE = "UPDATE experiments SET lifecycle_stage = 'deleted'"


@pytest.fixture
def read(tmp_path, empty_databases):
    """Gives the payloads and details of a kind in a database after some statements."""
    path = tmp_path / "mlflow.db"
    empty_databases.copy_to(path, sys.executable, "mlflow-artifacts:/")

    def after(kind, *statements):
        with closing(sqlite3.connect(path)) as connection, connection:
            for statement, *values in statements:
                connection.execute(statement, values)
        client = DatabaseClient(Snapshot.open(f"sqlite:///{path}"))
        source = MlflowSource(client, open_artifacts(client, roots={}))
        records = [item.load().record for item in source.read(kind, Selection())]
        source.close()
        return [record.payload for record in records], [record.details for record in records]

    return after


@pytest.mark.parametrize("statements", [[(SCHEMA,)], [(SCHEMA,), (DELETE,)]], ids=["active", "deleted"])
def test_label_schemas_are_read_where_there_is_no_default_one_and_none_is_made(read, statements):
    [payload], _ = read(Kind.LABEL_SCHEMA, *statements)
    assert payload["schema_id"] == "ls-1"
    assert payload["input"] == {"text": {}}


def test_no_label_schema_is_none(read):
    assert read(Kind.LABEL_SCHEMA) == ([], [])


@pytest.mark.parametrize("most", [1, 2, 1000])
def test_items_of_a_queue_of_a_deleted_experiment_come_newest_first_page_by_page(read, monkeypatch, most):
    monkeypatch.setattr(review_queues, "_MOST", most)
    items = [(ITEM, f"tr-{number}", number // 2) for number in range(5)]
    _, [details] = read(Kind.REVIEW_QUEUE, (QUEUE,), *items, (DELETE,))
    assert [item["item_id"] for item in details["items"]] == ["tr-4", "tr-2", "tr-3", "tr-0", "tr-1"]


def test_an_endpoint_that_leads_to_no_model_is_read(read):
    [payload], [details] = read(Kind.GATEWAY_ENDPOINT, (ENDPOINT,))
    assert (payload["name"], payload["usage_tracking"], "model_mappings" in payload) == ("to nowhere", True, False)
    assert details == {"bindings": (), "guardrails": ()}


def test_a_server_that_has_only_deleted_versions_has_no_newest_one(read):
    server = "INSERT INTO mcp_servers (name, icons, created_at, last_updated_at) VALUES ('a.b/c', 'null', 1, 2)"
    version = (
        "INSERT INTO mcp_server_versions (name, version, version_major, version_minor, version_patch,"
        " version_prerelease_sort_key, server_json, status, created_at, last_updated_at)"
        " VALUES ('a.b/c', '1.0.0', 1, 0, 0, '~', '{}', 'deleted', 1, 2)"
    )
    [payload], [details] = read(Kind.MCP_SERVER, (server,), (version,))
    assert (payload["status"], payload["latest_version"], payload["icons"]) == (None, None, None)
    assert details == {"versions": (), "access_endpoints": ()}
