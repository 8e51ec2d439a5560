"""Files of the archive to where the rows say they are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from itertools import groupby
from pathlib import Path
from typing import NoReturn

from mlflow_archive.errors import MlflowArchiveError, UnavailableError, UnsupportedError, UsageError
from mlflow_archive.events import Observer
from mlflow_archive.spec.canonical import JSONObject
from mlflow_archive.spec.loss import Loss
from mlflow_archive.spec.records.base import Record
from mlflow_archive.spec.records.logged_model import LoggedModelRecord
from mlflow_archive.spec.records.registered_model import RegisteredModelRecord
from mlflow_archive.spec.records.run import RunRecord
from mlflow_archive.spec.records.trace import TraceRecord
from mlflow_archive.storage.hashing import Digest
from mlflow_archive.stream import Blob, Content, ObjectKey
from mlflow_archive.tracking.artifact_contract import ArtifactFile, ArtifactOwner
from mlflow_archive.tracking.artifact_routes import Place, Routes, Way, local_path, root_of
from mlflow_archive.tracking.artifacts import open_artifacts
from mlflow_archive.tracking.database.addresses import DatabaseAddress
from mlflow_archive.tracking.database.exact.roots import Moves
from mlflow_archive.tracking.idmap import IdMap
from mlflow_archive.tracking.sinks.uploading import Uploaded, Uploader

_LOCATION = "mlflow.artifactLocation"
_DIFFERS = "file_differs"


class ExactFiles:
    """Writes files below the addresses of the rows; safe to use from several threads.

    A file that is there already with the same bytes is left, so that a restore may be repeated.
    """

    def __init__(
        self,
        address: DatabaseAddress,
        moves: Moves,
        *,
        roots: Mapping[str, str],
        storage_options: Mapping[str, object] | None,
        overwrite: bool,
        observer: Observer,
        parallelism: int,
    ) -> None:
        """Open the pool; `close` ends it.

        Args:
            address: The database; relative addresses begin beside a SQLite file.
            moves: What the addresses in the rows become.
            roots: Where addresses lead, by their beginning.
            storage_options: For the file systems behind the URLs.
            overwrite: Replace a file that is there with other bytes; otherwise it is left, and ours is a loss.
            observer: Told of bytes.
            parallelism: How many files are written at once.

        Raises:
            UsageError: A root lacks a side.
        """
        nobody = _NoServer(address)
        self._named = _folders(address, roots)
        self._moves = moves
        self._overwrite = overwrite
        self._routes = Routes(nobody, roots)
        self._artifacts = open_artifacts(nobody, roots=roots, storage_options=storage_options)
        self._uploader = Uploader(self._artifacts, IdMap(), observer, parallelism, edit_mlmodels=False)

    def require_way(self, key: ObjectKey, record: Record, roles: Iterable[str]) -> None:
        """Raise unless there is a way to where the files of an object belong.

        Raises:
            UsageError: There is none; the sentence says what to give.
        """
        for role in roles:
            owner = self._owner(key, record, role)
            if owner is not None:
                try:
                    self._check(owner)
                except UnavailableError as error:
                    raise UsageError(str(error), code=error.code) from error

    def write(self, key: ObjectKey, content: Content) -> Uploaded:
        """Write the files of an object; returns when they are there. What cannot be written is a loss."""
        result = Uploaded()
        for role, blobs in groupby(content.blobs(), lambda blob: None if isinstance(blob, Loss) else blob.role):
            owner = self._owner(key, content.record, role) if role is not None else None
            done = self._write_role(key, owner, role, blobs)
            result.size_bytes += done.size_bytes
            result.losses += done.losses
        return result

    def close(self) -> None:
        """End the pool and the connections."""
        self._uploader.close()
        self._artifacts.close()

    def _write_role(
        self, key: ObjectKey, owner: ArtifactOwner | None, role: str | None, blobs: Iterable[Blob | Loss]
    ) -> Uploaded:
        result = Uploaded()
        if owner is None:
            for blob in blobs:
                result.losses.append(blob if isinstance(blob, Loss) else _no_place(key, blob))
            return result
        try:
            self._check(owner)
            there = {file.name: file for file in self._artifacts.list(owner) if isinstance(file, ArtifactFile)}
        except MlflowArchiveError as error:
            path = None if role == "artifacts" else role
            result.losses.append(key.lost(error.code, str(error), path=path or "artifacts", retryable=error.retryable))
            return result
        return self._uploader.upload_blobs(key, self._missing(key, owner, blobs, there), owner)

    def _missing(
        self, key: ObjectKey, owner: ArtifactOwner, blobs: Iterable[Blob | Loss], there: Mapping[str, ArtifactFile]
    ) -> Iterator[Blob | Loss]:
        for blob in blobs:
            if isinstance(blob, Loss) or blob.name not in there:
                yield blob
            elif not self._same(owner, blob, there[blob.name]):
                yield (
                    blob
                    if self._overwrite
                    else key.lost(
                        _DIFFERS,
                        f"There is another file at {owner.uri}/{blob.name}, which was left; "
                        "--if-exists update replaces it.",
                        path=blob.name if blob.role == "artifacts" else f"{blob.role}/{blob.name}",
                    )
                )

    def _same(self, owner: ArtifactOwner, blob: Blob, file: ArtifactFile) -> bool:
        if blob.descriptor is None or file.size_bytes not in (None, blob.size_bytes):
            return False
        digest = Digest()
        with self._artifacts.open(owner, blob.name) as chunks:
            for chunk in chunks:
                digest.update(chunk)
        return digest.sha256 == blob.descriptor.sha256

    def _owner(self, key: ObjectKey, record: Record, role: str) -> ArtifactOwner | None:
        address = _address(record, role)
        return ArtifactOwner(key.kind, key.id, self._moves.of(address), key.workspace) if address else None

    def _check(self, owner: ArtifactOwner) -> None:
        place = self._routes.to(owner, writing=True)
        if place.way is Way.LOCAL and not Path(place.path).is_absolute():
            raise UsageError(
                f"The address {owner.uri} is relative to a folder that only its server knows: say where it is by "
                "--artifact-root ./=/folder, or rewrite it by --move-artifacts.",
                code="artifact_root",
            )
        if place.way is Way.LOCAL and not self._is_named(place, owner):
            # An archive may be anybody's: it does not choose folders of this machine.
            root = root_of(owner)
            raise UsageError(
                f"The files belong into {root} on this machine: allow it by --artifact-root {root}={root}, or choose "
                "another folder by --move-artifacts.",
                code="artifact_root",
            )
        if place.way is Way.SERVER:
            raise UsageError(
                f"Only a server reaches {owner.uri}: say where it is by --artifact-root.", code="artifact_root"
            )

    def _is_named(self, place: Place, owner: ArtifactOwner) -> bool:
        """Tell whether a folder of this machine was named by who restores, or is MLflow's own beside a SQLite file."""
        return self._moves.lead_to(owner.uri) or any(Path(place.path).is_relative_to(named) for named in self._named)


def _folders(address: DatabaseAddress, roots: Mapping[str, str]) -> tuple[Path, ...]:
    """Return the folders of this machine that may be written into."""
    given = [Path(path).absolute() for root in roots.values() if (path := local_path(root)) is not None]
    # Not all that is beside the file, which may be a home folder.
    beside = [address.file.parent / name for name in ("mlruns", "mlartifacts")] if address.file else []
    return (*given, *beside)


def _address(record: Record, role: str) -> str | None:
    """Return where the rows say that an object's files are."""
    if isinstance(record, (RunRecord, LoggedModelRecord)):
        return record.info.artifact_uri
    if isinstance(record, TraceRecord):
        return record.tags.get(_LOCATION)
    if isinstance(record, RegisteredModelRecord):
        number = role.split("/")[1] if role.startswith("versions/") else ""
        for version in record.versions:
            if str(version.version) == number:
                return version.storage_location or version.source
    return None


def _no_place(key: ObjectKey, blob: Blob) -> Loss:
    path = blob.name if blob.role == "artifacts" else f"{blob.role}/{blob.name}"
    return key.lost("no_place", "The rows do not say where this file belongs.", path=path)


class _NoServer:
    """What a `ServerClient` is where only files are reached, and there is no server."""

    local = True
    version = ""
    request_count = 0
    invented_experiment_ids: frozenset[str] = frozenset()

    def __init__(self, address: DatabaseAddress) -> None:
        self.uri = address.shown
        self.artifact_roots: Mapping[str, str] = {}
        if address.file is not None:
            folder = address.file.parent
            beside = {"./": folder, "mlruns": folder / "mlruns", "mlartifacts": folder / "mlartifacts"}
            if (folder / "mlartifacts").is_dir():
                beside["mlflow-artifacts:/"] = folder / "mlartifacts"
            self.artifact_roots = {prefix: str(place) for prefix, place in beside.items()}

    def at_least(self, version: str) -> bool:  # noqa: ARG002 - the protocol's
        return False

    def call(self, method: str, path: str, **_: object) -> JSONObject:
        self._refuse(method, path)

    def download(self, path: str, **_: object) -> AbstractContextManager[Iterator[bytes]]:
        self._refuse("GET", path)

    def upload(self, method: str, path: str, data: object, **_: object) -> bytes:  # noqa: ARG002
        self._refuse(method, path)

    def close(self) -> None:
        """Nothing is open."""

    def _refuse(self, method: str, path: str) -> NoReturn:
        raise UnsupportedError(f"{self.uri} has no server to {method} {path}.", code="no_server")
