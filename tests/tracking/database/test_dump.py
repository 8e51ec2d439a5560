"""All tables of a database as they are: on every database, value for value, in bounded memory."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from mlflow_archive import api
from mlflow_archive.errors import UsageError
from mlflow_archive.operations.ends import stored_source
from mlflow_archive.spec.kinds import Kind
from mlflow_archive.spec.records.database import DatabaseRecord, DatabaseTable
from mlflow_archive.spec.selection import Selection
from mlflow_archive.stream import Blob, Content
from mlflow_archive.tracking.database.addresses import database_address
from mlflow_archive.tracking.database.columns import read_columns
from mlflow_archive.tracking.database.dump import AUTH, TRACKING, DatabaseDump
from mlflow_archive.tracking.database.parquet import UnfitValueError, read_rows
from mlflow_archive.tracking.database.secrets import SECRETS, TableWishes
from mlflow_archive.tracking.database.snapshot import Snapshot
from mlflow_archive.tracking.database.walking import PIECE_BYTES, walk
from tests.databases.fixtures import KINDS

EXTREMES = [0.0, -0.0, 0.1, 1 / 3, 5e-324, 2.2250738585072014e-308, 1.7976931348623157e308, -1.7976931348623157e308]
RUN = "0" * 32
#: Each example costs a snapshot: few, and none to make a failure smaller.
VALUES = settings(
    max_examples=5,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@pytest.fixture(params=KINDS)
def database(request: pytest.FixtureRequest, new_mlflow_database: Callable[[str], str]) -> str:
    """A database with one run."""
    uri: str = new_mlflow_database(request.param)
    with changing(uri) as connection:
        put(connection, "runs", run_uuid=RUN, lifecycle_stage="active", experiment_id=0)
    return uri


@contextmanager
def changing(uri: str) -> Iterator[sa.Connection]:
    engine = sa.create_engine(database_address(uri).url)
    with engine.begin() as connection:
        yield connection
    engine.dispose()


def put(connection: sa.Connection, into: str, *rows: dict[str, Any], **values: Any) -> None:
    table = sa.Table(into, sa.MetaData(), autoload_with=connection, resolve_fks=False)
    connection.execute(table.insert(), [*rows, *([values] if values else [])])


class Dumped:
    """A dump, loaded."""

    def __init__(self, snapshot: Snapshot, content: Content, notes: list[str]) -> None:
        self.snapshot = snapshot
        assert isinstance(content.record, DatabaseRecord)
        self.record = content.record
        self.notes = notes
        self._blobs = {blob.name: blob for blob in content.blobs() if isinstance(blob, Blob)}
        assert list(self._blobs) == [f"{table.name}.parquet" for table in self.record.tables]

    def table(self, name: str) -> DatabaseTable:
        return next(table for table in self.record.tables if table.name == name)

    def type_of(self, table: str, column: str) -> str:
        return next(found.type for found in self.table(table).columns if found.name == column)

    def data(self, name: str) -> bytes:
        with self._blobs[f"{name}.parquet"].open() as chunks:
            return b"".join(chunks)

    def rows(self, name: str) -> list[dict[str, Any]]:
        data = self.data(name)

        @contextmanager
        def opened() -> Iterator[Iterator[bytes]]:
            yield iter([data])

        names = [column.name for column in self.table(name).columns]
        pieces = read_rows(Blob("tables", f"{name}.parquet", len(data), opened), self.table(name))
        return [dict(zip(names, row, strict=True)) for piece in pieces for row in piece]


@contextmanager
def dumping(uri: str, wishes: TableWishes = TableWishes(), *, id: str = TRACKING) -> Iterator[Dumped]:  # noqa: B008
    snapshot = Snapshot.open(uri, parallelism=2)
    notes: list[str] = []
    try:
        dump = DatabaseDump(snapshot, snapshot if wishes.auth_uri else None, wishes)
        item = next(item for item in dump.items(notes.append) if item.key.id == id)
        assert item.key.kind is Kind.DATABASE
        yield Dumped(snapshot, item.load(), notes)
    finally:
        snapshot.close()


def test_the_record_tells_the_tables_and_why_others_are_left_out(database):
    with dumping(database) as dump:
        record = dump.record
        names = [table.name for table in record.tables]
        assert record.state == f"{record.dialect} {record.revision}"
        assert names == sorted(names)
        assert {"experiments", "runs", "spans", "secrets", "jobs"} < set(names)
        left_out = {table.name: table.reason for table in record.left_out}
        assert not set(names) & set(left_out)
        assert left_out["alembic_version"] == "the revision is in the record"
        assert {"job_locks", "scheduler_leases", "sql_trace_rollup_rebuild_queue"} < set(left_out)
        assert dump.table("experiments").rows == 1
        assert dump.table("metrics").primary_key == ("key", "timestamp", "step", "run_uuid", "value", "is_nan")
        assert "duration_ns" not in [column.name for column in dump.table("spans").columns]
        assert dump.type_of("metrics", "is_nan") == "boolean"
        assert dump.type_of("metrics", "value") == "float"
        assert dump.type_of("evaluation_dataset_records", "inputs") == "json"
        assert dump.type_of("spans", "content") == "text"
        assert dump.type_of("secrets", "wrapped_dek") == "binary"
        assert dump.type_of("metrics", "timestamp") == "integer"


def test_each_table_is_what_the_database_has(database):
    with dumping(database) as dump:
        for table in dump.record.tables:
            assert len(dump.rows(table.name)) == table.rows, table.name
        assert [row["run_uuid"] for row in dump.rows("runs")] == [RUN]


@VALUES
@given(
    st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=40),
    st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=40),
)
def test_metrics_survive_bit_by_bit(database, floats, times):
    # SQLite and MariaDB keep -0.0 as 0.0; only PostgreSQL tells them apart.
    values = [value if database.startswith("postgresql") else value + 0.0 for value in (*EXTREMES, *floats)]
    rows = [
        {"key": "k", "value": value, "timestamp": times[i % len(times)], "step": i, "run_uuid": RUN, "is_nan": False}
        for i, value in enumerate(values)
    ]
    with changing(database) as connection:
        connection.execute(sa.text("DELETE FROM metrics"))
        put(connection, "metrics", *rows)
    with dumping(database) as dump:
        found = {row["step"]: row for row in dump.rows("metrics")}
    assert [found[i]["value"].hex() for i in range(len(values))] == [value.hex() for value in values]
    assert [found[i]["timestamp"] for i in range(len(values))] == [row["timestamp"] for row in rows]
    assert all(found[i]["is_nan"] is False for i in range(len(values)))


TEXTS = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=60)
JSONS = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**62), 2**62) | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)


@VALUES
@given(st.lists(TEXTS, max_size=20), st.lists(JSONS, min_size=1, max_size=20), st.binary(max_size=40))
def test_texts_json_and_bytes_survive(database, texts, jsons, data):
    def stored(value: Any) -> Any:
        """MariaDB shows a column of JSON as one of texts."""
        return json.dumps({"v": value}) if database.startswith("mysql") else {"v": value}

    with changing(database) as connection:
        for table in ("params", "evaluation_dataset_records", "evaluation_datasets", "secrets"):
            connection.execute(sa.text(f"DELETE FROM {table}"))
        if texts:
            put(connection, "params", *({"key": str(i), "value": t, "run_uuid": RUN} for i, t in enumerate(texts)))
        put(connection, "evaluation_datasets", dataset_id="d-1", name="d", created_time=1, last_update_time=1)
        put(
            connection,
            "evaluation_dataset_records",
            *(
                {"dataset_record_id": f"{i:03}", "dataset_id": "d-1", "inputs": stored(value), "input_hash": str(i)}
                | {"created_time": 1, "last_update_time": 1}
                for i, value in enumerate(jsons)
            ),
        )
        secret = {"secret_id": "s", "secret_name": "n", "encrypted_value": data, "wrapped_dek": b"\0" + data}
        put(connection, "secrets", **secret, masked_value="{}", kek_version=1, created_at=1, last_updated_at=1)
    with dumping(database, TableWishes(frozenset(SECRETS))) as dump:
        assert {int(row["key"]): row["value"] for row in dump.rows("params")} == dict(enumerate(texts))
        found = [row["inputs"] for row in dump.rows("evaluation_dataset_records")]
        assert [json.loads(value) for value in found] == [{"v": value} for value in jsons]
        assert [row["encrypted_value"] for row in dump.rows("secrets")] == [data]
        assert [row["wrapped_dek"] for row in dump.rows("secrets")] == [b"\0" + data]


@pytest.fixture
def postgresql_with_secrets(new_mlflow_database: Callable[[str], str]) -> str:
    """A database with a secret of the gateway, and with the tables of MLflow's basic authentication."""
    uri: str = new_mlflow_database("postgresql")
    with changing(uri) as connection:
        secret = {"secret_id": "s", "secret_name": "n", "encrypted_value": b"cipher", "wrapped_dek": b"key"}
        put(connection, "secrets", **secret, masked_value="{}", kek_version=1, created_at=1, last_updated_at=1)
        connection.execute(sa.text("CREATE TABLE alembic_version_auth (version_num VARCHAR(32) PRIMARY KEY)"))
        connection.execute(sa.text("INSERT INTO alembic_version_auth VALUES ('f1a2b3c4d5e6')"))
        connection.execute(sa.text("CREATE TABLE users (id INTEGER PRIMARY KEY, password_hash VARCHAR(255))"))
        connection.execute(sa.text("INSERT INTO users VALUES (1, 'scrypt')"))
        connection.execute(sa.text("CREATE TABLE notes_of_the_house (said TEXT, amount NUMERIC(20, 10), at TIMESTAMP)"))
        connection.execute(
            sa.text(
                "INSERT INTO notes_of_the_house VALUES ('b', 1.5, '2026-01-02 03:04:05.000006'), (NULL, NULL, NULL)"
            )
        )
    return uri


def test_secrets_and_users_come_along_only_if_asked_for(postgresql_with_secrets):
    with dumping(postgresql_with_secrets) as dump:
        assert dump.rows("secrets")[0]["encrypted_value"] is None
        column = next(column for column in dump.table("secrets").columns if column.name == "encrypted_value")
        assert (column.nullable, column.withheld) == (False, "gateway-secrets")
        assert any("--with gateway-secrets" in note for note in dump.notes)
        left_out = {table.name: table.reason for table in dump.record.left_out}
        assert "--auth-database" in left_out["users"]
    asked = TableWishes(frozenset({"gateway-secrets"}), postgresql_with_secrets)
    with dumping(postgresql_with_secrets, asked) as dump:
        assert dump.rows("secrets")[0]["encrypted_value"] == b"cipher"
        assert any("holds secrets" in note for note in dump.notes)
        assert any("MLFLOW_CRYPTO_KEK_PASSPHRASE" in note for note in dump.notes)
    with dumping(postgresql_with_secrets, asked, id=AUTH) as dump:
        assert dump.record.revision == "f1a2b3c4d5e6"
        assert [table.name for table in dump.record.tables] == ["users"]
        assert dump.rows("users") == [{"id": 1, "password_hash": None}]


def test_a_table_that_mlflow_does_not_know_comes_along(postgresql_with_secrets):
    with dumping(postgresql_with_secrets) as dump:
        rows = dump.rows("notes_of_the_house")
    there = {"said": "b", "amount": "1.5000000000", "at": datetime(2026, 1, 2, 3, 4, 5, 6)}
    assert sorted(rows, key=str) == sorted([there, {"said": None, "amount": None, "at": None}], key=str)


@pytest.mark.parametrize("container", ["tree", "volumes"])
def test_a_backup_of_a_database_holds_its_tables(postgresql_with_secrets, tmp_path, container):
    target = str(tmp_path / "archive")
    report = api.backup(
        postgresql_with_secrets,
        target,
        only=("database",),
        container=container,
        secrets=("gateway-secrets",),
        auth_database=postgresql_with_secrets,
    )
    assert (report.status, report.counts["database"].stored) == ("complete", 2)
    assert any("holds secrets" in note for note in report.notes)
    assert api.verify(target, level="restorable").problems == ()
    with stored_source(target, storage_options=None) as reader:
        item = next(item for item in reader.read(Kind.DATABASE, Selection()) if item.key.id == TRACKING)
        content = item.load()
        blob = next(blob for blob in content.blobs() if blob.name == "secrets.parquet")
        table = next(table for table in content.record.tables if table.name == "secrets")
        assert [row[2] for piece in read_rows(blob, table) for row in piece] == [b"cipher"]


def test_secrets_of_what_is_no_database_are_refused(tmp_path):
    with pytest.raises(UsageError, match="only from a database"):
        api.backup("http://127.0.0.1:9", str(tmp_path / "a"), secrets=("gateway-secrets",))


def test_a_large_row_makes_a_piece_of_its_own(sqlite):
    uri = sqlite.new_database()
    with changing(uri) as connection:
        connection.execute(sa.text("CREATE TABLE alembic_version (version_num TEXT)"))
        connection.execute(sa.text("INSERT INTO alembic_version VALUES ('dc11669786a5')"))
        connection.execute(sa.text("CREATE TABLE experiments (id INTEGER PRIMARY KEY, text TEXT)"))
        rows = [{"id": i, "text": "x" * (3 << 20 if 4 <= i < 10 else 5)} for i in range(40)]
        put(connection, "experiments", *rows)
    with dumping(uri) as dump:
        table = dump.snapshot.tables["experiments"]
        columns = read_columns(dump.snapshot, table, withheld=lambda _: None, json=frozenset())
        pieces = list(walk(dump.snapshot, table, columns))
        assert [number for numbers, _ in pieces for number in numbers] == list(range(40))
        assert max(sum(map(len, texts)) for _, texts in pieces) <= PIECE_BYTES
        assert [row["id"] for row in dump.rows("experiments")] == list(range(40))


def test_a_value_of_another_type_loses_its_table_alone(sqlite):
    uri = sqlite.new_database()
    with changing(uri) as connection:
        connection.execute(sa.text("CREATE TABLE alembic_version (version_num TEXT)"))
        connection.execute(sa.text("INSERT INTO alembic_version VALUES ('dc11669786a5')"))
        connection.execute(sa.text("CREATE TABLE experiments (id INTEGER PRIMARY KEY, step INTEGER)"))
        connection.execute(sa.text("INSERT INTO experiments VALUES (1, 'not a number')"))
        connection.execute(sa.text("CREATE TABLE others (id INTEGER PRIMARY KEY)"))
    with dumping(uri) as dump:
        with pytest.raises(UnfitValueError, match="The column step"):
            dump.data("experiments")
        assert dump.rows("others") == []
