"""What backends raise, and what becomes of it. The packages' classes are made here by name, as they are known by."""

from __future__ import annotations

import asyncio
import socket

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError, ParamValidationError
from s3fs.errors import translate_boto_error

from mlflow_archive.errors import (
    ConflictError,
    NotAuthorisedError,
    NotFoundError,
    UnavailableError,
    UnsupportedError,
    UsageError,
)
from mlflow_archive.storage.faults import meaning_of, translated

SECRET = "https://host/x?X-Amz-Signature=5ecret&sig=5ecret"


def foreign(module, name, base=Exception, **attributes):
    """Make an error as a package would, with a text that must not be shown."""
    error = type(name, (base,), {"__module__": module})(SECRET)
    for attribute, value in attributes.items():
        setattr(error, attribute, value)
    return error


def boto(code, status):
    answer = {"Error": {"Code": code, "Message": SECRET}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(answer, "GetObject")


def made_from(cause, error):
    error.__cause__ = cause
    return error


def answered(status):
    return type("Response", (), {"status_code": status})()


HTTP = "azure.core.exceptions"
CASES = [
    (boto("NoSuchKey", 404), NotFoundError),
    (boto("NoSuchBucket", 404), NotFoundError),
    (boto("AccessDenied", 403), NotAuthorisedError),
    (boto("403", 403), NotAuthorisedError),
    (boto("ExpiredToken", 400), NotAuthorisedError),
    (boto("InvalidAccessKeyId", 403), NotAuthorisedError),
    (boto("PreconditionFailed", 412), ConflictError),
    (boto("ConditionalRequestConflict", 409), ConflictError),
    (boto("OperationAborted", 409), UnavailableError),
    (boto("SlowDown", 503), UnavailableError),
    (boto("TooManyRequests", 429), UnavailableError),
    (boto("InternalError", 500), UnavailableError),
    (boto("NotImplemented", 501), UnsupportedError),
    (boto("AuthorizationHeaderMalformed", 400), UsageError),
    (NoCredentialsError(), NotAuthorisedError),
    (EndpointConnectionError(endpoint_url=SECRET), UnavailableError),
    (ParamValidationError(report=SECRET), UsageError),
    (foreign(HTTP, "ResourceNotFoundError", status_code=404, error_code="BlobNotFound"), NotFoundError),
    (foreign(HTTP, "ResourceNotFoundError", status_code=404, error_code="ContainerNotFound"), NotFoundError),
    (foreign(HTTP, "ClientAuthenticationError", status_code=401), NotAuthorisedError),
    (foreign(HTTP, "HttpResponseError", status_code=403, error_code="AuthorizationFailure"), NotAuthorisedError),
    (foreign(HTTP, "ResourceExistsError", status_code=409, error_code="BlobAlreadyExists"), ConflictError),
    (foreign(HTTP, "HttpResponseError", status_code=412, error_code="ConditionNotMet"), ConflictError),
    (foreign(HTTP, "HttpResponseError", status_code=503, error_code="ServerBusy"), UnavailableError),
    (foreign(HTTP, "ServiceRequestError"), UnavailableError),
    (made_from(foreign(HTTP, "HttpResponseError", status_code=500), RuntimeError(SECRET)), UnavailableError),
    (foreign("gcsfs.retry", "HttpError", code=429), UnavailableError),
    (foreign("gcsfs.retry", "HttpError", code=401), NotAuthorisedError),
    (foreign("gcsfs.retry", "HttpError", code=412), ConflictError),
    (OSError(f"Forbidden: {SECRET}"), NotAuthorisedError),
    (foreign("google.auth.exceptions", "DefaultCredentialsError"), NotAuthorisedError),
    (foreign("google.auth.exceptions", "RefreshError"), NotAuthorisedError),
    (foreign("google.auth.exceptions", "TransportError"), UnavailableError),
    (foreign("requests.exceptions", "ConnectionError", OSError), UnavailableError),
    (foreign("requests.exceptions", "HTTPError", OSError, response=answered(403)), NotAuthorisedError),
    (foreign("requests.exceptions", "HTTPError", OSError, response=answered(404)), NotFoundError),
    (foreign("aiohttp.client_exceptions", "ClientResponseError", status=502), UnavailableError),
    (foreign("aiohttp.client_exceptions", "ClientPayloadError"), UnavailableError),
    (foreign("paramiko.ssh_exception", "AuthenticationException"), NotAuthorisedError),
    (foreign("fsspec.exceptions", "FSTimeoutError", asyncio.TimeoutError), UnavailableError),
    (asyncio.TimeoutError(), UnavailableError),
    (TimeoutError(), UnavailableError),
    (socket.gaierror(-2, "Name or service not known"), UnavailableError),
    (ConnectionRefusedError(111, "Connection refused"), UnavailableError),
]


@pytest.mark.parametrize(("error", "expected"), CASES, ids=lambda value: getattr(value, "__name__", repr(value))[:60])
def test_a_backends_error_becomes_ours_and_tells_no_secret(error, expected):
    with pytest.raises(expected, match="bucket/root") as caught, translated("s3://bucket/root", "key"):
        raise error
    assert "5ecret" not in str(caught.value)
    assert "https" not in str(caught.value)
    assert caught.value.__cause__ is error


def test_a_service_that_cannot_be_reached_is_told_from_one_that_answers_wrongly():
    def sentence(error):
        return str(meaning_of(error, "s3://bucket", "key", writing=True))

    assert "gave no answer (EndpointConnectionError); check the endpoint" in sentence(
        EndpointConnectionError(endpoint_url=SECRET)
    )
    assert "did not answer rightly (InternalError, status 500)" in sentence(boto("InternalError", 500))


@pytest.mark.parametrize(
    ("code", "status", "expected"),
    [
        ("NoSuchBucket", 404, NotFoundError),
        ("AccessDenied", 403, NotAuthorisedError),
        ("PreconditionFailed", 412, ConflictError),
        ("SlowDown", 503, UnavailableError),
    ],
)
def test_what_s3fs_makes_of_an_error_is_understood_by_its_cause(code, status, expected):
    with pytest.raises(expected) as caught, translated("s3://bucket/root", "key"):
        raise translate_boto_error(boto(code, status))
    assert "5ecret" not in str(caught.value)


def test_a_bucket_that_is_not_there_is_told_from_an_object():
    for error in (boto("NoSuchBucket", 404), foreign(HTTP, "HttpResponseError", error_code="ContainerNotFound")):
        with pytest.raises(NotFoundError, match="no bucket or container") as caught, translated("s3://b", "k"):
            raise error
        assert caught.value.code == "no_bucket"


def test_what_vanishes_while_it_is_written_is_a_fault_of_the_service():
    with pytest.raises(UnavailableError), translated("s3://b", "k", writing=True):
        raise boto("NoSuchUpload", 404)


@pytest.mark.parametrize("error", [ValueError("x"), KeyError("x"), foreign("somebody.else", "HttpError", code=404)])
def test_errors_of_nobody_known_pass(error):
    with pytest.raises(type(error)) as caught, translated("s3://b", "k"):
        raise error
    assert caught.value is error
