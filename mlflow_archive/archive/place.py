"""The place an archive stands or will stand at: what is there already, and what that means."""

from __future__ import annotations

import uuid

from mlflow_archive.errors import (
    ConflictError,
    IntegrityError,
    NotAnArchiveError,
    NotFoundError,
    Problem,
    UnsupportedError,
)
from mlflow_archive.spec.canonical import JSONObject, parse_object
from mlflow_archive.spec.layout import MANIFEST, MARKER
from mlflow_archive.spec.manifest import Manifest, Marker
from mlflow_archive.spec.version import FORMAT, READ_FEATURES, SPEC_MAJOR, SPEC_VERSION
from mlflow_archive.storage.hashing import sha256_of
from mlflow_archive.storage.store import Store

#: A marker is a few hundred bytes.
_MARKER_LIMIT_BYTES = 1 << 20
#: Manifests name sections and not objects, so they stay small.
_MANIFEST_LIMIT_BYTES = 256 << 20


def read_marker(store: Store) -> Marker:
    """Return the marker of an archive or of an interrupted backup.

    Raises:
        NotFoundError: There is none.
        IntegrityError: It is not a marker of this format (E001, E002, E015).
        UnsupportedError: A greater major version (E002), a feature this version does not know (E004).
    """
    return _read_marker(store)[0]


def _read_marker(store: Store) -> tuple[Marker, bytes]:
    data = store.read_all(MARKER, limit_bytes=_MARKER_LIMIT_BYTES)
    value = parse_object(data, MARKER)
    if value.get("format") != FORMAT:
        raise _broken("E001", f"its format is {value.get('format')!r} and not {FORMAT!r}")
    _require_version(value)
    marker = Marker.from_json(value, MARKER)
    for feature in marker.features.read:
        if feature not in READ_FEATURES:
            raise UnsupportedError(
                f"The archive at {store.url} needs the feature {feature!r} to be read, which this version does not "
                "have; use a newer mlflow-archive (E004).",
                code="feature",
            )
    return marker, data


def read_commit(store: Store) -> tuple[Marker, Manifest, bytes]:
    """Return marker, manifest and the manifest's bytes of a committed archive.

    Raises:
        NotAnArchiveError: Nothing is there, foreign files are, or a backup that was interrupted (E005).
        IntegrityError: As `read_marker`, or the two do not belong together (E003, E042).
        UnsupportedError: As `read_marker`.
    """
    try:
        marker, marker_bytes = _read_marker(store)
    except NotFoundError as error:
        raise _no_archive(store) from error
    try:
        data = store.read_all(MANIFEST, limit_bytes=_MANIFEST_LIMIT_BYTES)
    except NotFoundError as error:
        raise NotAnArchiveError(
            f"The backup at {store.url} was interrupted and never completed: go on with it by running the same "
            "backup with --resume (E005).",
            code="not_committed",
        ) from error
    manifest = Manifest.from_bytes(data, MANIFEST)
    if manifest.archive_id != marker.archive_id:
        message = f"the archive_id {manifest.archive_id!r} is not the marker's {marker.archive_id!r}"
        raise IntegrityError(
            f"{MANIFEST} is of another archive: {message} (E003).", problems=(Problem("E003", MANIFEST, message),)
        )
    for descriptor in manifest.files:
        if descriptor.path == MARKER and descriptor.sha256 != sha256_of(marker_bytes):
            message = "has not the sha256 that the manifest gives it"
            raise IntegrityError(f"{MARKER} {message} (E042).", problems=(Problem("E042", MARKER, message),))
    return marker, manifest, data


def claim(store: Store, *, resume: bool) -> Marker:
    """Write the marker, or take up the one of an interrupted backup, and return it.

    Raises:
        ConflictError: A committed archive, an interrupted backup (without ``resume``) or foreign files are there, or
            another writer was faster.
    """
    try:
        marker = read_marker(store)
    except NotFoundError:
        return _begin(store)
    if store.size_bytes(MANIFEST) is not None:
        raise ConflictError(f"There is a complete archive at {store.url} already: choose another place.")
    if not resume:
        raise ConflictError(
            f"There is an interrupted backup at {store.url}: go on with it by --resume, or choose another place."
        )
    if marker.spec_version != SPEC_VERSION:
        raise UnsupportedError(
            f"The backup at {store.url} was begun in version {marker.spec_version} of the format and cannot be gone on "
            f"with in {SPEC_VERSION}: choose another place.",
            code="version",
        )
    store.sweep()
    return marker


def _begin(store: Store) -> Marker:
    for found in store.list():
        raise ConflictError(
            f"{store.url} is not empty and holds no archive (there is {found.key}): choose an empty place."
        )
    marker = Marker(format=FORMAT, spec_version=SPEC_VERSION, archive_id=str(uuid.uuid4()))
    try:
        store.create(MARKER, marker.to_bytes())
    except ConflictError as error:
        raise ConflictError(f"Another backup has just begun at {store.url}: choose another place.") from error
    return marker


def _require_version(value: JSONObject) -> None:
    version = value.get("spec_version")
    major, _, minor = version.partition(".") if isinstance(version, str) else ("", "", "")
    if not (major.isascii() and major.isdigit() and minor.isascii() and minor.isdigit()):
        raise _broken("E002", f"its spec_version is {version!r} and not <major>.<minor>")
    if int(major) > SPEC_MAJOR:
        raise UnsupportedError(
            f"The archive has version {version} of the format, and this version reads up to {SPEC_MAJOR}.x; use a "
            "newer mlflow-archive (E002).",
            code="version",
        )


def _no_archive(store: Store) -> NotAnArchiveError:
    for found in store.list():
        return NotAnArchiveError(
            f"There is no archive at {store.url}: no {MARKER} is there, but other files are, such as {found.key}."
        )
    return NotAnArchiveError(f"There is nothing at {store.url}: check the path or URL.")


def _broken(rule: str, message: str) -> IntegrityError:
    return IntegrityError(
        f"{MARKER} is not the marker of an archive: {message} ({rule}).", problems=(Problem(rule, MARKER, message),)
    )
