"""All rows of a table in the order of its primary key, in pieces that memory can hold whatever the rows hold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa

from mlflow_archive.tracking.database.columns import ReadColumn, convert, size_in_bytes
from mlflow_archive.tracking.database.snapshot import BATCH_ROWS, Snapshot, after

#: About how many bytes the rows of a piece have, at most, unless one row has more.
PIECE_BYTES = 8 << 20

Row = tuple[Any, ...]
Columns = list[Sequence[Any]]
_RAW = sa.types.NullType()


def walk(snapshot: Snapshot, table: sa.Table, columns: Sequence[ReadColumn]) -> Iterator[Columns]:
    """Yield the rows of a table, lazily, at most `BATCH_ROWS` or about `PIECE_BYTES` at a time, as columns.

    Rows with texts of any length are weighed by the database first. Rows of equal order, which only a table without a
    primary key has, may come in any order.
    """
    asked = [column.asked for column in columns]
    if not table.primary_key.columns:
        pieces = _by_offset(snapshot, table, columns, asked)
    elif any(column.most_bytes is None for column in columns):
        pieces = _weighed(snapshot, table, columns, asked)
    else:
        width = sum(column.most_bytes or 0 for column in columns)
        pieces = _by_key(snapshot, table, asked, max(1, min(BATCH_ROWS, PIECE_BYTES * 4 // width)))
    for piece in pieces:
        yield convert(piece[: len(columns)], columns)


def _by_key(
    snapshot: Snapshot, table: sa.Table, asked: Sequence[sa.ColumnElement[Any]], size: int
) -> Iterator[Columns]:
    """Yield the columns that are asked for, and behind them those of the key that are not among them."""
    keys = [*table.primary_key.columns]
    shown = [*asked]
    places = []
    for key in keys:
        place = next((i for i, one in enumerate(shown) if isinstance(one, sa.TypeCoerce) and one.clause is key), None)
        places.append(len(shown) if place is None else place)
        if place is None:
            shown.append(sa.type_coerce(key, _RAW))
    statement = sa.select(*shown).order_by(*keys).limit(size)
    last: Row | None = None
    while True:
        found = snapshot.raw(statement if last is None else statement.where(_behind(keys, last, snapshot.dialect)))
        if found:
            yield list(zip(*found, strict=True))
        if len(found) < size:
            return
        last = tuple(found[-1][place] for place in places)


def _weighed(
    snapshot: Snapshot, table: sa.Table, columns: Sequence[ReadColumn], asked: Sequence[sa.ColumnElement[Any]]
) -> Iterator[Columns]:
    keys = [*table.primary_key.columns]
    weight = sa.type_coerce(size_in_bytes(columns, snapshot.dialect), _RAW)
    statement = sa.select(*asked).order_by(*keys)
    last: Row | None = None
    for weights, *names in _by_key(snapshot, table, [weight], BATCH_ROWS):
        first = 0
        for end in _ends([int(one) for one in weights]):
            rest = statement if last is None else statement.where(_behind(keys, last, snapshot.dialect))
            yield list(zip(*snapshot.raw(rest.limit(end + 1 - first)), strict=True))
            last, first = tuple(name[end] for name in names), end + 1


def _behind(keys: Sequence[sa.Column[Any]], last: Row, dialect: str) -> sa.ColumnElement[bool]:
    """Return the condition for the rows after the last one, whose key is as the driver gave it."""
    # SQLite's has no times: SQLAlchemy would make its own texts of them, and takes no text for one.
    raw = [sa.type_coerce(key, _RAW) for key in keys] if dialect == "sqlite" else [*keys]
    return after(raw, last, dialect)


def _ends(weights: Sequence[int]) -> Iterator[int]:
    """Yield the index of the last row of each piece."""
    total = 0
    for index, weight in enumerate(weights):
        if total and total + weight > PIECE_BYTES:
            yield index - 1
            total = 0
        total += max(1, weight)
    if weights:
        yield len(weights) - 1


def _by_offset(
    snapshot: Snapshot, table: sa.Table, columns: Sequence[ReadColumn], asked: Sequence[sa.ColumnElement[Any]]
) -> Iterator[Columns]:
    """Read a table without a primary key, which MLflow has none of: slower, and NULL has no order to go on from."""
    texts = [sa.cast(column.asked, sa.Text) for column in columns if column.column.withheld is None]
    # In MySQL texts that differ can be of equal order.
    order = [sa.cast(text, sa.LargeBinary) for text in texts] if snapshot.dialect == "mysql" else texts
    weights = sa.select(size_in_bytes(columns, snapshot.dialect)).select_from(table).order_by(*order)
    start = 0
    while True:
        heads = snapshot.raw(weights.limit(BATCH_ROWS).offset(start))
        first = 0
        for end in _ends([int(head[0]) for head in heads]):
            size = end + 1 - first
            statement = sa.select(*asked).select_from(table).order_by(*order)
            yield list(zip(*snapshot.raw(statement.limit(size).offset(start + first)), strict=True))
            first = end + 1
        if len(heads) < BATCH_ROWS:
            return
        start += len(heads)
