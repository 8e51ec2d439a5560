"""The tables of a database as digests by path, so that two databases can be compared row by row.

Paths: ``revision``, and ``tables/metrics`` for all rows of a table. Neither the order of rows and columns means
anything, nor which kind of database they were in; a table without rows is as none, and a NULL as no column.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import closing
from hashlib import blake2b
from typing import Any

from mlflow_archive.errors import IntegrityError
from mlflow_archive.spec.kinds import Kind
from mlflow_archive.spec.loss import Loss
from mlflow_archive.spec.records.database import DatabaseColumn, DatabaseRecord, DatabaseTable
from mlflow_archive.stream import Content, Source

_MODULUS = 1 << 128


def not_compared(left: Source, right: Source) -> tuple[str, ...]:
    """Return the sentence for a comparison that leaves tables out, if there are any."""
    ends = [end.describe().uri for end in (left, right) if Kind.DATABASE in end.kinds()]
    if not ends:
        return ()
    if len(ends) == 1:
        return (f"Only {ends[0]} has the tables of a database; objects alone were compared.",)
    return ("Both sides have the tables of a database; objects alone were compared (tables by --only database).",)


def table_prints(content: Content, lost: Callable[[Loss], None]) -> dict[str, bytes]:
    """Read the tables of a database to their end and return their digests by path.

    Raises:
        MlflowArchiveError: One cannot be read to its end.
    """
    from mlflow_archive.tracking.database.parquet import read_rows

    record = content.record
    if not isinstance(record, DatabaseRecord):
        raise IntegrityError("The record of the database is none.", code="not_understood")
    tables = {f"{table.name}.parquet": table for table in record.tables}
    result = {"revision": blake2b(record.revision.encode(), digest_size=16).digest()}
    for blob in content.blobs():
        if isinstance(blob, Loss):
            lost(blob)
        elif blob.name in tables:
            table = tables[blob.name]
            with closing(read_rows(blob, table)) as pieces:
                total, count = _sum(table, pieces)
            if count:
                result[f"tables/{table.name}"] = total.to_bytes(16, "big") + count.to_bytes(8, "big")
    return result


def _sum(table: DatabaseTable, pieces: Any) -> tuple[int, int]:
    """Return the sum of the digests of rows, and how many there are."""
    columns = sorted(range(len(table.columns)), key=lambda number: table.columns[number].name)
    names = [table.columns[number].name for number in columns]
    changes = [_change(table.columns[number]) for number in columns]
    total = count = 0
    for rows in pieces:
        by_column: list[Sequence[Any]] = list(zip(*rows, strict=True))
        plain = [
            values if change is None else [None if value is None else change(value) for value in values]
            for values, change in zip((by_column[number] for number in columns), changes, strict=True)
        ]
        for row in zip(*plain, strict=True):
            said = repr([pair for pair in zip(names, row, strict=True) if pair[1] is not None])
            digest = blake2b(said.encode("utf-8", "surrogatepass"), digest_size=16).digest()
            total = (total + int.from_bytes(digest, "big")) % _MODULUS
        count += len(rows)
    return total, count


def _change(column: DatabaseColumn) -> Callable[[Any], Any] | None:
    """Return what makes a value the same whichever database it was in."""
    changes: dict[str, Callable[[Any], Any]] = {
        # What one database has as a number is a truth value in another.
        "boolean": int,
        # SQLite keeps no sign of zero.
        "float": lambda value: value + 0.0,
        "json": _sorted,
    }
    return changes.get(column.type)


def _sorted(text: str) -> str:
    try:
        return json.dumps(json.loads(text), sort_keys=True)
    except ValueError:
        return text
