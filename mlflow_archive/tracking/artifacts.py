"""Files of runs, logged models and traces: the front door, which finds the way from an owner's artifact URI.

Best first: straight from the file system or the object store (the URI says so, or the operator mapped it), else the
server's artifact proxy, else the server's own reading by run or model id.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack

from mlflow_archive.errors import MlflowArchiveError, UnsupportedError
from mlflow_archive.storage.opening import open_store
from mlflow_archive.storage.store import Store
from mlflow_archive.tracking.artifact_contract import (
    ArtifactAccess,
    ArtifactFault,
    ArtifactFile,
    ArtifactFolder,
    ArtifactOwner,
    fault_of,
)
from mlflow_archive.tracking.artifact_routes import Place, Routes, Way
from mlflow_archive.tracking.client import ServerClient
from mlflow_archive.tracking.local_artifacts import LocalFolder, SharedFolder
from mlflow_archive.tracking.proxied_artifacts import ProxiedFolder
from mlflow_archive.tracking.served_artifacts import ServedFolder
from mlflow_archive.tracking.stored_artifacts import StoredFolder

__all__ = [
    "ArtifactAccess",
    "ArtifactFault",
    "ArtifactFile",
    "ArtifactOwner",
    "open_artifacts",
]


def open_artifacts(
    client: ServerClient, *, roots: Mapping[str, str], storage_options: Mapping[str, object] | None = None
) -> ArtifactAccess:
    """Return access to the artifacts of a server's objects; nothing is asked before it is used.

    Args:
        client: The server; must stay open for as long as the access.
        roots: Where artifact addresses really lead, by their beginning: ``{"mlflow-artifacts:/": "s3://bucket/root"}``.
            The longest beginning wins; the place is a local path or a URL that `open_store` knows.
        storage_options: For the file systems behind the URLs (endpoint, credentials).

    Raises:
        UsageError: A mapping is not of that form.
    """
    return RoutedArtifacts(client, Routes(client, roots), dict(storage_options or {}))


class RoutedArtifacts:
    """The way to a folder is found anew for each owner; connections to stores are kept."""

    def __init__(self, client: ServerClient, routes: Routes, storage_options: dict[str, object]) -> None:
        """Keep what is needed to find the way."""
        self._client = client
        self._routes = routes
        self._storage_options = storage_options
        self._stores: dict[str, Store] = {}
        self._lock = threading.Lock()

    def list(self, owner: ArtifactOwner) -> Iterator[ArtifactFile | ArtifactFault]:
        """Yield all files below the root, recursively, lazily."""
        try:
            folder = self._folder(owner, writing=False)
        except MlflowArchiveError as error:
            yield fault_of(error, "")
            return
        yield from folder.list()

    def open(self, owner: ArtifactOwner, name: str) -> AbstractContextManager[Iterator[bytes]]:
        """Open a file."""
        return self._folder(owner, writing=False).open(name)

    def write(self, owner: ArtifactOwner, name: str, data: Iterator[bytes], size_bytes: int | None) -> None:
        """Write a file."""
        self._folder(owner, writing=True).write(name, data, size_bytes)

    def present(self, experiment_root: str, workspace: str | None = None) -> frozenset[str] | None:
        """Return the names directly below an experiment's root, as they are now, if that is cheap to learn."""
        place = self._routes.to_root(experiment_root, workspace)
        if place is None or place.way not in (Way.LOCAL, Way.PROXY):
            return None
        try:
            return self._direct(place, workspace).present()
        except MlflowArchiveError:
            return None  # the listing of each owner says what is wrong

    def close(self) -> None:
        """Free connections to object stores."""
        with self._lock, ExitStack() as stack:
            for store in self._stores.values():
                stack.callback(store.close)
            self._stores.clear()

    def _folder(self, owner: ArtifactOwner, *, writing: bool) -> ArtifactFolder:
        place = self._routes.to(owner, writing=writing)
        served = ServedFolder(self._client, owner)
        if place.way is Way.SERVER:
            return served
        if place.way is Way.LOCAL and not writing:
            self._routes.require_here(place, owner)
        if place.way is Way.SHARED:
            return SharedFolder(place.path, served)
        try:
            return self._direct(place, owner.workspace)
        except UnsupportedError:
            if place.mapped or not served.possible:
                raise
            return served  # the package for the store is not installed here, but it is where the server runs

    def _direct(self, place: Place, workspace: str | None) -> ArtifactFolder:
        if place.way is Way.LOCAL:
            return LocalFolder(place.path)
        if place.way is Way.PROXY:
            return ProxiedFolder(self._client, place.path, workspace)
        return StoredFolder(self._store(place.root), place.path)

    def _store(self, root: str) -> Store:
        with self._lock:
            if root not in self._stores:
                self._stores[root] = open_store(root, storage_options=self._storage_options or None, raw_keys=True)
            return self._stores[root]
