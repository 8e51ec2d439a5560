"""A database read by SQL gives what its server gives over HTTP, kind by kind, and says by name where it gives more."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from mlflow_archive.spec.canonical import JSONObject
from mlflow_archive.spec.kinds import KIND_ORDER, Kind
from mlflow_archive.spec.loss import Loss
from mlflow_archive.spec.selection import Selection
from mlflow_archive.stream import Content, Item, ObjectKey
from mlflow_archive.tracking.artifacts import open_artifacts
from mlflow_archive.tracking.connecting import connect
from mlflow_archive.tracking.database.answers.runs import LEGACY
from mlflow_archive.tracking.database.client import TABLES, DatabaseClient
from mlflow_archive.tracking.database.snapshot import Snapshot
from mlflow_archive.tracking.sources.source import MlflowSource
from tests.servers import MlflowServer

pytestmark = pytest.mark.server

#: The kinds that SQL answers for: grows with `TABLES`. Workspaces need a server that has them on: `test_workspaces`.
ANSWERED = tuple(kind for kind in KIND_ORDER if kind in TABLES and kind not in (Kind.DATABASE, Kind.WORKSPACE))

#: What SQL knows and no API tells, in a record: kind -> object in the record -> fields.
MORE: dict[Kind, dict[str, frozenset[str]]] = {Kind.RUN: {"info": frozenset(LEGACY)}}
#: Kinds of which SQL finds objects that no API lists.
MORE_OBJECTS: frozenset[Kind] = frozenset({Kind.LOGGED_MODEL})


@dataclass(frozen=True)
class Seen:
    """One object, as far as two ends can be compared."""

    record: JSONObject
    parts: dict[str, list[JSONObject]]
    blobs: dict[tuple[str, str], int | None]
    losses: list[Loss]


@pytest.fixture(scope="module")
def by_api(source_server: MlflowServer) -> Iterator[MlflowSource]:
    client = connect(source_server.uri, read_only=True)
    source = MlflowSource(client, open_artifacts(client, roots={}))
    yield source
    source.close()


@pytest.fixture(scope="module")
def by_sql(source_server: MlflowServer) -> Iterator[MlflowSource]:
    client = DatabaseClient(Snapshot.open(f"sqlite:///{source_server.database}"))
    source = MlflowSource(client, open_artifacts(client, roots={"mlflow-artifacts:/": str(source_server.artifacts)}))
    yield source
    source.close()


def read(source: MlflowSource, kind: Kind, selection: Selection | None = None) -> dict[ObjectKey, Seen]:
    """Read all objects of a kind to the end; a loss of the listing fails the test."""
    found: dict[ObjectKey, Seen] = {}
    for item in source.read(kind, selection or Selection()):
        assert isinstance(item, Item), item
        assert item.key not in found
        found[item.key] = seen(item.load())
    return found


def seen(content: Content) -> Seen:
    """Open everything that an object has."""
    blobs = list(content.blobs())
    lost = [blob for blob in blobs if isinstance(blob, Loss)]
    return Seen(
        content.record.to_json(),
        {part.name: list(part.open()) for part in content.parts},
        {(blob.role, blob.name): blob.size_bytes for blob in blobs if not isinstance(blob, Loss)},
        [*content.losses, *lost],
    )


def known_to_both(kind: Kind, record: JSONObject) -> JSONObject:
    """Return the record without what only SQL knows."""
    result = dict(record)
    for name, fields in MORE.get(kind, {}).items():
        inner = result[name]
        assert isinstance(inner, dict)
        result[name] = {field: value for field, value in inner.items() if field not in fields}
    return result


def assert_same(kind: Kind, api: dict[ObjectKey, Seen], sql: dict[ObjectKey, Seen]) -> None:
    assert api
    assert api.keys() <= sql.keys()
    assert kind in MORE_OBJECTS or api.keys() == sql.keys()
    for key, expected in api.items():
        found = sql[key]
        assert known_to_both(kind, found.record) == expected.record, key
        assert found.parts.keys() == expected.parts.keys(), key
        for name, rows in expected.parts.items():
            assert found.parts[name] == rows, (key, name)
        assert found.blobs.keys() == expected.blobs.keys(), key
        # A server's proxy does not tell the size of an empty file.
        told = {name: size for name, size in expected.blobs.items() if size is not None}
        assert {name: found.blobs[name] for name in told} == told, key
        assert found.losses == expected.losses, key


@pytest.mark.parametrize("kind", ANSWERED)
def test_sql_gives_what_the_api_gives(by_api, by_sql, kind):
    assert_same(kind, read(by_api, kind), read(by_sql, kind))
