"""A database read by SQL gives what its server gives over HTTP, kind by kind, and says by name where it gives more."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

import pytest

from mlflow_archive.errors import UsageError
from mlflow_archive.spec import canonical
from mlflow_archive.spec.canonical import JSONObject
from mlflow_archive.spec.kinds import KIND_ORDER, Kind
from mlflow_archive.spec.loss import Loss
from mlflow_archive.spec.selection import PARENT_RUN_TAG, Selection
from mlflow_archive.stream import Content, Item, ObjectKey
from mlflow_archive.tracking.artifacts import open_artifacts
from mlflow_archive.tracking.connecting import connect
from mlflow_archive.tracking.database.answers.runs import LEGACY
from mlflow_archive.tracking.database.client import TABLES, DatabaseClient
from mlflow_archive.tracking.database.snapshot import Snapshot
from mlflow_archive.tracking.sources.runs import WRONG_FILTER
from mlflow_archive.tracking.sources.source import MlflowSource
from tests.servers import MlflowServer

pytestmark = pytest.mark.server

#: The kinds that SQL answers for: grows with `TABLES`. Workspaces need a server that has them on: `test_workspaces`.
ANSWERED = tuple(kind for kind in KIND_ORDER if kind in TABLES and kind not in (Kind.DATABASE, Kind.WORKSPACE))

#: What SQL knows and no API tells, in a record: kind -> object in the record -> fields.
MORE: dict[Kind, dict[str, frozenset[str]]] = {Kind.RUN: {"info": frozenset(LEGACY)}}
#: Lists in records in whose order a server has no say: it gives rows as its database finds them.
UNORDERED: dict[Kind, frozenset[str]] = {Kind.RUN: frozenset({"dataset_inputs", "model_inputs", "model_outputs"})}
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
    """Return the record without what only SQL knows, and lists without an order in one."""
    result = dict(record)
    for name in UNORDERED.get(kind, ()):
        rows = result[name]
        assert isinstance(rows, list)
        result[name] = sorted(rows, key=canonical.line_bytes)
    for name, fields in MORE.get(kind, {}).items():
        inner = result[name]
        assert isinstance(inner, dict)
        result[name] = {field: value for field, value in inner.items() if field not in fields}
    return result


def assert_same(kind: Kind, api: dict[ObjectKey, Seen], sql: dict[ObjectKey, Seen]) -> None:
    assert api.keys() <= sql.keys()
    assert kind in MORE_OBJECTS or api.keys() == sql.keys()
    for key, expected in api.items():
        found = sql[key]
        assert known_to_both(kind, found.record) == known_to_both(kind, expected.record), key
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
    api, sql = (read(end, kind) for end in (by_api, by_sql))
    assert api
    assert_same(kind, api, sql)


#: Of the runs of the seeding; what is asked is partly found by SQL and partly decided by the records.
SELECTIONS = {
    "metric": Selection(run_filter="metrics.number > 1", artifacts=False),
    "not a number": Selection(run_filter="metrics.`only nan` > -1", artifacts=False),
    "params": Selection(run_filter="metrics.m >= 0.5 and params.p != 'case'", artifacts=False),
    "case": Selection(run_filter="params.p = 'CASE'", artifacts=False),
    "words": Selection(run_filter="params.p LIKE '%a%' and tags.`mlflow.user` = 'ada'", artifacts=False),
    "status": Selection(run_filter="status = 'FAILED'", artifacts=False),
    "no tag": Selection(run_filter="run_name LIKE 'in %' and tags.nothing IS NULL", artifacts=False),
    "ended": Selection(run_filter="attributes.end_time > 1709208003001", artifacts=False),
    "dataset": Selection(run_filter="datasets.name = 'churn table'", artifacts=False),
    "times": Selection(since_ms=1_709_208_002_000, until_ms=1_709_208_005_500, artifacts=False),
    "active": Selection(deleted=False, artifacts=False),
    "active in time": Selection(deleted=False, since_ms=1_709_208_005_000, run_filter="run_name != 'x'"),
}
NONE_MATCHES = frozenset({"case", "not a number"})


@pytest.mark.parametrize("name", SELECTIONS)
def test_sql_selects_the_runs_that_the_api_selects(by_api, by_sql, name):
    api, sql = (read(end, Kind.RUN, SELECTIONS[name]) for end in (by_api, by_sql))
    assert bool(api) == (name not in NONE_MATCHES)
    assert_same(Kind.RUN, api, sql)


def test_sql_finds_by_id_and_by_parent_what_the_api_finds(by_api, by_sql):
    runs = read(by_sql, Kind.RUN, SELECTIONS["times"])
    parents = frozenset(str(seen.record["tags"].get(PARENT_RUN_TAG)) for seen in runs.values()) - {"None"}
    chosen = frozenset([*(key.id for key in runs)][:3])
    for selection in (
        Selection(run_ids=chosen | {"0" * 32}, artifacts=False),
        Selection(parent_run_ids=parents, artifacts=False),
    ):
        api, sql = (read(end, Kind.RUN, selection) for end in (by_api, by_sql))
        assert api
        assert_same(Kind.RUN, api, sql)
    models = frozenset([*(key.id for key in read(by_api, Kind.LOGGED_MODEL))][::2])
    asked = Selection(logged_model_ids=models | {"m-" + "0" * 32})
    api, sql = (read(end, Kind.LOGGED_MODEL, asked) for end in (by_api, by_sql))
    assert {key.id for key in sql} == models
    assert_same(Kind.LOGGED_MODEL, api, sql)


@pytest.mark.parametrize("wrong", ["metrics.a >", "colour = 'red'", "params.p > 'a'"])
def test_a_wrong_filter_is_the_same_mistake(by_api, by_sql, wrong):
    codes = []
    for end in (by_api, by_sql):
        with pytest.raises(UsageError) as caught:
            read(end, Kind.RUN, Selection(run_filter=wrong))
        codes.append(caught.value.code)
    assert codes == [WRONG_FILTER] * 2


def test_sql_finds_deleted_logged_models_that_no_run_names(by_sql, source_server):
    with closing(sqlite3.connect(f"file:{source_server.database}?mode=ro", uri=True)) as connection:
        stages = dict(connection.execute("SELECT model_id, lifecycle_stage FROM logged_models"))
    found = {key.id: seen.record["info"] for key, seen in read(by_sql, Kind.LOGGED_MODEL).items()}
    assert "deleted" in stages.values()
    assert {id: info.get("lifecycle_stage", "active") for id, info in found.items()} == stages
    assert not any("eleted logged models" in note for note in by_sql.notes())
