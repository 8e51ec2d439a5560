"""What a database is beside its rows: columns, keys, indexes, sequences, revision."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.pool import NullPool

from mlflow_archive.tracking.database.addresses import database_address


def structure_of(uri, version_table="alembic_version"):
    """Return all that tells two databases with the same rows apart."""
    engine = sa.create_engine(database_address(uri).url, poolclass=NullPool)
    try:
        with engine.connect() as connection:
            inspector = sa.inspect(connection)
            return {
                "revision": connection.execute(sa.text(f"SELECT version_num FROM {version_table}")).scalars().all(),
                "sequences": _sequences(connection),
                **{name: _table(inspector, name) for name in sorted(inspector.get_table_names())},
            }
    finally:
        engine.dispose()


def _table(inspector, name):
    return {
        "columns": [
            (column["name"], str(column["type"]), column["nullable"]) for column in inspector.get_columns(name)
        ],
        "primary": inspector.get_pk_constraint(name)["constrained_columns"],
        "unique": sorted(map(repr, inspector.get_unique_constraints(name))),
        "foreign": sorted(map(repr, inspector.get_foreign_keys(name))),
        "indexes": sorted(map(repr, inspector.get_indexes(name))),
        "checks": sorted(map(repr, inspector.get_check_constraints(name))),
    }


def _sequences(connection):
    if connection.dialect.name != "postgresql":
        return []
    asked = "SELECT sequencename, last_value FROM pg_sequences WHERE schemaname = current_schema() ORDER BY 1"
    return [tuple(row) for row in connection.execute(sa.text(asked))]
