"""Values of the archive on their way into a database, and both in one form for comparing.

A column's type is one of `spec.records.database.ColumnType`; rows are tuples in the order of the archive's columns.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import mysql

Row = tuple[Any, ...]
Change = Callable[[Any], Any]

_MODULUS = 1 << 128
_TIME = "%Y-%m-%d %H:%M:%S.%f"
#: What stands in a column that must have a value, where the archive withholds it.
_EMPTY: dict[str, Any] = {"text": "", "json": "null", "binary": b"", "integer": 0, "float": 0.0, "boolean": False}


@dataclass(frozen=True, slots=True)
class Carried:
    """A column of the archive that the database has too."""

    name: str
    type: str
    target: sa.Column[Any]
    filled: bool = False
    """The archive withholds its values, and the database must have one."""


class Carrier:
    """Turns rows of one table into what the driver takes, and into what is compared."""

    def __init__(self, columns: Sequence[Carried], dialect: str) -> None:
        """Take the columns in the order of the rows."""
        self.columns = tuple(columns)
        self._bound = {i: change for i, column in enumerate(columns) if (change := _binding(column, dialect))}
        self._plain = {i: change for i, column in enumerate(columns) if (change := _comparing(column, dialect))}

    def bound(self, rows: Sequence[Row]) -> Sequence[Row]:
        """Return the rows as the driver takes them."""
        return _changed(rows, self._bound)

    def digest(self, rows: Sequence[Row]) -> int:
        """Return the sum of the rows' digests, which their order does not change; of the archive or of the database."""
        same = _changed(rows, self._plain)
        return sum(
            int.from_bytes(blake2b(repr(row).encode("utf-8", "surrogatepass"), digest_size=16).digest(), "little")
            for row in same
        )


def added(total: int, more: int) -> int:
    """Return the sum of two digests."""
    return (total + more) % _MODULUS


def shown(total: int) -> str:
    """Return a digest as text."""
    return f"{total % _MODULUS:032x}"


def type_of(target: sa.Column[Any]) -> str:
    """Return the type in the archive's words that fits a column of the database."""
    words = (
        (sa.JSON, "json"),
        ((sa.Boolean, mysql.TINYINT), "boolean"),
        (sa.Integer, "integer"),
        (sa.Numeric, "float"),
        (sa.LargeBinary, "binary"),
        (sa.DateTime, "timestamp"),
    )
    return next((word for kinds, word in words if isinstance(target.type, kinds)), "text")


def _is_truth(target: sa.Column[Any]) -> bool:
    return isinstance(target.type, sa.Boolean)


def _changed(rows: Sequence[Row], changes: dict[int, Change]) -> Sequence[Row]:
    if not changes or not rows:
        return rows
    columns: list[Sequence[Any]] = list(zip(*rows, strict=True))
    for number, change in changes.items():
        columns[number] = [change(value) for value in columns[number]]
    return list(zip(*columns, strict=True))


def _binding(column: Carried, dialect: str) -> Change | None:
    change = _driver_binding(column, dialect)
    if not column.filled:
        return change
    empty = _EMPTY.get(column.type, datetime(1970, 1, 1))
    bound = change(empty) if change else empty
    return lambda _value: bound


def _driver_binding(column: Carried, dialect: str) -> Change | None:
    target = column.target.type
    if dialect == "postgresql" and column.type in ("integer", "boolean"):
        if isinstance(target, sa.Boolean) and column.type == "integer":
            return lambda value: None if value is None else bool(value)
        if not isinstance(target, sa.Boolean) and column.type == "boolean":
            return lambda value: None if value is None else int(value)
    if dialect == "sqlite" and column.type == "timestamp":
        return lambda value: None if value is None else value.strftime(_TIME)
    if dialect != "postgresql" and column.type == "boolean":
        return lambda value: None if value is None else int(value)
    return None


def _comparing(column: Carried, dialect: str) -> Change | None:
    if column.filled:
        return lambda _value: None
    if column.type == "float":
        # MySQL's FLOAT has six digits.
        short = isinstance(column.target.type, mysql.FLOAT) and not isinstance(column.target.type, mysql.DOUBLE)
        return _six_digits if dialect == "mysql" and short and (column.target.type.precision or 0) < 25 else _number
    if column.type == "integer":
        # What one database has as a number is a truth value on another.
        return (lambda value: None if value is None else int(value)) if _is_truth(column.target) else None
    return {
        "boolean": lambda value: None if value is None else bool(value),
        "json": _json,
        "binary": lambda value: None if value is None else bytes(value),
        "timestamp": _time,
    }.get(column.type)


def _number(value: Any) -> float | None:
    # SQLite keeps no sign of zero.
    return None if value is None else float(value) + 0.0


def _six_digits(value: Any) -> str | None:
    return None if value is None else f"{float(value):.6g}"


def _json(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return json.dumps(json.loads(value), sort_keys=True, separators=(",", ":"))
    except ValueError:
        return value


def _time(value: Any) -> Any:
    if isinstance(value, str):
        return datetime.fromisoformat(value)
    return value
