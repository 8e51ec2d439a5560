"""MLflow's tables are two families, each with migrations of its own: those of tracking, and users with permissions.

Both may be in one database. What is private to MLflow here is said in `schema`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from mlflow_archive.errors import UnsupportedError
from mlflow_archive.tracking.database.dump import AUTH, TRACKING
from mlflow_archive.tracking.database.exact.state import OF_TRACKING, OF_USERS, Names
from mlflow_archive.tracking.database.leaving_out import AUTH_TABLES

#: Tables of the server's running state, or computed from others: their rows are in no archive.
RUNTIME_TABLES = frozenset(
    {
        "job_locks",
        "scheduler_leases",
        "sql_trace_metric_daily_rollups",
        "sql_span_cost_daily_rollups",
        "sql_assessment_daily_rollups",
        "sql_trace_rollup_rebuild_queue",
    }
)


class Family(ABC):
    """Tables that are migrated together.

    Attributes:
        object_id: Of the archive's object that has their rows.
        names: Where the state of their restore is.
    """

    object_id: str
    names: Names

    def require_dialect(self, dialect: str) -> None:
        """Raise unless MLflow can make the tables in such a database.

        Raises:
            UnsupportedError: It cannot.
        """

    @abstractmethod
    def known_among(self, tables: Collection[str]) -> frozenset[str]:
        """Return which of the tables of a database are of the family, as the installed MLflow knows it."""

    @abstractmethod
    def config(self) -> Any:
        """Return alembic's settings; the address in them is never used.

        Raises:
            UnsupportedError: The installed MLflow has no such migrations.
        """

    @abstractmethod
    def create_first(self, connection: sa.Connection) -> None:
        """Make what there is before the first migration."""

    @abstractmethod
    def fresh(self, table: str) -> sa.ColumnElement[bool] | None:
        """Return what is true of the rows that a fresh server makes in a table; None if it makes none."""

    @abstractmethod
    def metadata(self) -> sa.MetaData | None:
        """Return the tables of the newest revision, for alembic."""


class _Tracking(Family):
    object_id = TRACKING
    names = OF_TRACKING

    def known_among(self, tables: Collection[str]) -> frozenset[str]:
        import mlflow.store.db.utils  # noqa: F401 - makes the tables known
        from mlflow.store.db.base_sql_model import Base
        from mlflow.store.tracking.dbmodels.initial_models import Base as InitialBase

        known = frozenset(Base.metadata.tables) | frozenset(InitialBase.metadata.tables)
        return known & frozenset(tables)

    def config(self) -> Any:
        from mlflow.store.db.utils import _get_alembic_config

        return _get_alembic_config("sqlite://")

    def create_first(self, connection: sa.Connection) -> None:
        from mlflow.store.tracking.dbmodels.initial_models import Base as InitialBase

        InitialBase.metadata.create_all(connection)

    def fresh(self, table: str) -> sa.ColumnElement[bool] | None:
        if table == "experiments":
            id, shown, stage = (sa.column(column) for column in ("experiment_id", "name", "lifecycle_stage"))
            return sa.and_(id == 0, shown == "Default", stage == "active")
        return sa.column("name") == "default" if table == "workspaces" else None

    def metadata(self) -> sa.MetaData | None:
        from mlflow.store.db.base_sql_model import Base

        return Base.metadata


class _Users(Family):
    object_id = AUTH
    names = OF_USERS

    def require_dialect(self, dialect: str) -> None:
        if dialect == "mysql":
            raise UnsupportedError(
                "MLflow itself cannot make the tables of its basic authentication in MySQL or MariaDB (several of "
                "their foreign keys have one name): give --auth-database sqlite:///basic_auth.db or postgresql://...",
                code="dialect",
            )

    def known_among(self, tables: Collection[str]) -> frozenset[str]:
        return AUTH_TABLES & frozenset(tables)

    def config(self) -> Any:
        import mlflow
        from alembic.config import Config

        # Importing it would start half a server.
        folder = Path(str(mlflow.__file__)).parent / "server" / "auth" / "db" / "migrations"
        if not folder.is_dir() or OF_USERS.version_table not in (folder / "env.py").read_text(encoding="utf-8"):
            raise UnsupportedError(
                "Users and permissions can be restored where MLflow 3.6 or later is installed with its server: "
                "pip install 'mlflow>=3.6'.",
                code="mlflow_version",
            )
        config = Config()
        config.set_main_option("path_separator", "os")
        config.set_main_option("script_location", str(folder).replace("%", "%%"))
        return config

    def create_first(self, connection: sa.Connection) -> None:
        """The first migration makes the first tables."""

    def fresh(self, table: str) -> sa.ColumnElement[bool] | None:
        # The first user, whom the server makes of its settings.
        return sa.and_(sa.column("id") == 1, sa.column("is_admin") == sa.true()) if table == "users" else None

    def metadata(self) -> sa.MetaData | None:
        return None


OF_TRACKING_SERVER: Family = _Tracking()
OF_BASIC_AUTH: Family = _Users()
#: All.
FAMILIES = (OF_TRACKING_SERVER, OF_BASIC_AUTH)
