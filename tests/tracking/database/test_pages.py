"""The pages of a Parquet file are as large as their headers say, whatever the file says of itself elsewhere."""

from __future__ import annotations

import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlflow_archive.errors import IntegrityError
from mlflow_archive.spec.records.database import DatabaseColumn
from mlflow_archive.tracking.database import parquet
from mlflow_archive.tracking.database.pages import places, unpacked_bytes
from tests.tracking.database.test_parquet import blob_of, table_of

COLUMN = (DatabaseColumn(name="value", type="binary", nullable=True),)


@pytest.mark.parametrize("compression", ["none", "snappy", "gzip", "zstd"])
@pytest.mark.parametrize("version", ["1.0", "2.0"])
@pytest.mark.parametrize("dictionary", [True, False])
def test_pages_of_every_form_are_added_up(tmp_path: Path, compression: str, version: str, dictionary: bool) -> None:
    lot = random.Random(7)
    values = [lot.randbytes(lot.randrange(3000)) for _ in range(2000)]
    columns = {"a": [*range(4000)], "b": values * 2, "c": [None, "x" * 5000] * 2000, "d": [True, None] * 2000}
    pq.write_table(
        pa.table(columns),
        tmp_path / "x.parquet",
        compression=compression,
        data_page_version=version,
        use_dictionary=dictionary,
        row_group_size=1500,
        data_page_size=64 << 10,
        write_page_checksum=True,
    )
    metadata = pq.read_metadata(tmp_path / "x.parquet")
    with pa.OSFile(str(tmp_path / "x.parquet")) as file:
        groups = places(file)
        assert len(groups) == metadata.num_row_groups
        for number, columns in enumerate(groups):
            group = metadata.row_group(number)
            assert len(columns) == 4
            unpacked = unpacked_bytes(file, columns)
            # Those of the description have the headers in them, which hold the least and the greatest value.
            assert unpacked < group.total_byte_size < unpacked * 1.05 + 20_000


def lying(values: list[bytes]) -> bytes:
    """Return a file whose description says that its one group has a hundred bytes."""
    file = pa.BufferOutputStream()
    schema = parquet.parquet_schema(COLUMN)
    pq.write_table(pa.table({"value": values}, schema=schema), file, compression="zstd", store_schema=False)
    data = file.getvalue().to_pybytes()
    group = pq.read_metadata(pa.BufferReader(data)).row_group(0)
    start = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    rows = b"\x16" + _varint(len(values))
    stated = b"\x16" + _varint(group.total_byte_size) + rows
    assert data[start:].count(stated) == 1
    footer = data[start:-8].replace(stated, b"\x16" + _varint(100) + rows)
    return data[:start] + footer + len(footer).to_bytes(4, "little") + data[-4:]


def test_a_group_that_is_larger_than_it_says_is_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "_GROUP_BYTES", 1 << 20)
    data = lying([bytes(2 << 20)])
    assert len(data) < 1000
    with pytest.raises(IntegrityError, match=r"1 rows together that take 2,097,\d+ bytes"):
        list(parquet.read_rows(blob_of(data), table_of(1, COLUMN)))


def test_a_group_that_says_too_little_is_still_given_out_in_small_pieces() -> None:
    values = [bytes([number]) * (1 << 20) for number in range(20)]
    pieces = list(parquet.read_rows(blob_of(lying(values)), table_of(20, COLUMN)))
    assert [row for piece in pieces for row in piece] == [(value,) for value in values]
    assert max(map(len, pieces)) <= 8


def _varint(number: int) -> bytes:
    number, found = 2 * number, bytearray()
    while number >= 128:
        found.append(number % 128 + 128)
        number //= 128
    return bytes([*found, number])
