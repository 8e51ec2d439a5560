"""From a URL to a store."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

import fsspec
from fsspec.implementations.memory import MemoryFileSystem

from mlflow_archive.errors import UnsupportedError, UsageError
from mlflow_archive.storage.fsspec_store import FsspecStore
from mlflow_archive.storage.local_store import LocalStore
from mlflow_archive.storage.memory_store import MemoryStore
from mlflow_archive.storage.store import Store

_SCHEME = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]+):/")
#: The package that brings a protocol, where its name is another.
_PACKAGES = {
    "s3": "s3fs>=2026",
    "s3a": "s3fs>=2026",
    "gs": "gcsfs",
    "gcs": "gcsfs",
    "abfs": "adlfs",
    "abfss": "adlfs",
    "az": "adlfs",
    "dbfs": "requests",
    "http": "aiohttp",
    "https": "aiohttp",
    "sftp": "paramiko",
    "ssh": "paramiko",
    "smb": "smbprotocol",
    "hdfs": "pyarrow",
    "oss": "ossfs",
}

#: Where ``name@host`` names a container and not a user.
_CONTAINER_FIRST = frozenset({"abfs", "abfss", "wasb", "wasbs"})


def open_store(url: str, *, storage_options: Mapping[str, object] | None = None) -> Store:
    """Return the store for a URL; nothing is created or asked of the backend before it is used.

    Args:
        url: A path of this machine, ``file://``, ``memory://`` or any protocol that fsspec has.
        storage_options: Passed on to the fsspec file system (endpoint, credentials ...); not for local paths.

    Raises:
        UsageError: The URL has no meaning, or its options have none.
        UnsupportedError: The package for the protocol is not installed; the sentence says how to get it.
    """
    protocol = _protocol(url)
    _require_readable(url)
    if protocol is None or protocol in ("file", "local"):
        if storage_options:
            raise UsageError(f"{public_url(url)} is a local path and takes no storage options.")
        return LocalStore(_local_path(url, protocol), url=public_url(url))
    if "::" in url:
        raise UsageError(f"{public_url(url)} is a chain of URLs; give the URL of one place.")
    return _open_remote(url, protocol, dict(storage_options or {}))


def public_url(url: str) -> str:
    """Return a URL for people: without user, password, query and fragment. A path stays as it is."""
    if _protocol(url) is None:
        return url
    parts = urlsplit(url)
    place = parts.netloc if parts.scheme in _CONTAINER_FIRST else parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, place, parts.path, "", "")) or url


def _protocol(url: str) -> str | None:
    match = _SCHEME.match(url)
    return match[1].lower() if match else None


def _require_readable(url: str) -> None:
    if _protocol(url) is None:
        return
    try:
        urlsplit(url)
    except ValueError as error:
        raise UsageError("The URL has a host that cannot be: check its brackets.") from error


def _local_path(url: str, protocol: str | None) -> Path:
    if protocol is None:
        if not url:
            raise UsageError("The place is an empty string; give a path or a URL.")
        return Path(url)
    parts = urlsplit(url)
    if parts.netloc not in ("", "localhost"):
        raise UsageError(f"{public_url(url)} names a host; write file:///path for a local path.")
    path = unquote(parts.path)
    return Path(path[1:] if re.match(r"^/[A-Za-z]:", path) else path)


def _open_remote(url: str, protocol: str, options: dict[str, object]) -> Store:
    shown = public_url(url)
    try:
        fs, root = fsspec.url_to_fs(url, **{"use_listings_cache": False, "skip_instance_cache": True, **options})
    except ImportError as error:
        package = _PACKAGES.get(protocol, protocol)
        raise UnsupportedError(
            f"The package for {protocol}:// is not installed: run pip install '{package}'.", code="missing_package"
        ) from error
    except (ValueError, TypeError) as error:
        if protocol not in fsspec.available_protocols():
            raise UsageError(f"{shown} has the protocol {protocol!r}, which no installed package knows.") from error
        raise UsageError(f"{shown} cannot be opened: {error}.") from error
    if isinstance(fs, MemoryFileSystem):
        return MemoryStore(fs, root, shown)
    return FsspecStore(fs, root, shown)
