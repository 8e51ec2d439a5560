"""What stands around the ends of a Databricks workspace; the ends of other servers are returned as they are."""

from __future__ import annotations

from mlflow_archive.errors import UsageError
from mlflow_archive.events import Observer
from mlflow_archive.stream import Sink, Source
from mlflow_archive.tracking.artifact_contract import ArtifactAccess
from mlflow_archive.tracking.client import ServerClient


def files_at(client: ServerClient, files: ArtifactAccess) -> ArtifactAccess:
    """Return the way to the files of a server."""
    from mlflow_archive.tracking.databricks.client import DatabricksClient

    if not isinstance(client, DatabricksClient):
        return files
    from mlflow_archive.tracking.databricks.files import WorkspaceFiles

    return WorkspaceFiles(client, files)


def source_at(client: ServerClient, source: Source, *, notebook_formats: tuple[str, ...], permissions: bool) -> Source:
    """Return the source with what only a workspace has.

    Args:
        client: The server.
        source: Reads what every MLflow server has; closed with what is returned.
        notebook_formats: In which forms the notebook revisions of runs come along.
        permissions: Read the direct permissions.

    Raises:
        UsageError: Something is wished that only a workspace has, and the server is none.
    """
    from mlflow_archive.tracking.databricks.client import DatabricksClient

    if isinstance(client, DatabricksClient):
        from mlflow_archive.tracking.databricks.source import WorkspaceSource

        return WorkspaceSource(client, source, notebook_formats=notebook_formats, permissions=permissions)
    if notebook_formats:
        raise _no_workspace(client, "notebook revisions")
    if permissions:
        raise _no_workspace(client, "permissions")
    return source


def sink_at(
    client: ServerClient,
    sink: Sink,
    *,
    notebook_folder: str | None,
    permissions: bool,
    dry_run: bool,
    observer: Observer,
) -> Sink:
    """Return the sink with what only a workspace has; closed apart from ``sink``.

    Args:
        client: The server.
        sink: Writes what every MLflow server has.
        notebook_folder: Folder of the workspace that notebooks are imported into.
        permissions: Set the permissions that come along.
        dry_run: Write nothing.
        observer: Told of what a workspace refuses.

    Raises:
        UsageError: Something is wished that only a workspace has, and the server is none.
    """
    from mlflow_archive.tracking.databricks.client import DatabricksClient

    if isinstance(client, DatabricksClient):
        from mlflow_archive.tracking.databricks.sink import WorkspaceSink

        return WorkspaceSink(
            client,
            sink,
            notebook_folder=notebook_folder,
            permissions=permissions,
            dry_run=dry_run,
            observer=observer,
        )
    if notebook_folder is not None:
        raise _no_workspace(client, "folders of notebooks")
    if permissions:
        raise _no_workspace(client, "permissions")
    return sink


def _no_workspace(client: ServerClient, what: str) -> UsageError:
    return UsageError(
        f"Only a Databricks workspace has {what}, and {client.uri} is an MLflow server of another kind: leave the "
        "option out."
    )
