"""Artifacts that only the server reaches, by the id of the run or logged model they belong to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote, urlencode

from mlflow_archive.errors import UsageError
from mlflow_archive.spec.kinds import Kind
from mlflow_archive.tracking.artifact_contract import ArtifactFault, ArtifactFile, ArtifactOwner, checked_name
from mlflow_archive.tracking.client import ServerClient
from mlflow_archive.tracking.proxied_artifacts import carried, entries, walk

#: What the server takes in one upload to a run.
_UPLOAD_LIMIT_BYTES = 10 << 20


class ServedFolder:
    """The files of one run or logged model as the server itself reads them."""

    def __init__(self, client: ServerClient, owner: ArtifactOwner) -> None:
        """Use the owner's id; its URI is only for sentences."""
        self._client = client
        self._owner = owner

    @property
    def possible(self) -> bool:
        """Whether the server has such a way for this kind of object."""
        return self._owner.kind in (Kind.RUN, Kind.LOGGED_MODEL)

    def list(self) -> Iterator[ArtifactFile | ArtifactFault]:
        """Yield all files, folder by folder."""
        if not self.possible:
            yield ArtifactFault("", "artifact_root", self._unreachable(), False)
            return
        yield from walk(self._level)

    @contextmanager
    def open(self, name: str) -> Iterator[Iterator[bytes]]:
        """Open a file."""
        path = carried(checked_name(name), name)
        owner = self._owner
        if owner.kind is Kind.RUN:
            address, params = "/get-artifact", {"run_id": owner.id, "path": path}
        elif owner.kind is Kind.LOGGED_MODEL:
            address = f"/ajax-api/2.0/mlflow/logged-models/{quote(owner.id, safe='')}/artifacts/files"
            params = {"artifact_file_path": path}
        else:
            raise UsageError(self._unreachable(), code="artifact_root")
        with self._client.download(address, params=params, workspace=owner.workspace) as chunks:
            yield chunks

    def write(self, name: str, data: Iterator[bytes], size_bytes: int | None) -> None:
        """Send a small file of a run, which is all that a server takes this way."""
        path = carried(checked_name(name), name)
        owner = self._owner
        if owner.kind is not Kind.RUN or (size_bytes or 0) > _UPLOAD_LIMIT_BYTES:
            raise UsageError(self._unreachable(), code="artifact_root")
        content = bytearray()
        for chunk in data:
            content += chunk
            if len(content) > _UPLOAD_LIMIT_BYTES:
                raise UsageError(self._unreachable(), code="artifact_root")
        if not content:
            raise UsageError(f"The server takes no empty file: {self._unreachable()}", code="artifact_root")
        query = urlencode({"run_uuid": owner.id, "path": path})
        headers = {"Content-Type": "application/octet-stream"}
        address = f"/ajax-api/2.0/mlflow/upload-artifact?{query}"
        self._client.upload("POST", address, bytes(content), headers=headers, workspace=owner.workspace)

    def present(self) -> frozenset[str] | None:
        """Return the names of what is directly in the folder, None where the server does not tell."""
        return frozenset(name for name, _, _ in self._level("")) if self.possible else None

    def _level(self, folder: str) -> Iterator[tuple[str, bool, int | None]]:
        owner = self._owner
        if owner.kind is Kind.RUN:
            address, params = "/api/2.0/mlflow/artifacts/list", {"run_id": owner.id}
            key = "path"
        else:
            address = f"/api/2.0/mlflow/logged-models/{quote(owner.id, safe='')}/artifacts/directories"
            params, key = {}, "artifact_directory_path"
        if folder:
            params[key] = carried(folder, folder)
        token: object = ""
        while token is not None:
            answer = self._client.call("GET", address, params=params, workspace=owner.workspace)
            yield from entries(answer)
            token = answer.get("next_page_token") or None
            params["page_token"] = str(token)

    def _unreachable(self) -> str:
        return (
            f"The files at {self._owner.uri} can be reached neither from here nor through the server: run this where "
            "they are, or give --artifact-root <address>=<folder or URL>."
        )
