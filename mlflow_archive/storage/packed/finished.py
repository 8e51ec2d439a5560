"""What is packed is complete: it is read and never changed."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import NoReturn

from mlflow_archive.errors import UsageError
from mlflow_archive.storage.store import ByteWriter, Store


class FinishedStore(Store):
    """A store within another one that refuses to be written to."""

    #: What it is, for the sentence.
    _finished: str

    def __init__(self, outer: Store, url: str) -> None:
        """Read from ``outer``, which is closed with this; people are told ``url``."""
        self.url = url
        self._outer = outer

    def write(
        self,
        key: str,
        *,
        size_bytes: int | None = None,  # noqa: ARG002
        exclusive: bool = False,  # noqa: ARG002
    ) -> AbstractContextManager[ByteWriter]:
        """Refuse."""
        self._refuse(key)

    def create(self, key: str, data: bytes) -> None:  # noqa: ARG002
        """Refuse."""
        self._refuse(key)

    def delete(self, key: str) -> None:
        """Refuse."""
        self._refuse(key)

    def sweep(self) -> int:
        """Do nothing: what is complete has nothing left behind."""
        return 0

    def close(self) -> None:
        """Close the store around it."""
        self._outer.close()

    def _refuse(self, key: str) -> NoReturn:
        raise UsageError(f"{key} cannot be changed: {self.url} {self._finished}.")
