"""The Files API of `tests.storage.emulators.dbfs`: files of Unity Catalog volumes.

REST reference (docs.databricks.com/api/workspace/files, docstrings of databricks-sdk's ``service/files.py``):
    GET, HEAD, PUT and DELETE of files and directories; ``overwrite=false`` refuses what is there; Range and
    If-Unmodified-Since; pages of at most 1,000 entries with an opaque token; 404 for a directory that is not there.
Source of the Databricks CLI (``libs/filer/files_client.go``): 409 with ALREADY_EXISTS, 404 without a body for HEAD,
    400 for a directory that is not empty; PUT makes the folders above (issue 1408).
databricks-sdk's ``mixins/files.py``: uploads in parts by signed URLs (initiate-upload, create-upload-part-urls,
    complete-upload, create-abort-upload-url), with 200 and an ETag for each part; ``signed_urls`` off is a workspace
    that has them forbidden, where one PUT has to do.

Issue 5834 of the Databricks CLI: a volume without files answers as if it were not there.

Assumptions: a PUT that breaks off leaves nothing; ``overwrite=false`` is decided when an upload is completed, and also
when it is begun in parts; a folder stays when its last file is deleted; a part other than the last has at least 5 MiB
(S3's limit).
"""

from __future__ import annotations

import email.utils
import json
import re
import secrets
import threading
import time
from dataclasses import dataclass, field

#: Status, body, headers.
Reply = tuple[int, bytes, dict[str, str]]

VOLUME = "/Volumes/main/default/vol"
_LEAST_PART = 5 << 20


@dataclass
class _Upload:
    path: str
    overwrite: bool
    parts: dict[int, bytes] = field(default_factory=dict)


class FilesApi:
    """One volume, `VOLUME`; `uploads` are those under way."""

    def __init__(self, host: str, lock: threading.RLock) -> None:
        self.host = host
        self.files: dict[str, tuple[bytes, float]] = {}
        self.folders: set[str] = set()
        self.uploads: dict[str, _Upload] = {}
        self.signed_urls = True
        self.ranges = True
        self.page = 1000
        self._lock = lock
        self._clock = 0

    def raw_write(self, path: str, data: bytes) -> None:
        with self._lock:
            self._clock += 1  # so that every version has another time of its own
            self.files[path] = (data, time.time() - 100_000 + self._clock)
            folder = path.rpartition("/")[0]
            while len(folder) > len(VOLUME):
                self.folders.add(folder)
                folder = folder.rpartition("/")[0]

    def serve(self, verb: str, path: str, query: dict[str, str], headers: dict[str, str], body: bytes) -> Reply:
        with self._lock:
            if path.startswith("/create-"):
                return self._signed(path, json.loads(body))
            kind, _, rest = path[1:].partition("/")
            place = "/" + rest
            if place != VOLUME and not place.startswith(VOLUME + "/"):
                return _error(404, "NOT_FOUND", f"Volume '{place}' does not exist.", verb)
            if kind == "directories":
                return self._directory(verb, place.rstrip("/"), query)
            if verb == "POST":
                return self._parts(place, query, body)
            return self._file(verb, place, query, headers, body)

    def cloud(self, verb: str, path: str, query: dict[str, str], body: bytes) -> Reply:
        """Serve what a signed URL leads to."""
        with self._lock:
            upload = self.uploads.get(path.removeprefix("/cloud/"))
            if upload is None or query.get("signature") != "s3cr3t":
                return 404, b"<Error>NoSuchUpload</Error>", {}
            if verb == "DELETE":
                del self.uploads[path.removeprefix("/cloud/")]
                return 200, b"", {}
            upload.parts[int(query["part"])] = body
            return 200, b"", {"ETag": f"etag-{query['part']}"}

    def _file(self, verb: str, place: str, query: dict[str, str], headers: dict[str, str], body: bytes) -> Reply:
        if verb == "PUT":
            return self._put(place, body, overwrite=query.get("overwrite") != "false")
        if place not in self.files:
            return _error(404, "NOT_FOUND", f"The file {place} does not exist.", verb)
        if verb == "DELETE":
            del self.files[place]
            return 204, b"", {}
        data, modified = self.files[place]
        about = {"Last-Modified": email.utils.formatdate(modified, usegmt=True), "Accept-Ranges": "bytes"}
        if verb == "HEAD":
            return 200, b"", {**about, "Content-Length": str(len(data)), "Content-Type": "application/octet-stream"}
        since = headers.get("If-Unmodified-Since")
        if since is not None and int(modified) > email.utils.parsedate_to_datetime(since).timestamp():
            return _error(412, "FAILED_PRECONDITION", "The file was modified.")
        return self._got(data, headers.get("Range") if self.ranges else None, about)

    def _got(self, data: bytes, wanted: str | None, about: dict[str, str]) -> Reply:
        if wanted is None:
            return 200, data, about
        match = re.fullmatch(r"bytes=(\d+)-(\d*)", wanted)
        assert match is not None
        first, last = int(match[1]), int(match[2] or len(data))
        if first >= len(data):
            return _error(416, "INVALID_RANGE", "The range starts behind the end.")
        part = data[first : last + 1]
        return 206, part, {**about, "Content-Range": f"bytes {first}-{first + len(part) - 1}/{len(data)}"}

    def _put(self, place: str, data: bytes, *, overwrite: bool) -> Reply:
        if place in self.files and not overwrite:
            return _error(409, "ALREADY_EXISTS", f"The file {place} already exists.")
        self.raw_write(place, data)
        return 204, b"", {}

    def _directory(self, verb: str, place: str, query: dict[str, str]) -> Reply:
        start = place + "/"
        below = [name for name in {*self.files, *self.folders} if name.startswith(start)]
        if verb == "PUT":
            self.folders.add(place)
            return 204, b"", {}
        if verb == "DELETE" and not below and place in self.folders:
            self.folders.discard(place)
            return 204, b"", {}
        if not below and place not in self.folders:
            return _error(404, "NOT_FOUND", f"The directory {place} does not exist.", verb)
        if verb == "DELETE":
            return _error(400, "INVALID_PARAMETER_VALUE", "The directory is not empty.")
        if verb == "HEAD":
            return 200, b"", {}
        names = sorted({name[len(start) :].split("/")[0] for name in below})
        first = int(query.get("page_token", "0"))
        size = min(self.page, int(query.get("page_size", self.page)))
        answer: dict[str, object] = {
            "contents": [self._entry(start + name) for name in names[first : first + size]],
        }
        if first + size < len(names):
            answer["next_page_token"] = str(first + size)
        return 200, json.dumps(answer).encode(), {"Content-Type": "application/json"}

    def _entry(self, place: str) -> dict[str, object]:
        name = place.rpartition("/")[2]
        if place not in self.files:
            return {"path": place, "name": name, "is_directory": True, "last_modified": 0}
        data, modified = self.files[place]
        about = {"path": place, "name": name, "is_directory": False}
        return {**about, "file_size": len(data), "last_modified": int(modified * 1000)}

    def _parts(self, place: str, query: dict[str, str], body: bytes) -> Reply:
        if query.get("action") == "initiate-upload":
            overwrite = query.get("overwrite") != "false"
            if place in self.files and not overwrite:
                return _error(409, "ALREADY_EXISTS", f"The file {place} already exists.")
            token = secrets.token_hex(8)
            self.uploads[token] = _Upload(place, overwrite)
            return 200, json.dumps({"multipart_upload": {"session_token": token}}).encode(), {}
        upload = self.uploads.pop(query["session_token"])
        numbers = [part["part_number"] for part in json.loads(body)["parts"]]
        assert numbers == sorted(upload.parts)
        if any(len(upload.parts[number]) < _LEAST_PART for number in numbers[:-1]):
            return _error(400, "INVALID_PARAMETER_VALUE", "A part is too small.")
        data = b"".join(upload.parts[number] for number in numbers)
        status, text, headers = self._put(upload.path, data, overwrite=upload.overwrite)
        return (200, b"{}", {}) if status == 204 else (status, text, headers)

    def _signed(self, path: str, given: dict[str, object]) -> Reply:
        if not self.signed_urls:
            return _error(403, "PERMISSION_DENIED", "Presigned URLs API is not enabled.")
        url = f"{self.host}/cloud/{given['session_token']}?signature=s3cr3t"
        if path == "/create-abort-upload-url":
            return 200, json.dumps({"abort_upload_url": {"url": url, "headers": []}}).encode(), {}
        first, count = int(str(given["start_part_number"])), int(str(given["count"]))
        urls = [
            {"url": f"{url}&part={number}", "part_number": number, "headers": []}
            for number in range(first, first + count)
        ]
        return 200, json.dumps({"upload_part_urls": urls}).encode(), {}


def _error(status: int, code: str, message: str, verb: str = "") -> Reply:
    if verb == "HEAD":
        return status, b"", {}
    body = json.dumps({"error_code": code, "message": message}).encode()
    return status, body, {"Content-Type": "application/json"}
