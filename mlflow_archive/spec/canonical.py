"""JSON as bytes, the one place where it is made (spec/v1/archive.md, "JSON").

UTF-8, keys sorted, no bare ``NaN`` or ``Infinity``, integers in full, one newline at the end.
A *document* is indented by two spaces, a *line* of a ``.jsonl`` file has no white space.
The same value always gives the same bytes.
"""

from __future__ import annotations

import json
import math
import re

from pydantic import JsonValue

from mlflow_archive.errors import IntegrityError, Problem

JSONValue = JsonValue
JSONObject = dict[str, JsonValue]

_SURROGATE = re.compile("[\ud800-\udfff]")

#: Nesting deeper than this is refused before it is parsed (E011).
MAX_DEPTH = 200
#: Documents larger than this are refused before they are read (E010). 512 MiB.
MAX_DOCUMENT_BYTES = 512 << 20
#: Lines longer than this are not written, and refused by readers (E010). 64 MiB.
MAX_LINE_BYTES = 64 << 20


def document_bytes(value: JSONValue) -> bytes:
    """Return the bytes of a document.

    Raises:
        ValueError: A float is not finite; encode it with `encode_float` first.
    """
    return _encode(json.dumps(value, ensure_ascii=False, allow_nan=False, indent=2, sort_keys=True) + "\n")


def line_bytes(value: JSONValue) -> bytes:
    """Return the bytes of one line of a ``.jsonl`` file, newline included.

    Raises:
        ValueError: A float is not finite; encode it with `encode_float` first.
    """
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"), sort_keys=True)
    return _encode(text + "\n")


def parse(data: bytes, path: str) -> JSONValue:
    """Parse a document or a line that comes from an archive, which is untrusted.

    Args:
        data: The bytes, UTF-8.
        path: The archive path, for the error.

    Raises:
        IntegrityError: Not JSON (E010), too deep (E011), a duplicate key (E012), or a number that is not
            finite (E013).
    """
    if _depth(data) > MAX_DEPTH:
        raise _broken("E011", path, f"is nested deeper than {MAX_DEPTH} levels")
    try:
        value: JSONValue = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_unique_keys,
            parse_constant=_refuse_constant,
            parse_float=_finite,
        )
    except _DuplicateKeyError as error:
        raise _broken("E012", path, f"has the key {str(error)!r} twice") from error
    except _ConstantError as error:
        raise _broken("E013", path, f"has the number {error}, which is not finite") from error
    except (ValueError, RecursionError) as error:
        raise _broken("E010", path, "is not JSON in UTF-8") from error
    return value


def parse_object(data: bytes, path: str) -> JSONObject:
    """Parse bytes that must hold a JSON object.

    Raises:
        IntegrityError: As `parse`, or the value is not an object (E010).
    """
    value = parse(data, path)
    if not isinstance(value, dict):
        raise _broken("E010", path, "is not a JSON object")
    return value


def encode_float(value: float) -> float | str:
    """Return a finite number as it is, and ``"NaN"``, ``"Infinity"`` or ``"-Infinity"`` for the others."""
    if math.isfinite(value):
        return value
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


def decode_float(value: float | int | str) -> float:
    """Return the number that `encode_float` wrote.

    Raises:
        ValueError: The string is none of the three words.
    """
    if isinstance(value, str):
        if value not in ("NaN", "Infinity", "-Infinity"):
            raise ValueError(f"{value!r} is not a number")
        return float(value.replace("Infinity", "inf"))
    return float(value)


class _DuplicateKeyError(ValueError):
    pass


class _ConstantError(ValueError):
    pass


def _unique_keys(pairs: list[tuple[str, JSONValue]]) -> dict[str, JSONValue]:
    result = dict(pairs)
    if len(result) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise _DuplicateKeyError(key)
            seen.add(key)
    return result


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise _ConstantError(text[:40])
    return value


def _refuse_constant(word: str) -> JSONValue:
    raise _ConstantError(word)


def _depth(data: bytes) -> int:
    """Return an upper bound of the nesting: brackets outside strings, in one cheap pass."""
    if data.count(b"[") + data.count(b"{") <= MAX_DEPTH:
        return 0
    deepest = depth = 0
    in_string = escaped = False
    for byte in data:
        if in_string:
            if escaped:
                escaped = False
            elif byte == 0x5C:
                escaped = True
            elif byte == 0x22:
                in_string = False
        elif byte == 0x22:
            in_string = True
        elif byte in (0x5B, 0x7B):
            depth += 1
            deepest = max(deepest, depth)
        elif byte in (0x5D, 0x7D):
            depth -= 1
    return deepest


def _encode(text: str) -> bytes:
    """Return UTF-8; an unpaired surrogate (a file name that is not UTF-8) stays an escape, as UTF-8 has none."""
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        return _SURROGATE.sub(lambda match: f"\\u{ord(match[0]):04x}", text).encode("utf-8")


def _broken(rule: str, path: str, message: str) -> IntegrityError:
    problem = Problem(rule, path, message)
    return IntegrityError(f"{path} {message} ({rule}).", problems=(problem,))
