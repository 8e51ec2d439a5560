"""From a URL to the store of an archive, in whichever container it is or will be.

A container is a way to keep the files of an archive: a *tree* has an object for each, a *tarball* is one object with
all of them, *volumes* are a folder of tarballs. All are stores, so that readers and writers need not know.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

from mlflow_archive.errors import UnsupportedError
from mlflow_archive.storage.opening import open_store
from mlflow_archive.storage.store import Store

Container = Literal["tree", "tarball", "volumes"]
Compression = Literal["zstd", "gzip", "none"]

#: Names of tarballs, with their compression.
TARBALL_ENDINGS: Mapping[str, Compression] = {".tar": "none", ".tar.gz": "gzip", ".tgz": "gzip", ".tar.zst": "zstd"}


@dataclass(frozen=True, slots=True)
class Packing:
    """How a new archive is kept.

    Attributes:
        container: None is what the URL's name says: a tarball for ``.tar``, ``.tar.gz``, ``.tgz`` and ``.tar.zst``,
            else a tree.
        compression: None is what the name says, else zstd. Of no meaning for a tree.
        level: Of the compression; None is zstd's 1 and gzip's 6.
        volume_bytes: Size at which a volume is ended and the next one begun.
        buffer_bytes: About how much memory all uploads together may take.
        max_bytes_per_second: Most bytes a second to the place; None is no limit.
    """

    container: Container | None = None
    compression: Compression | None = None
    level: int | None = None
    volume_bytes: int = 1 << 30
    buffer_bytes: int = 256 << 20
    max_bytes_per_second: float | None = None


def begin_container(
    url: str,
    packing: Packing,
    *,
    storage_options: Mapping[str, object] | None = None,
    parallelism: int = 8,  # noqa: ARG001
) -> Store:
    """Return the store for a new archive, or for one that is to be gone on with; nothing is written yet.

    Args:
        url: A folder, or the tarball itself.
        packing: How it is kept.
        storage_options: For the file system behind the URL.
        parallelism: How many threads will write.

    Raises:
        UsageError: The URL or the packing has no meaning, or they contradict each other.
        UnsupportedError: The package for the protocol is not installed.
    """
    if packing.container not in (None, "tree") or _is_tarball(url):
        raise UnsupportedError("Only trees can be written yet; give the name of a folder.")
    return open_store(url, storage_options=storage_options)


def open_container(url: str, *, storage_options: Mapping[str, object] | None = None) -> Store:
    """Return the store of an archive that is there, whatever its container; it is only read.

    Raises:
        UsageError: The URL has no meaning.
        UnsupportedError: The package for the protocol is not installed.
        NotAnArchiveError: A tarball is none, or was cut off.
        IntegrityError: A table of contents is damaged, and cannot be rebuilt.
    """
    if _is_tarball(url):
        raise UnsupportedError("Tarballs cannot be read yet.")
    return open_store(url, storage_options=storage_options)


def _is_tarball(url: str) -> bool:
    name = PurePosixPath(url).name.lower()
    return any(name.endswith(ending) for ending in TARBALL_ENDINGS)
