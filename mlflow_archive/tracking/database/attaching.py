"""A client of a database, with the snapshot of its basic-auth database where that is asked for."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from mlflow_archive.errors import UsageError
from mlflow_archive.tracking.database.addresses import database_address
from mlflow_archive.tracking.database.client import DatabaseClient
from mlflow_archive.tracking.database.leaving_out import AUTH_TABLE, AUTH_VERSION_TABLE, VERSION_TABLE
from mlflow_archive.tracking.database.secrets import table_wishes
from mlflow_archive.tracking.database.snapshot import Snapshot


def database_client(
    uri: str,
    *,
    parallelism: int = 8,
    work_directory: Path | None = None,
    secrets: Collection[str] = (),
    auth_uri: str | None = None,
) -> DatabaseClient:
    """Take a snapshot of a database, and of its basic-auth database; the caller closes the client.

    Raises:
        UsageError: There is no such secret, or an address is not that of a database of MLflow.
        MlflowArchiveError: As `Snapshot.open`.
    """
    wishes = table_wishes(secrets, auth_uri)
    with ExitStack() as stack:
        snapshot = Snapshot.open(uri, parallelism=parallelism, work_directory=work_directory)
        stack.callback(snapshot.close)
        auth: Snapshot | None = None
        if auth_uri is not None:
            same = database_address(auth_uri).url == snapshot.address.url and snapshot.has(AUTH_VERSION_TABLE)
            auth = snapshot if same else _auth(auth_uri, work_directory)
            stack.callback(auth.close)
        client = DatabaseClient(snapshot, auth=auth, wishes=wishes)
        stack.pop_all()
    return client


def _auth(uri: str, work_directory: Path | None) -> Snapshot:
    how: dict[str, Any] = {"parallelism": 2, "work_directory": work_directory, "must_have": AUTH_TABLE}
    try:
        return Snapshot.open(uri, version_table=AUTH_VERSION_TABLE, **how)
    except UsageError as error:
        if error.code != "not_mlflow":
            raise
        # Before MLflow 3.6, the revision was where that of tracking is.
        return Snapshot.open(uri, version_table=VERSION_TABLE, **how)
