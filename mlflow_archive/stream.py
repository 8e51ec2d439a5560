"""What flows between two ends, and the two protocols of which everything here is made.

An *item* is one MLflow object on its way: a key, and a way to load its content. Loading is where the work is
(requests, reads), so it happens in a worker; listing items is cheap and happens in one thread.

    backup  = transfer(MlflowSource,  ArchiveWriter)      restore = transfer(ArchiveReader, MlflowSink)
    copy    = transfer(MlflowSource,  MlflowSink)         repack  = transfer(ArchiveReader, ArchiveWriter)
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Protocol

from mlflow_archive.errors import NotFoundError
from mlflow_archive.spec.canonical import JSONObject
from mlflow_archive.spec.descriptor import Descriptor
from mlflow_archive.spec.kinds import IN_EXPERIMENT, Kind
from mlflow_archive.spec.loss import Loss
from mlflow_archive.spec.manifest import SourceInfo
from mlflow_archive.spec.records.base import Record
from mlflow_archive.spec.records.registered_model import RegisteredModelRecord
from mlflow_archive.spec.selection import Selection
from mlflow_archive.spec.wanted import missing_versions, with_wanted_versions

#: The code of a loss: what was asked for is not at the source.
NOT_FOUND = NotFoundError.code
#: Role of a version's files, or path of a loss of something of a version.
_OF_VERSION = re.compile(r"versions/(\d+)(?:/|$)")


@dataclass(frozen=True, slots=True)
class ObjectKey:
    """Identifies an object at its source.

    Attributes:
        kind: The kind of object.
        id: The id MLflow gives it (run id, model id, trace id ...), or its name where the name is the identity.
        experiment_id: The experiment it belongs to, for the kinds in `IN_EXPERIMENT`.
        workspace: The workspace; None is the default one.
        name: What a person calls it, for listings and selections; not part of the identity.
    """

    kind: Kind
    id: str
    experiment_id: str | None = None
    workspace: str | None = None
    name: str = field(default="", compare=False)

    @property
    def scope(self) -> Scope:
        """The section this object stands in."""
        return Scope(self.kind, self.experiment_id if self.kind in IN_EXPERIMENT else None, self.workspace)

    def lost(self, code: str, reason: str, *, path: str | None = None, retryable: bool = False) -> Loss:
        """Return the record of losing this object, or the part of it named by ``path``."""
        return Loss(
            kind=self.kind,
            id=self.id,
            experiment_id=self.experiment_id,
            workspace=self.workspace,
            path=path,
            code=code,
            reason=reason,
            retryable=retryable,
        )


@dataclass(frozen=True, slots=True, order=True)
class Scope:
    """All objects of a kind at the root of a workspace, or below one experiment."""

    kind: Kind
    experiment_id: str | None
    workspace: str | None


@dataclass(frozen=True, slots=True)
class Part:
    """Rows that may be too many for memory: metric history, spans, dataset records.

    ``open`` starts a fresh, lazy iteration over lines as specified in ``spec/v1/objects.md``; the iterator
    raises `MlflowArchiveError` if the rows cannot be read to the end.
    ``rows_in`` tells how many rows a line holds.
    """

    name: str
    open: Callable[[], Iterator[JSONObject]]
    descriptor: Descriptor | None = None
    """Set when the part comes from an archive."""


@dataclass(frozen=True, slots=True)
class Blob:
    """A file. ``open`` gives chunks of at most 8 MiB; the context closes the connection behind them.

    May be opened again, which reads the source again. ``size_bytes`` is what the source says, if it says.
    """

    role: str
    name: str
    size_bytes: int | None
    open: Callable[[], AbstractContextManager[Iterator[bytes]]]
    descriptor: Descriptor | None = None
    """Set when the blob comes from an archive."""


@dataclass(frozen=True, slots=True)
class Content:
    """An object, loaded: its record, and what is still to be streamed.

    ``losses`` are parts of the object that the source already knows it cannot give.
    ``blobs`` is iterated lazily by the sink: a listing may still be under way. Each call begins anew. It may yield a
    `Loss` where a folder or a name cannot be read.
    """

    record: Record
    parts: tuple[Part, ...] = ()
    blobs: Callable[[], Iterator[Blob | Loss]] = lambda: iter(())
    losses: tuple[Loss, ...] = ()


def narrowed(content: Content, key: ObjectKey, selection: Selection) -> Content:
    """Return a registered model or a prompt with the versions that the selection wants; anything else as it is.

    Record, aliases, files and losses of the other versions are left out. A version that was asked for by its number,
    of a model or prompt that was asked for by its name, and that is not there, is a loss.
    """
    record = with_wanted_versions(content.record, selection)
    word = key.kind.value.replace("_", " ")
    missing = tuple(
        key.lost(NOT_FOUND, f"The {word} {key.name!r} has no version {number}.", path=f"versions/{number}")
        for number in missing_versions(content.record, selection)
    )
    if record is content.record or not isinstance(record, RegisteredModelRecord):
        return replace(content, losses=(*content.losses, *missing)) if missing else content
    kept = {version.version for version in record.versions}

    def stays(path: str | None) -> bool:
        found = _OF_VERSION.match(path or "")
        return found is None or int(found[1]) in kept

    return replace(
        content,
        record=record,
        blobs=lambda: (blob for blob in content.blobs() if stays(blob.path if isinstance(blob, Loss) else blob.role)),
        losses=(*(loss for loss in content.losses if stays(loss.path)), *missing),
    )


@dataclass(frozen=True, slots=True)
class Item:
    """One object on its way.

    ``load`` may be called more than once and from any thread; it raises `MlflowArchiveError` when the object
    cannot be read, which the transfer turns into a loss.
    """

    key: ObjectKey
    load: Callable[[], Content]
    skipped: str = ""
    """Why it is not taken and not loaded, where the source knows that when it lists it; no loss."""


class Status(str, Enum):
    """What became of an object."""

    STORED = "stored"
    SKIPPED = "skipped"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one item at the sink.

    Attributes:
        key: The object's key at the source.
        status: Stored, skipped or lost as a whole.
        reason: Why it was skipped or lost, or what was done with it ("exists", "renamed to ..."); may be "".
        target_id: The object's id at the target.
        size_bytes: Bytes moved for it.
        losses: Parts of a stored object that did not come along, or the one loss of a lost object.
    """

    key: ObjectKey
    status: Status
    reason: str = ""
    target_id: str = ""
    size_bytes: int = 0
    losses: tuple[Loss, ...] = ()


@dataclass(frozen=True, slots=True)
class Account:
    """The sum of a transfer, handed to `Sink.finish` for the commit."""

    source: SourceInfo
    selection: Selection
    started_ms: int
    losses: tuple[Loss, ...]
    skipped: Mapping[str, Mapping[str, int]]
    """Kind word -> reason -> number."""
    lost: Mapping[str, int]
    """Kind word -> number of whole objects lost."""
    notes: tuple[str, ...]


class Source(Protocol):
    """An end that objects come from. Safe to use from several threads. Closed by who made it."""

    def describe(self) -> SourceInfo:
        """Say what this is; the uri holds no credential."""
        ...

    def kinds(self) -> tuple[Kind, ...]:
        """Return the kinds this source can have, in `KIND_ORDER`."""
        ...

    def read(self, kind: Kind, selection: Selection) -> Iterator[Item | Loss]:
        """List the objects of a kind that the selection wants, lazily, scope after scope.

        Items of one scope come together. A listing that cannot be read (further) yields a `Loss` and goes on
        with the next scope. Each object comes once.
        """
        ...

    def expected(self, kind: Kind, selection: Selection) -> int | None:
        """Tell how many objects `read` will list, where that costs nothing to know."""
        ...

    def notes(self) -> tuple[str, ...]:
        """Say what is there that no client can read; asked for at the end."""
        ...

    def close(self) -> None:
        """Free connections, processes and temporary files; may be called twice."""
        ...


class Sink(Protocol):
    """An end that objects go to. `write` is called from several threads, for one scope after the other."""

    def write(self, item: Item) -> Outcome:
        """Take one object with everything that belongs to it; returns when it is durable.

        Raises:
            MlflowArchiveError: The object could not be written; the transfer records a loss and goes on,
                except for `NotAuthorisedError` and a `ConflictError` or `UnavailableError` of the target as a
                whole, which end it.
        """
        ...

    def close_scope(self, scope: Scope) -> None:
        """Hear that no further item of this scope will come; all its writes have returned."""
        ...

    def finish(self, account: Account) -> tuple[Loss, ...]:
        """Make the links between objects, then commit. Called once, after the last `write`.

        Returns:
            Losses of parts of objects, counted already, that only the end could tell.
        """
        ...

    def close(self) -> None:
        """Free what is held; without `finish` before it, leaves an interrupted target behind that can be resumed."""
        ...
