"""All rows of a database as plain values that are the same in every dialect. Nothing of the package is used for it."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from tests.servers import with_driver

#: Where migrations have their revisions: by another name after an exact restore in any step but the last.
REVISIONS = ("alembic_version", "alembic_version_auth")
Tables = dict[str, list[dict[str, Any]]]


def read_tables(uri: str) -> Tables:
    """Return the rows of each table, by the names of their columns, computed ones included; in an order of their own.

    Booleans are 0 and 1, decimals are floats, and JSON is text without blanks or an order of its own: drivers give
    different values for the same thing.
    """
    engine = sa.create_engine(with_driver(uri))
    metadata = sa.MetaData()
    with engine.connect() as connection:
        metadata.reflect(connection)
        for column in (column for table in metadata.tables.values() for column in table.columns):
            if isinstance(column.type, sa.Float):
                # MariaDB's would else come as decimals, rounded.
                column.type.asdecimal = False
        found = {table.name: _rows(connection, table) for table in metadata.tables.values()}
    engine.dispose()
    return dict(sorted(found.items()))


def without_signs_of_zeros(tables: Tables) -> Tables:
    """Return the rows with 0.0 for -0.0, which PostgreSQL keeps, and SQLite, MariaDB and its driver do not."""
    return {
        name: _sorted(
            [{key: 0.0 if value == 0 and type(value) is float else value for key, value in row.items()} for row in rows]
        )
        for name, rows in tables.items()
    }


def differences(one: Tables, other: Tables) -> list[str]:
    """Compare two databases row by row.

    Returns:
        A line for each table or column that differs, with the first values that do; ``table.column: 'a' != 'b'``.
    """
    found = [f"{name}: only in {'one' if name in one else 'other'}" for name in sorted(one.keys() ^ other.keys())]
    for name in sorted(one.keys() & other.keys()):
        found += _of_table(name, one[name], other[name])
    return found


def revision_of(tables: Tables) -> str:
    """Return the revision of the schema."""
    ((row),) = tables[REVISIONS[0]]
    return str(row["version_num"])


def _rows(connection: sa.Connection, table: sa.Table) -> list[dict[str, Any]]:
    asked = sa.select(*(_as_text(column, connection.dialect.name) for column in table.columns))
    rows = [
        {name: _plain(value, is_json=isinstance(table.c[name].type, sa.JSON)) for name, value in row.items()}
        for row in connection.execute(asked).mappings()
    ]
    return _sorted(rows)


def _sorted(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(rows, key=lambda row: [(name, repr(row[name])) for name in sorted(row)])


def _as_text(column: sa.Column[Any], dialect: str) -> sa.ColumnElement[Any]:
    """Drivers parse JSON, and then JSON's null is NULL too."""
    if not isinstance(column.type, sa.JSON):
        return column
    text = sa.cast(column, sa.Text) if dialect == "postgresql" else sa.type_coerce(column, sa.types.NullType())
    return text.label(column.name)


def _plain(value: Any, *, is_json: bool) -> Any:
    """MariaDB's JSON is text, so that texts which are objects or lists are taken for JSON everywhere."""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, (bytes, memoryview)):
        return bytes(value).hex()
    if isinstance(value, str) and value[:1] in ("{", "["):
        try:
            return json.dumps(json.loads(value), sort_keys=True)
        except ValueError:
            return value
    # SQLite makes a number of JSON that is one.
    return json.dumps(value) if is_json and isinstance(value, (int, float)) else value


def _of_table(name: str, one: list[dict[str, Any]], other: list[dict[str, Any]]) -> list[str]:
    if one == other and repr(one) == repr(other):
        return []
    if len(one) != len(other):
        only = [row for row in one if row not in other] or [row for row in other if row not in one]
        return [f"{name}: {len(one)} rows != {len(other)} rows, such as {only[:1]!r:.500}"]
    columns = sorted({*(one[0] if one else ()), *(other[0] if other else ())})
    lines = []
    for column in columns:
        # Rows that differ in one column may be sorted otherwise: each column is compared by itself.
        left, right = (sorted(repr(row.get(column, "no such column")) for row in rows) for rows in (one, other))
        if left != right:
            a, b = next((a, b) for a, b in zip(left, right, strict=True) if a != b)
            lines.append(f"{name}.{column}: {a:.200} != {b:.200}")
    return lines or [f"{name}: the same values in other rows"]
