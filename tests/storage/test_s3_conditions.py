"""S3 services that cannot refuse a second writer: those that answer ``If-None-Match`` with an error, or ignore it."""

from __future__ import annotations

import logging

import pytest
from botocore.exceptions import ClientError
from s3fs.errors import translate_boto_error

from mlflow_archive.errors import ConflictError, NotAuthorisedError, NotFoundError, UsageError
from mlflow_archive.storage import s3_bucket, s3_upload
from tests.storage.conformance import race, write_exclusively
from tests.storage.emulators.counting import requests_sent
from tests.storage.emulators.unconditional import unconditional

MIB = 1 << 20
#: What services were seen to answer.
REFUSALS = {"501": (501, "NotImplemented"), "400": (400, "InvalidArgument")}


@pytest.fixture(scope="module", params=[*REFUSALS, "ignored"])
def service(request, moto):
    if request.param == "ignored":
        yield request.getfixturevalue("rclone")
        return
    with unconditional(moto, *REFUSALS[request.param]) as service:
        yield service


@pytest.fixture
def refusing(moto):
    with unconditional(moto, 501, "NotImplemented") as service:
        yield service


@pytest.fixture(autouse=True)
def small_parts_and_nothing_told(monkeypatch):
    monkeypatch.setattr(s3_upload, "PART_BYTES", 5 * MIB)
    monkeypatch.setattr(s3_upload, "UNKNOWN_FACTOR", 1)
    s3_bucket.tell_unlocked.cache_clear()


@pytest.mark.parametrize("size", [10, 6 * MIB])
def test_what_is_there_is_refused_and_what_is_not_is_written(service, size):
    bucket = service.new_bucket()
    store = service.store(bucket)
    write_exclusively(store, "written", b"x" * size)
    store.create("created", b"first")
    for key in ("written", "created"):
        with pytest.raises(ConflictError):
            store.create(key, b"second")
        with pytest.raises(ConflictError):
            write_exclusively(store, key, b"y" * size)
    assert service.get(bucket, "root/written") == b"x" * size
    assert service.get(bucket, "root/created") == b"first"
    assert service.uploads(bucket) == []


@pytest.mark.parametrize("size", [10, 6 * MIB])
def test_what_came_while_it_was_written_is_refused(service, size):
    bucket = service.new_bucket()
    store = service.store(bucket)

    def overtaken():
        with store.write("key", exclusive=True) as writer:
            writer.write(b"x" * size)
            service.put(bucket, "root/key", b"faster")

    with pytest.raises(ConflictError):
        overtaken()
    assert service.get(bucket, "root/key") == b"faster"
    assert service.uploads(bucket) == []


def test_of_several_writers_one_is_there_whole(service):
    bucket = service.new_bucket()
    store = service.store(bucket)
    winners = race(store, "lock", 6)
    assert service.get(bucket, "root/lock") in winners


def test_it_is_said_once_and_the_condition_not_sent_again(refusing, caplog):
    bucket = refusing.new_bucket()
    store = refusing.store(bucket)
    with caplog.at_level(logging.WARNING, "mlflow_archive"), requests_sent() as requests:
        store.create("one", b"1")
        write_exclusively(store, "two", bytes(6 * MIB))
        refusing.store(bucket).create("three", b"3")
    (told,) = [record.getMessage() for record in caplog.records]
    assert told == (
        f"The service behind s3://{bucket} does not know If-None-Match: it cannot refuse a second writer that comes "
        "at the same moment. Let only one backup at a time write to a place there."
    )
    conditions = [request for request in requests if "If-None-Match" in request.headers]
    assert len(conditions) == 2, "the first one of each store"


def test_other_refusals_are_what_they_are(refusing, monkeypatch, caplog):
    """An error of the request itself is none of the condition: it comes again without."""
    with pytest.raises(NotFoundError, match="no bucket"):
        refusing.store("nobody-has-it").create("key", b"x")
    store = refusing.store(refusing.new_bucket())
    request = store._bucket.request

    for code, status, expected in (("AccessDenied", 403, NotAuthorisedError), ("InvalidArgument", 400, UsageError)):

        async def refused(method, code=code, status=status, **parameters):
            if method == "put_object":
                answer = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
                raise translate_boto_error(ClientError(answer, "PutObject"))
            return await request(method, **parameters)

        monkeypatch.setattr(store._bucket, "request", refused)
        with pytest.raises(expected):
            store.create("key", b"x")
    assert caplog.records == []


@pytest.mark.parametrize("size", [10, 6 * MIB])
def test_a_refusal_that_does_not_come_again_is_none_of_the_condition(moto, size, monkeypatch, caplog):
    """A body may be garbled on its way: without the condition, another writer's object would be lost."""
    bucket = moto.new_bucket()
    store = moto.store(bucket)
    request, refused = store._bucket.request, []

    async def garbled_once(method, **parameters):
        if "IfNoneMatch" in parameters and not refused:
            refused.append(method)
            moto.put(bucket, "root/key", b"faster")
            answer = {"Error": {"Code": "BadDigest"}, "ResponseMetadata": {"HTTPStatusCode": 400}}
            raise translate_boto_error(ClientError(answer, method))
        return await request(method, **parameters)

    monkeypatch.setattr(store._bucket, "request", garbled_once)
    with pytest.raises(ConflictError):
        write_exclusively(store, "key", b"x" * size)
    assert refused
    assert moto.get(bucket, "root/key") == b"faster"
    assert caplog.records == []
