"""What decides how a database may be opened, seen without MLflow and without changing it."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.pool import NullPool

from mlflow_archive.errors import UnsupportedError, UsageError
from mlflow_archive.tracking.database.addresses import DatabaseAddress
from mlflow_archive.tracking.database.snapshot import told
from mlflow_archive.tracking.sqlite_file import DatabaseFacts

_WORKSPACES = (("workspaces", "name"), ("experiments", "workspace"), ("registered_models", "workspace"))


def look(address: DatabaseAddress) -> DatabaseFacts | None:
    """Return what a database holds as far as it must be known to open it; None if it has no tables of MLflow's.

    Raises:
        UsageError: Its tables are not MLflow's.
        NotAuthorisedError: It refuses the user.
        UnavailableError: It does not answer.
    """
    engine = sa.create_engine(address.url, poolclass=NullPool)
    try:
        with told(address), engine.connect() as connection:
            names = set(sa.inspect(connection).get_table_names())
            if not names & {"alembic_version", "experiments"}:
                return None
            if not names >= {"alembic_version", "experiments"}:
                missing = "experiments" if "alembic_version" in names else "alembic_version"
                raise UsageError(
                    f"{address.shown} is a database, but not one of MLflow's: it has no table {missing}.",
                    code="not_mlflow",
                )
            return _facts(connection, names)
    finally:
        engine.dispose()


def without_writing(address: DatabaseAddress) -> sa.URL:
    """Return the address for connections in which the database refuses every change.

    Raises:
        UnsupportedError: There are none of the kind.
    """
    if address.dialect == "postgresql":
        given = str(address.url.query.get("options", ""))
        return address.url.update_query_dict({"options": f"{given} -c default_transaction_read_only=on".strip()})
    if address.dialect == "mysql":
        return address.url.update_query_dict({"init_command": "SET SESSION TRANSACTION READ ONLY"})
    raise UnsupportedError(
        f"{address.shown} cannot be opened by MLflow without the right to change it, so there is no dry run on it: "
        "start `mlflow server` on it and give its http address.",
        code="dry_run",
    )


def _facts(connection: sa.Connection, names: set[str]) -> DatabaseFacts:
    tables = sa.MetaData()
    tables.reflect(connection, only=[name for name, _ in (("alembic_version", ""), *_WORKSPACES) if name in names])
    revision = connection.execute(sa.select(tables.tables["alembic_version"].c.version_num)).scalar()
    ids = connection.execute(sa.select(tables.tables["experiments"].c.experiment_id)).scalars()
    return DatabaseFacts(
        str(revision or ""), frozenset(str(id) for id in ids), _has_workspaces(connection, tables.tables)
    )


def _has_workspaces(connection: sa.Connection, tables: sa.util.FacadeDict[str, sa.Table]) -> bool:
    for name, column in _WORKSPACES:
        if name not in tables or column not in tables[name].c:
            continue
        found = sa.select(sa.literal(1)).select_from(tables[name]).where(tables[name].c[column] != "default").limit(1)
        if connection.execute(found).first() is not None:
            return True
    return False
