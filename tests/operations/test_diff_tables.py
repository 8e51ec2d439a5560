"""Two ends of which one or both have the tables of a database: objects count, rows if they are asked for."""

from __future__ import annotations

import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlflow_archive import api
from mlflow_archive.errors import ExitCode, UnsupportedError
from mlflow_archive.operations.diff import DiffReport
from mlflow_archive.operations.table_prints import table_prints
from mlflow_archive.spec.records.database import DatabaseRecord
from mlflow_archive.stream import Blob, Content
from mlflow_archive.tracking.database.parquet import parquet_schema
from tests.spec.building import Builder, Json, Thing
from tests.spec.worlds import database, experiment
from tests.tracking.database.test_parquet import blob_of


def written(folder: Path, *things: Thing) -> str:
    for path, data in Builder(list(things)).build().items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    return str(folder)


def other_database() -> Thing:
    thing = database()
    thing.record["revision"] = "f4a9b2c7d1e6"
    thing.record["tables"][0]["name"] = "hooks"
    [data] = thing.blobs.values()
    thing.blobs = {("tables", "hooks.parquet"): data}
    return thing


@pytest.fixture
def both(tmp_path: Path) -> tuple[str, str]:
    left = written(tmp_path / "left", database(), experiment())
    return left, written(tmp_path / "right", other_database(), experiment())


def told(report: DiffReport) -> tuple[object, ...]:
    return report.exit_code, dict(report.equal), [each.fields for each in report.different]


def test_objects_are_what_counts(both: tuple[str, str]) -> None:
    report = api.diff(*both)
    assert told(report) == (ExitCode.DONE, {"experiment": 1}, [])
    [note] = report.notes
    assert "Both sides" in note
    assert "--only database" in note
    assert report.to_json()["notes"] == [note]


def test_what_was_read_over_the_api_is_equal_to_what_was_read_by_sql(both: tuple[str, str], tmp_path: Path) -> None:
    left, api_backup = both[0], written(tmp_path / "api", experiment())
    for ends in ((left, api_backup), (api_backup, left)):
        report = api.diff(*ends)
        assert told(report) == (ExitCode.DONE, {"experiment": 1}, [])
        assert report.notes == (f"Only {left} has the tables of a database; objects alone were compared.",)
    assert api.diff(left, api_backup, without=("database",)).notes == ()
    assert api.diff(api_backup, api_backup).notes == ()


def test_tables_are_compared_when_they_are_asked_for(both: tuple[str, str], tmp_path: Path) -> None:
    differing = ("revision", "tables/hooks", "tables/webhooks")
    assert told(api.diff(*both, only=("database",))) == (ExitCode.FAILED, {}, [differing])
    assert told(api.diff(both[0], both[0], only=("database",))) == (ExitCode.DONE, {"database": 1}, [])
    report = api.diff(both[0], written(tmp_path / "api", experiment()), only=("database",))
    assert [key.id for key in report.only_left] == ["tracking"]
    assert report.exit_code == ExitCode.FAILED


def test_without_pyarrow_tables_cannot_be_compared(both: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert told(api.diff(*both)) == (ExitCode.DONE, {"experiment": 1}, [])
    with pytest.raises(UnsupportedError, match=r"pip install 'mlflow-archive\[sql\]'"):
        api.diff(*both, only=("database",))


def prints(columns: list[tuple[str, str]], rows: list[tuple[object, ...]]) -> dict[str, bytes]:
    told: list[Json] = [{"name": name, "type": type_, "nullable": True} for name, type_ in columns]
    table = {"name": "some", "rows": len(rows), "columns": told}
    record = DatabaseRecord.model_validate(
        {"dialect": "sqlite", "revision": "r", "mlflow_version": "3.17", "tables": [table]}
    )
    schema, file = parquet_schema(record.tables[0].columns), pa.BufferOutputStream()
    values = list(zip(*rows, strict=True)) if rows else [() for _ in columns]
    arrays = [pa.array(column, field.type) for column, field in zip(values, schema, strict=True)]
    pq.write_table(pa.Table.from_arrays(arrays, schema=schema), file, store_schema=False)
    blob: Blob = blob_of(file.getvalue().to_pybytes())
    found = table_prints(Content(record, blobs=lambda: iter([blob])), pytest.fail)
    del found["revision"]
    return found


def test_neither_the_order_of_rows_and_columns_means_anything_nor_the_database() -> None:
    left = prints(
        [("id", "integer"), ("on", "boolean"), ("value", "float"), ("said", "json"), ("new", "text")],
        [(1, True, -0.0, '{"a": 1, "b": 2}', None), (2, None, float("nan"), "no JSON", None)],
    )
    right = prints(
        [("said", "json"), ("on", "integer"), ("id", "integer"), ("value", "float")],
        [("no JSON", None, 2, float("nan")), ('{"b":2,"a":1}', 1, 1, 0.0)],
    )
    assert left == right
    assert set(left) == {"tables/some"}
    assert prints([("id", "integer")], []) == {}


def test_every_value_and_every_repetition_counts() -> None:
    columns = [("a", "text"), ("b", "text")]
    rows: list[list[tuple[object, ...]]] = [
        [("x", "y")],
        [("x", "y"), ("x", "y")],
        [("y", "x")],
        [("x", None)],
        [(None, "x")],
        [("", "x")],
        [("x", "y"), (None, None)],
    ]
    found = [tuple(prints(columns, each).items()) for each in rows]
    assert len(set(found)) == len(rows)
