"""A Unity Catalog volume as a store, by the Files API.

A file appears when its upload is complete. `UnityStore.create` asks the service to refuse if there is one already;
its documentation does not say what it does with two uploads at the same moment, so it is no lock.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote

import requests

from mlflow_archive.errors import NotFoundError
from mlflow_archive.storage.databricks_api import FaultError, broken, told
from mlflow_archive.storage.databricks_store import DatabricksStore, ToldWriter
from mlflow_archive.storage.databricks_walk import Found, Listing
from mlflow_archive.storage.faults import too_large
from mlflow_archive.storage.store import ByteWriter
from mlflow_archive.storage.unity_download import Download
from mlflow_archive.storage.unity_upload import UnityUpload

#: Slashes in ``/Volumes/catalog/schema/volume``.
_VOLUME_DEPTH = 4


class UnityStore(DatabricksStore):
    """Objects are files below a folder of a volume, ``/Volumes/<catalog>/<schema>/<volume>``, or the volume itself."""

    @contextmanager
    def write(self, key: str, *, size_bytes: int | None = None, exclusive: bool = False) -> Iterator[ByteWriter]:
        """Write one object; see `Store.write`."""
        place = self._place(key)
        upload = UnityUpload(
            self._api, place, self._put, self._budget, overwrite=not exclusive, expected_bytes=size_bytes or 0
        )
        try:
            yield ToldWriter(self._shown(key), upload)
            with told(self._shown(key), writing=True):
                upload.finish()
        finally:
            upload.discard()

    def create(self, key: str, data: bytes) -> None:
        """Write a small object if there is none, as far as the service goes."""
        place = self._place(key)
        with told(self._shown(key), writing=True):
            self._put(place, data, False)

    def read(self, key: str, *, start: int = 0, size_bytes: int | None = None) -> Iterator[bytes]:
        """Yield an object or a range of it; a connection that breaks is taken up again where it broke."""
        place = self._place(key)
        end = sys.maxsize if size_bytes is None else start + size_bytes
        if start >= end:
            if self.size_bytes(key) is None:
                raise NotFoundError(f"There is no {self._shown(key)}.")
            return
        download = Download(self._api, _file(place), start, end)
        try:
            while True:
                with told(self._shown(key)):
                    chunk = download.next()
                if not chunk:
                    return
                yield chunk
        finally:
            download.close()

    def read_all(self, key: str, *, limit_bytes: int) -> bytes:
        """Return a whole small object."""
        found = bytearray()
        for chunk in self.read(key, size_bytes=limit_bytes + 1):
            found += chunk
        if len(found) > limit_bytes:
            raise too_large(key, limit_bytes)
        return bytes(found)

    def size_bytes(self, key: str) -> int | None:
        """Return the size of a file, None if there is none."""
        place = self._place(key)
        with told(self._shown(key)):
            try:
                return self._api.repeat(lambda: self._head(place))
            except FaultError as fault:
                if fault.absent:
                    return None
                raise

    def delete(self, key: str) -> None:
        """Delete a file, if it is there."""
        place = self._place(key)
        with told(self._shown(key), writing=True):
            try:
                self._api.call("DELETE", _file(place))
            except FaultError as fault:
                if not fault.absent:
                    raise

    def sweep(self) -> int:
        """Return 0: an interrupted upload is never seen, and Databricks takes it away."""
        return 0

    def _remove_folder(self, folder: str) -> None:
        if folder.count("/") <= _VOLUME_DEPTH:
            return
        try:
            self._api.call("DELETE", f"/api/2.0/fs/directories{quote(folder)}")
        except FaultError as fault:
            if not fault.absent and fault.status != 400:  # not empty
                raise

    def _head(self, place: str) -> int:
        with self._api.send("HEAD", _file(place)) as response:
            return int(response.headers.get("Content-Length", 0))

    def _put(self, place: str, data: bytes, overwrite: bool) -> None:
        """Send a whole file. A refusal after an answer got lost is looked into: the file may be our own."""
        doubt = False

        def once() -> None:
            nonlocal doubt
            headers = {"Content-Type": "application/octet-stream"}
            query = {"overwrite": "true" if overwrite else "false"}
            try:
                self._api.send("PUT", _file(place), query=query, headers=headers, data=data).close()
            except FaultError as fault:
                if not (fault.exists and doubt and self._holds(place, data)):
                    doubt = doubt or fault.hopeful
                    raise

        self._api.repeat(once)

    def _holds(self, place: str, data: bytes) -> bool:
        with self._api.send("GET", _file(place), stream=True) as response:
            if int(response.headers.get("Content-Length", -1)) != len(data):
                return False
            try:
                return response.content == data
            except requests.RequestException as error:
                raise broken(error) from None

    def _listed(self, folder: str, after: str | None) -> Listing:
        query = {} if after is None else {"page_token": after}
        try:
            with told(f"dbfs:{folder}"):
                answer = self._api.call("GET", f"/api/2.0/fs/directories{quote(folder)}", query=query)
        except NotFoundError:
            return Listing()
        files: list[Found] = []
        folders: list[str] = []
        for entry in answer.get("contents") or ():
            path = str(entry["path"])
            if entry.get("is_directory"):
                folders.append(path.rstrip("/"))
            else:
                files.append(Found(path, int(entry.get("file_size", 0)), int(entry.get("last_modified", 0))))
        return Listing(files, folders, str(answer.get("next_page_token") or "") or None)


def _file(place: str) -> str:
    return f"/api/2.0/fs/files{quote(place)}"
