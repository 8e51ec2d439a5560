"""Files of runs and logged models of a workspace, by addresses that it signs for each file.

The addresses lead to the cloud's own store (S3, Azure, Google), each with its manner of taking a file. They hold a
signature, so they are in no message.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO
from urllib.parse import quote

from mlflow_archive.errors import UnavailableError, UsageError
from mlflow_archive.spec.canonical import JSONObject
from mlflow_archive.spec.kinds import Kind
from mlflow_archive.storage.store import CHUNK_BYTES
from mlflow_archive.tracking.artifact_contract import ArtifactFault, ArtifactFile, ArtifactOwner, checked_name
from mlflow_archive.tracking.databricks.client import DatabricksClient
from mlflow_archive.tracking.paging import member, objects, text
from mlflow_archive.tracking.proxied_artifacts import entries, walk

#: What a cloud's store takes in one request.
_MOST_BYTES = 5_000_000_000
#: Size of the pieces in which a file goes to ADLS Gen2, which keeps what it was given when a piece breaks off.
_PIECE_BYTES = 32 << 20
_SPOOL_BYTES = 8 << 20


@dataclass(frozen=True, slots=True)
class Signed:
    """An address for one file, and what has to be sent along."""

    address: str
    type: str
    headers: Mapping[str, str]


class SignedFolder:
    """The files of one run or logged model."""

    def __init__(self, client: DatabricksClient, owner: ArtifactOwner) -> None:
        """Use the owner's id; its URI means something to the workspace alone."""
        self._client = client
        self._owner = owner
        self._is_run = owner.kind is Kind.RUN
        self._logged_model = f"/api/2.0/mlflow/logged-models/{quote(owner.id, safe='')}/artifacts"

    def list(self) -> Iterator[ArtifactFile | ArtifactFault]:
        """Yield all files, folder by folder."""
        yield from walk(self._level)

    @contextmanager
    def open(self, name: str) -> Iterator[Iterator[bytes]]:
        """Open a file."""
        signed = self._sign(checked_name(name), writing=False)
        with self._client.fetch(signed.address, signed.headers, name) as chunks:
            yield chunks

    def write(self, name: str, data: Iterator[bytes], size_bytes: int | None) -> None:
        """Write a file, replacing one that is there."""
        checked_name(name)
        if size_bytes is None:
            with _spooled(data) as (file, length):
                self._send(name, iter(lambda: file.read(CHUNK_BYTES), b""), length)
        else:
            self._send(name, data, size_bytes)

    def present(self) -> frozenset[str] | None:
        """Return the names of what is directly in the folder."""
        return frozenset(name for name, _, _ in self._level(""))

    def _send(self, name: str, data: Iterator[bytes], size_bytes: int) -> None:
        if size_bytes > _MOST_BYTES:
            raise UsageError(
                f"The file {name!r} has {size_bytes} bytes, and a workspace takes {_MOST_BYTES} at a signed address.",
                code="limit",
            )
        signed = self._sign(name, writing=True)
        if signed.type == "AZURE_ADLS_GEN2_SAS_URI":
            self._append(signed, data)
            return
        headers = {"Content-Length": str(size_bytes), **signed.headers}
        if signed.type == "AZURE_SAS_URI":
            headers["x-ms-blob-type"] = "BlockBlob"
        self._client.upload("PUT", signed.address, data, headers=headers)

    def _append(self, signed: Signed, data: Iterator[bytes]) -> None:
        """Make a file of ADLS Gen2, append to it piece by piece, and have it shown."""
        self._client.upload("PUT", f"{signed.address}&resource=file", b"", headers=signed.headers)
        at = 0
        for piece in _pieces(data):
            place = f"{signed.address}&action=append&position={at}"
            self._client.upload("PATCH", place, piece, headers=signed.headers)
            at += len(piece)
        self._client.upload("PATCH", f"{signed.address}&action=flush&position={at}", b"", headers=signed.headers)

    def _sign(self, name: str, *, writing: bool) -> Signed:
        if self._is_run:
            path = f"/api/2.0/mlflow/artifacts/credentials-for-{'write' if writing else 'read'}"
            body: JSONObject = {"run_id": self._owner.id, "path": [name]}
            found = objects(self._client.call("POST", path, body=body).get("credential_infos"))
        else:
            path = f"{self._logged_model}/credentials-for-{'upload' if writing else 'download'}"
            answer = self._client.call("POST", path, body={"paths": [name]})
            found = [member(entry, "credential_info") for entry in objects(answer.get("credentials"))]
        if not found or not text(found[0].get("signed_uri")):
            raise UnavailableError(f"The workspace gave out no address for the file {name!r}.")
        headers = {text(each.get("name")): text(each.get("value")) for each in objects(found[0].get("headers"))}
        return Signed(text(found[0].get("signed_uri")), text(found[0].get("type")), headers)

    def _level(self, folder: str) -> Iterator[tuple[str, bool, int | None]]:
        if self._is_run:
            path, params = "/api/2.0/mlflow/artifacts/list", {"run_id": self._owner.id}
            key = "path"
        else:
            path, params, key = f"{self._logged_model}/directories", {}, "artifact_directory_path"
        if folder:
            params[key] = folder
        while True:
            answer = self._client.call("GET", path, params=params)
            yield from entries(answer)
            token = text(answer.get("next_page_token"))
            if not token:
                return
            params["page_token"] = token


def _pieces(data: Iterator[bytes]) -> Iterator[bytes]:
    waiting = bytearray()
    for chunk in data:
        waiting += chunk
        if len(waiting) >= _PIECE_BYTES:
            yield bytes(waiting)
            waiting.clear()
    if waiting:
        yield bytes(waiting)


@contextmanager
def _spooled(data: Iterator[bytes]) -> Iterator[tuple[IO[bytes], int]]:
    """Keep a file whose length nobody knows: the cloud's stores take none in chunks of unknown number."""
    with tempfile.SpooledTemporaryFile(_SPOOL_BYTES) as file:
        for chunk in data:
            file.write(chunk)
        length = file.tell()
        file.seek(0)
        yield file, length
