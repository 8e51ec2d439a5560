"""A store as an archive of the predecessor: documents, what is there, and files as blobs. Only ever read."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, closing

from mlflow_archive.errors import IntegrityError, MlflowArchiveError
from mlflow_archive.predecessor.documents import LIMIT_BYTES, Document, read_document
from mlflow_archive.predecessor.places import below
from mlflow_archive.spec.loss import Loss
from mlflow_archive.storage.keys import check_raw_key
from mlflow_archive.storage.store import Store
from mlflow_archive.stream import Blob, ObjectKey

ARTIFACTS = "artifacts"
_NOTEBOOK_FORMATS = ("source", "html", "jupyter", "dbc")


class Tree:
    """The files of an archive. Safe to use from several threads; the store belongs to who opened it."""

    def __init__(self, store: Store) -> None:
        """Read nothing yet."""
        self.store = store
        self._notes: dict[str, None] = {}
        self._lock = threading.Lock()

    def document(self, path: str) -> Document:
        """Read a document.

        Raises:
            NotFoundError: It is not there.
            IntegrityError: It is no document, too large, too deep, or its path leaves the root.
        """
        return read_document(self.store.read_all(check_raw_key(path), limit_bytes=LIMIT_BYTES), path)

    def has(self, path: str) -> bool:
        """Tell whether a file is there; a path that leaves the root is not."""
        try:
            return self.store.size_bytes(check_raw_key(path)) is not None
        except IntegrityError:
            return False

    def has_folder(self, path: str) -> bool:
        """Tell whether there is a folder with anything in it below the root; a path that leaves the root is none."""
        try:
            return next(self.store.list(check_raw_key(path)), None) is not None if path else False
        except IntegrityError:
            return False

    def folders_with(self, folder: str, document: str) -> Iterator[str]:
        """Yield the names of the folders directly below a folder that have such a document, sorted."""
        prefix = f"{folder}/" if folder else ""
        names = set()
        for found in self.store.list(folder):
            name, _, rest = found.key.removeprefix(prefix).partition("/")
            if rest == document:
                names.add(name)
        yield from sorted(names)

    def blobs(self, key: ObjectKey, folder: str, role: str = ARTIFACTS) -> Iterator[Blob | Loss]:
        """Yield the files below a folder as blobs named by their paths in it, lazily; none if it is not there.

        A listing that breaks off ends in a loss of the object.
        """
        try:
            check_raw_key(folder)
            for found in self.store.list(folder):
                name = found.key.removeprefix(f"{folder}/")
                yield Blob(role, name, found.size_bytes, self._opener(found.key))
        except MlflowArchiveError as error:
            yield key.lost(error.code, str(error), path=role, retryable=error.retryable)

    def blobs_beside(self, key: ObjectKey, folder: str) -> Iterator[Blob | Loss]:
        """Yield the files of the folder ``artifacts`` beside a document; see `blobs`."""
        return self.blobs(key, below(folder, ARTIFACTS))

    def notebooks_beside(self, key: ObjectKey, folder: str, role: str = ARTIFACTS) -> Iterator[Blob | Loss]:
        """Yield ``notebook.<format>`` beside a document, named as later generations name it among the artifacts."""
        for format in _NOTEBOOK_FORMATS:
            path = below(folder, f"notebook.{format}")
            try:
                size_bytes = self.store.size_bytes(check_raw_key(path))
            except MlflowArchiveError as error:
                yield key.lost(error.code, str(error), path=path, retryable=error.retryable)
                continue
            if size_bytes is not None:
                yield Blob(role, f"notebooks/notebook.{format}", size_bytes, self._opener(path))

    def note(self, sentence: str) -> None:
        """Keep a sentence for the end, once."""
        with self._lock:
            self._notes[sentence] = None

    @property
    def notes(self) -> tuple[str, ...]:
        """The sentences that were noted."""
        with self._lock:
            return tuple(self._notes)

    def _opener(self, path: str) -> Callable[[], AbstractContextManager[Iterator[bytes]]]:
        def chunks() -> Generator[bytes, None, None]:
            yield from self.store.read(path)

        return lambda: closing(chunks())
