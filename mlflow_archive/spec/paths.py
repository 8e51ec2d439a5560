"""Names as path segments, and what a path in an archive may look like (spec/v1/archive.md, "Paths").

A path is relative, POSIX, UTF-8, made of segments that are safe on Windows, S3 and in tar.
A name becomes a segment by an escape that can be undone, unless the name is very long; the original name always
stands in the document, and readers take it from there.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata

from mlflow_archive.errors import IntegrityError, Problem

#: Longest segment in bytes; file systems allow 255.
MAX_SEGMENT_BYTES = 200
#: Longest path in bytes (S3 allows 1,024).
MAX_PATH_BYTES = 1000
#: Bytes of the escaped name that a shortened segment keeps before ``~`` and the digest.
_KEPT_BYTES = 150

#: Unsafe somewhere, or not to be seen. Ranges and not Unicode's categories, which differ between its versions.
_UNSAFE = re.compile(
    r'[\x00-\x1f\x7f<>:"|?*\\/%~#'
    r"\x80-\xa0\xad\u1680\u180e\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\ud800-\uf8ff\ufeff\ufff0-\uffff"
    r"\U000e0000-\U0010ffff]"
)
_RESERVED = re.compile(r"(?i)^(con|prn|aux|nul|com[0-9]|lpt[0-9])(\.|\Z)")
_SHORTENED = re.compile(r"~[0-9a-f]{32}$")


def escape_segment(name: str) -> str:
    r"""Return the path segment for a name.

    Every character that is unsafe somewhere becomes ``%XX`` for each of its UTF-8 bytes: controls,
    ``< > : " | ? * \ / % ~ #``, what cannot be seen, what is not in Unicode normal form C, a leading or trailing
    space, a trailing dot, the first character of a name reserved on Windows, and the names ``.`` and ``..``.
    A segment longer than `MAX_SEGMENT_BYTES` keeps its start, then ``~`` and 32 hex digits of the name's sha256.
    """
    if name == "":
        return "%"
    characters = [_escape(c) if _UNSAFE.match(c) else c for c in name]
    if unicodedata.normalize("NFC", name) != name:
        characters = [c if c.isascii() else _escape(c) for c in characters]
    if name[-1] in ". ":
        characters[-1] = _escape(name[-1])
    if name[0] == " " or name in (".", "..") or _RESERVED.match(name):
        characters[0] = _escape(name[0])
    segment = "".join(characters)
    encoded = segment.encode("utf-8")
    if len(encoded) <= MAX_SEGMENT_BYTES:
        return segment
    kept = re.sub(r"%[0-9A-F]?$", "", encoded[:_KEPT_BYTES].decode("utf-8", "ignore")).rstrip(". ")
    return f"{kept}~{hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()[:32]}"


def unescape_segment(segment: str) -> str | None:
    """Return the name that `escape_segment` escaped, or None for a shortened segment."""
    if segment == "%":
        return ""
    if _SHORTENED.search(segment):
        return None
    raw = segment.encode("utf-8", "surrogatepass")
    return re.sub(rb"%([0-9A-F]{2})", lambda m: bytes([int(m[1], 16)]), raw).decode("utf-8", "surrogatepass")


def escape_path(name: str) -> str:
    """Return the relative path for a POSIX name with slashes (an artifact path), segment by segment."""
    path = "/".join(escape_segment(part) for part in name.split("/"))
    if len(path.encode("utf-8")) <= MAX_PATH_BYTES - 200:
        return path
    return f"~{hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()}"


def check_path(path: str) -> str:
    """Return the path if an archive may hold it.

    Raises:
        IntegrityError: The path is empty, absolute, too long, leaves the root, or has a segment that is not
            safe (E020).
    """
    reason = _path_fault(path)
    if reason:
        shown = path if len(path) < 200 else path[:200] + "..."
        raise IntegrityError(
            f"The path {shown!r} {reason} (E020).", problems=(Problem("E020", shown, f"this path {reason}"),)
        )
    return path


def _path_fault(path: str) -> str | None:
    try:
        encoded = path.encode("utf-8")
    except UnicodeEncodeError:
        return "is not valid Unicode"
    if not path:
        return "is empty"
    if len(encoded) > MAX_PATH_BYTES:
        return f"is longer than {MAX_PATH_BYTES} bytes"
    for segment in path.split("/"):
        if segment in ("", ".", ".."):
            return "is not relative to the archive's root"
        if len(segment.encode("utf-8")) > 255:
            return "has a segment longer than 255 bytes"
        if re.search(r'[\x00-\x1f\x7f<>:"|?*\\#]', segment) or segment[-1] in ". " or _RESERVED.match(segment):
            return "has a segment that is not safe on every file system"
        if unicodedata.normalize("NFC", segment) != segment:
            return "is not in Unicode normal form C"
    return None


def _escape(character: str) -> str:
    return "".join(f"%{byte:02X}" for byte in character.encode("utf-8", "surrogatepass"))
