"""Errors of the packages of S3, Azure, Google Cloud and others, understood by their names and attributes.

Only codes and class names are taken from them: their texts hold signed URLs, account names and request ids.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from enum import Enum, auto


class Meaning(Enum):
    """What an error means for whoever called."""

    NO_CREDENTIALS = auto()
    FORBIDDEN = auto()
    NO_BUCKET = auto()
    ABSENT = auto()
    TAKEN = auto()
    WRONG = auto()
    IMPOSSIBLE = auto()
    UNAVAILABLE = auto()


@dataclass(frozen=True, slots=True)
class Fault:
    """A meaning, and the service's own word for it, which never holds more than one word and a number."""

    meaning: Meaning
    detail: str = ""
    #: The HTTP status, where there was an answer.
    status: int | None = None


#: Packages whose errors are known here; `fsspec` for its time-out.
_VENDORS = frozenset(
    {
        *("botocore", "aiobotocore", "boto3", "s3fs", "azure", "adlfs", "gcsfs", "google", "requests", "urllib3"),
        *("aiohttp", "fsspec", "paramiko", "databricks", "ossfs", "oci", "ocifs", "smbprotocol"),
    }
)
#: Words of services, and names of classes, with a meaning of their own whatever the status is.
_WORDS = {
    Meaning.NO_CREDENTIALS: "NoCredentialsError PartialCredentialsError CredentialRetrievalError TokenRetrievalError "
    "UnauthorizedSSOTokenError SSOTokenLoadError SSOError ProfileNotFound NoAuthTokenError ClientAuthenticationError "
    "CredentialUnavailableError DefaultCredentialsError RefreshError MalformedError AuthenticationException "
    "PasswordRequiredException InvalidAccessKeyId SignatureDoesNotMatch ExpiredToken InvalidToken "
    "TokenRefreshRequired RequestTimeTooSkewed AuthenticationFailed NoAuthenticationInformation",
    Meaning.FORBIDDEN: "AccessDenied AllAccessDisabled AccountProblem InvalidObjectState PERMISSION_DENIED "
    "AuthorizationFailure AuthorizationPermissionMismatch InsufficientAccountPermissions",
    Meaning.NO_BUCKET: "NoSuchBucket ContainerNotFound FilesystemNotFound ContainerBeingDeleted",
    Meaning.ABSENT: "NoSuchKey BlobNotFound PathNotFound ResourceNotFoundError RESOURCE_DOES_NOT_EXIST NoSuchUpload",
    Meaning.TAKEN: "PreconditionFailed ConditionalRequestConflict BlobAlreadyExists PathAlreadyExists "
    "ConditionNotMet ResourceExistsError ResourceModifiedError RESOURCE_ALREADY_EXISTS UploadIdAlreadyExists",
    Meaning.WRONG: "ParamValidationError InvalidBucketName PermanentRedirect AuthorizationHeaderMalformed "
    "IllegalLocationConstraintException InvalidEndpointConfigurationError InvalidRegionError NoRegionError "
    "InvalidProxiesConfigError InvalidRetryConfigurationError InvalidResourceName InvalidURL "
    "MissingSchema KeyTooLongError",
    Meaning.IMPOSSIBLE: "NotImplemented MethodNotAllowed",
    Meaning.UNAVAILABLE: "SlowDown ServiceUnavailable InternalError RequestTimeout RequestTimeoutException "
    "TransportError TooManyRequests OperationAborted ServerBusy",
}
_MEANINGS = {word: meaning for meaning, words in _WORDS.items() for word in words.split()}
_BY_STATUS = {
    401: Meaning.NO_CREDENTIALS,
    403: Meaning.FORBIDDEN,
    404: Meaning.ABSENT,
    409: Meaning.TAKEN,
    412: Meaning.TAKEN,
    400: Meaning.WRONG,
    405: Meaning.IMPOSSIBLE,
    501: Meaning.IMPOSSIBLE,
}
_WORD = re.compile(r"^[A-Za-z_]{2,60}$")
#: How many causes of causes are looked at.
_DEPTH = 6


def vendor_fault(error: BaseException) -> Fault | None:
    """Return what an error of a known package means, None for all others.

    An `OSError` or `RuntimeError` that such a package made of its service's error is understood by its cause.
    """
    found: BaseException | None = error
    for _ in range(_DEPTH):
        if found is None:
            return None
        fault = _fault(found)
        if fault is not None:
            return fault
        found = found.__cause__
    return None


def _fault(error: BaseException) -> Fault | None:
    if isinstance(error, asyncio.TimeoutError) and not isinstance(error, OSError):
        return Fault(Meaning.UNAVAILABLE, "TimeoutError")
    if isinstance(error, OSError) and str(error).startswith("Forbidden: "):  # how gcsfs words a 403
        return Fault(Meaning.FORBIDDEN, "Forbidden", 403)
    if not any(cls.__module__.partition(".")[0] in _VENDORS for cls in type(error).__mro__):
        return None
    status, words = _status(error), [*_codes(error), *(cls.__name__ for cls in type(error).__mro__)]
    named = next((word for word in words if word in _MEANINGS), None)
    shown = next((word for word in words if _WORD.match(word)), "")
    detail = f"{shown}, status {status}" if status is not None else shown
    if named is not None:
        return Fault(_MEANINGS[named], detail, status)
    if status is None and isinstance(error, OSError) and type(error).__module__ == "builtins":
        return None
    return Fault(_BY_STATUS.get(status or 0, Meaning.UNAVAILABLE), detail, status)


def _codes(error: BaseException) -> list[str]:
    """Return the service's own words for an error."""
    answer = getattr(error, "response", None)
    inner = answer.get("Error") if isinstance(answer, dict) else None
    code = inner.get("Code") if isinstance(inner, dict) else None
    return [str(word) for word in (code, getattr(error, "error_code", None)) if word is not None]


def _status(error: BaseException) -> int | None:
    answer = getattr(error, "response", None)
    if isinstance(answer, dict):  # botocore
        meta = answer.get("ResponseMetadata")
        value = meta.get("HTTPStatusCode") if isinstance(meta, dict) else None
        return value if isinstance(value, int) else _number(_codes(error))
    named = [getattr(error, name, None) for name in ("status_code", "status", "code")]
    values = [*named, getattr(answer, "status_code", None)]
    return next((int(value) for value in values if isinstance(value, int) and 100 <= value < 600), _number(values))


def _number(values: list[object] | list[str]) -> int | None:
    return next((int(value) for value in values if isinstance(value, str) and re.match(r"^[1-5]\d\d$", value)), None)
