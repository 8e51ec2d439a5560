"""S3: the whole contract on moto and on rclone, and what is S3's own."""

from __future__ import annotations

import asyncio
import sys
import threading
from datetime import timedelta

import pytest
from botocore.exceptions import EndpointConnectionError

from mlflow_archive.errors import (
    IntegrityError,
    NotAuthorisedError,
    NotFoundError,
    UnavailableError,
    UnsupportedError,
    UsageError,
)
from mlflow_archive.storage import s3_bucket, s3_store, s3_upload
from mlflow_archive.storage.opening import open_store
from mlflow_archive.storage.s3_store import S3Store
from mlflow_archive.tracking.artifact_contract import ArtifactFile
from mlflow_archive.tracking.stored_artifacts import StoredFolder
from tests.storage.conformance import StoreTests, run_threads, write
from tests.storage.emulators.counting import requests_sent

MIB = 1 << 20


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    """The least that S3 takes, so that a few megabytes are an upload in parts and a read in ranges."""
    monkeypatch.setattr(s3_upload, "PART_BYTES", 5 * MIB)
    monkeypatch.setattr(s3_upload, "UNKNOWN_FACTOR", 1)
    monkeypatch.setattr(s3_store, "BLOCK_BYTES", 2 * MIB)


@pytest.fixture(autouse=True)
def without_obstore(monkeypatch):
    """s3fs does everything here; `test_s3_obstore` has the same with both."""
    monkeypatch.setitem(sys.modules, "obstore", None)


def opened(service, bucket, folder="root", **options):
    return open_store(f"s3://{bucket}/{folder}", storage_options={**service.storage_options, **options})


class S3StoreTests(StoreTests):
    @pytest.fixture
    def store(self, service):
        store = service.store(service.new_bucket())
        yield store
        assert service.uploads(self.bucket(store)) == [], "no upload is left open"

    @pytest.fixture(autouse=True)
    def _service(self, service):
        self.service = service

    def bucket(self, store):
        return store.url.split("/")[2]

    def raw_read(self, store, key):
        return self.service.get(self.bucket(store), f"root/{key}")

    def raw_write(self, store, key, data):
        self.service.put(self.bucket(store), f"root/{key}", data)

    def raw_keys(self, store):
        return {key.removeprefix("root/") for key in self.service.keys(self.bucket(store))}

    def test_an_upload_in_parts_is_whole(self, store):
        pieces = [bytes([number]) * (MIB + number) for number in range(23)]
        with store.write("large", size_bytes=3) as writer:
            for piece in pieces:
                writer.write(piece)
        assert self.raw_read(store, "large") == b"".join(pieces)
        assert b"".join(store.read("large")) == b"".join(pieces)
        assert (
            b"".join(store.read("large", start=3 * MIB - 1, size_bytes=6 * MIB))
            == b"".join(pieces)[3 * MIB - 1 : 9 * MIB - 1]
        )

    @pytest.mark.parametrize("size", [5 * MIB - 1, 5 * MIB, 5 * MIB + 1, 10 * MIB])
    def test_sizes_around_a_part(self, store, size):
        write(store, "key", b"x" * size)
        assert self.raw_read(store, "key") == b"x" * size

    def test_uploads_of_many_threads_share_the_budget(self, store, monkeypatch):
        store._budget._total = 7 * MIB
        run_threads([lambda n=n: write(store, f"key/{n}", bytes([n]) * 12 * MIB) for n in range(4)])
        assert store._budget._used == 0
        assert {(found.key, found.size_bytes) for found in store.list()} == {(f"key/{n}", 12 * MIB) for n in range(4)}


class TestOnMoto(S3StoreTests):
    @pytest.fixture
    def service(self, moto):
        return moto


class TestOnRclone(S3StoreTests):
    exclusive_create = False

    @pytest.fixture
    def service(self, rclone):
        return rclone


@pytest.fixture
def bucket(moto):
    return moto.new_bucket()


@pytest.fixture
def store(moto, bucket):
    return moto.store(bucket)


# Requests


def sent(requests):
    return [request.method for request in requests]


def test_small_objects_are_one_request(store):
    write(store, "warm", b"")
    with requests_sent() as requests:
        write(store, "key", b"x" * MIB)
        assert sent(requests) == ["PUT"]
        requests.clear()
        assert len(store.read_all("key", limit_bytes=2 * MIB)) == MIB
        assert b"".join(store.read("key")) == b"x" * MIB
        assert sent(requests) == ["GET", "GET"]
        requests.clear()
        assert store.size_bytes("key") == MIB
        assert len(list(store.list())) == 2
        store.delete("key")
        assert sent(requests) == ["HEAD", "GET", "DELETE"]


def test_a_large_object_is_read_in_ranges_of_one_version(store):
    write(store, "key", bytes(9 * MIB))
    with requests_sent() as requests:
        assert sum(map(len, store.read("key"))) == 9 * MIB
    assert [request.headers.get("Range") for request in requests] == [
        f"bytes={2 * n * MIB}-{min(2 * (n + 1), 9 if n == 4 else 99) * MIB - 1}" for n in range(5)
    ]
    assert requests[0].headers.get("If-Match") is None
    assert len({request.headers["If-Match"] for request in requests[1:]}) == 1


def test_an_object_that_changes_while_it_is_read(store, moto, bucket):
    write(store, "key", bytes(20 * MIB))
    chunks = store.read("key")
    for _ in range(4):
        next(chunks)
    moto.put(bucket, "root/key", b"y" * 20 * MIB)
    with pytest.raises(UnavailableError, match="changed by somebody else"):
        list(chunks)


def test_a_reader_that_stops_leaves_no_request_under_way(store):
    write(store, "key", bytes(20 * MIB))
    chunks = store.read("key")
    next(chunks)
    chunks.close()
    assert store.size_bytes("key") == 20 * MIB


# A service that goes away


@pytest.fixture
def outage(store, monkeypatch):
    """The service, out of reach for the first so many requests; gives what was asked."""
    asked = []

    def begin(requests):
        real = store._bucket._fs._call_s3

        async def call(method, **parameters):
            asked.append(method)
            if len(asked) <= requests:
                raise EndpointConnectionError(endpoint_url="http://service")
            return await real(method, **parameters)

        monkeypatch.setattr(store._bucket._fs, "_call_s3", call)
        return asked

    monkeypatch.setattr(s3_bucket, "_FIRST_PAUSE", 0.01)
    monkeypatch.setattr(s3_bucket, "PATIENCE_SECONDS", 0.3)
    return begin


def test_a_service_that_was_there_is_waited_for(store, outage):
    write(store, "first", b"1")
    outage(4)
    write(store, "key", bytes(11 * MIB))
    outage(4)
    assert store.read_all("first", limit_bytes=10) == b"1"
    assert store.size_bytes("key") == 11 * MIB


def test_it_is_not_waited_for_without_end(store, outage):
    write(store, "first", b"1")
    asked = outage(1000)
    with pytest.raises(UnavailableError, match="check the endpoint"):
        store.size_bytes("first")
    assert 3 < len(asked) < 8


def test_an_address_that_never_answered_is_not_waited_for(store, outage):
    asked = outage(1000)
    with pytest.raises(UnavailableError, match="check the endpoint"):
        store.size_bytes("first")
    assert len(asked) == 1


# Uploads


def test_a_part_that_fails_leaves_nothing(store, moto, bucket, monkeypatch):
    request = store._bucket.request

    async def failing(method, **parameters):
        if parameters.get("PartNumber") == 2:
            raise ConnectionResetError("gone")
        return await request(method, **parameters)

    monkeypatch.setattr(store._bucket, "request", failing)
    with pytest.raises(UnavailableError):
        write(store, "key", bytes(40 * MIB))
    assert moto.keys(bucket) == set()
    assert moto.uploads(bucket) == []
    assert store._budget._used == 0


def test_an_upload_without_its_last_part_is_not_what_is_there(store, moto, bucket, monkeypatch):
    """What is there may be the beginning of what was to be written, in the same parts."""
    beginning, rest = bytes(5 * MIB), b"and more of it"
    upload = moto.client.create_multipart_upload(Bucket=bucket, Key="root/key")["UploadId"]
    which = {"Bucket": bucket, "Key": "root/key", "UploadId": upload}
    tag = moto.client.upload_part(**which, PartNumber=1, Body=beginning)["ETag"]
    moto.client.complete_multipart_upload(**which, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": tag}]})
    request = store._bucket.request

    async def fail_at_the_second_part(method, **parameters):
        if parameters.get("PartNumber") == 2:
            raise OSError("no answer")
        return await request(method, **parameters)

    monkeypatch.setattr(store._bucket, "request", fail_at_the_second_part)
    with pytest.raises(UnavailableError):
        write(store, "key", beginning + rest)
    assert moto.get(bucket, "root/key") == beginning


def test_a_completion_that_fails_leaves_the_old_object(store, moto, bucket, monkeypatch):
    write(store, "key", b"old")
    request = store._bucket.request

    async def failing(method, **parameters):
        if method == "complete_multipart_upload":
            raise TimeoutError
        return await request(method, **parameters)

    monkeypatch.setattr(store._bucket, "request", failing)
    with pytest.raises(UnavailableError):
        write(store, "key", bytes(12 * MIB))
    assert moto.get(bucket, "root/key") == b"old"
    assert moto.uploads(bucket) == []


def test_parts_under_way_are_stopped_before_the_upload_is_aborted(store, moto, bucket, monkeypatch):
    request = store._bucket.request
    begun, order = threading.Event(), []

    async def slow(method, **parameters):
        if method == "upload_part":
            begun.set()
            try:
                await asyncio.sleep(60)
            finally:
                order.append("stopped")
        order.append(method)
        return await request(method, **parameters)

    monkeypatch.setattr(store._bucket, "request", slow)

    def interrupted():
        with store.write("key") as writer:
            writer.write(bytes(16 * MIB))
            assert begun.wait(10)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert order == ["create_multipart_upload", "stopped", "stopped", "stopped", "abort_multipart_upload"]
    assert moto.uploads(bucket) == []
    assert store._budget._used == 0


@pytest.mark.parametrize("size", [None, 0, 1, 10**9, 10**12, 5 * 10**12, 48 * 10**12])
def test_ten_thousand_parts_suffice_for_any_size(monkeypatch, size):
    monkeypatch.setattr(s3_upload, "PART_BYTES", 8 * MIB)
    monkeypatch.setattr(s3_upload, "UNKNOWN_FACTOR", 2)
    first = s3_upload.first_part_bytes(size)
    parts = (first << (number // s3_upload.PARTS_PER_SIZE) for number in range(s3_upload.MAX_PARTS))
    assert sum(parts) >= (900 << 30 if size is None else size)
    assert s3_upload.first_part_bytes(size, equal=True) * s3_upload.MAX_PARTS >= (size or 0)


def test_parts_grow_when_there_are_many(store, moto, bucket, monkeypatch):
    monkeypatch.setattr(s3_upload, "PARTS_PER_SIZE", 2)
    data = bytes(range(256)) * (4096 * 47)
    write(store, "key", data)
    assert moto.get(bucket, "root/key") == data
    sizes = [
        moto.client.head_object(Bucket=bucket, Key="root/key", PartNumber=n)["ContentLength"] // MIB
        for n in range(1, 6)
    ]
    assert sizes == [5, 5, 10, 10, 17]


def test_equal_parts_for_services_that_want_them(moto, bucket, monkeypatch):
    monkeypatch.setattr(s3_upload, "PARTS_PER_SIZE", 1)
    store = opened(moto, bucket, fixed_upload_size=True)
    write(store, "key", bytes(85 * MIB))
    sizes = [
        moto.client.head_object(Bucket=bucket, Key="root/key", PartNumber=n)["ContentLength"] // MIB for n in (1, 2, 3)
    ]
    assert sizes == [40, 40, 5]


# Sweeping


def test_sweep_aborts_old_uploads_below_the_root(store, moto, bucket, monkeypatch):
    for key in ("root/a", "root/b", "other/c", "rooted"):
        moto.client.create_multipart_upload(Bucket=bucket, Key=key)  # moto says that they are of the year 2010
    monkeypatch.setattr(s3_store, "ABANDONED_AFTER", timedelta(days=100 * 365))
    assert store.sweep() == 0, "younger ones may be another process's"
    monkeypatch.undo()
    assert store.sweep() == 2
    assert sorted(moto.uploads(bucket)) == ["other/c", "rooted"]


def test_sweep_one_aborts_old_uploads_of_that_object_alone(store, moto, bucket):
    for key in ("root/a", "root/a.b", "root/a/b"):
        moto.client.create_multipart_upload(Bucket=bucket, Key=key)
    assert store.sweep_one("a") == 1
    assert sorted(moto.uploads(bucket)) == ["root/a.b", "root/a/b"]


def test_sweep_spares_uploads_to_which_parts_still_come(store, moto, bucket):
    upload = moto.client.create_multipart_upload(Bucket=bucket, Key="root/a")["UploadId"]
    moto.client.upload_part(Bucket=bucket, Key="root/a", UploadId=upload, PartNumber=1, Body=b"x")
    assert store.sweep() == 0
    assert moto.uploads(bucket) == ["root/a"]


def test_sweep_looks_at_all_parts(store, moto, bucket, monkeypatch):
    """Parts come a thousand a page, and the youngest ones stand on the last."""
    upload = moto.client.create_multipart_upload(Bucket=bucket, Key="root/a")["UploadId"]
    for number in (1, 2, 3):
        moto.client.upload_part(Bucket=bucket, Key="root/a", UploadId=upload, PartNumber=number, Body=b"x")
    request = store._bucket.request

    async def in_pages_of_one(method, **parameters):
        if method != "list_parts":
            return await request(method, **parameters)
        answer = await request(method, MaxParts=1, **parameters)
        for part in answer["Parts"]:
            if part["PartNumber"] < 3:
                part["LastModified"] -= timedelta(days=1)
        return answer

    monkeypatch.setattr(store._bucket, "request", in_pages_of_one)
    assert store.sweep() == 0
    assert moto.uploads(bucket) == ["root/a"]


def test_sweep_needs_no_rights(store, monkeypatch):
    def refuse(*args, **kwargs):
        raise PermissionError("AccessDenied")

    monkeypatch.setattr(store._bucket, "pages", refuse)
    assert store.sweep() == 0


# Places and names


def test_listing_comes_in_pages(store, moto, bucket, monkeypatch):
    keys = {f"root/folder/{number:05}" for number in range(25)}
    for key in keys:
        moto.put(bucket, key, b"")
    request, asked = store._bucket.request, []

    async def in_tens(method, **parameters):
        asked.append(method)
        return await request(method, MaxKeys=10, **parameters)

    monkeypatch.setattr(store._bucket, "request", in_tens)
    assert {f"root/{found.key}" for found in store.list("folder")} == keys
    assert len(asked) == 3
    found = store.list("folder")
    next(found)
    found.close()
    assert len(asked) <= 5, "only the next page is asked for ahead"


def test_marks_of_folders_are_no_objects(store, moto, bucket):
    for key in ("root/", "root/folder/", "root/folder/key"):
        moto.put(bucket, key, b"")
    assert [found.key for found in store.list()] == ["folder/key"]


RAW_KEYS = ["a:b", "a?b#c", "trailing. ", 'q"uote*<|>', "back\\slash", "ä/漢字/e\u0301", "con/x", "%41"]


def test_raw_keys_are_taken_as_they_are(moto, bucket):
    store = open_store(f"s3://{bucket}/mlflow", storage_options=moto.storage_options, raw_keys=True)
    assert isinstance(store, S3Store)
    for key in RAW_KEYS:
        write(store, key, b"data")
        assert moto.keys(bucket) == {f"mlflow/{key}"}
        assert [found.key for found in store.list()] == [key]
        assert store.read_all(key, limit_bytes=4) == b"".join(store.read(key)) == b"data"
        assert store.size_bytes(key) == 4
        store.delete(key)
    for key in ("", "/a", "../a", "a/../b", "a//b", "."):
        with pytest.raises(IntegrityError, match="E020"):
            write(store, key, b"data")


def test_artifacts_keep_their_names(moto, bucket):
    folder = StoredFolder(open_store(f"s3://{bucket}", storage_options=moto.storage_options, raw_keys=True), "1/run")
    folder.write("plots: a/b?c#d.png", iter([b"da", b"ta"]), 4)
    assert moto.get(bucket, "1/run/plots: a/b?c#d.png") == b"data"
    assert list(folder.list()) == [ArtifactFile("plots: a/b?c#d.png", 4)]
    with folder.open("plots: a/b?c#d.png") as chunks:
        assert b"".join(chunks) == b"data"


def test_a_bucket_may_be_the_root(moto, bucket):
    store = open_store(f"s3://{bucket}", storage_options=moto.storage_options)
    write(store, "a/b", b"x")
    assert moto.keys(bucket) == {"a/b"}
    assert [found.key for found in store.list()] == [found.key for found in store.list("a")] == ["a/b"]


def test_an_url_without_a_bucket():
    with pytest.raises(UsageError, match="names no bucket"):
        open_store("s3://")


# Faults


def test_a_bucket_that_is_not_there(moto):
    store = opened(moto, "nobody-has-it")
    assert store.size_bytes("key") is None
    for call in (
        lambda: list(store.list()),
        lambda: store.read_all("key", limit_bytes=1),
        lambda: write(store, "k", b""),
    ):
        with pytest.raises(NotFoundError, match="no bucket") as caught:
            call()
        assert caught.value.code == "no_bucket"


@pytest.mark.parametrize("options", [{"secret": "wrong"}, {"key": "wrong"}])
def test_wrong_credentials(rclone, options):
    store = opened(rclone, rclone.new_bucket(), **options)
    for call in (lambda: list(store.list()), lambda: list(store.read("key")), lambda: write(store, "key", b"x")):
        with pytest.raises(NotAuthorisedError) as caught:
            call()
        assert "wrong" not in str(caught.value)


def test_no_credentials(moto, bucket, monkeypatch, tmp_path):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    store = open_store(f"s3://{bucket}/root", storage_options={"endpoint_url": moto.endpoint})
    with pytest.raises(NotAuthorisedError, match="credentials"):
        list(store.list())


def test_credentials_from_the_environment(moto, bucket, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", moto.key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", moto.secret)
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", moto.endpoint)
    write(open_store(f"s3://{bucket}/root"), "key", b"x")
    assert moto.keys(bucket) == {"root/key"}


def test_a_service_that_is_not_there(monkeypatch):
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    options = {"key": "k", "secret": "s", "endpoint_url": "http://127.0.0.1:9"}
    store = open_store("s3://bucket/root", storage_options=options)
    with pytest.raises(UnavailableError, match="EndpointConnectionError"):
        store.size_bytes("key")


def test_a_service_without_ranges_is_refused(store, monkeypatch):
    write(store, "key", bytes(5 * MIB))
    request = store._bucket.request

    async def whole(method, **parameters):
        parameters.pop("Range", None)
        return await request(method, **parameters)

    monkeypatch.setattr(store._bucket, "request", whole)
    with pytest.raises(UnsupportedError, match="no ranges"):
        list(store.read("key"))


def test_limits_of_time_are_set_and_may_be_changed(moto, bucket):
    store = opened(moto, bucket, config_kwargs={"read_timeout": 7})
    write(store, "key", b"")
    config = store._bucket._fs.s3.meta.config
    assert (config.connect_timeout, config.read_timeout, config.max_pool_connections) == (10, 7, 64)
