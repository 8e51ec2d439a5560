"""From a URL to the store of an archive, in whichever container it is or will be.

A container is a way to keep the files of an archive: a *tree* has an object for each, a *tarball* is one object with
all of them, *volumes* are a folder of tarballs. All are stores, so that readers and writers need not know.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal
from urllib.parse import unquote, urlsplit

from mlflow_archive.errors import IntegrityError, NotFoundError, UsageError
from mlflow_archive.spec.layout import MANIFEST, MARKER
from mlflow_archive.spec.paths import check_path
from mlflow_archive.storage.opening import open_store, public_url
from mlflow_archive.storage.packed.codec import Codec, codec_for
from mlflow_archive.storage.packed.tarball_reader import TarballReader
from mlflow_archive.storage.packed.tarball_store import TarballStore
from mlflow_archive.storage.packed.volumes_reader import VolumesReader
from mlflow_archive.storage.packed.volumes_store import VolumesStore
from mlflow_archive.storage.packed.zip_reader import ZipReader
from mlflow_archive.storage.store import Store
from mlflow_archive.storage.throttled import Allowance, ThrottledStore

Container = Literal["tree", "tarball", "volumes"]
Compression = Literal["zstd", "gzip", "none"]

#: Names of tarballs, with their compression.
TARBALL_ENDINGS: Mapping[str, Compression] = {".tar": "none", ".tar.gz": "gzip", ".tgz": "gzip", ".tar.zst": "zstd"}

_SCHEME = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]+:/")
_LEVELS = {"zstd": range(-100, 23), "gzip": range(10), "none": range(0)}
_MIN_VOLUME_BYTES = 1 << 20
#: No object waits in memory for its turn if it is larger. 8 MiB.
_MOST_HELD_BYTES = 8 << 20
_LEAST_HELD_BYTES = 256 << 10


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
    parallelism: int = 8,
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
    container = packing.container or ("tarball" if _ending(url) else "tree")
    _require_sense(url, container, packing)
    if container == "tree":
        return _begun(url, packing, storage_options, upload_bytes=packing.buffer_bytes)
    hold_bytes = packing.buffer_bytes // (4 * max(1, parallelism))
    hold_bytes = max(_LEAST_HELD_BYTES, min(_MOST_HELD_BYTES, hold_bytes))
    codec = _codec(url, packing)
    upload_bytes = packing.buffer_bytes // 2  # what is packed waits in memory before as well
    if container == "volumes":
        return VolumesStore(
            _begun(url, packing, storage_options, upload_bytes=upload_bytes),
            codec,
            lanes=max(1, min(8, parallelism, packing.buffer_bytes >> 26)),
            volume_bytes=packing.volume_bytes,
            hold_bytes=hold_bytes,
        )
    folder, name = _divided(url)
    outer = _begun(folder, packing, storage_options, upload_bytes=upload_bytes)
    return TarballStore(outer, name, codec, url=public_url(url), hold_bytes=hold_bytes)


def open_container(url: str, *, storage_options: Mapping[str, object] | None = None) -> Store:
    """Return the store of an archive that is there, whatever its container; it is only read.

    Raises:
        UsageError: The URL has no meaning.
        UnsupportedError: The package for the protocol is not installed.
        NotAnArchiveError: A tarball is none, or was cut off.
        IntegrityError: A table of contents is damaged, and cannot be rebuilt.
    """
    if _ending(url):
        return _open_object(url, storage_options) or open_store(url, storage_options=storage_options)
    store = open_store(url, storage_options=storage_options)
    volumes = VolumesReader.open(store)
    if volumes is not None:
        return volumes
    if store.size_bytes(MANIFEST) is not None or store.size_bytes(MARKER) is not None:
        return store
    return _open_object(url, storage_options) or store


def open_foreign(url: str, *, storage_options: Mapping[str, object] | None = None) -> Store:
    """Return a store of files that another tool named as it liked: a folder, or a ``.zip`` of one; it is only read.

    Raises:
        UsageError: The URL has no meaning.
        UnsupportedError: The package for the protocol is not installed.
        NotAnArchiveError: What has the name of a zip is none.
    """
    if not (url.rstrip("/").lower().endswith(".zip") and _has_name(url)):
        return open_store(url, storage_options=storage_options, raw_keys=True)
    folder, name = _divided(url)
    outer = open_store(folder, storage_options=storage_options)
    if outer.size_bytes(name) is None:
        return open_store(url, storage_options=storage_options, raw_keys=True)
    return ZipReader.open(outer, name, url=public_url(url))


def _begun(url: str, packing: Packing, storage_options: Mapping[str, object] | None, *, upload_bytes: int) -> Store:
    """Return the store that the container's bytes go to, at the pace that the packing allows."""
    store = open_store(url, storage_options=storage_options, upload_bytes=upload_bytes)
    if packing.max_bytes_per_second is None:
        return store
    return ThrottledStore(store, Allowance(packing.max_bytes_per_second))


def _open_object(url: str, storage_options: Mapping[str, object] | None) -> Store | None:
    """Open what is under the URL itself; None if there is no object."""
    if not _has_name(url):
        return None
    folder, name = _divided(url)
    outer = open_store(folder, storage_options=storage_options)
    try:
        if outer.size_bytes(name) is not None:
            return TarballReader.open(outer, name, url=public_url(url))
    except NotFoundError:
        return None
    return None


def _ending(url: str) -> str | None:
    """Return the ending that makes a URL the name of a tarball."""
    name = url.rstrip("/").lower()
    return next((ending for ending in TARBALL_ENDINGS if name.endswith(ending)), None)


def _require_sense(url: str, container: Container, packing: Packing) -> None:
    ending = _ending(url)
    shown = public_url(url)
    if container != "tarball" and ending:
        raise UsageError(f"{shown} is the name of a tarball; give the name of a folder to keep {_some(container)} in.")
    if container == "tree" and (packing.compression is not None or packing.level is not None):
        raise UsageError(
            "A tree keeps files as they are; leave out compression and level, or choose another container."
        )
    if container == "tarball" and not _has_name(url):
        raise UsageError(f"{shown} is a place for folders; give the tarball a name, such as backup.tar.zst.")
    if packing.volume_bytes < _MIN_VOLUME_BYTES:
        raise UsageError("A volume must have at least 1 MiB.")


def _some(container: Container) -> str:
    return "a tree" if container == "tree" else "volumes"


def _codec(url: str, packing: Packing) -> Codec:
    ending = _ending(url)
    named = TARBALL_ENDINGS[ending] if ending else None
    chosen = packing.compression or named or "zstd"
    if named is not None and chosen != named:
        raise UsageError(
            f"{public_url(url)} ends in {ending}, which says {named} and not {chosen}: change one of them."
        )
    if packing.level is not None and packing.level not in _LEVELS[chosen]:
        if chosen == "none":
            raise UsageError("Without compression there is no level; leave it out.")
        raise UsageError(f"The level of {chosen} is from {min(_LEVELS[chosen])} to {max(_LEVELS[chosen])}.")
    return codec_for(chosen, packing.level)


def _has_name(url: str) -> bool:
    """Tell whether a URL has a name within a folder or bucket."""
    if not _SCHEME.match(url):
        return bool(url.strip("/"))
    parts = urlsplit(url)
    return bool(parts.path.strip("/")) or (parts.scheme == "memory" and bool(parts.netloc))


def _divided(url: str) -> tuple[str, str]:
    """Divide a URL into that of the folder and the name in it.

    Raises:
        UsageError: No object can have that name.
    """
    if _SCHEME.match(url):
        folder, _, name = url.rstrip("/").rpartition("/")
        folder += "/"
        name = unquote(name) if url.startswith(("file:", "local:")) else name
    else:
        folder, name = os.path.split(os.path.abspath(url))  # noqa: PTH100
    try:
        return folder, check_path(name)
    except IntegrityError as error:
        raise UsageError(f"{name!r} cannot be the name of a tarball: choose a plain one.") from error
