"""The way to the files of a workspace.

Runs and logged models keep theirs where only the workspace's signed addresses lead (`signed_files`), in a volume of
Unity Catalog, or in an object store of one's own, which is reached as for every server. Versions of registered models
have copies: in Unity Catalog they are files of the model's own folder, in the workspace's registry they are handed out
by signed addresses.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from functools import partial

from mlflow_archive.errors import MlflowArchiveError, UsageError
from mlflow_archive.spec.canonical import JSONObject
from mlflow_archive.spec.kinds import Kind
from mlflow_archive.storage.databricks_api import DatabricksApi
from mlflow_archive.storage.keys import check_raw_key
from mlflow_archive.storage.opening import open_store
from mlflow_archive.storage.store import Store
from mlflow_archive.storage.unity_store import UnityStore
from mlflow_archive.tracking.artifact_contract import (
    ArtifactAccess,
    ArtifactFault,
    ArtifactFile,
    ArtifactFolder,
    ArtifactOwner,
    fault_of,
)
from mlflow_archive.tracking.databricks.client import DatabricksClient
from mlflow_archive.tracking.databricks.registry_files import RegistryFolder
from mlflow_archive.tracking.databricks.signed_files import SignedFolder
from mlflow_archive.tracking.databricks.unity_catalog import in_unity_catalog
from mlflow_archive.tracking.paging import member, text
from mlflow_archive.tracking.rewriting import NO_PLACE, owner_in
from mlflow_archive.tracking.stored_artifacts import StoredFolder

_VOLUMES = "dbfs:/Volumes/"


class WorkspaceFiles:
    """Implements `ArtifactAccess` for one workspace."""

    def __init__(self, client: DatabricksClient, others: ArtifactAccess) -> None:
        """Ask nothing yet.

        Args:
            client: The workspace; it is told how the files of a version come to Unity Catalog.
            others: The way to files outside of the workspace; closed with this.
        """
        self._client = client
        self._others = others
        self._stores: dict[str, Store] = {}
        self._api: DatabricksApi | None = None
        self._lock = threading.Lock()
        client.unity.find_files = self._find_files

    def list(self, owner: ArtifactOwner) -> Iterator[ArtifactFile | ArtifactFault]:
        """Yield all files below the root, recursively, lazily."""
        folder = self._folder(owner)
        if folder is None:
            yield from self._others.list(owner)
            return
        try:
            yield from folder.list()
        except MlflowArchiveError as error:
            yield fault_of(error, "")

    def open(self, owner: ArtifactOwner, name: str) -> AbstractContextManager[Iterator[bytes]]:
        """Open a file."""
        folder = self._folder(owner)
        return self._others.open(owner, name) if folder is None else folder.open(name)

    def write(self, owner: ArtifactOwner, name: str, data: Iterator[bytes], size_bytes: int | None) -> None:
        """Write a file."""
        folder = self._folder(owner)
        if folder is None:
            self._others.write(owner, name, data, size_bytes)
        else:
            folder.write(name, data, size_bytes)

    def present(self, experiment_root: str, workspace: str | None = None) -> frozenset[str] | None:
        """Return what is below an experiment's root outside of the workspace; in it that is not cheap to learn."""
        return None if experiment_root.startswith("dbfs:") else self._others.present(experiment_root, workspace)

    def close(self) -> None:
        """Free connections."""
        with self._lock, ExitStack() as stack:
            stack.callback(self._others.close)
            for store in self._stores.values():
                stack.callback(store.close)
            if self._api is not None:
                stack.callback(self._api.close)
            self._stores.clear()

    def _folder(self, owner: ArtifactOwner) -> ArtifactFolder | None:
        """Return a folder that only a workspace has; None for files that are elsewhere."""
        if owner.kind is Kind.REGISTERED_MODEL:
            version = self._client.version_at.get(owner.uri)
            if version is not None and in_unity_catalog(version[0]):
                return self._version_folder(*version)
            return RegistryFolder(self._client, *version) if version is not None else None
        if owner.uri.startswith(_VOLUMES):
            volume = "/".join(owner.uri.split("/")[:5])
            return StoredFolder(self._volume(volume), owner.uri.removeprefix(volume).strip("/"))
        if owner.uri.startswith("dbfs:") and owner.kind in (Kind.RUN, Kind.LOGGED_MODEL):
            return SignedFolder(self._client, owner)
        return None

    def _volume(self, volume: str) -> Store:
        with self._lock:
            if volume not in self._stores:
                self._stores[volume] = open_store(volume, storage_options=self._options(), raw_keys=True)
            return self._stores[volume]

    def _version_folder(self, name: str, version: str) -> StoredFolder:
        with self._lock:
            if self._api is None:
                self._api = DatabricksApi(self._options())
            place = f"/Models/{name.replace('.', '/')}/{version}"
            return StoredFolder(UnityStore(self._api, place, check=check_raw_key), "")

    def _options(self) -> dict[str, object]:
        return {"profile": self._client.profile} if self._client.profile else {}

    def _find_files(self, body: JSONObject) -> Callable[[str, str], None]:
        """Find the files of a version's source; see `unity_catalog.FindFiles`.

        Raises:
            UsageError: There are none.
        """
        source = text(body.get("source"))
        if source.startswith(NO_PLACE):
            return lambda _name, _version: None
        owner, folder = self._source(source, body)
        found = []
        for file in self.list(owner):
            if isinstance(file, ArtifactFault):
                raise UsageError(f"The files at {source} cannot be listed: {file.reason}")
            if file.name.startswith(folder):
                found.append(file)
        if not found:
            raise UsageError(f"There are no files at {source}.")
        return partial(self._copy, owner, folder, found)

    def _copy(self, owner: ArtifactOwner, folder: str, found: Sequence[ArtifactFile], name: str, version: str) -> None:
        target = self._version_folder(name, version)
        for file in found:
            with self.open(owner, file.name) as chunks:
                target.write(file.name.removeprefix(folder), chunks, file.size_bytes)

    def _source(self, source: str, body: JSONObject) -> tuple[ArtifactOwner, str]:
        """Return whose files a version is made of, and the folder below that one's root."""
        model_id = text(body.get("model_id")) or (owner_in(source) or "")
        if model_id.startswith("m-"):
            answer = self._client.call("GET", f"/api/2.0/mlflow/logged-models/{model_id}")
            root = text(member(member(answer, "model"), "info").get("artifact_uri"))
            return ArtifactOwner(Kind.LOGGED_MODEL, model_id, root), _below(source, root)
        run_id = owner_in(source) or text(body.get("run_id"))
        answer = self._client.call("GET", "/api/2.0/mlflow/runs/get", params={"run_id": run_id})
        root = text(member(member(answer, "run"), "info").get("artifact_uri"))
        return ArtifactOwner(Kind.RUN, run_id, root), _below(source, root) or _run_path(source)


def _below(source: str, root: str) -> str:
    inside = root and source.startswith(root.rstrip("/") + "/")
    rest = source.removeprefix(root.rstrip("/")).strip("/") if inside else ""
    return f"{rest}/" if rest else ""


def _run_path(source: str) -> str:
    """Return the folder that ``runs:/<id>/folder`` names."""
    rest = source.removeprefix("runs:/").partition("/")[2].strip("/") if source.startswith("runs:/") else ""
    return f"{rest}/" if rest else ""
