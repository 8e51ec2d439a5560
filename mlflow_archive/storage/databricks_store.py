"""What DBFS and the volumes of Unity Catalog have in common as stores: folders of a workspace."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator

from mlflow_archive.spec.paths import check_path
from mlflow_archive.storage.budget import Budget
from mlflow_archive.storage.databricks_api import DatabricksApi, told
from mlflow_archive.storage.databricks_walk import Found, Listing, walk
from mlflow_archive.storage.keys import KeyCheck
from mlflow_archive.storage.partial import is_partial
from mlflow_archive.storage.pieces import UPLOAD_BYTES
from mlflow_archive.storage.store import ByteWriter, Store, StoredObject


class DatabricksStore(Store):
    """Objects are files below a folder.

    Args:
        api: The workspace; closed with the store.
        root: Absolute path of the folder, without a slash at the end; empty for the root of DBFS.
        check: What a key may be.
        upload_bytes: What all uploads together may take in memory.
    """

    def __init__(
        self, api: DatabricksApi, root: str, *, check: KeyCheck = check_path, upload_bytes: int = UPLOAD_BYTES
    ) -> None:
        """See the class."""
        self._check = check
        self.url = f"dbfs:{root or '/'}"
        self._api = api
        self._root = root
        self._budget = Budget(upload_bytes)

    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        """Yield all files below a folder, which is asked for folder by folder."""
        for found in self._walk(prefix.rstrip("/")):
            key = found.path[len(self._root) + 1 :]
            if not is_partial(key):
                yield StoredObject(key, found.size_bytes)

    def remove_folders(self) -> None:
        """Remove the folders that are empty, the root as well if it is no volume."""
        with told(self.url, writing=True):
            self._remove_empty(self._root)

    def close(self) -> None:
        """End the connections."""
        self._api.close()

    @abstractmethod
    def _listed(self, folder: str, after: str | None) -> Listing:
        """Return what is right below a folder, or its next page; nothing if the folder is not there."""

    @abstractmethod
    def _remove_folder(self, folder: str) -> None:
        """Remove a folder that was listed, if it is empty and no root of the service."""

    def _walk(self, folder: str) -> Iterator[Found]:
        return walk(self._place(folder) if folder else self._root or "/", self._listed)

    def _remove_empty(self, folder: str) -> None:
        after: str | None = None
        folders: set[str] = set()
        while True:
            listing = self._listed(folder or "/", after)
            folders.update(listing.folders)
            after = listing.after
            if after is None:
                break
        for below in folders:
            self._remove_empty(below)
        self._remove_folder(folder)

    def _place(self, key: str) -> str:
        return f"{self._root}/{self._check(key)}"

    def _shown(self, key: str) -> str:
        return f"{self.url.rstrip('/')}/{key}"


class ToldWriter:
    """A `ByteWriter` whose faults are told as ours."""

    def __init__(self, shown: str, upload: ByteWriter) -> None:
        """Write on to ``upload``, of the object that is shown so."""
        self._shown = shown
        self._upload = upload

    def write(self, data: bytes) -> None:
        """Append."""
        with told(self._shown, writing=True):
            self._upload.write(data)
