"""A backend's errors as ours: the one place where what a backend raises gets its meaning and its sentence.

Backends raise `OSError`, but also classes of their own; those are told apart by name (`vendor_faults`), so that no
package of a backend is imported for the sake of its errors.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from mlflow_archive.errors import (
    ConflictError,
    IntegrityError,
    MlflowArchiveError,
    NotAuthorisedError,
    NotFoundError,
    Problem,
    UnavailableError,
    UnsupportedError,
    UsageError,
)
from mlflow_archive.storage.store import ByteWriter
from mlflow_archive.storage.vendor_faults import Fault, Meaning, vendor_fault

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_FORBIDDEN = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
_ABSENT = (FileNotFoundError, NotADirectoryError, IsADirectoryError)


@contextmanager
def translated(url: str, key: str, *, writing: bool = False) -> Iterator[None]:
    """Turn what a backend raises into one of our errors; ours pass unchanged, and so does what no backend raises.

    Put it around calls of the backend only: an `OSError` of the caller's own is none of the store's.

    Args:
        url: The store's root, for the sentence.
        key: The object in question.
        writing: True where a missing folder is a fault of the store and not an absent object.
    """
    try:
        yield
    except MlflowArchiveError:
        raise
    except Exception as error:
        meant = meaning_of(error, url, key, writing=writing)
        if meant is None:
            raise
        raise meant from error


class TranslatedWriter:
    """A `ByteWriter` whose errors are ours."""

    def __init__(self, url: str, key: str, target: ByteWriter) -> None:
        """Write on to ``target``; the rest is for the sentence, as in `translated`."""
        self._url = url
        self._key = key
        self._target = target

    def write(self, data: bytes) -> None:
        """Append."""
        with translated(self._url, self._key, writing=True):
            self._target.write(data)


def meaning_of(error: Exception, url: str, key: str, *, writing: bool = False) -> MlflowArchiveError | None:
    """Return our error for one of a backend; None if it is none of a backend's. Arguments as `translated`."""
    place = f"{url.rstrip('/')}/{key}" if key else url
    fault = vendor_fault(error)
    if fault is not None:
        return _vendor_meaning(fault, url, place, writing=writing)
    if isinstance(error, OSError):
        return _system_meaning(error, place, writing=writing)
    if isinstance(error, TimeoutError):
        return UnavailableError(f"{place} could not be {_done(writing)}: the time for an answer was over.")
    return None


def _system_meaning(error: OSError, place: str, *, writing: bool) -> MlflowArchiveError:
    if error.errno in _FULL:
        return UnavailableError(
            f"There is no space left to write {place}: free some space, then go on with --resume.", code="disk_full"
        )
    if error.errno in _FORBIDDEN or isinstance(error, PermissionError):
        return _forbidden(place, writing=writing)
    if isinstance(error, _ABSENT) and not writing:
        return NotFoundError(f"There is no {place}.")
    if isinstance(error, FileExistsError):
        return ConflictError(f"There is already something at {place}.")
    # What a package puts into the text may hold a signed URL; what the system says never does.
    plain = type(error).__module__ == "builtins" or isinstance(error, socket.gaierror)
    detail = (error.strerror if plain and error.errno else None) or type(error).__name__
    return UnavailableError(f"{place} could not be {_done(writing)}: {detail}.")


def _vendor_meaning(fault: Fault, url: str, place: str, *, writing: bool) -> MlflowArchiveError:
    meaning, detail = fault.meaning, f" ({fault.detail})" if fault.detail else ""
    if meaning is Meaning.NO_CREDENTIALS:
        return NotAuthorisedError(
            f"There are no usable credentials for {url}{detail}: set the environment variables or the profile of its "
            "service, or give storage options.",
            code="no_credentials",
        )
    if meaning is Meaning.FORBIDDEN:
        return _forbidden(place, detail, writing=writing)
    if meaning is Meaning.NO_BUCKET:
        return NotFoundError(
            f"There is no bucket or container for {url}: create it, or check its name and the endpoint.",
            code="no_bucket",
        )
    if meaning is Meaning.ABSENT and not writing:
        return NotFoundError(f"There is no {place}.")
    if meaning is Meaning.TAKEN:
        return ConflictError(f"There is already something at {place}.")
    if meaning is Meaning.IMPOSSIBLE:
        return UnsupportedError(f"The service behind {url} does not know a request for {place}{detail}.")
    if meaning is Meaning.WRONG:
        return UsageError(f"{place} was refused{detail}: check the URL, the region and the storage options.")
    what = f"did not answer rightly{detail}"
    if fault.status is None:
        what = f"gave no answer{detail}; check the endpoint and the network"
    return UnavailableError(f"{place} could not be {_done(writing)}: the service {what}.")


def taken(url: str, key: str) -> ConflictError:
    """Return the refusal to write over what is there."""
    return ConflictError(f"There is already something at {url.rstrip('/')}/{key}.")


def too_large(key: str, limit_bytes: int) -> IntegrityError:
    """Return the refusal of an object that is larger than a reader is ready to hold (E010)."""
    message = f"is larger than {limit_bytes:,} bytes"
    return IntegrityError(f"{key} {message} (E010).", problems=(Problem("E010", key, message),))


def _forbidden(place: str, detail: str = "", *, writing: bool) -> NotAuthorisedError:
    verb = "write" if writing else "read"
    return NotAuthorisedError(f"There is no permission to {verb} {place}{detail}: check the rights or the credentials.")


def _done(writing: bool) -> str:
    return "written" if writing else "read"
