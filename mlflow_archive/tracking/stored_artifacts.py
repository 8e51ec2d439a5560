"""Artifacts in an object store, straight."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager

from mlflow_archive.errors import MlflowArchiveError, UnavailableError, UsageError
from mlflow_archive.storage.store import Store
from mlflow_archive.tracking.artifact_contract import ArtifactFault, ArtifactFile, checked_name, fault_of


class StoredFolder:
    """Files below a folder of a store."""

    def __init__(self, store: Store, folder: str) -> None:
        """Use ``folder`` of the store, which was opened with raw keys; empty is its root."""
        self._store = store
        self._prefix = f"{folder}/" if folder else ""

    def list(self) -> Iterator[ArtifactFile | ArtifactFault]:
        """Yield all files, by one flat listing where the backend has it."""
        try:
            for found in self._store.list(self._prefix.rstrip("/")):
                name = found.key.removeprefix(self._prefix)
                if not name or name.endswith("/"):
                    continue  # what some tools leave to mark a folder
                try:
                    checked_name(name)
                except UsageError as error:
                    yield fault_of(error, name)
                    continue
                yield ArtifactFile(name, found.size_bytes)
        except MlflowArchiveError as error:
            yield fault_of(error, "")

    @contextmanager
    def open(self, name: str) -> Iterator[Iterator[bytes]]:
        """Open a file."""
        chunks = self._store.read(self._key(name))
        with closing(chunks):  # type: ignore[type-var]  # stores return generators
            yield chunks

    def write(self, name: str, data: Iterator[bytes], size_bytes: int | None) -> None:
        """Write a file; it appears when it is complete."""
        written = 0
        with self._store.write(self._key(name)) as writer:
            for chunk in data:
                writer.write(chunk)
                written += len(chunk)
            if size_bytes is not None and written != size_bytes:
                raise UnavailableError(f"The artifact {name!r} broke off: {written} of {size_bytes} bytes came.")

    def present(self) -> frozenset[str] | None:
        """Tell nothing: a flat listing names every file."""
        return None

    def _key(self, name: str) -> str:
        return self._prefix + checked_name(name)
