"""What a key may be: an archive's are strict, those of files that others named are taken as they are."""

from __future__ import annotations

from collections.abc import Callable

from mlflow_archive.errors import IntegrityError, Problem

#: Returns the key, or raises `IntegrityError` (E020).
KeyCheck = Callable[[str], str]


def check_raw_key(key: str) -> str:
    """Return a key that stays below its root, whatever else is in it: ``: ? #``, spaces, any Unicode.

    Raises:
        IntegrityError: It is empty, absolute, leaves the root, or cannot be a name anywhere (E020).
    """
    if any(part in ("", ".", "..") for part in key.split("/")) or "\0" in key or not _is_unicode(key):
        raise IntegrityError(
            f"The name {key!r} does not stay below its root (E020).",
            problems=(Problem("E020", key, "does not stay below its root"),),
        )
    return key


def _is_unicode(key: str) -> bool:
    try:
        key.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
