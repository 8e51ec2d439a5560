"""Reading a file of a Unity Catalog volume, also when the connection does not last as long as the file."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import requests

from mlflow_archive.storage.databricks_api import DatabricksApi, FaultError, broken
from mlflow_archive.storage.store import CHUNK_BYTES

#: How often a download that broke off is gone on with when nothing comes any more.
_MOST_BREAKS = 4


class Download:
    """A range of a file, by as many requests as it takes; the file must stay the same."""

    def __init__(self, api: DatabricksApi, path: str, start: int, end: int) -> None:
        """Take the path as a request has it."""
        self._api = api
        self._path = path
        self._offset = start
        self._end = end
        self._since: str | None = None
        self._response: requests.Response | None = None
        self._chunks: Iterator[bytes] = iter(())
        self._breaks = 0

    def next(self) -> bytes:
        """Return the next bytes, none at the end."""
        while True:
            try:
                if self._response is None:
                    self._api.repeat(self._begin)
                chunk = next(self._chunks, b"")
            except requests.RequestException as error:
                fault = broken(error)
            else:
                if chunk or self._offset >= self._end:
                    self._offset += len(chunk)
                    self._breaks = 0 if chunk else self._breaks
                    return chunk
                fault = FaultError(0, "", "the answer was cut off", hopeful=True)
            self.close()
            self._breaks += 1
            if self._breaks > _MOST_BREAKS or not fault.hopeful:
                raise fault

    def close(self) -> None:
        """Free the connection."""
        if self._response is not None:
            self._response.close()
            self._response = None

    def _begin(self) -> None:
        last = "" if self._end == sys.maxsize else str(self._end - 1)
        headers = {"Range": f"bytes={self._offset}-{last}"} if self._offset or last else {}
        if self._since is not None:
            headers["If-Unmodified-Since"] = self._since
        try:
            response = self._api.send("GET", self._path, headers=headers, stream=True)
        except FaultError as fault:
            if fault.status != 416:
                raise
            self._end = self._offset
            self._chunks = iter(())
            return
        self._since = response.headers.get("Last-Modified", self._since)
        length: Any = response.headers.get("Content-Length")
        skipped = self._offset if response.status_code == 200 else 0  # a range that was not heeded
        if length is not None:
            self._end = min(self._end, self._offset + int(length) - skipped)
        self._response = response
        self._chunks = _behind(response.iter_content(CHUNK_BYTES), skipped, self._end - self._offset)


def _behind(chunks: Iterator[bytes], skipped: int, wanted: int) -> Iterator[bytes]:
    for chunk in chunks:
        rest = chunk[skipped:]
        skipped = max(0, skipped - len(chunk))
        rest = rest[:wanted]
        wanted -= len(rest)
        if rest:
            yield rest
        if not wanted:
            return
