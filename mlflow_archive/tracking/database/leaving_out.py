"""Tables of an MLflow database that belong to a running server, or follow from others: not in an archive, and why."""

from __future__ import annotations

import re

from mlflow_archive.spec.records.database import TABLE_NAME

#: Tables of the revision of the tracking database and of the basic-auth one.
VERSION_TABLE = "alembic_version"
AUTH_VERSION_TABLE = "alembic_version_auth"
#: The table without which a database is not the basic-auth one.
AUTH_TABLE = "users"
#: Tables of the basic-auth database, which may be the tracking database itself.
AUTH_TABLES = frozenset(
    {
        AUTH_TABLE,
        "roles",
        "role_permissions",
        "user_role_assignments",
        "experiment_permissions",
        "registered_model_permissions",
        "scorer_permissions",
        "gateway_endpoint_permissions",
        "gateway_model_definition_permissions",
        "gateway_secret_permissions",
        "workspace_permissions",
    }
)
_IN_THE_RECORD = "the revision is in the record"
_OF_A_SERVER = "who holds what in a running server"
_UNSAFE = "its name is not one that is safe everywhere, and none of MLflow's"
_DERIVED = "the server computes it anew"
_REASONS = (
    (re.compile(r"alembic_version(_auth)?"), _IN_THE_RECORD),
    (re.compile(r"job_locks|scheduler_leases"), _OF_A_SERVER),
    (re.compile(r"sql_\w+_daily_rollups|sql_trace_rollup_rebuild_queue"), _DERIVED),
    # Only in a database whose restore was interrupted just before its end.
    (re.compile(r"mlflow_archive_(restore|revision)(_auth)?"), "the state of an exact restore"),
)


def reason_to_leave_out(table: str) -> str | None:
    """Return why a table is not in an archive; None for any other one, known or not."""
    if TABLE_NAME.fullmatch(table) is None:
        return _UNSAFE
    return next((reason for pattern, reason in _REASONS if pattern.fullmatch(table)), None)
