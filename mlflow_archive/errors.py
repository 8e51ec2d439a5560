"""Every error this package raises, grouped by what a caller would do about it.

    MlflowArchiveError                       exit 1
    ├── UsageError          (ValueError)       exit 2   the request itself is wrong
    ├── NotAuthorisedError  (PermissionError)  exit 4   credentials are missing or refused
    ├── IntegrityError      (ValueError)       exit 5   bytes or documents are not what the archive says
    ├── NotAnArchiveError   (FileNotFoundError) exit 6  nothing there, or never committed
    ├── ConflictError       (FileExistsError)  exit 7   something is already there, or another writer won
    ├── UnsupportedError    (RuntimeError)     exit 8   format version, feature or server ability is missing
    ├── NotFoundError       (LookupError)      exit 1   an object is not at the source
    └── UnavailableError    (ConnectionError)  exit 1   a server or a store does not answer; worth a retry

Each error has ``code``, a stable machine-readable word that goes into manifests, events and JSON output.
Codes are append-only.
The message is one sentence for a person: what is wrong, and what to do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum


class ExitCode(IntEnum):
    """The exit codes of the command line; part of the public interface."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    LOSSES = 3
    NOT_AUTHORISED = 4
    INTEGRITY = 5
    NOT_AN_ARCHIVE = 6
    CONFLICT = 7
    UNSUPPORTED = 8
    INTERRUPTED = 130


#: The code of a `NotAuthorisedError` about one object; any other is about the credentials themselves.
FORBIDDEN = "forbidden"
#: The code of an `UnavailableError` of a server that nobody could connect to; any other may be about one request.
UNREACHABLE = "unreachable"


class MlflowArchiveError(Exception):
    """Root of all errors raised by this package."""

    exit_code: ExitCode = ExitCode.FAILED
    code: str = "failed"
    retryable: bool = False

    def __init__(self, message: str, *, code: str | None = None) -> None:
        """Keep the message and, where given, a code finer than the class's own."""
        super().__init__(message)
        if code is not None:
            self.code = code


class UsageError(MlflowArchiveError, ValueError):
    """The request contradicts itself or names something impossible."""

    exit_code = ExitCode.USAGE
    code = "usage"


class NotAuthorisedError(MlflowArchiveError, PermissionError):
    """The server or the store refused the credentials, or none were given."""

    exit_code = ExitCode.NOT_AUTHORISED
    code = "not_authorised"

    @property
    def forbidden(self) -> bool:
        """True if a known user may not do this one thing, which says nothing of the next."""
        return self.code == FORBIDDEN


@dataclass(frozen=True, slots=True)
class Problem:
    """One violated rule of the specification, with its place.

    ``rule`` is the id in ``spec/v1/rules.md`` (``E...`` error, ``W...`` warning), ``path`` the key in the
    archive, ``message`` one sentence for a person.
    """

    rule: str
    path: str
    message: str

    def __str__(self) -> str:
        """Render as one line: rule, path, message."""
        return f"{self.rule} {self.path}: {self.message}"


class IntegrityError(MlflowArchiveError, ValueError):
    """The archive's bytes or documents break the specification; ``problems`` holds every finding."""

    exit_code = ExitCode.INTEGRITY
    code = "integrity"

    def __init__(self, message: str, *, problems: Sequence[Problem] = (), code: str | None = None) -> None:
        """Keep all problems found, not only the first."""
        super().__init__(message, code=code)
        self.problems: tuple[Problem, ...] = tuple(problems)


class NotAnArchiveError(MlflowArchiveError, FileNotFoundError):
    """There is no archive at the place, or only an interrupted, uncommitted one."""

    exit_code = ExitCode.NOT_AN_ARCHIVE
    code = "not_an_archive"


class ConflictError(MlflowArchiveError, FileExistsError):
    """Something is already at the target, or another writer committed first."""

    exit_code = ExitCode.CONFLICT
    code = "conflict"


class UnsupportedError(MlflowArchiveError, RuntimeError):
    """The format version, a named feature, or an ability of the server is not supported."""

    exit_code = ExitCode.UNSUPPORTED
    code = "unsupported"


class NotFoundError(MlflowArchiveError, LookupError):
    """An object that was asked for by name is not at the source."""

    code = "not_found"


class UnavailableError(MlflowArchiveError, ConnectionError):
    """A server or a store does not answer, answers 5xx or 429 after all retries, or broke off."""

    code = "unavailable"
    retryable = True
