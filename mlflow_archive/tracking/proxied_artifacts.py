"""Artifacts through the server's proxy (``mlflow-artifacts:``)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import quote, unquote, urlparse, urlunparse

from mlflow_archive.errors import MlflowArchiveError, NotFoundError, UsageError
from mlflow_archive.spec.canonical import JSONObject
from mlflow_archive.tracking.artifact_contract import ArtifactFault, ArtifactFile, checked_name, fault_of
from mlflow_archive.tracking.client import ServerClient

#: Lists one folder, "" being the root: last name, folder or not, size.
Level = Callable[[str], Iterator[tuple[str, bool, "int | None"]]]

#: A server that makes up folders within folders must not keep us for ever; file systems end at 4,096.
MAX_FOLDER_CHARACTERS = 4096

_ENDPOINT = "/api/2.0/mlflow-artifacts/artifacts"


class ProxiedFolder:
    """Files below a path at the proxy; a listing is one request for each folder."""

    def __init__(self, client: ServerClient, path: str, workspace: str | None) -> None:
        """Use a path relative to the proxy's root."""
        self._client = client
        self._path = path
        self._workspace = workspace

    def list(self) -> Iterator[ArtifactFile | ArtifactFault]:
        """Yield all files, folder by folder."""
        yield from walk(self._level)

    @contextmanager
    def open(self, name: str) -> Iterator[Iterator[bytes]]:
        """Open a file."""
        with self._client.download(self._address(name), workspace=self._workspace) as chunks:
            yield chunks

    def write(self, name: str, data: Iterator[bytes], size_bytes: int | None) -> None:
        """Send a file; a server that keeps it on its own disk shows it when it is complete."""
        headers = {} if size_bytes is None else {"Content-Length": str(size_bytes)}
        self._client.upload("PUT", self._address(name), data, headers=headers, workspace=self._workspace)

    def present(self) -> frozenset[str] | None:
        """Return the names of what is directly in the folder."""
        return frozenset(name for name, _, _ in self._level(""))

    def _level(self, folder: str) -> Iterator[tuple[str, bool, int | None]]:
        path = self._whole(folder) if folder else self._path
        answer = self._client.call("GET", _ENDPOINT, params={"path": path}, workspace=self._workspace)
        return entries(answer)

    def _address(self, name: str) -> str:
        return f"{_ENDPOINT}/{quote(self._whole(checked_name(name)), safe='/')}"

    def _whole(self, name: str) -> str:
        path = f"{self._path}/{name}" if self._path else name
        return carried(path, name)


def carried(path: str, name: str) -> str:
    """Return a path that an MLflow server will read as it was meant.

    Servers decode what was decoded already, until nothing changes, and refuse ``#``.

    Raises:
        UsageError: It would be read as another path.
    """
    decoded = urlunparse(urlparse(unquote(path)))
    if "#" in path or decoded != path or any(ord(c) < 32 or ord(c) == 127 for c in path) or not _encodable(path):
        raise UsageError(
            f"MLflow's server cannot carry the artifact name {name!r}: give --artifact-root <address>=<folder or URL> "
            "to reach the files without it.",
            code="name",
        )
    return path


def entries(answer: JSONObject) -> Iterator[tuple[str, bool, int | None]]:
    """Yield last name, folder or not, and size of what a listing names; sizes of empty files are not told."""
    files = answer.get("files")
    for file in files if isinstance(files, list) else ():
        if isinstance(file, dict):
            size = file.get("file_size")
            known = int(size) if isinstance(size, (int, str)) else None
            yield str(file.get("path", "")).rstrip("/").rpartition("/")[2], bool(file.get("is_dir")), known


def walk(level: Level) -> Iterator[ArtifactFile | ArtifactFault]:
    """Yield all files below the root of something that lists one folder at a time."""
    waiting = [""]
    while waiting:
        above = waiting.pop()
        try:
            found = list(level(above))
        except NotFoundError:
            continue
        except MlflowArchiveError as error:
            yield fault_of(error, above)
            continue
        for last, is_folder, size in found:
            name = f"{above}/{last}" if above else last
            try:
                carried(checked_name(name), name)
            except UsageError as error:
                yield fault_of(error, name)
                continue
            if not is_folder:
                yield ArtifactFile(name, size)
            elif len(name) > MAX_FOLDER_CHARACTERS:
                yield ArtifactFault(name, "name", "The folders lie too deep within each other.", False)
            else:
                waiting.append(name)


def _encodable(path: str) -> bool:
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
