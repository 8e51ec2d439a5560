"""Files of runs, logged models and traces, wherever the server keeps them: the contract.

The way to a file follows from its owner's artifact URI, best first: straight from the file system or the object store
(the URI says so, or the operator mapped it: ``--artifact-root mlflow-artifacts:/=s3://bucket/root``), else the
server's artifact proxy, else the server's ``get-artifact`` by run or model id.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from mlflow_archive.errors import MlflowArchiveError, UsageError
from mlflow_archive.spec.kinds import Kind


@dataclass(frozen=True, slots=True)
class ArtifactOwner:
    """Whose files: the kind and id of the object, and its artifact root as the server names it."""

    kind: Kind
    id: str
    uri: str
    workspace: str | None = None


@dataclass(frozen=True, slots=True)
class ArtifactFile:
    """One file below an owner's root; ``size_bytes`` is None where the listing does not tell."""

    name: str
    size_bytes: int | None


@dataclass(frozen=True, slots=True)
class ArtifactFault:
    """A folder or a name below an owner's root that cannot be listed or read, and why."""

    name: str
    code: str
    reason: str
    retryable: bool


class ArtifactAccess(Protocol):
    """Reads and writes files below artifact roots. Safe to use from several threads."""

    def list(self, owner: ArtifactOwner) -> Iterator[ArtifactFile | ArtifactFault]:
        """Yield all files below the root, recursively, lazily.

        An absent root has none, if the folders that it would be in are there; else where it is is not known here,
        which is a fault.
        """
        ...

    def open(self, owner: ArtifactOwner, name: str) -> AbstractContextManager[Iterator[bytes]]:
        """Open a file as chunks of at most 1 MiB; raises `MlflowArchiveError` when it breaks off early."""
        ...

    def write(self, owner: ArtifactOwner, name: str, data: Iterator[bytes], size_bytes: int | None) -> None:
        """Write a file, replacing one that is there; nothing half-written stays visible where avoidable."""
        ...

    def present(self, experiment_root: str, workspace: str | None = None) -> frozenset[str] | None:
        """Return the names directly below an experiment's artifact root, as they are now; None if that is not cheap.

        A run whose id is not among them has no files (its root is ``<experiment root>/<run id>/artifacts``), so one
        request after a page of runs saves a request for each of them. It must be asked *after* the runs were read:
        a run that ends in between would else lose the files that its record speaks of.
        """
        ...

    def close(self) -> None:
        """Free connections to object stores."""
        ...


class ArtifactFolder(Protocol):
    """One owner's files, by one of the ways that lead there."""

    def list(self) -> Iterator[ArtifactFile | ArtifactFault]:
        """Yield all files, recursively, lazily; an absent folder has none. Faults are yielded, not raised."""
        ...

    def open(self, name: str) -> AbstractContextManager[Iterator[bytes]]:
        """Open a file as chunks of at most 1 MiB."""
        ...

    def write(self, name: str, data: Iterator[bytes], size_bytes: int | None) -> None:
        """Write a file, replacing one that is there."""
        ...

    def present(self) -> frozenset[str] | None:
        """Return the names of what is directly in the folder, None if that is not cheap to learn."""
        ...


def fault_of(error: MlflowArchiveError, name: str) -> ArtifactFault:
    """Return the fault that an error means for a folder or a file."""
    return ArtifactFault(name, error.code, str(error), error.retryable)


def checked_name(name: str) -> str:
    """Return the name if it stays below its root.

    Raises:
        UsageError: It does not.
    """
    if "\x00" in name or any(part in ("", ".", "..") for part in name.split("/")):
        raise UsageError(f"The artifact name {name!r} does not stay below its root.", code="name")
    return name
