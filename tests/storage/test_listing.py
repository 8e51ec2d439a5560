"""Listing 100,000 objects: complete, page after page, and no more of them in memory than a few pages.

No emulator is quick enough to be filled with so many, nor to list them, so pages come from servers that make them up.
What emulators do with several pages is tested where their stores are. Where a client takes half a minute to understand
so many, and for files, it is 10,000; ``TEST_LISTED_OBJECTS=100000`` in the environment makes it the same for all.
"""

from __future__ import annotations

import json
import os
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qsl, urlsplit

import pytest

from mlflow_archive.storage.opening import open_store
from tests.storage.emulators.azurite import ACCOUNT, KEY
from tests.storage.emulators.dbfs import TOKEN, Answer, FakeDatabricks, QuietServer
from tests.storage.emulators.unity import VOLUME

MANY = 100_000
SOME = int(os.environ.get("TEST_LISTED_OBJECTS", "10000"))
#: Objects of a folder, and also of a page where the service does not say otherwise.
FOLDER = 1000


def key_of(number: int) -> str:
    return f"{number // FOLDER:03}/{number:06}"


def s3_page(query: dict[str, str]) -> bytes:
    first = int(query.get("continuation-token", "0"))
    found = "".join(
        f"<Contents><Key>root/{key_of(number)}</Key><LastModified>2026-01-31T00:00:00.000Z</LastModified>"
        f"<ETag>&quot;x&quot;</ETag><Size>{number}</Size></Contents>"
        for number in range(first, first + 1000)
    )
    more = first + 1000 < SOME
    after = f"<NextContinuationToken>{first + 1000}</NextContinuationToken>" if more else ""
    return f"<ListBucketResult><IsTruncated>{str(more).lower()}</IsTruncated>{after}{found}</ListBucketResult>".encode()


def azure_page(query: dict[str, str]) -> bytes:
    first = int(query.get("marker", "0"))
    found = "".join(
        f"<Blob><Name>root/{key_of(number)}</Name><Properties><Content-Length>{number}</Content-Length>"
        "<BlobType>BlockBlob</BlobType></Properties></Blob>"
        for number in range(first, first + 1000)
    )
    after = f"<NextMarker>{first + 1000}</NextMarker>" if first + 1000 < SOME else "<NextMarker />"
    return f'<EnumerationResults ContainerName="archives"><Blobs>{found}</Blobs>{after}</EnumerationResults>'.encode()


def google_page(query: dict[str, str]) -> bytes:
    first, size = int(query.get("pageToken", "0")), int(query["maxResults"])
    items = [{"name": f"root/{key_of(number)}", "size": str(number)} for number in range(first, first + size)]
    after = {"nextPageToken": str(first + size)} if first + size < MANY else {}
    return json.dumps({"items": items, **after}).encode()


class Service:
    """Answers listings and counts them."""

    def __init__(self, page, kind: str) -> None:
        self.pages = 0
        service = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True
            wbufsize = -1

            def do_GET(self) -> None:
                service.pages += 1
                body = page(dict(parse_qsl(urlsplit(self.path).query)))
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._http = QuietServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"

    def __enter__(self) -> Service:
        threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()


class Workspace(FakeDatabricks):
    """Folders of `FOLDER` files; the volume's pages have 500 entries."""

    pages = 0
    page_size = 500

    def serve(self, verb, target, headers, body):
        url = urlsplit(target)
        for api, root in (("/api/2.0/dbfs/list", "/root"), ("/api/2.0/fs/directories", f"{VOLUME}/root")):
            if url.path.startswith(api):
                query = dict(parse_qsl(url.query))
                self.pages += 1
                folder = query.get("path") or url.path.removeprefix(api)
                return Answer(body=json.dumps(self._page(root, folder, query, volume="/fs/" in api)).encode())
        return super().serve(verb, target, headers, body)

    def _page(self, root: str, folder: str, query: dict[str, str], *, volume: bool) -> dict[str, object]:
        sub = folder.removeprefix(root).strip("/")
        flag = "is_directory" if volume else "is_dir"
        if not sub:
            entries = [{"path": f"{root}/{n:03}", flag: True} for n in range(MANY // FOLDER)]
        else:
            numbers = range(int(sub) * FOLDER, (int(sub) + 1) * FOLDER)
            entries = [{"path": f"{root}/{key_of(number)}", flag: False, "file_size": number} for number in numbers]
        if not volume:
            return {"files": entries}
        first = int(query.get("page_token", "0"))
        after = {"next_page_token": str(first + self.page_size)} if first + self.page_size < len(entries) else {}
        return {"contents": entries[first : first + self.page_size], **after}


@contextmanager
def s3():
    with Service(s3_page, "application/xml") as service:
        options = {"key": "k", "secret": "s", "endpoint_url": service.url}
        yield service, open_store("s3://bucket/root", storage_options=options)


@contextmanager
def azure():
    with Service(azure_page, "application/xml") as service:
        place = f"AccountName={ACCOUNT};AccountKey={KEY};BlobEndpoint={service.url}/{ACCOUNT};"
        options = {"connection_string": f"DefaultEndpointsProtocol=http;{place}"}
        yield service, open_store("abfs://archives/root", storage_options=options)


@contextmanager
def google():
    with Service(google_page, "application/json") as service:
        options = {"endpoint_url": service.url, "token": "anon", "project": "tests"}
        yield service, open_store("gs://archives/root", storage_options=options)


@contextmanager
def databricks(url):
    with Workspace() as workspace:
        store = open_store(url, storage_options={"host": workspace.host, "token": TOKEN})
        yield workspace, store
        store.close()


#: How to open it, objects, those of a page, requests for all, and pages that may be ahead of the reader.
SERVICES = {
    "s3": (s3, SOME, 1000, SOME // 1000, 2),
    "azure": (azure, SOME, 1000, SOME // 1000, 1),
    "gcs": (google, MANY, 1000, 100, 1),
    "dbfs": (lambda: databricks("dbfs:/root"), MANY, 1000, 101, 8),
    "volume": (lambda: databricks(f"dbfs:{VOLUME}/root"), MANY, 500, 201, 8),
}


@pytest.mark.parametrize("name", SERVICES)
def test_very_many_objects_are_listed_in_pages(name):
    opened, total, page, requests, ahead = SERVICES[name]
    with opened() as (service, store):
        seen = bytearray(total)
        farthest = 0.0
        for count, found in enumerate(store.list()):
            number = int(found.key[-6:])
            assert (found.key, found.size_bytes) == (key_of(number), number)
            seen[number] += 1
            farthest = max(farthest, service.pages - count / page)
        assert seen == bytes([1]) * total, "each of them once"
        assert service.pages == requests
        assert farthest <= ahead, "what was asked for is not far ahead of what is used"


@pytest.mark.parametrize("name", SERVICES)
def test_a_listing_that_is_left_asks_for_no_more(name):
    opened, *_, ahead = SERVICES[name]
    with opened() as (service, store):
        listing = store.list()
        next(listing)
        listing.close()
        assert service.pages <= ahead


def test_very_many_files_of_this_machine(tmp_path):
    for folder in range(SOME // FOLDER):
        (tmp_path / f"{folder:03}").mkdir()
    for number in range(SOME):
        (tmp_path / key_of(number)).touch()
    assert {found.key for found in open_store(str(tmp_path)).list()} == set(map(key_of, range(SOME)))
