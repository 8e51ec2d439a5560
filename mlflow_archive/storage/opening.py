"""From a URL to a store."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

import fsspec
from fsspec.implementations.memory import MemoryFileSystem
from fsspec.spec import AbstractFileSystem

from mlflow_archive.errors import UnsupportedError, UsageError
from mlflow_archive.spec.paths import check_path
from mlflow_archive.storage.fsspec_store import FsspecStore
from mlflow_archive.storage.keys import KeyCheck, check_raw_key
from mlflow_archive.storage.local_store import LocalStore
from mlflow_archive.storage.memory_store import MemoryStore
from mlflow_archive.storage.store import Store

_SCHEME = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]+):/")
#: What to install for a protocol, where it is not a package of its name.
_PACKAGES = {
    "s3": "mlflow-archive[s3]",
    "s3a": "mlflow-archive[s3]",
    "gs": "mlflow-archive[gcs]",
    "gcs": "mlflow-archive[gcs]",
    "abfs": "mlflow-archive[adls]",
    "abfss": "mlflow-archive[adls]",
    "az": "mlflow-archive[adls]",
    "wasb": "mlflow-archive[adls]",
    "wasbs": "mlflow-archive[adls]",
    "adl": "mlflow-archive[adls]",
    "http": "aiohttp",
    "https": "aiohttp",
    "sftp": "paramiko",
    "ssh": "paramiko",
    "smb": "smbprotocol",
    "hdfs": "pyarrow",
    "oss": "ossfs",
}

_AZURE = frozenset({"abfs", "abfss", "az"})
_GOOGLE = frozenset({"gs", "gcs"})
#: Where ``name@host`` names a container and not a user.
_CONTAINER_FIRST = frozenset({"abfs", "abfss", "wasb", "wasbs"})


#: Seconds until a connection must stand, and until the next bytes of an answer must come.
_CONNECT_SECONDS = 10
_READ_SECONDS = 60
#: At most so many connections to one service.
_CONNECTIONS = 64


def open_store(
    url: str,
    *,
    storage_options: Mapping[str, object] | None = None,
    raw_keys: bool = False,
    upload_bytes: int | None = None,
) -> Store:
    """Return the store for a URL; nothing is created or asked of the backend before it is used.

    Credentials come from where the service's own tools look for them (environment, profiles, the machine's role),
    from fsspec's configuration, or from ``storage_options``.

    Args:
        url: A path of this machine, ``file://``, ``memory://`` or any protocol that fsspec has.
        storage_options: Passed on to the fsspec file system (endpoint, credentials ...); not for local paths.
        raw_keys: Take keys as others named them, with any character, as long as they stay below the root; else they
            must be safe everywhere, as those of an archive are.
        upload_bytes: How much of all uploads together may be on its way, where that is held in memory; None is the
            backend's own measure.

    Raises:
        UsageError: The URL has no meaning, or its options have none.
        UnsupportedError: The package for the protocol is not installed; the sentence says how to get it.
    """
    protocol = _protocol(url)
    check = check_raw_key if raw_keys else check_path
    _require_readable(url)
    if protocol is None or protocol in ("file", "local"):
        if storage_options:
            raise UsageError(f"{public_url(url)} is a local path and takes no storage options.")
        return LocalStore(_local_path(url, protocol), url=public_url(url), check=check)
    if "::" in url:
        raise UsageError(f"{public_url(url)} is a chain of URLs; give the URL of one place.")
    limit = {} if upload_bytes is None else {"upload_bytes": upload_bytes}
    if protocol == "dbfs":
        from mlflow_archive.storage.dbfs_store import open_dbfs

        return open_dbfs(url, storage_options or {}, check=check, **limit)
    return _open_remote(url, protocol, dict(storage_options or {}), check, limit)


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


def _open_remote(
    url: str, protocol: str, options: dict[str, object], check: KeyCheck, limit: Mapping[str, int]
) -> Store:
    shown = public_url(url)
    fs, root = _file_system(url, protocol, {**_defaults(protocol, options), **options})
    if isinstance(fs, MemoryFileSystem):
        return MemoryStore(fs, root, shown, check=check)
    if protocol in ("s3", "s3a") and hasattr(fs, "call_s3"):
        from mlflow_archive.storage.s3_store import S3Store

        if not root.strip("/"):
            raise UsageError(f"{shown} names no bucket; write s3://bucket/folder.")
        return S3Store(fs, root, shown, check=check, **limit)
    if protocol in _AZURE and hasattr(fs, "service_client"):
        from mlflow_archive.storage.azure_store import AzureStore

        return AzureStore(fs, root, shown, check=check, **limit)
    if protocol in _GOOGLE and hasattr(fs, "base"):
        from mlflow_archive.storage.gcs_store import GcsStore

        return GcsStore(fs, root, shown, check=check, **limit)
    return FsspecStore(fs, root, shown, check=check, **limit)


def _file_system(url: str, protocol: str, options: dict[str, object]) -> tuple[AbstractFileSystem, str]:
    shown = public_url(url)
    try:
        fs, root = fsspec.url_to_fs(url, **options)
    except ImportError as error:
        package = _PACKAGES.get(protocol, protocol)
        raise UnsupportedError(
            f"The package for {protocol}:// is not installed: run pip install '{package}'.", code="missing_package"
        ) from error
    except (ValueError, TypeError, KeyError) as error:
        if protocol not in fsspec.available_protocols():
            raise UsageError(f"{shown} has the protocol {protocol!r}, which no installed package knows.") from error
        raise UsageError(f"{shown} cannot be opened: {_without_values(str(error), options)}.") from error
    return fs, root


def _without_values(message: str, options: Mapping[str, object]) -> str:
    """Return a package's message, unless it shows the value of an option, which may be a credential."""
    values = [value for value in options.values() if isinstance(value, str) and value]
    for value in options.values():
        if isinstance(value, Mapping):
            values += [inner for inner in value.values() if isinstance(inner, str) and inner]
    return "its storage options are not accepted" if any(value in message for value in values) else message


def _defaults(protocol: str, options: dict[str, object]) -> dict[str, object]:
    """Return options of ours, which those of the user may replace."""
    defaults: dict[str, object] = {"use_listings_cache": False, "skip_instance_cache": True}
    if protocol in ("s3", "s3a"):
        given = options.pop("config_kwargs", None)
        limits = {"connect_timeout": _CONNECT_SECONDS, "read_timeout": _READ_SECONDS}
        # Some services give the checksum of the whole object with a range of it. Archives have their own digests.
        own = {**limits, "max_pool_connections": _CONNECTIONS, "response_checksum_validation": "when_required"}
        defaults["config_kwargs"] = {**own, **(given if isinstance(given, Mapping) else {})}
    return defaults
