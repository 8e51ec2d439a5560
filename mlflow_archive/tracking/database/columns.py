"""A table's columns as an archive has them: portable types, how each is asked for, and what becomes of its values.

A value is read as the driver gives it, past SQLAlchemy's own conversions: JSON is the text that is stored, a number is
the number that is stored. What is not of its column's type stays as it is, for the writer to refuse.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

import sqlalchemy as sa
from sqlalchemy import types
from sqlalchemy.dialects import mysql

from mlflow_archive.spec.records.database import ColumnType, DatabaseColumn
from mlflow_archive.tracking.database.snapshot import Snapshot

_RAW = types.NullType()
_BOOLEANS = {0: False, 1: True}
#: A text of at most so many characters cannot make a piece of 10,000 rows large.
_SHORT_TEXT = 1000


@dataclass(frozen=True, slots=True)
class ReadColumn:
    """How a column is read.

    Attributes:
        column: What the record says of it.
        asked: The expression to select; NULL for what is withheld.
        made: What a driver's value becomes, where it is not the value itself; None stays None.
        most_bytes: The most that a value can take; None if that has no bound worth the name.
    """

    column: DatabaseColumn
    asked: sa.ColumnElement[Any]
    made: Callable[[Any], Any] | None
    most_bytes: int | None

    @property
    def same(self) -> frozenset[type]:
        """Types of values that ``made`` leaves as they are."""
        return _SAME.get(self.made, _NONE)


def read_columns(
    snapshot: Snapshot, table: sa.Table, *, withheld: Callable[[str], str | None], json: frozenset[tuple[str, str]]
) -> tuple[ReadColumn, ...]:
    """Return how the columns of a table are read, without those that the database computes.

    Args:
        snapshot: Where the table is.
        table: One of its tables.
        withheld: The word for a column whose values are left out, by its name.
        json: What `json_texts` says.
    """
    found = []
    for column in table.columns:
        if column.computed is not None:
            continue
        type_: ColumnType = "json" if (table.name, column.name) in json else column_type(column.type)
        word = withheld(column.name)
        told: dict[str, Any] = {"name": column.name, "type": type_, "nullable": bool(column.nullable)}
        if word is None:
            asked, made = _asked(column, type_, snapshot.dialect)
        else:
            told["withheld"] = word
            asked, made = sa.null(), None
        found.append(ReadColumn(DatabaseColumn(**told), asked, made, _most_bytes(column.type, type_)))
    return tuple(found)


def json_texts(snapshot: Snapshot) -> frozenset[tuple[str, str]]:
    """Return (table, column) of the JSON that MariaDB shows as text; it keeps it as a text with a constraint."""
    if snapshot.dialect != "mysql" or "maria" not in str(snapshot.tuples(sa.select(sa.func.version()))[0][0]).lower():
        return frozenset()
    constraints = sa.table(
        "CHECK_CONSTRAINTS",
        *(sa.column(name) for name in ("CONSTRAINT_SCHEMA", "TABLE_NAME", "CHECK_CLAUSE")),
        schema="information_schema",
    )
    statement = sa.select(constraints.c.TABLE_NAME, constraints.c.CHECK_CLAUSE).where(
        sa.func.database() == constraints.c.CONSTRAINT_SCHEMA
    )
    pairs = (
        (str(table), re.fullmatch(r"json_valid\(`(.+)`\)", str(said))) for table, said in snapshot.tuples(statement)
    )
    return frozenset((table, match[1]) for table, match in pairs if match)


def convert(values: Sequence[Sequence[Any]], columns: Sequence[ReadColumn]) -> list[Sequence[Any]]:
    """Return columns as the driver gave them with the values that an archive has."""
    return [
        one if column.made is None or column.same.issuperset(map(type, one)) else [*map(column.made, one)]
        for one, column in zip(values, columns, strict=True)
    ]


def size_in_bytes(columns: Sequence[ReadColumn], dialect: str) -> sa.ColumnElement[int]:
    """Return the expression for about how many bytes the unbounded columns of a row take."""
    total: sa.ColumnElement[int] = sa.literal(0)
    for column in columns:
        if column.most_bytes is not None:
            continue
        if dialect == "sqlite":
            length = sa.func.length(sa.cast(column.asked, types.LargeBinary))
        else:
            length = (sa.func.datalength if dialect == "mssql" else sa.func.octet_length)(column.asked)
        total = total + sa.func.coalesce(length, 0)
    return total


def column_type(type_: types.TypeEngine[Any]) -> ColumnType:
    """Return the word for what a column holds."""
    if isinstance(type_, mysql.TINYINT) and type_.display_width == 1:
        return "boolean"
    for kind, word in _TYPES:
        if isinstance(type_, kind):
            return word
    # What has no type in SQLite can hold anything; what no type here stands for is its text.
    return "text"


#: In this order: some of SQLAlchemy's types are others as well.
_TYPES: tuple[tuple[type[Any], ColumnType], ...] = (
    (types.Boolean, "boolean"),
    (types.JSON, "json"),
    (types.Integer, "integer"),
    (types.Float, "float"),
    (types.DateTime, "timestamp"),
    (types.LargeBinary, "binary"),
    (types.BINARY, "binary"),
    (types.VARBINARY, "binary"),
    (mysql.LONGBLOB, "binary"),
    (mysql.MEDIUMBLOB, "binary"),
    (mysql.TINYBLOB, "binary"),
)
#: Types whose driver's value is the text itself.
_TEXTS = (types.String, types.Enum)


def _asked(
    column: sa.Column[Any], type_: ColumnType, dialect: str
) -> tuple[sa.ColumnElement[Any], Callable[[Any], Any] | None]:
    raw = sa.type_coerce(column, _RAW)
    if isinstance(column.type, mysql.FLOAT):
        # Single precision, of which MySQL shows six digits only.
        return sa.type_coerce(column * sa.literal_column("1e0"), _RAW), _shortest
    if type_ not in ("text", "json"):
        return raw, _MADE[type_]
    if isinstance(column.type, _TEXTS):
        return raw, None
    if dialect == "sqlite":
        return raw, _text
    return sa.type_coerce(sa.cast(column, types.Text), _RAW), None


def _most_bytes(type_: types.TypeEngine[Any], word: ColumnType) -> int | None:
    if word in ("integer", "float", "boolean", "timestamp"):
        return 16
    length = getattr(type_, "length", None)
    return length * 4 if word == "text" and length is not None and length <= _SHORT_TEXT else None


def _boolean(value: Any) -> Any:
    return _BOOLEANS.get(value, value) if isinstance(value, int) else value


def _double(value: Any) -> Any:
    """Let a whole number be a float, where that is the same number: SQLite keeps some floats so."""
    return float(value) if type(value) is int and int(float(value)) == value else value


def _shortest(value: Any) -> Any:
    """Return the shortest number that is this one in single precision: 0.1, not 0.10000000149011612."""
    if not isinstance(value, float) or not math.isfinite(value):
        return value
    packed = struct.pack("<f", value)
    shorter = (float(f"{value:.{digits}g}") for digits in range(6, 10))
    return next((number for number in shorter if struct.pack("<f", number) == packed), value)


def _text(value: Any) -> Any:
    """Return what SQLite made of a text in a column that is none: it keeps the JSON 1 as a number."""
    return str(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else value


def _timestamp(value: Any) -> Any:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return value
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.astimezone(timezone.utc).replace(tzinfo=None)
    return value


def _bytes(value: Any) -> Any:
    return bytes(value) if isinstance(value, (memoryview, bytearray)) else value


_NONE = frozenset({type(None)})
_SAME: dict[Callable[[Any], Any] | None, frozenset[type]] = {
    _double: _NONE | {float},
    _boolean: _NONE | {bool},
    _text: _NONE | {str},
    _bytes: _NONE | {bytes},
}
_MADE: dict[str, Callable[[Any], Any] | None] = {
    "integer": None,
    "float": _double,
    "boolean": _boolean,
    "timestamp": _timestamp,
    "binary": _bytes,
}
