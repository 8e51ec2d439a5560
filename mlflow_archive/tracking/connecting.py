"""From a tracking URI to a client."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

from mlflow_archive.errors import UnsupportedError, UsageError
from mlflow_archive.tracking.client import ServerClient
from mlflow_archive.tracking.filestore.folder import file_store, folder_of, is_file_store
from mlflow_archive.tracking.sending import without_credentials

#: The database MLflow makes in the current folder when it is told nothing.
_DEFAULT_DATABASE = "mlflow.db"
#: The folder that it made before.
_DEFAULT_FOLDER = "mlruns"
#: An address without its scheme, as people write it.
_BARE_ADDRESS = re.compile(r"([^/@]+@)?(?P<host>[\w.-]+:\d+)(/.*)?")
_SQLITE = re.compile(r"sqlite(\+pysqlite)?:")
_OTHER_DATABASE = re.compile(r"(postgres(ql)?|mysql|mariadb|mssql)(\+\w+)?:", re.IGNORECASE)


def connect(
    uri: str | None,
    *,
    parallelism: int = 8,
    read_only: bool,
    work_directory: Path | None = None,
    own: Mapping[str, str] | None = None,
) -> ServerClient:
    """Connect to an MLflow server, or open a store without one.

    Args:
        uri: ``http(s)://...``, the URI of a database, ``databricks`` or ``databricks://profile``. None is MLflow's own
            default: ``MLFLOW_TRACKING_URI``, else ``mlflow.db`` in the current folder. A user and password in it are
            used, and never shown.
        parallelism: How many requests may be under way at once.
        read_only: True for what must not be changed, such as the target of a dry run: a SQLite store is copied first,
            and the copy is opened; another database is opened without the right to write.
        work_directory: Where such a copy is kept while it is needed; by default the system's temporary folder.
        own: Settings of this server in place of the process's environment variables
            (`mlflow_archive.tracking.settings`); its ``MLFLOW_TRACKING_URI`` counts where no ``uri`` is given.

    Returns:
        A client; the caller closes it.

    Raises:
        UsageError: The URI says nothing that can be connected to.
        UnsupportedError: The URI is of a kind that needs a server before it; the driver is not installed; or the
            schema of the database is not the installed MLflow's.
        UnavailableError: Nobody answers.
        NotFoundError: There is no such SQLite file to read.
    """
    chosen = _default_uri(own) if uri is None else uri.strip()
    if re.match(r"https?://[^/]", chosen, re.IGNORECASE):
        _require_address(chosen)
        from mlflow_archive.tracking.http_client import HttpClient

        return HttpClient.at(chosen, parallelism=parallelism, own=own)
    if _SQLITE.match(chosen):
        from mlflow_archive.tracking.embedded import EmbeddedClient

        path = _database_path(chosen)
        return EmbeddedClient(path, read_only=read_only, parallelism=parallelism, work_directory=work_directory)
    if _OTHER_DATABASE.match(chosen):
        from mlflow_archive.tracking.database.addresses import database_address
        from mlflow_archive.tracking.embedded import EmbeddedClient

        address = database_address(chosen)
        return EmbeddedClient(address, read_only=read_only, parallelism=parallelism, work_directory=work_directory)
    if chosen.lower().startswith("databricks"):
        _refuse_settings(own)
        from mlflow_archive.tracking.databricks.client import DatabricksClient

        return DatabricksClient.of(chosen, parallelism=parallelism)
    raise _refusal(chosen)


def connect_source(
    uri: str | None,
    *,
    parallelism: int = 8,
    work_directory: Path | None = None,
    own: Mapping[str, str] | None = None,
    secrets: Collection[str] = (),
    auth_uri: str | None = None,
) -> ServerClient:
    """Connect to what objects are only read from: as `connect`, but a database is read by SQL, whichever its revision.

    So is a file store (a folder ``mlruns``), of which MLflow makes a temporary database.

    ``secrets`` are words for what of a database comes along only if it is asked for
    (`mlflow_archive.tracking.database.secrets`), ``auth_uri`` is the database of MLflow's basic authentication.

    Returns:
        A client; the caller closes it.

    Raises:
        MlflowArchiveError: As `connect`, and as `database.snapshot.Snapshot.open`.
    """
    chosen = _default_uri(own) if uri is None else uri.strip()
    if not (_SQLITE.match(chosen) or _OTHER_DATABASE.match(chosen)):
        if secrets or auth_uri is not None:
            raise UsageError(
                "Secrets and the database of users (--with, --auth-database) come along only from a database that is "
                "read by SQL: give its address, such as postgresql://user@host/database."
            )
        folder = folder_of(chosen)
        if folder is not None:
            from mlflow_archive.tracking.filestore.client import open_file_store

            return open_file_store(file_store(folder), parallelism=parallelism, work_directory=work_directory)
        return connect(chosen, parallelism=parallelism, read_only=True, work_directory=work_directory, own=own)
    from mlflow_archive.tracking.database.attaching import database_client

    return database_client(
        chosen, parallelism=parallelism, work_directory=work_directory, secrets=secrets, auth_uri=auth_uri
    )


def _refuse_settings(own: Mapping[str, str] | None) -> None:
    if set(own or ()) - {"MLFLOW_TRACKING_URI"}:
        raise UsageError(
            "A Databricks workspace takes no user, token or certificate of MLflow's: name a profile of "
            "~/.databrickscfg in the URI, databricks://profile, which each end can have of its own."
        )


def _require_address(uri: str) -> None:
    try:
        valid = urlsplit(uri).port != 0
    except ValueError:
        valid = False
    if not valid:
        raise UsageError("The address has a host or a port that cannot be: write http://host:5000.")


def _default_uri(own: Mapping[str, str] | None) -> str:
    uri = (own or {}).get("MLFLOW_TRACKING_URI") or os.environ.get("MLFLOW_TRACKING_URI", "")
    uri = uri.strip()
    if uri:
        return uri
    if Path(_DEFAULT_DATABASE).is_file():
        return f"sqlite:///{_DEFAULT_DATABASE}"
    if is_file_store(Path(_DEFAULT_FOLDER)):
        return _DEFAULT_FOLDER
    raise UsageError(
        "No tracking server was given: name it (http://host:5000 or sqlite:///mlflow.db) or set MLFLOW_TRACKING_URI."
    )


def _database_path(uri: str) -> Path:
    location = unquote(uri.partition(":")[2].partition("?")[0])
    if not location.startswith("///") or location in ("///", "///:memory:"):
        raise UsageError(
            f"{uri.partition('?')[0]!r} names no file: write sqlite:///mlflow.db or sqlite:////folder/mlflow.db."
        )
    if location.startswith("///file:"):
        raise UsageError("A SQLite store is given by its plain path: write sqlite:////folder/mlflow.db.")
    return Path(location[3:])


def _refusal(uri: str) -> UsageError | UnsupportedError:
    scheme = urlsplit(uri).scheme.lower()
    if scheme in ("http", "https"):
        return UsageError("The address names no host: write http://host:5000.")
    if bare := _BARE_ADDRESS.fullmatch(uri):
        return UsageError(
            f"The address of {bare['host']} lacks http:// or https:// before it: write http://{bare['host']}."
        )
    if scheme in ("", "file") or len(scheme) == 1:
        return UnsupportedError(
            f"The folder {uri!r} can only be read (by backup, copy or diff), as MLflow's file stores take no more "
            "objects: give a database or a server's address.",
            code="file_store",
        )
    return UnsupportedError(
        f"Stores of the kind {scheme}: are not supported ({without_credentials(uri)}): start `mlflow server` on it and "
        "give its http address.",
        code="uri_scheme",
    )
