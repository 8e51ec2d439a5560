"""A backend's errors as ours: the one place where an `OSError` gets its meaning and its sentence."""

from __future__ import annotations

import errno
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
)

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_FORBIDDEN = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
_ABSENT = (FileNotFoundError, NotADirectoryError, IsADirectoryError)


@contextmanager
def translated(url: str, key: str, *, writing: bool = False) -> Iterator[None]:
    """Turn an `OSError` or a time-out of the backend into one of our errors; ours pass unchanged.

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
    except (OSError, TimeoutError) as error:
        raise _meaning(error, url, key, writing=writing) from error


def _meaning(error: OSError, url: str, key: str, *, writing: bool) -> MlflowArchiveError:
    place = f"{url.rstrip('/')}/{key}"
    if error.errno in _FULL:
        return UnavailableError(
            f"There is no space left to write {place}: free some space, then go on with --resume.", code="disk_full"
        )
    if error.errno in _FORBIDDEN or isinstance(error, PermissionError):
        verb = "write" if writing else "read"
        return NotAuthorisedError(f"There is no permission to {verb} {place}: check the rights or the credentials.")
    if isinstance(error, _ABSENT) and not writing:
        return NotFoundError(f"There is no {place}.")
    if isinstance(error, FileExistsError):
        return ConflictError(f"There is already something at {place}.")
    detail = error.strerror or type(error).__name__
    return UnavailableError(f"{place} could not be {'written' if writing else 'read'}: {detail}.")


def too_large(key: str, limit_bytes: int) -> IntegrityError:
    """Return the refusal of an object that is larger than a reader is ready to hold (E010)."""
    message = f"is larger than {limit_bytes:,} bytes"
    return IntegrityError(f"{key} {message} (E010).", problems=(Problem("E010", key, message),))
