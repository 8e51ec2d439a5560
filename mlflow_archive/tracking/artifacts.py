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
        """Yield all files below the root, recursively, lazily; an absent root has none."""
        ...

    def open(self, owner: ArtifactOwner, name: str) -> AbstractContextManager[Iterator[bytes]]:
        """Open a file as chunks of at most 1 MiB; raises `MlflowArchiveError` when it breaks off early."""
        ...

    def write(self, owner: ArtifactOwner, name: str, data: Iterator[bytes], size_bytes: int | None) -> None:
        """Write a file, replacing one that is there; nothing half-written stays visible where avoidable."""
        ...

    def close(self) -> None:
        """Free connections to object stores."""
        ...
