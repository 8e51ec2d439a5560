"""Registries, evaluation datasets, scorers and webhooks of old servers: read by SQL as the newest MLflow tells them."""

from __future__ import annotations

from contextlib import closing

import pytest

from mlflow_archive.spec.kinds import Kind
from mlflow_archive.tracking.artifacts import open_artifacts
from mlflow_archive.tracking.connecting import connect
from mlflow_archive.tracking.database.client import DatabaseClient
from mlflow_archive.tracking.database.snapshot import Snapshot
from mlflow_archive.tracking.sources.source import MlflowSource
from tests.tracking.database.test_same_as_api import read

pytestmark = pytest.mark.server

#: Version -> kind -> how many there are.
KEPT = {
    "2.9.2": {Kind.REGISTERED_MODEL: 6},
    "2.22.5": {Kind.REGISTERED_MODEL: 6, Kind.PROMPT: 1},
    "3.0.1": {Kind.REGISTERED_MODEL: 6, Kind.PROMPT: 1},
    "3.5.1": {Kind.REGISTERED_MODEL: 6, Kind.PROMPT: 3, Kind.EVALUATION_DATASET: 3, Kind.SCORER: 3},
}


def reading(client):
    return closing(MlflowSource(client, open_artifacts(client, roots={})))


def by_sql(path):
    return reading(DatabaseClient(Snapshot.open(f"sqlite:///{path}")))


@pytest.mark.parametrize("version", KEPT)
def test_what_an_old_server_left_is_read_as_the_newest_tells_it(old_database, version):
    path = old_database(version)
    with reading(connect(f"sqlite:///{path}", read_only=True)) as api, by_sql(path) as sql:
        found = {kind: read(sql, kind) for kind in KEPT[version]}
        assert found == {kind: read(api, kind) for kind in KEPT[version]}
    assert {kind: len(objects) for kind, objects in found.items()} == KEPT[version]


def test_webhooks_are_read_without_the_key_of_their_secrets(old_database):
    with by_sql(old_database("3.5.1")) as sql:
        hooks = [hook.record for hook in read(sql, Kind.WEBHOOK).values()]
    assert sorted(hook["name"] for hook in hooks) == ["active", "disabled-one"]
    assert all(hook["events"] and "secret" not in hook for hook in hooks)
