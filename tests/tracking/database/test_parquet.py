"""Rows as Parquet and back: every value as it was, in bounded memory, and nothing believed."""

from __future__ import annotations

import hashlib
import math
import random
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlflow_archive.errors import IntegrityError
from mlflow_archive.spec.descriptor import BLOB_TYPE, Descriptor
from mlflow_archive.spec.records.database import DatabaseColumn, DatabaseTable
from mlflow_archive.stream import Blob
from mlflow_archive.tracking.database.parquet import UnfitValueError, read_rows, write_columns

TYPES = ("integer", "float", "boolean", "text", "json", "binary", "timestamp")
COLUMNS = tuple(DatabaseColumn(name=f"a {type_}", type=type_, nullable=True) for type_ in TYPES)
TEXT = st.text(st.characters(exclude_categories=("Cs",)))
INT64 = st.integers(-(2**63), 2**63 - 1)
VALUES = (INT64, st.floats(), st.booleans(), TEXT, TEXT, st.binary(), st.datetimes())
ROWS = st.lists(st.tuples(*(st.none() | values for values in VALUES)), max_size=30)
ROW = (1, 0.5, True, "text", "{}", b"bytes", datetime(2026, 1, 1))


def table_of(rows: int, columns: tuple[DatabaseColumn, ...] = COLUMNS) -> DatabaseTable:
    return DatabaseTable(name="some", rows=rows, columns=columns)


def blob_of(data: bytes, *, chunk: int = 1 << 20) -> Blob:
    @contextmanager
    def opened() -> Iterator[Iterator[bytes]]:
        yield (data[start : start + chunk] for start in range(0, len(data), chunk))

    told = Descriptor(path="x", media_type=BLOB_TYPE, size_bytes=len(data), sha256=hashlib.sha256(data).hexdigest())
    return Blob("tables", "some.parquet", len(data), opened, told)


def write_rows(table, pieces):
    return write_columns(table, (list(zip(*rows, strict=True)) for rows in pieces))


def same(left: object, right: object) -> bool:
    if isinstance(left, float) and isinstance(right, float):
        return (math.isnan(left) and math.isnan(right)) or (left.hex() == right.hex())
    return type(left) is type(right) and left == right


@settings(deadline=None)
@given(ROWS, st.integers(1, 7))
def test_every_value_comes_back(rows, size):
    data = b"".join(write_rows(table_of(len(rows)), (rows[i : i + size] for i in range(0, len(rows), size))))
    found = [row for piece in read_rows(blob_of(data), table_of(len(rows))) for row in piece]
    assert len(found) == len(rows)
    assert all(same(a, b) for old, new in zip(rows, found, strict=True) for a, b in zip(old, new, strict=True))


def test_the_file_is_the_same_each_time_and_every_reader_takes_it(tmp_path):
    data = [b"".join(write_rows(table_of(2), [[ROW], [ROW]])) for _ in range(2)]
    assert data[0] == data[1]
    path = tmp_path / "some.parquet"
    path.write_bytes(data[0])
    assert [tuple(row.values()) for row in pq.read_table(path).to_pylist()] == [ROW, ROW]
    assert pq.read_metadata(path).row_group(0).column(0).compression == "ZSTD"


@pytest.mark.parametrize(
    ("type_", "value"),
    [
        ("integer", "7"),
        ("integer", 1.5),
        ("integer", 2**63),
        ("integer", True),
        ("float", 1),
        ("boolean", 1),
        ("text", 5),
        ("text", b"x"),
        ("text", "\ud800"),
        ("binary", "x"),
        ("timestamp", 5),
    ],
)
def test_a_value_of_another_type_is_told_by_its_column_and_not_shown(type_, value):
    table = table_of(1, (DatabaseColumn(name="c", type=type_, nullable=True),))
    with pytest.raises(UnfitValueError, match=f"The column c holds a value that is not of its type, {type_}"):
        b"".join(write_rows(table, [[(value,)]]))


def test_rows_that_are_missing_are_noticed():
    with pytest.raises(IntegrityError, match="has 3 rows, and 2 could be read"):
        b"".join(write_rows(table_of(3), [[ROW, ROW]]))


def test_a_table_without_rows_has_its_columns():
    data = b"".join(write_rows(table_of(0), []))
    assert list(read_rows(blob_of(data), table_of(0))) == []


@pytest.mark.parametrize(
    ("table", "code"),
    [
        (table_of(1), "rows"),
        (table_of(2, COLUMNS[:-1]), "columns"),
        (table_of(2, (*COLUMNS[1:], COLUMNS[0])), "columns"),
        (table_of(2, (DatabaseColumn(name="a integer", type="text", nullable=True), *COLUMNS[1:])), "columns"),
    ],
)
def test_a_file_that_is_not_what_the_record_says_is_refused(table, code):
    blob = blob_of(b"".join(write_rows(table_of(2), [[ROW, ROW]])))
    with pytest.raises(IntegrityError) as caught:
        list(read_rows(blob, table))
    assert caught.value.code == code


def test_damage_is_an_integrity_error_whatever_it_hits():
    rows = [(i, i / 3, i % 2 == 0, str(i), "{}", b"x" * i, datetime(2026, 1, 1)) for i in range(40)]
    data = b"".join(write_rows(table_of(40), [rows[:20], rows[20:]]))
    chance = random.Random(7)
    refused = 0
    for _ in range(400):
        damaged = bytearray(data)
        for _ in range(chance.randint(1, 4)):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        try:
            read = [row for piece in read_rows(blob_of(bytes(damaged)), table_of(40)) for row in piece]
        except IntegrityError:
            refused += 1
        else:
            assert len(read) == 40
    assert refused > 100
    for length in (0, 3, 8, len(data) // 2, len(data) - 1):
        with pytest.raises(IntegrityError):
            list(read_rows(blob_of(data[:length]), table_of(40)))


def test_more_bytes_than_the_descriptor_says_are_not_kept():
    blob = blob_of(b"".join(write_rows(table_of(1), [[ROW]])))
    longer = Blob(blob.role, blob.name, 100, blob.open, blob.descriptor and blob.descriptor.model_copy())
    short = Blob(blob.role, blob.name, 100, blob.open)
    assert next(read_rows(longer, table_of(1))) == [ROW]
    with pytest.raises(IntegrityError, match="has not the 100 bytes"):
        next(read_rows(short, table_of(1)))


@pytest.mark.parametrize("size", [1, 1 << 20, 3 << 20])
def test_chunks_are_small(size):
    columns = (DatabaseColumn(name="c", type="binary", nullable=False),)
    noise = random.Random(1).randbytes(size)
    chunks = list(write_rows(table_of(2, columns), [[(noise,)], [(noise,)]]))
    assert max(map(len, chunks)) <= 1 << 20
    assert list(read_rows(blob_of(b"".join(chunks)), table_of(2, columns))) == [[(noise,)]] * 2


def test_a_large_table_is_written_and_read_in_bounded_memory(tmp_path: Path):
    columns = (DatabaseColumn(name="c", type="text", nullable=False),)
    pieces = 60
    chance = random.Random(3)
    path = tmp_path / "large.parquet"
    table = table_of(pieces * 2, columns)

    def rows() -> Iterator[list[tuple[str]]]:
        for _ in range(pieces):
            yield [(chance.randbytes(1 << 20).hex(),), (chance.randbytes(1 << 20).hex(),)]

    tracemalloc.start()
    with path.open("wb") as file:
        for chunk in write_rows(table, rows()):
            file.write(chunk)
    assert path.stat().st_size > 100 << 20

    @contextmanager
    def opened() -> Iterator[Iterator[bytes]]:
        with path.open("rb") as stored:
            yield iter(lambda: stored.read(1 << 20), b"")

    blob = Blob("tables", "some.parquet", path.stat().st_size, opened)
    assert sum(len(piece) for piece in read_rows(blob, table, work_directory=tmp_path)) == pieces * 2
    assert [entry.name for entry in tmp_path.iterdir()] == ["large.parquet"]
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 40 << 20
