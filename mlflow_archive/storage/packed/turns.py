"""One after the other: who writes into a tarball, which is one stream."""

from __future__ import annotations

import threading
from types import TracebackType

from mlflow_archive.errors import UsageError


class Turn:
    """A lock that refuses a thread that has it already, which would wait for itself."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._owner: int | None = None

    def __enter__(self) -> None:
        """Wait for the turn."""
        if self._owner == threading.get_ident():
            raise in_the_middle()
        self._lock.acquire()
        self._owner = threading.get_ident()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the turn."""
        self._owner = None
        self._lock.release()


def in_the_middle() -> UsageError:
    """Return the refusal of a write within a write."""
    return UsageError(
        "A thread that is writing a large object into a tarball cannot write another in the middle of it: write one "
        "after the other, or in threads of their own."
    )
