"""What stands around a source that is a file store; other sources are returned as they are."""

from __future__ import annotations

from mlflow_archive.stream import Source
from mlflow_archive.tracking.client import ServerClient


def with_losses(client: ServerClient, source: Source) -> Source:
    """Return the source with what of the folder cannot be read; closed as ``source``."""
    if not hasattr(client, "remarks"):
        return source
    from mlflow_archive.tracking.filestore.client import FileStoreClient
    from mlflow_archive.tracking.filestore.source import FileStoreSource

    return FileStoreSource(client, source) if isinstance(client, FileStoreClient) else source
