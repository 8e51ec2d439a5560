"""What may differ between a server's own tables and those made from its answers, and why. All else must be equal."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from typing import Any

from tests.tracking.database.made.filling import tables

Row = dict[str, Any]

#: Ids that no answer tells; what they stand for is compared in their place.
INVENTED = {
    ("datasets", "dataset_uuid"): "dataset",
    ("inputs", "input_uuid"): "input",
    ("inputs", "source_id"): "dataset",
    ("input_tags", "input_uuid"): "input",
}
#: Texts that are JSON, whose objects have no order.
JSON = {
    ("assessments", "assessment_metadata"),
    ("assessments", "error"),
    ("assessments", "value"),
    ("evaluation_dataset_records", "expectations"),
    ("evaluation_dataset_records", "inputs"),
    ("evaluation_dataset_records", "outputs"),
    ("evaluation_dataset_records", "source"),
    ("evaluation_dataset_records", "tags"),
    ("mcp_server_versions", "server_json"),
    ("mcp_server_versions", "tools"),
    ("spans", "content"),
}

_DELETED_VERSION = "of a deleted version only the number can be told, by the gap it leaves"
_SECRET = "no server shows a secret"
#: Columns that may differ, and why.
COLUMNS = {
    ("entity_associations", "association_id"): "no answer tells it, and nothing refers to it",
    ("entity_associations", "created_time"): "no answer tells when something was linked",
    ("model_definitions", "secret_id"): _SECRET,
    ("model_versions", "creation_time"): _DELETED_VERSION,
    ("model_versions", "last_updated_time"): _DELETED_VERSION,
    ("model_versions", "storage_location"): _DELETED_VERSION,
    ("runs", "deleted_time"): "no answer tells when a run was deleted",
    (
        "trace_info",
        "db_payload_generation",
    ): "counts how often spans were written",
    ("webhooks", "secret"): _SECRET,
}
#: Rows of the server that may be missing, by the condition that they meet, and why.
ROWS = {
    "logged_models": ("lifecycle_stage = 'deleted'", "deleted logged models are in no search"),
    "model_versions": ("current_stage = 'Deleted_Internal'", "versions deleted after the newest one leave no gap"),
    "model_version_tags": (
        "(name, version) IN (SELECT name, version FROM model_versions WHERE current_stage = 'Deleted_Internal')",
        _DELETED_VERSION,
    ),
    "secrets": ("1", _SECRET),
}


def differences(server: sqlite3.Connection, made: sqlite3.Connection) -> tuple[list[str], set[object]]:
    """Compare two databases.

    Returns:
        What differs and may not; the allowances that were needed.
    """
    found: list[str] = []
    needed: set[object] = set()
    names = [_names(database) for database in (server, made)]
    for table in tables(server):
        ours, theirs = _rows(made, table, names[1]), _rows(server, table, names[0])
        may_miss = {*_rows(server, table, names[0], ROWS[table][0])} if table in ROWS else set()
        for key in sorted(ours.keys() | theirs.keys(), key=repr):
            if key not in ours and key in may_miss:
                needed.add(table)
            elif key not in ours or key not in theirs:
                found.append(f"{table} {key}: only {'made' if key in ours else 'at the server'}")
            else:
                for column in _unequal(table, ours[key], theirs[key]):
                    if (table, column) in COLUMNS:
                        needed.add((table, column))
                    else:
                        said = f"{theirs[key][column]!r:.300} != {ours[key][column]!r:.300}"
                        found.append(f"{table} {key} {column}: {said}")
    return found, needed


def _unequal(table: str, one: Row, other: Row) -> Iterator[str]:
    for column in one:
        a, b = one[column], other[column]
        if (table, column) in JSON and a is not None and b is not None:
            a, b = json.loads(a), json.loads(b)
        # 1 and 1.0 are not the same in JSON; an empty text is not NULL.
        if repr(a) != repr(b) and (a != b or isinstance(a, (int, float, str, type(None)))):
            yield column


def _rows(
    database: sqlite3.Connection, table: str, names: dict[str, dict[str, str]], where: str = "1"
) -> dict[tuple[Any, ...], Row]:
    """Return the rows by their primary keys, with what invented ids stand for in their place."""
    info = database.execute(f"PRAGMA table_xinfo({table})").fetchall()
    columns = [row[1] for row in info]
    result = {}
    for values in database.execute(f"SELECT {', '.join(columns)} FROM {table} WHERE {where}"):
        row = dict(zip(columns, values, strict=True))
        for column in columns:
            named = names.get(INVENTED.get((table, column), ""), {})
            row[column] = named.get(row[column], row[column])
        result[tuple(row[one[1]] for one in info if one[5])] = row
    return result


def _names(database: sqlite3.Connection) -> dict[str, dict[str, str]]:
    """Return what the invented ids of a database stand for."""
    datasets = {
        uuid: f"dataset {experiment} {name} {digest}"
        for uuid, *(experiment, name, digest) in database.execute(
            "SELECT dataset_uuid, experiment_id, name, digest FROM datasets"
        )
    }
    inputs = {
        uuid: f"input {datasets.get(source, source)} {destination}"
        for uuid, source, destination in database.execute("SELECT input_uuid, source_id, destination_id FROM inputs")
    }
    return {"dataset": datasets, "input": inputs}
