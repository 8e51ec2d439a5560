"""Numbers, texts and mappings out of JSON that nobody vouches for."""

from __future__ import annotations

from collections.abc import Iterable

from mlflow_archive.errors import IntegrityError
from mlflow_archive.spec.canonical import JSONObject, JSONValue


def member(value: JSONObject, name: str) -> JSONObject:
    """Return an object in an object; empty if it is not there or is something else."""
    found = value.get(name)
    return found if isinstance(found, dict) else {}


def objects(value: JSONValue) -> list[JSONObject]:
    """Return the objects of a list; empty if it is none."""
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def texts(value: JSONValue) -> list[str]:
    """Return the ids or names of a list, each once, in its order."""
    if not isinstance(value, list):
        return []
    return list(dict.fromkeys(text(entry) for entry in value if isinstance(entry, (str, int)) and text(entry)))


def text(value: JSONValue) -> str:
    """Return a text or a number as a text; empty for anything else."""
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else ""


def integer(value: JSONValue) -> int | None:
    """Return a 64-bit integer, which older generations wrote as a text; None if there is none.

    Raises:
        IntegrityError: It is something else.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if value is None or value == "":
        return None
    if isinstance(value, float) and value.is_integer():
        return int(value)
    try:
        return int(text(value))
    except ValueError as error:
        raise IntegrityError(f"{str(value)[:80]!r} stands where a whole number should be.", code="integrity") from error


def tags(value: JSONValue) -> dict[str, str]:
    """Return tags or params as a mapping: from a mapping, or from a list of ``{key, value}``."""
    if isinstance(value, dict):
        return {key: plain(entry) for key, entry in value.items() if entry is not None}
    return {text(entry.get("key")): plain(entry.get("value")) for entry in objects(value)}


def plain(value: JSONValue) -> str:
    """Return what Python writes for a value of a tag or a param."""
    return value if isinstance(value, str) else "" if value is None else str(value)


def without_empty(value: JSONObject, *also: str) -> JSONObject:
    """Leave out nulls, the named fields, and what the predecessor derived (``_creation_time``: times for people)."""
    return {
        name: entry
        for name, entry in value.items()
        if entry is not None and not name.startswith("_") and name not in also
    }


def first(values: Iterable[str]) -> str:
    """Return the first text that is not empty."""
    return next((value for value in values if value), "")
