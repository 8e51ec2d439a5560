"""The database record: all tables of a SQL-backed server, as they are. Source: reflection of the database itself."""

from __future__ import annotations

import re
from typing import Literal

from mlflow_archive.spec.base import Document
from mlflow_archive.spec.descriptor import SizeBytes
from mlflow_archive.spec.records.base import Record

#: The role of the files of tables.
TABLES = "tables"
#: What a table may be called: nothing that has a meaning in a path or in SQL (E056).
TABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_$-]{0,127}")

#: What a column holds, the same on every database: `integer` int64, `float` double, `boolean`, `text`, `json` (its
#: text), `binary`, `timestamp` (microseconds since the epoch, no time zone).
ColumnType = Literal["integer", "float", "boolean", "text", "json", "binary", "timestamp"]


class DatabaseColumn(Document):
    """A column of a table."""

    name: str
    type: ColumnType
    """Integers are int64, booleans Parquet's own, ``json`` the text of the JSON, ``timestamp`` microseconds."""
    nullable: bool
    withheld: str | None = None
    """The values are secrets that were not asked for, and are NULL here; the word to ask for them by."""


class DatabaseTable(Document):
    """A table whose rows are in the blob ``tables/<name>.parquet``, sorted by the primary key."""

    name: str
    rows: SizeBytes
    columns: tuple[DatabaseColumn, ...]
    """Without generated columns, which the database computes."""
    primary_key: tuple[str, ...] = ()


class LeftOutTable(Document):
    """A table that is not in the archive, and why."""

    name: str
    reason: str


class DatabaseRecord(Record):
    """One database. The id is ``tracking``, or ``auth`` for the one of MLflow's basic authentication."""

    dialect: str
    """``sqlite``, ``postgresql``, ``mysql`` or ``mssql``."""
    revision: str
    """The schema's revision (alembic): what the tables mean."""
    mlflow_version: str
    """The first MLflow release of that revision; the newest one known where the revision is not."""
    tables: tuple[DatabaseTable, ...]
    """Sorted by name."""
    left_out: tuple[LeftOutTable, ...] = ()

    @property
    def state(self) -> str:
        """Dialect and revision."""
        return f"{self.dialect} {self.revision}"
