"""S3 with obstore as its engine: the same contract, the same errors, and s3fs wherever there is a doubt."""

from __future__ import annotations

import datetime
import os
import re
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import botocore.session
import pytest
from aiobotocore.credentials import AioRefreshableCredentials
from botocore import UNSIGNED
from botocore.awsrequest import AWSResponse
from botocore.config import Config

from mlflow_archive.errors import (
    ConflictError,
    NotAuthorisedError,
    NotFoundError,
    UnavailableError,
)
from mlflow_archive.storage import s3_obstore, s3_store, s3_upload
from mlflow_archive.storage.opening import open_store
from mlflow_archive.storage.s3_bucket import S3Bucket
from mlflow_archive.storage.s3_obstore import ObstoreBucket
from mlflow_archive.storage.s3_shape import Shape, plain_environment, plain_options, shape_of
from mlflow_archive.storage.s3_store import S3Store
from tests.storage import test_s3
from tests.storage.conformance import write
from tests.storage.emulators.spoiling import cut, hang_up, other_range, spoiling, status

MIB = 1 << 20
SETTINGS = ("AWS_", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "REQUESTS_CA_BUNDLE", "SSL_CERT_")
SESSION = botocore.session.Session()


@pytest.fixture(autouse=True)
def calm(monkeypatch):
    """An environment of nobody, small parts, and a main thread that may wait as others do."""
    for name in [name for name in os.environ if name.upper().startswith(SETTINGS)]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(s3_upload, "PART_BYTES", 5 * MIB)
    monkeypatch.setattr(s3_upload, "UNKNOWN_FACTOR", 1)
    monkeypatch.setattr(s3_store, "BLOCK_BYTES", 2 * MIB)
    monkeypatch.setattr(s3_obstore, "may_wait", lambda: True)


def warm(store):
    """Let a store learn from s3fs how its requests look."""
    write(store, "warm", b"warm")
    assert store.read_all("warm", limit_bytes=4) == b"warm"
    store.delete("warm")
    return store


class ObstoreTests(test_s3.S3StoreTests):
    @pytest.fixture
    def store(self, service):
        store = warm(service.store(service.new_bucket()))
        assert isinstance(store._bucket, ObstoreBucket)
        write(store, "warm", b"")
        assert store._bucket._engines, "obstore did that"
        store.delete("warm")
        yield store
        assert service.uploads(self.bucket(store)) == [], "no upload is left open"
        assert store._bucket._failures < s3_obstore.MISTRUST_AFTER, "moto sometimes answers two at once with a 500"


class TestObstoreOnMoto(ObstoreTests):
    @pytest.fixture
    def service(self, moto):
        return moto


class TestObstoreOnRclone(ObstoreTests):
    exclusive_create = False

    @pytest.fixture
    def service(self, rclone):
        return rclone


@pytest.fixture(scope="module")
def proxy(moto):
    with spoiling(moto.endpoint) as spoiler:
        yield spoiler


@pytest.fixture(scope="module")
def shared(moto, proxy):
    """One s3fs behind the proxy, as botocore takes a second to load."""
    return open_store(
        "s3://bucket", storage_options={**moto.storage_options, "endpoint_url": proxy.endpoint}
    )._bucket._fs


@pytest.fixture
def bucket(moto):
    return moto.new_bucket()


@pytest.fixture
def store(shared, proxy, bucket):
    """A store behind the proxy that obstore works for."""
    proxy.faults.clear()
    proxy.seen.clear()
    store = warm(S3Store(shared, f"{bucket}/root", f"s3://{bucket}/root"))
    write(store, "key", b"x" * 1000)
    assert proxy.engines() == ["PUT s3fs", "GET s3fs", "DELETE s3fs", "PUT obstore"]
    return store


def read(store, key="key"):
    return b"".join(store.read(key))


# Who does what


def test_small_objects_are_obstores_one_request(store, proxy):
    write(store, "key", b"y" * MIB)
    assert store.read_all("key", limit_bytes=MIB) == read(store) == b"y" * MIB
    assert proxy.engines() == ["PUT obstore", "GET obstore", "GET obstore"]


def test_the_rest_is_s3fs(store, proxy):
    write(store, "large", bytes(6 * MIB))
    assert set(proxy.engines()) == {"POST s3fs", "PUT s3fs"}
    write(store, "middle", bytes(4 * MIB + 1))
    assert proxy.engines() == ["PUT s3fs"]
    assert len(read(store, "large")) == 6 * MIB
    assert proxy.engines() == ["GET obstore", "GET s3fs", "GET s3fs"]
    store.create("new", b"")
    assert proxy.engines() == ["HEAD s3fs", "PUT s3fs"]
    assert store.size_bytes("new") == 0
    assert len(list(store.list())) == 4
    assert proxy.engines() == ["HEAD s3fs", "GET s3fs"]


def test_a_creation_teaches_nothing(shared, bucket, proxy):
    store = S3Store(shared, f"{bucket}/root", f"s3://{bucket}/root")
    store.create("first", b"1")
    proxy.seen.clear()
    write(store, "second", b"2")
    write(store, "third", b"3")
    assert proxy.engines() == ["PUT s3fs", "PUT obstore"]


def test_an_upload_is_sent_as_s3fs_sends_it(store, proxy, bucket, moto):
    write(store, "key", b"data")
    (sent,) = proxy.seen
    assert sent.by_obstore
    assert sent.path == f"/{bucket}/root/key"
    assert "/eu-central-1/s3/aws4_request" in sent.headers["authorization"]
    assert {name for name in sent.headers if name.startswith("x-amz-")} == {
        "x-amz-checksum-sha256",
        "x-amz-content-sha256",
        "x-amz-date",
    }
    head = moto.client.head_object(Bucket=bucket, Key="root/key")
    moto.client.put_object(Bucket=bucket, Key="root/plain", Body=b"data")
    plain = moto.client.head_object(Bucket=bucket, Key="root/plain")
    assert (head["ContentType"], head["Metadata"]) == (plain["ContentType"], plain["Metadata"])


def test_no_upload_waits_to_be_told_to_go_on(store, proxy):
    write(store, "large", bytes(6 * MIB))
    store.create("new", b"data")
    uploads = [seen for seen in proxy.seen if seen.method == "PUT"]
    assert len(uploads) == 3
    assert not any(seen.by_obstore or "expect" in seen.headers for seen in uploads)


def test_keys_are_spelt_as_s3fs_spells_them(store, proxy, shared, bucket, moto):
    raw = S3Store(shared, f"{bucket}/root", "s3://x", check=str)
    warm(raw)
    ascii_ = [f"k{chr(number)}k" for number in range(32, 127) if chr(number) != "/"]
    keys = [*ascii_, *test_s3.RAW_KEYS, " ", "a b", "%2F", "..a", "a..", "\u00a0", "\U0001f642"]
    proxy.engines()
    for key in keys:
        write(raw, key, b"")
    by_obstore = [seen for seen in proxy.seen if seen.by_obstore]
    assert len(by_obstore) == len(keys)
    assert moto.keys(bucket) == {f"root/{key}" for key in [*keys, "key"]}
    paths = [seen.path for seen in proxy.seen]
    proxy.engines()
    raw._bucket._failures = s3_obstore.MISTRUST_AFTER
    for key in keys:
        write(raw, key, b"")
    assert [seen.path for seen in proxy.seen] == paths
    assert not any(seen.by_obstore for seen in proxy.seen)
    proxy.engines()


def test_the_main_thread_and_those_nobody_waits_for_use_s3fs(store, proxy, monkeypatch):
    monkeypatch.undo()
    read(store)
    daemon = threading.Thread(target=read, args=(store,), daemon=True)
    daemon.start()
    daemon.join()
    assert proxy.engines() == ["GET s3fs", "GET s3fs"]
    with ThreadPoolExecutor(1) as pool:
        pool.submit(read, store).result()
    assert proxy.engines() == ["GET obstore"]


# Faults


@pytest.mark.parametrize(
    "fault", [status(503, "SlowDown"), status(500), status(429), status(307), status(403), status(404), cut, hang_up]
)
def test_what_obstore_cannot_do_s3fs_does(store, proxy, fault, bucket, moto):
    if fault is not cut:  # nobody reads what is in the answer to an upload
        proxy.faults.append(fault)
    write(store, "key", b"new")
    assert proxy.engines() == ["PUT obstore", "PUT s3fs"][: 1 if fault is cut else 2]
    proxy.faults.append(fault)
    assert read(store) == b"new" == moto.get(bucket, "root/key")
    assert proxy.engines() == ["GET obstore", "GET s3fs"]
    assert read(store) == b"new"
    assert proxy.engines() == ["GET obstore"], "once is no reason for mistrust"


def test_an_answer_with_another_range_counts_for_nothing(store, proxy):
    proxy.faults.append(other_range)
    assert read(store) == b"x" * 1000
    assert proxy.engines() == ["GET obstore", "GET s3fs"]


def test_a_service_that_has_no_time_is_asked_until_it_has(store, proxy):
    proxy.faults.extend([status(503, "SlowDown")] * 3)
    assert read(store) == b"x" * 1000
    assert proxy.engines() == ["GET obstore", "GET s3fs", "GET s3fs", "GET s3fs"]
    proxy.faults.extend([cut] * 3)
    assert read(store) == b"x" * 1000
    assert proxy.engines() == ["GET obstore", "GET s3fs", "GET s3fs", "GET s3fs"]


def test_an_engine_that_fails_again_and_again_is_given_up(store, proxy):
    for _ in range(s3_obstore.MISTRUST_AFTER):
        proxy.faults.append(status(301, "PermanentRedirect"))
        assert read(store) == b"x" * 1000
    proxy.engines()
    read(store)
    write(store, "key", b"")
    assert proxy.engines() == ["GET s3fs", "PUT s3fs"]


@pytest.mark.parametrize("wrong", [(403, "AccessDenied", NotAuthorisedError), (404, "NoSuchBucket", NotFoundError)])
def test_refusals_are_told_as_s3fs_tells_them(store, proxy, wrong):
    number, code, error = wrong
    for act in (lambda: read(store), lambda: write(store, "key", b"")):
        proxy.faults.extend([status(number, code)] * 2)
        with pytest.raises(error, match=code if number == 403 else "no bucket") as caught:
            act()
        assert isinstance(caught.value, error)
    assert proxy.engines() == ["GET obstore", "GET s3fs", "PUT obstore", "PUT s3fs"]
    assert store._bucket._failures == 0, "it was not obstore's fault"


def test_what_is_not_there(store, proxy):
    with pytest.raises(NotFoundError):
        read(store, "nothing")
    assert list(store.read("key", start=1000)) == list(store.read("key", start=5000)) == []
    write(store, "empty", b"")
    assert read(store, "empty") == store.read_all("empty", limit_bytes=0) == b""
    assert store._bucket._failures == 0


def test_an_object_that_changes_while_it_is_read(store, moto, bucket):
    write(store, "key", bytes(20 * MIB))
    chunks = store.read("key")
    for _ in range(4):
        next(chunks)
    moto.put(bucket, "root/key", b"y" * 20 * MIB)
    with pytest.raises(UnavailableError, match="changed by somebody else"):
        list(chunks)


@pytest.mark.parametrize("fault", ["an error", "no answer"])
def test_a_creation_that_was_repeated_finds_its_own_write(store, proxy, fault):
    proxy.faults.extend([None, status(500) if fault == "an error" else hang_up])  # the look, the answer to the upload
    store.create("lock", b"mine")
    with pytest.raises(ConflictError):
        store.create("lock", b"other")


@pytest.mark.parametrize("size", [1, 12 * MIB], ids=["one request", "in parts"])
@pytest.mark.parametrize("exclusive", [True, False])
def test_a_write_whose_last_answer_was_lost_is_known_to_be_done(store, proxy, size, exclusive):
    data = bytes([7]) * size
    with store.write("new", exclusive=exclusive) as writer:
        writer.write(data)
        for part in writer._target._under_way:
            part.result()
        proxy.faults.extend([*([None] if exclusive else []), *([None] if size > 1 else []), hang_up])
    assert read(store, "new") == data
    if exclusive:
        with pytest.raises(ConflictError), store.write("new", exclusive=True) as writer:
            writer.write(b"other")


def test_wrong_credentials(rclone):
    bucket = rclone.new_bucket()
    right = warm(test_s3.opened(rclone, bucket))
    right._bucket._engines.clear()
    write(right, "key", b"x")
    for wrong in ({"secret": "wrong"}, {"key": "wrong"}):
        store = test_s3.opened(rclone, bucket, **wrong)
        store._bucket._learnt.update(right._bucket._learnt)
        for act in (lambda store=store: read(store), lambda store=store: write(store, "key", b"x")):
            with pytest.raises(NotAuthorisedError) as caught:
                act()
            assert "wrong" not in str(caught.value)


def test_an_object_in_an_encoding_is_read_as_it_is(store, moto, bucket, proxy):
    moto.client.put_object(Bucket=bucket, Key="root/zip", Body=b"\x1f\x8bno gzip", ContentEncoding="gzip")
    assert read(store, "zip") == b"\x1f\x8bno gzip"
    assert proxy.engines() == ["GET obstore"]


# Credentials


def test_credentials_are_renewed_when_botocore_renews_them(store, proxy, shared, monkeypatch):
    monkeypatch.setattr(s3_obstore, "_TRUSTED_SECONDS", 0)
    numbers = iter(range(1, 100))

    async def renewed():
        until = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=1)
        number = next(numbers)
        return {
            "access_key": f"key{number}",
            "secret_key": f"secret{number}",
            "token": f"token{number}",
            "expiry_time": until.isoformat(),
        }

    def credential():
        read(store)
        (sent,) = proxy.seen
        assert proxy.engines() == ["GET obstore"]
        return re.search(r"Credential=(\w+)/", sent.headers["authorization"])[1], sent.headers["x-amz-security-token"]

    soon = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes=30)
    refreshable = AioRefreshableCredentials("key0", "secret0", "token0", soon, renewed, "test")
    monkeypatch.setattr(shared._s3._request_signer, "_credentials", refreshable)
    assert [credential(), credential()] == [("key0", "token0")] * 2
    refreshable._expiry_time = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes=5)
    assert [credential(), credential()] == [("key1", "token1")] * 2

    async def failing():
        raise OSError

    refreshable._refresh_using = failing
    refreshable._expiry_time = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(minutes=5)
    with pytest.raises(UnavailableError):
        read(store)


def test_credentials_are_asked_for_once_a_second(store, shared, monkeypatch):
    credentials = shared._s3._request_signer._credentials
    asked = []

    async def counted():
        asked.append(1)
        return SimpleNamespace(access_key="a", secret_key="b", token=None)

    monkeypatch.setattr(s3_obstore, "_TRUSTED_SECONDS", 3600)
    monkeypatch.setattr(credentials, "get_frozen_credentials", counted)
    store._bucket._engines.clear()
    for _ in range(5):
        read(store)
    assert asked == [1]


def test_a_client_of_s3fs_that_is_new_is_learnt_anew(store, shared, proxy, monkeypatch):
    monkeypatch.setattr(s3_obstore, "_TRUSTED_SECONDS", 0)
    shared.connect(refresh=True)
    for _ in range(2):
        read(store)
    assert proxy.engines() == ["GET s3fs", "GET obstore"]


# When there is no obstore


def test_it_need_not_be_installed(shared, monkeypatch):
    monkeypatch.setitem(sys.modules, "obstore", None)
    assert type(S3Store(shared, "bucket", "s3://bucket")._bucket) is S3Bucket


@pytest.mark.parametrize(
    "options",
    [
        {"anon": True},
        {"requester_pays": True},
        {"version_aware": True},
        {"fixed_upload_size": True},
        {"s3_additional_kwargs": {"ServerSideEncryption": "AES256"}},
        {"client_kwargs": {"verify": False}},
        {"client_kwargs": {"verify": "/ca.pem"}},
        {"config_kwargs": {"proxies": {"http": "http://proxy"}}},
        {"config_kwargs": {"signature_version": "s3"}},
        {"config_kwargs": {"s3": {"payload_signing_enabled": True}}},
        {"config_kwargs": {"s3": {"use_accelerate_endpoint": True}}},
        {"what_comes_one_day": 1},
    ],
)
def test_options_that_it_does_not_know(options):
    assert not plain_options(options)


def test_options_that_it_knows():
    assert plain_options(
        {
            "key": "k",
            "endpoint_url": "http://x",
            "client_kwargs": {"region_name": "x", "endpoint_url": "http://x"},
            "config_kwargs": {"read_timeout": 1, "s3": {"addressing_style": "path"}},
        }
    )
    assert plain_options({"config_kwargs": None})


@pytest.mark.parametrize(
    "name",
    ["AWS_SKIP_SIGNATURE", "AWS_ENDPOINT", "AWS_SERVER_SIDE_ENCRYPTION", "AWS_NEW", "aws_proxy_url", "HTTPS_PROXY"],
)
def test_variables_that_would_change_what_it_does(store, proxy, monkeypatch, name):
    assert plain_environment("https")
    monkeypatch.setenv(name, "http://127.0.0.1:9")
    store._bucket._engines.clear()
    assert read(store) == b"x" * 1000
    assert proxy.engines() == ["GET s3fs"]


def test_another_trust_of_certificates(monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", "/ca.pem")
    assert plain_environment("http")
    assert not plain_environment("https")


def test_variables_that_botocore_knows_change_nothing(store, proxy, monkeypatch):
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_CONTAINER_CREDENTIALS_FULL_URI"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(name, "other")
    for name in ("AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN", "AWS_CA_BUNDLE"):
        monkeypatch.setenv(name, "/none")
    store._bucket._engines.clear()
    assert read(store) == b"x" * 1000
    (sent,) = proxy.seen
    assert sent.by_obstore
    assert re.search(r"Credential=moto-key/\d+/eu-central-1/s3/", sent.headers["authorization"])
    assert "x-amz-security-token" not in sent.headers
    proxy.engines()


# Shapes


def signed(method="put_object", config=None, parameters=None, **options):
    """Return what botocore would send to Amazon, and its client; nothing is sent."""
    client = SESSION.create_client(
        "s3",
        **{"aws_access_key_id": "AKID", "aws_secret_access_key": "secret", "region_name": "eu-west-1", **options},
        config=Config(**(config or {})),
    )
    sent = []

    def keep(request, **_):
        sent.append(request)
        return AWSResponse(request.url, 200, {}, SimpleNamespace(stream=lambda: iter([b""])))

    client.meta.events.register("before-send.s3", keep)
    body = {"Body": b"data"} if method == "put_object" else {"Range": "bytes=0-9"}
    getattr(client, method)(Bucket="bucket", Key="a/b c", **body, **(parameters or {}))
    return sent[-1], client


@pytest.mark.parametrize("method", ["put_object", "get_object"])
def test_the_shape_of_requests_to_amazon(method):
    shape = shape_of(*signed(method, {"connect_timeout": 3, "read_timeout": 4}), "a/b c")
    assert shape == Shape("https://bucket.s3.eu-west-1.amazonaws.com", "eu-west-1", "AKID", True, 3, 4, 10)
    assert shape_of(*signed(method), "b c").base_url.endswith("/a"), "whatever the key was"


def test_the_shape_is_that_of_the_settings():
    path = shape_of(*signed(config={"s3": {"addressing_style": "path"}}), "a/b c")
    assert path.base_url == "https://s3.eu-west-1.amazonaws.com/bucket"
    own = shape_of(*signed(endpoint_url="http://host:9/sub", region_name="here"), "a/b c")
    assert (own.base_url, own.region) == ("http://host:9/sub/bucket", "here")
    assert shape_of(*signed(endpoint_url="http://host:9", verify=False), "a/b c"), "nothing is encrypted"
    assert not shape_of(*signed(config={"request_checksum_calculation": "when_required"}), "a/b c").checksums


@pytest.mark.parametrize(
    "how",
    [
        {"parameters": {"ServerSideEncryption": "AES256"}},
        {"parameters": {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "k"}},
        {"parameters": {"RequestPayer": "requester"}},
        {"parameters": {"ACL": "bucket-owner-full-control"}},
        {"parameters": {"StorageClass": "STANDARD_IA"}},
        {"parameters": {"ExpectedBucketOwner": "1"}},
        {"parameters": {"Tagging": "a=b"}},
        {"parameters": {"ContentType": "text/html"}},
        {"method": "get_object", "parameters": {"VersionId": "1"}},
        {"config": {"signature_version": UNSIGNED}},
        {"config": {"signature_version": "s3"}},
        {"config": {"proxies": {"https": "http://proxy"}}},
        {"config": {"client_cert": "/cert.pem"}},
        {"config": {"read_timeout": None}},
        {"verify": False},
        {"verify": "/ca.pem"},
    ],
)
def test_requests_out_of_the_ordinary_have_no_shape(how):
    assert shape_of(*signed(**how), "a/b c") is None


def test_a_store_without_a_shape_keeps_to_s3fs(shared, proxy, bucket, monkeypatch):
    monkeypatch.setattr(shared, "s3_additional_kwargs", {"StorageClass": "STANDARD_IA"})
    store = S3Store(shared, f"{bucket}/root", f"s3://{bucket}/root")
    proxy.seen.clear()
    for _ in range(3):
        write(store, "key", b"data")
    assert {seen.headers.get("x-amz-storage-class") for seen in proxy.seen} == {"STANDARD_IA"}
    assert proxy.engines() == ["PUT s3fs"] * 3
