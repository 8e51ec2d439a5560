"""Google Cloud Storage as a store: its JSON API, over the session that gcsfs has signed in.

gcsfs' own small uploads take a fixed line for the end of the data, which a file may have in it, and its default class
asks for the kind of each bucket by gRPC first.
"""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import quote

from gcsfs.retry import HttpError

from mlflow_archive.errors import MlflowArchiveError, NotFoundError, UnavailableError
from mlflow_archive.storage.faults import taken, translated
from mlflow_archive.storage.pieces import PIECE_BYTES, Fetch, Piece
from mlflow_archive.storage.pieces_store import WRITER, Page, PiecesStore

_TYPE = "application/octet-stream"
_NEW = {"ifGenerationMatch": "0"}

# gcsfs logs every error that it raises, also those that are none here; whoever wants to see them adds a handler.
logging.getLogger("gcsfs").addHandler(logging.NullHandler())


class GcsStore(PiecesStore):
    """Objects of one bucket below a folder, over gcsfs' file system.

    An object appears when its upload is completed. An upload that was ended is cancelled; one whose writer was killed
    has no name, and Google deletes it after a week.
    """

    def size_bytes(self, key: str) -> int | None:
        """Return the size of an object, None if there is none."""
        try:
            return int(self._about(key)["size"])
        except NotFoundError:
            return None

    def delete(self, key: str) -> None:
        """Delete an object, if it is there."""
        path = self._path(key)
        with suppress(NotFoundError), self._translated(key):
            self._loop.run(self._fs._call("DELETE", path))

    def _path(self, key: str) -> str:
        return f"b/{quote(self._bucket, safe='')}/o/{quote(self._name(key), safe='')}"

    def _about(self, key: str) -> dict[str, Any]:
        path = self._path(key)
        with self._translated(key):
            found: dict[str, Any] = self._loop.run(self._fs._call("GET", path, fields="size,metadata", json_out=True))
        return found

    def _writer_of(self, key: str) -> str | None:
        writer: str | None = self._about(key).get("metadata", {}).get(WRITER)
        return writer

    def _upload(self, key: str, *, exclusive: bool) -> _Upload:
        return _Upload(self._fs, self._bucket, self._name(key), exclusive=exclusive)

    def _fetch(self, key: str) -> Fetch:
        place = f"{self._fs.base.replace('/storage/', '/download/storage/')}{self._path(key)}"

        async def fetch(offset: int, length: int, version: str | None) -> Piece:
            wanted = {"Range": f"bytes={offset}-{offset + length - 1}"}
            try:
                headers, data = await self._fs._call("GET", place, headers=wanted, alt="media", generation=version)
            except HttpError as error:
                if str(error.code) != "416":
                    raise
                return Piece(b"", offset, "")
            total = headers.get("Content-Range", "").rpartition("/")[2]
            return Piece(data, int(total) if total.isdigit() else len(data), headers.get("X-Goog-Generation"))

        return fetch

    def _before_large(self, key: str) -> None:
        """Look before a long upload is completed: servers that imitate Google's forget its condition."""
        if self.size_bytes(key) is not None:
            raise taken(self.url, key)

    def _discard(self, upload: _Upload) -> None:
        """Cancel an upload; if that fails, it ends by itself."""
        if self._loop.is_here():
            self._loop.start(upload.cancel())
            return
        with suppress(MlflowArchiveError), self._translated("", writing=True):
            self._loop.run(upload.cancel())

    def _pages(self, start: str, folder: str) -> Iterator[Page]:
        path = f"b/{quote(self._bucket, safe='')}/o"
        options: dict[str, Any] = {"prefix": start, "fields": "items(name,size),nextPageToken", "maxResults": 1000}
        while True:
            with self._translated(folder):
                page = self._loop.run(self._fs._call("GET", path, json_out=True, **options))
            found = [(item["name"], int(item["size"])) for item in page.get("items", ())]
            yield [(name, size) for name, size in found if not name.endswith("/")]  # a folder of the console
            if not page.get("nextPageToken"):
                return
            options["pageToken"] = page["nextPageToken"]

    @contextmanager
    def _translated(self, key: str, *, writing: bool = False) -> Iterator[None]:
        with translated(self.url, key, writing=writing):
            try:
                yield
            except FileNotFoundError as error:
                if not writing:
                    raise
                raise NotFoundError(
                    f"There is no bucket for {self.url}: create it, or check its name and the endpoint.",
                    code="no_bucket",
                ) from error
            except (ValueError, RuntimeError) as error:  # gcsfs' for answers that it does not understand
                message = f"{self.url.rstrip('/')}/{key}: the service refused the request as invalid."
                raise UnavailableError(message) from error


class _Upload:
    """One object on its way: a single request, or a session, which takes one piece after another."""

    in_flight = 1

    def __init__(self, fs: Any, bucket: str, name: str, *, exclusive: bool) -> None:
        self._fs = fs
        self._place = f"{fs._location}/upload/storage/v1/b/{quote(bucket, safe='')}/o"
        self._name = name
        self._condition = _NEW if exclusive else {}
        self._session: str | None = None
        self._sent_bytes = 0
        self.writer = uuid.uuid4().hex

    def piece_bytes(self, _count: int) -> int:
        return PIECE_BYTES

    async def send(self, offset: int, data: bytes) -> None:
        """Send a piece that is not the last one."""
        if self._session is None:
            self._session = await self._begin()
        await self._put(offset, data, "*")
        self._sent_bytes = offset + len(data)

    async def complete(self, rest: bytes) -> None:
        """Send the last piece, upon which the object appears."""
        if self._session is None:
            await self._send_whole(rest)
        else:
            await self._put(self._sent_bytes, rest, str(self._sent_bytes + len(rest)))
        self._session = None

    async def cancel(self) -> None:
        """End the session, if there is one."""
        session, self._session = self._session, None
        if session is not None:
            await self._fs._call("DELETE", session)

    async def _begin(self) -> str:
        headers, _ = await self._fs._call(
            "POST",
            self._place,
            uploadType="resumable",
            json=self._about(),
            headers={"X-Upload-Content-Type": _TYPE},
            name=self._name,
            **self._condition,
        )
        return str(headers["Location"])

    async def _put(self, offset: int, data: bytes, total: str) -> None:
        """Send bytes to the session, again where Google has kept only some of them."""
        end = offset + len(data)
        while True:
            part = f"{offset}-{end - 1}" if offset < end else "*"
            span = {"Content-Range": f"bytes {part}/{total}", "Content-Type": _TYPE}
            headers, _ = await self._fs._call("PUT", self._session, headers=span, data=data[len(data) - end + offset :])
            if total != "*":
                return
            kept = int(headers["Range"].rpartition("-")[2]) + 1 if "Range" in headers else 0
            if kept >= end:
                return
            if kept <= offset:
                raise BlockingIOError("the upload does not go on")
            offset = kept

    async def _send_whole(self, data: bytes) -> None:
        line = f"mlflow-archive-{uuid.uuid4().hex}"
        about = f"--{line}\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n{json.dumps(self._about())}\r\n"
        body = b"".join(
            [about.encode(), f"--{line}\r\nContent-Type: {_TYPE}\r\n\r\n".encode(), data, f"\r\n--{line}--".encode()]
        )
        headers = {"Content-Type": f"multipart/related; boundary={line}"}
        await self._fs._call("POST", self._place, uploadType="multipart", headers=headers, data=body, **self._condition)

    def _about(self) -> dict[str, Any]:
        return {"name": self._name, "metadata": {WRITER: self.writer}}
