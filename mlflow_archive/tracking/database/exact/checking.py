"""Is everything there? Counts and digests of every table, foreign keys, and the references that have none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import sqlalchemy as sa

from mlflow_archive.errors import IntegrityError
from mlflow_archive.tracking.database.addresses import DatabaseAddress
from mlflow_archive.tracking.database.exact.state import Loaded
from mlflow_archive.tracking.database.exact.values import Carrier, added, shown
from mlflow_archive.tracking.database.exact.writing import all_rows

#: References without a foreign key: table, column, condition on the row, table and column that it names.
_REFERENCES: tuple[tuple[str, str, dict[str, str], str, str], ...] = (
    ("inputs", "destination_id", {"destination_type": "RUN"}, "runs", "run_uuid"),
    ("inputs", "source_id", {"source_type": "DATASET"}, "datasets", "dataset_uuid"),
    ("inputs", "source_id", {"source_type": "RUN_INPUT"}, "runs", "run_uuid"),
    ("inputs", "source_id", {"source_type": "RUN_OUTPUT"}, "runs", "run_uuid"),
    ("inputs", "destination_id", {"destination_type": "MODEL_INPUT"}, "logged_models", "model_id"),
    ("inputs", "destination_id", {"destination_type": "MODEL_OUTPUT"}, "logged_models", "model_id"),
    ("input_tags", "input_uuid", {}, "inputs", "input_uuid"),
    ("entity_associations", "source_id", {"source_type": "trace"}, "trace_info", "request_id"),
    ("entity_associations", "destination_id", {"destination_type": "run"}, "runs", "run_uuid"),
    ("entity_associations", "source_id", {"source_type": "evaluation_dataset"}, "evaluation_datasets", "dataset_id"),
    ("review_queue_items", "item_id", {"item_type": "trace"}, "trace_info", "request_id"),
    ("review_queue_label_schemas", "schema_id", {}, "label_schemas", "schema_id"),
    ("assessments", "name", {"assessment_type": "issue"}, "issues", "issue_id"),
    ("model_versions", "run_id", {}, "runs", "run_uuid"),
    ("logged_models", "source_run_id", {}, "runs", "run_uuid"),
    ("experiments", "workspace", {}, "workspaces", "name"),
    ("registered_models", "workspace", {}, "workspaces", "name"),
)


def check_rows(
    connection: sa.Connection, address: DatabaseAddress, table: sa.Table, carrier: Carrier, loaded: Loaded
) -> None:
    """Read a table back and hold it against what was loaded.

    Raises:
        IntegrityError: Rows are missing, too many, or not the same.
    """
    count = total = 0
    for piece in all_rows(connection, table, [column.name for column in carrier.columns]):
        count += len(piece)
        total = added(total, carrier.digest(piece))
    if (count, shown(total)) != (loaded.rows, loaded.digest):
        what = f"{count:,} rows instead of {loaded.rows:,}" if count != loaded.rows else "rows that differ"
        raise IntegrityError(
            f"The table {table.name} of {address.shown} has {what} from what was loaded: something else has written to "
            "the database, or it changes values; repeat the command with --start-over.",
            code="not_equal",
        )


def dangling(connection: sa.Connection, tables: Mapping[str, sa.Table], why: str) -> tuple[str, ...]:
    """Return sentences about rows that name others which are not there, each with the reason for it."""
    found = []
    for table in tables.values():
        for key in table.foreign_key_constraints:
            pairs = [(element.parent, element.column) for element in key.elements]
            if all(other.table.name in tables for _, other in pairs):
                found.append((table.name, pairs[0][1].table.name, _loose(connection, pairs, {})))
    for name, column, condition, other, named in _REFERENCES:
        if _has(tables, name, (column, *condition)) and _has(tables, other, (named,)):
            pairs = [(tables[name].c[column], tables[other].c[named])]
            found.append((name, other, _loose(connection, pairs, condition)))
    return tuple(
        f"Rows of {name} that name rows of {other} which are not there: {number:,}; {why}."
        for name, other, number in found
        if number
    )


def _loose(
    connection: sa.Connection,
    pairs: Sequence[tuple[sa.Column[object], sa.Column[object]]],
    condition: Mapping[str, str],
) -> int:
    table, other = pairs[0][0].table, pairs[0][1].table.alias("named")
    there = sa.exists().where(*(here == other.c[column.name] for here, column in pairs))
    asked = sa.select(sa.func.count()).select_from(table).where(~there)
    for here, _ in pairs:
        asked = asked.where(here.is_not(None))
        if isinstance(here.type, sa.String):
            asked = asked.where(here != "")
    for name, value in condition.items():
        asked = asked.where(table.c[name] == value)
    return int(connection.execute(asked).scalar_one())


def _has(tables: Mapping[str, sa.Table], name: str, columns: Sequence[str]) -> bool:
    return name in tables and all(column in tables[name].c for column in columns)
