"""``volumes.json``: which volumes an archive has, in which order (spec/v1/containers.md, "Volumes")."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from mlflow_archive.errors import IntegrityError, Problem
from mlflow_archive.spec.canonical import JSONObject, document_bytes, parse_object
from mlflow_archive.spec.layout import MANIFEST, MARKER, README

VOLUMES = "volumes.json"
FOLDER = "volumes"
#: What stands beside the volumes and not in one.
PLAIN = frozenset({MARKER, README, MANIFEST, VOLUMES})
#: More than a hundred thousand volumes. 32 MiB.
MAX_LIST_BYTES = 32 << 20

_FORMAT = "mlflow-archive-volumes"
_NAME = re.compile(r"volumes/volume-([0-9]{5,9})\.tar(\.zst|\.gz)?")
_ENDINGS = {"zstd": ".tar.zst", "gzip": ".tar.gz", "none": ".tar"}


@dataclass(frozen=True, slots=True)
class Volume:
    """A tarball with a part of an archive.

    Attributes:
        path: Its key.
        size_bytes: Its size.
        table_offset: Where its table begins.
    """

    path: str
    size_bytes: int
    table_offset: int


def volume_path(number: int, compression: str) -> str:
    """Return the key of a volume."""
    return f"{FOLDER}/volume-{number:05}{_ENDINGS[compression]}"


def volume_number(path: str) -> int | None:
    """Return the number of a volume, None if the key is not that of one."""
    match = _NAME.fullmatch(path)
    return int(match[1]) if match else None


def list_bytes(volumes: Iterable[Volume]) -> bytes:
    """Return the bytes of ``volumes.json``."""
    listed: list[JSONObject] = [
        {"path": volume.path, "size_bytes": volume.size_bytes, "table_offset": volume.table_offset}
        for volume in volumes
    ]
    return document_bytes({"format": _FORMAT, "version": 1, "volumes": list(listed)})


def parse_list(data: bytes) -> tuple[Volume, ...]:
    """Return the volumes of ``volumes.json``.

    Raises:
        IntegrityError: It is not as it must be (E010 to E013, E064).
    """
    value = parse_object(data, VOLUMES)
    listed = value.get("volumes")
    version = value.get("version")
    known = value.get("format") == _FORMAT and type(version) is int and version == 1
    if not known or not isinstance(listed, list):
        raise _bad("is not a list of volumes that this reader knows")
    volumes = tuple(_volume(entry) for entry in listed)
    if len({volume.path for volume in volumes}) != len(volumes):
        raise _bad("names a volume twice")
    return volumes


def _volume(entry: object) -> Volume:
    if not isinstance(entry, dict):
        raise _bad("has an entry that is none")
    path, size, offset = entry.get("path"), entry.get("size_bytes"), entry.get("table_offset")
    if not isinstance(path, str) or volume_number(path) is None:
        raise _bad("has an entry whose path is not that of a volume")
    if type(size) is not int or type(offset) is not int or not 0 <= offset <= size < 1 << 62:
        raise _bad("has an entry whose sizes cannot be")
    return Volume(path, size, offset)


def _bad(message: str) -> IntegrityError:
    return IntegrityError(f"{VOLUMES} {message} (E064).", problems=(Problem("E064", VOLUMES, message),))
