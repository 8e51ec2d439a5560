"""A table's rows as Parquet, and back: streamed both ways, a few MiB of rows at a time.

The values are those of `spec.records.database.ColumnType`: int, float, bool, str (text and JSON), bytes and naive
`datetime`, or None. Both ends raise where a value or a file is not what the record of its table says.
"""

from __future__ import annotations

import tempfile
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from mlflow_archive.errors import IntegrityError, MlflowArchiveError, UnsupportedError, UsageError
from mlflow_archive.spec.records.database import DatabaseColumn, DatabaseTable
from mlflow_archive.tracking.database.pages import places, unpacked_bytes

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from mlflow_archive.stream import Blob

#: What `pip install` is told where Parquet can be neither written nor read.
NEEDED = "pip install 'mlflow-archive[sql]'"

Row = tuple[Any, ...]
#: Largest piece of bytes that is given out at once.
_CHUNK_BYTES = 1 << 20
#: A file up to this size is read into memory, a larger one is put on disk first.
_IN_MEMORY_BYTES = 4 << 20
#: Rows of a piece that is given out by `read_rows`, at most.
_ROWS = 10_000
#: About how many decoded bytes such a piece has, at most, unless one row has more.
_PIECE_BYTES = 8 << 20
#: The largest group of rows that is read, which takes four times as much memory. Ours have some MiB, or one row, and
#: a row has at most 1 GiB in every database.
_GROUP_BYTES = 5 << 28
#: The largest description of columns and groups that is read: of 100 million rows in groups of 100.
_FOOTER_BYTES = 512 << 20


#: Columns of texts and bytes repeat: one value for many rows is then one object.
_REPEATED = ("text", "json", "binary")
_NONE = type(None)
#: Python's own types of each column type; Arrow would cut 1.5 down to 1.
_PYTHON: dict[str, frozenset[type]] = {
    "integer": frozenset({int, _NONE}),
    "float": frozenset({float, _NONE}),
    "boolean": frozenset({bool, _NONE}),
    "text": frozenset({str, _NONE}),
    "json": frozenset({str, _NONE}),
    "binary": frozenset({bytes, _NONE}),
    "timestamp": frozenset({datetime, _NONE}),
}


class UnfitValueError(MlflowArchiveError, ValueError):
    """A value is not of its column's type, as SQLite allows."""

    code = "column_type"


def is_installed() -> bool:
    """Tell whether Parquet can be written and read here."""
    return find_spec("pyarrow") is not None


def require() -> None:
    """Raise unless Parquet can be written and read here.

    Raises:
        UnsupportedError: The sentence says what to install.
    """
    if not is_installed():
        raise UnsupportedError(
            f"For the tables of a database the Python package pyarrow is needed: {NEEDED}.", code="no_pyarrow"
        )


def parquet_schema(columns: Sequence[DatabaseColumn]) -> pa.Schema:
    """Return the columns as Parquet has them: all may be NULL, as what is withheld is."""
    import pyarrow as pa

    types = {
        "integer": pa.int64(),
        "float": pa.float64(),
        "boolean": pa.bool_(),
        "text": pa.string(),
        "json": pa.string(),
        "binary": pa.binary(),
        "timestamp": pa.timestamp("us"),
    }
    return pa.schema([pa.field(column.name, types[column.type]) for column in columns])


def write_columns(table: DatabaseTable, pieces: Iterable[Sequence[Sequence[Any]]]) -> Iterator[bytes]:
    """Yield the bytes of the Parquet file of a table, in chunks of at most 1 MiB; each piece is a group of rows.

    Args:
        table: What the file is to hold; the number of rows is checked.
        pieces: The rows, as many at a time as memory shall hold (some MiB), each piece as its columns.

    Raises:
        UnfitValueError: A value is not of its column's type.
        IntegrityError: There are more or fewer rows than the table has.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = parquet_schema(table.columns)
    buffer = _Buffer()
    # Without Arrow's own copy of the schema: the file is Parquet for everybody, and its bytes are the rows' alone.
    written = 0
    with pq.ParquetWriter(pa.PythonFile(buffer, "w"), schema, compression="zstd", store_schema=False) as writer:
        for columns in pieces:
            if columns and columns[0]:
                size = len(columns[0])
                writer.write_table(_arrow_table(schema, table, columns), row_group_size=size)
                written += size
                yield from buffer.taken()
    yield from buffer.taken()
    if written != table.rows:
        raise IntegrityError(
            f"The table {table.name} has {table.rows:,} rows, and {written:,} could be read one after the other.",
            code="rows",
        )


def read_rows(
    blob: Blob, table: DatabaseTable, *, work_directory: Path | None = None
) -> Generator[list[Row], None, None]:
    """Yield the rows of a table in an archive, lazily, in lists of at most 10,000 rows or about 8 MiB.

    Parquet says at its end what it holds, so that a file is there as a whole before its first row is known. One of
    more than 4 MiB is put into a private temporary file first: its size is the descriptor's, and no more is written.
    The digest is checked on the way, so that nothing is parsed that is not what was backed up. Close the generator to
    remove the file early.

    Args:
        blob: One of the role ``tables`` of a database object, of an archive or of a database.
        table: What its record says of it.
        work_directory: Where the temporary file is; by default the system's temporary folder.

    Raises:
        IntegrityError: The file is not what its descriptor or the record says, or of an absurd size.
        UnsupportedError: pyarrow is not installed.
        UsageError: No temporary file can be made.
        UnavailableError: The archive cannot be read.
    """
    require()
    import pyarrow as pa

    shown = f"{blob.role}/{blob.name}"
    with _whole(blob, shown, work_directory) as file:
        try:
            plain = _parquet_file(file)
            _check_columns(plain, table, shown)
            repeated = [column.name for column in table.columns if column.type in _REPEATED]
            parquet = _parquet_file(file, metadata=plain.metadata, read_dictionary=repeated)
            yield from _groups(parquet, file, shown)
        except (pa.ArrowException, OSError, ValueError, OverflowError, LookupError) as error:
            if isinstance(error, MlflowArchiveError):
                raise
            said = " ".join(str(error).split())[:200].rstrip(".")
            raise IntegrityError(f"{shown} is not a whole Parquet file: {said}.", code="parquet") from error


def _parquet_file(file: pa.PythonFile, **options: Any) -> pq.ParquetFile:
    import pyarrow.parquet as pq

    limits = {"thrift_string_size_limit": _FOOTER_BYTES, "thrift_container_size_limit": _FOOTER_BYTES}
    return pq.ParquetFile(file, **limits, **options)


def _groups(parquet: pq.ParquetFile, file: pa.PythonFile, shown: str) -> Iterator[list[Row]]:
    metadata = parquet.metadata
    columns = places(file)
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        if group.num_rows == 0:
            continue
        # What the group says of itself may be anything; what its pages say is allocated.
        unpacked = max(group.total_byte_size, unpacked_bytes(file, columns[number]))
        if unpacked > _GROUP_BYTES:
            raise IntegrityError(
                f"{shown} has {group.num_rows:,} rows together that take {unpacked:,} bytes.", code="parquet"
            )
        # Columns of repeated values are read as such, so that what is decoded is not much more than what is stored.
        size = max(1, min(_ROWS, _PIECE_BYTES // max(1, unpacked // max(1, group.num_rows))))
        found = 0
        for batch in parquet.iter_batches(batch_size=size, row_groups=[number], use_threads=False):
            found += batch.num_rows
            yield list(zip(*map(_values, batch.columns), strict=True))
        if found != group.num_rows:
            raise IntegrityError(f"{shown} has {found:,} rows where it says {group.num_rows:,}.", code="parquet")


def _values(column: pa.Array) -> list[Any]:
    """Return Python's values; equal ones of a column of repeated values are one object."""
    import pyarrow as pa

    if not isinstance(column, pa.DictionaryArray):
        return list(column.to_pylist())
    words = column.dictionary.to_pylist()
    return [None if index is None else words[index] for index in column.indices.to_pylist()]


def _check_columns(parquet: pq.ParquetFile, table: DatabaseTable, shown: str) -> None:
    metadata = parquet.metadata
    if metadata.num_rows != table.rows:
        raise IntegrityError(
            f"{shown} has {metadata.num_rows:,} rows, and the record of the database says {table.rows:,}.", code="rows"
        )
    if not parquet.schema_arrow.equals(parquet_schema(table.columns)):
        raise IntegrityError(
            f"The columns of {shown} are not those that the record of the database says of the table {table.name}.",
            code="columns",
        )


@contextmanager
def _whole(blob: Blob, shown: str, work_directory: Path | None) -> Iterator[Any]:
    """Give the file as a whole: in memory, or on disk if it is large; removed at the end."""
    import pyarrow as pa

    # What a database gives has no size beforehand, and is of our own making.
    limit = blob.descriptor.size_bytes if blob.descriptor is not None else blob.size_bytes
    try:
        spool = tempfile.SpooledTemporaryFile(  # noqa: SIM115 - closed below
            _IN_MEMORY_BYTES, prefix="mlflow-archive-", dir=str(work_directory) if work_directory else None
        )
    except OSError as error:
        where = work_directory or tempfile.gettempdir()
        raise UsageError(
            f"No temporary file can be made in {where}: {error.strerror}.", code="work_directory"
        ) from None
    with spool:
        _fill(spool, blob, shown, limit)
        spool.seek(0)
        yield pa.PythonFile(spool, "r")


def _fill(spool: IO[bytes], blob: Blob, shown: str, limit: int | None) -> None:
    size = 0
    with blob.open() as chunks:
        for chunk in chunks:
            size += len(chunk)
            if limit is not None and size > limit:
                break
            try:
                spool.write(chunk)
            except OSError as error:
                raise UsageError(
                    f"{shown} ({limit or size:,} bytes) could not be put into a temporary file: {error.strerror}.",
                    code="work_directory",
                ) from None
    if limit is not None and size != limit:
        raise IntegrityError(f"{shown} has not the {limit:,} bytes of its descriptor (E041).", code="parquet")


def _arrow_table(schema: pa.Schema, table: DatabaseTable, columns: Sequence[Sequence[Any]]) -> pa.Table:
    import pyarrow as pa

    arrays = []
    for values, column, field in zip(columns, table.columns, schema, strict=True):
        if not _PYTHON[column.type].issuperset(map(type, values)):
            raise _unfit(column)
        try:
            arrays.append(pa.array(values, field.type))
        except (pa.ArrowException, OverflowError, UnicodeError) as error:
            raise _unfit(column) from error
    return pa.Table.from_arrays(arrays, schema=schema)


def _unfit(column: DatabaseColumn) -> UnfitValueError:
    return UnfitValueError(f"The column {column.name} holds a value that is not of its type, {column.type}.")


class _Buffer:
    """What Parquet's writer writes into: keeps the bytes until they are taken."""

    closed = False

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._size = 0

    def write(self, data: bytes) -> int:
        self._pieces.append(bytes(data))
        self._size += len(data)
        return len(data)

    def tell(self) -> int:
        return self._size

    def flush(self) -> None:
        """Nothing waits anywhere else."""

    def close(self) -> None:
        self.closed = True

    def taken(self) -> Iterator[bytes]:
        pieces, self._pieces = self._pieces, []
        for piece in _joined(pieces):
            for start in range(0, len(piece), _CHUNK_BYTES):
                yield piece[start : start + _CHUNK_BYTES]


def _joined(pieces: Sequence[bytes]) -> Iterator[bytes]:
    """Join what is small: Parquet writes many small headers."""
    waiting: list[bytes] = []
    size = 0
    for piece in pieces:
        if size and size + len(piece) > _CHUNK_BYTES:
            yield b"".join(waiting)
            waiting, size = [], 0
        waiting.append(piece)
        size += len(piece)
    if size:
        yield b"".join(waiting)
