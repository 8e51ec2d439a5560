"""An item under watch: whose fault an error is, which losses were seen on the way, and a way to stop it.

A sink reads the source inside its own `write`. The wrapper stands between the two, so that the transfer can tell
an object that cannot be read (a loss) from a target that cannot take anything (the end), and so that a stop
reaches the middle of a large file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from threading import Event
from typing import TypeVar

from mlflow_archive.errors import IntegrityError, MlflowArchiveError
from mlflow_archive.spec.canonical import JSONObject
from mlflow_archive.spec.loss import Loss
from mlflow_archive.stream import Blob, Content, Item, Part

_T = TypeVar("_T")


class StoppedError(Exception):
    """Raised into a write under way when the transfer ends early.

    Not a `MlflowArchiveError`: a sink must not take it for a loss of the file it is reading.
    """


class WatchedItem:
    """Hands out an item whose every read passes through here. Used by one worker at a time."""

    def __init__(self, item: Item, stop: Event) -> None:
        """Watch an item until ``stop`` is set."""
        self.item = Item(item.key, lambda: self._load(item))
        self._stop = stop
        self._faults: list[MlflowArchiveError] = []
        self._losses: dict[Loss, None] = {}

    @property
    def losses(self) -> tuple[Loss, ...]:
        """Losses that the source named so far, each once."""
        return tuple(self._losses)

    @property
    def damaged(self) -> bool:
        """True if something of the object at the source was not what it should be."""
        return any(isinstance(fault, IntegrityError) for fault in self._faults)

    def blames_source(self, error: BaseException) -> bool:
        """Tell whether an error began at the source, at whatever depth it was wrapped."""
        # What several threads raise again gets a context from each of them: it may lead back to itself.
        walked: set[int] = set()
        seen: BaseException | None = error
        while seen is not None and id(seen) not in walked:
            if any(seen is fault for fault in self._faults):
                return True
            walked.add(id(seen))
            seen = seen.__cause__ or seen.__context__
        return False

    def _load(self, item: Item) -> Content:
        self._check()
        content = self._guard(item.load)
        self._losses.update(dict.fromkeys(content.losses))
        return replace(
            content,
            parts=tuple(self._part(part) for part in content.parts),
            blobs=lambda: self._blobs(content.blobs),
        )

    def _part(self, part: Part) -> Part:
        def rows() -> Iterator[JSONObject]:
            return self._iterate(part.open)

        return replace(part, open=rows)

    def _blobs(self, blobs: Callable[[], Iterator[Blob | Loss]]) -> Iterator[Blob | Loss]:
        for blob in self._iterate(blobs):
            if isinstance(blob, Loss):
                self._losses[blob] = None
                yield blob
            else:
                yield self._blob(blob)

    def _blob(self, blob: Blob) -> Blob:
        @contextmanager
        def chunks() -> Iterator[Iterator[bytes]]:
            context: AbstractContextManager[Iterator[bytes]] = self._guard(blob.open)
            data = self._guard(context.__enter__)
            try:
                yield self._iterate(lambda: data)
            except BaseException as error:
                if not context.__exit__(type(error), error, error.__traceback__):
                    raise
            else:
                self._guard(lambda: context.__exit__(None, None, None))

        return replace(blob, open=chunks)

    def _iterate(self, begin: Callable[[], Iterator[_T]]) -> Iterator[_T]:
        try:
            for value in begin():
                self._check()
                yield value
        except MlflowArchiveError as error:
            self._faults.append(error)
            raise

    def _guard(self, call: Callable[[], _T]) -> _T:
        try:
            return call()
        except MlflowArchiveError as error:
            self._faults.append(error)
            raise

    def _check(self) -> None:
        if self._stop.is_set():
            raise StoppedError
