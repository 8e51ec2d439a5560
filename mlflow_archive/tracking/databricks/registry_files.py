"""Files of versions in a workspace's own registry, which copies them and hands them out by signed addresses."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from mlflow_archive.errors import UnavailableError, UsageError
from mlflow_archive.tracking.artifact_contract import ArtifactFault, ArtifactFile, checked_name
from mlflow_archive.tracking.databricks.client import DatabricksClient
from mlflow_archive.tracking.paging import objects, text
from mlflow_archive.tracking.proxied_artifacts import entries, walk

_LIST = "/api/2.0/mlflow/model-versions/list-artifacts"
_SIGN = "/api/2.0/mlflow/model-versions/get-signed-download-uri"


class RegistryFolder:
    """The files of one version, to be read."""

    def __init__(self, client: DatabricksClient, name: str, version: str) -> None:
        """Ask nothing yet."""
        self._client = client
        self._params = {"name": name, "version": version}

    def list(self) -> Iterator[ArtifactFile | ArtifactFault]:
        """Yield all files, folder by folder."""
        yield from walk(self._level)

    @contextmanager
    def open(self, name: str) -> Iterator[Iterator[bytes]]:
        """Open a file."""
        answer = self._client.call("GET", _SIGN, params={**self._params, "path": checked_name(name)})
        address = text(answer.get("signed_uri"))
        if not address:
            raise UnavailableError(f"The workspace gave out no address for the file {name!r}.")
        headers = {text(each.get("name")): text(each.get("value")) for each in objects(answer.get("headers"))}
        with self._client.fetch(address, headers, name) as chunks:
            yield chunks

    def write(self, name: str, data: Iterator[bytes], size_bytes: int | None) -> None:  # noqa: ARG002 - the contract's
        """Refuse: the registry takes files from runs only."""
        raise UsageError(f"The workspace's registry takes no file {name!r} from outside.", code="artifact_root")

    def present(self) -> frozenset[str] | None:
        """Tell nothing."""
        return None

    def _level(self, folder: str) -> Iterator[tuple[str, bool, int | None]]:
        params: dict[str, object] = {**self._params, **({"path": folder} if folder else {})}
        while True:
            answer = self._client.call("GET", _LIST, params=params)
            yield from entries(answer)
            token = text(answer.get("next_page_token"))
            if not token:
                return
            params["page_token"] = token
