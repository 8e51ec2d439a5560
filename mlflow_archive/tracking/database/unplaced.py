"""Rows that MLflow shows nowhere, as what they belong to is not there: no object of an archive comes from them.

SQLite holds nobody to foreign keys, and people delete rows by hand.
"""

from __future__ import annotations

import sqlalchemy as sa

from mlflow_archive.tracking.database.snapshot import Snapshot

#: Table, its column, and the table in which that column names a row.
_OWNERS = (
    ("runs", "experiment_id", "experiments"),
    ("logged_models", "experiment_id", "experiments"),
    ("trace_info", "experiment_id", "experiments"),
    ("model_versions", "name", "registered_models"),
)


def unplaced_notes(snapshot: Snapshot) -> tuple[str, ...]:
    """Return a sentence on each table with rows whose owner is not there."""
    notes = []
    for name, column, owner in _OWNERS:
        if not (snapshot.has(name, column) and snapshot.has(owner, column)):
            continue
        table, other = snapshot.tables[name], snapshot.tables[owner]
        there = sa.exists().where(other.c[column] == table.c[column])
        ((count,),) = snapshot.tuples(sa.select(sa.func.count()).select_from(table).where(~there))
        if count:
            notes.append(
                f"Rows of {name} whose row of {owner} is not there: {count:,}. MLflow shows them nowhere, so they are "
                "no objects: only the tables of the database hold them, and only an exact restore brings them."
            )
    return tuple(notes)
