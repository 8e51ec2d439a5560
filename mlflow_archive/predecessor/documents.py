"""JSON documents of the predecessor: tolerant of Python's dialect, and of nothing else.

Bare ``NaN``, ``Infinity`` and ``-Infinity`` become these words as strings, as `spec.canonical.encode_float` writes
them. Of a key that comes twice the last one counts, as in Python. Size and depth are bounded, because the archive may
come from anybody.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass

from mlflow_archive.errors import IntegrityError, Problem
from mlflow_archive.spec.canonical import MAX_DEPTH, MAX_DOCUMENT_BYTES, JSONObject, JSONValue, encode_float

#: Documents larger than this are not read.
LIMIT_BYTES = MAX_DOCUMENT_BYTES


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed document.

    Attributes:
        path: Its key.
        payload: What it is about: the key ``mlflow`` of the envelope, else the flat document itself.
        info: The export's own account: ``info`` or ``export_info``; empty if there is none.
        system: Who exported, from where, when; empty in flat documents.
        flat: True without the envelope (G0 to G2), where an export mixed its own tags into those of runs.
    """

    path: str
    payload: JSONObject
    info: JSONObject
    system: JSONObject
    flat: bool


def read_document(data: bytes, path: str) -> Document:
    """Parse the bytes of a document.

    Raises:
        IntegrityError: It is not a JSON object in UTF-8 (E010), or nested too deep (E011).
    """
    value = parse(data, path)
    if not isinstance(value, dict):
        raise _broken("E010", path, "is not a JSON object")
    envelope = isinstance(value.get("mlflow"), dict)
    return Document(
        path=path,
        payload=_object(value.get("mlflow")) if envelope else value,
        # A run's own ``info`` is no account of the export.
        info=_object(value.get("info")) if envelope else _object(value.get("export_info")) or _account(value),
        system=_object(value.get("system")),
        flat=not envelope,
    )


def parse(data: bytes, path: str) -> JSONValue:
    """Parse JSON; see above.

    Raises:
        IntegrityError: It is no JSON in UTF-8 (E010), or nested too deep (E011).
    """
    try:
        value: JSONValue = json.loads(data.decode("utf-8-sig"), parse_constant=_word, parse_float=_float)
    except RecursionError as error:
        raise _broken("E011", path, f"is nested deeper than {MAX_DEPTH} levels") from error
    except ValueError as error:
        raise _broken("E010", path, "is not JSON in UTF-8") from error
    if _is_deep(value):
        raise _broken("E011", path, f"is nested deeper than {MAX_DEPTH} levels")
    return value


def _is_deep(value: JSONValue) -> bool:
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer if isinstance(outer, list) else ())
            if isinstance(inner, (dict, list))
        ]
        if not level:
            return False
    return True


def _account(value: JSONObject) -> JSONObject:
    return {} if "params" in value else _object(value.get("info"))


def _object(value: JSONValue) -> JSONObject:
    return value if isinstance(value, dict) else {}


def _word(word: str) -> str:
    return word


def _float(text: str) -> float | str:
    value = float(text)
    return value if math.isfinite(value) else encode_float(value)


def _broken(rule: str, path: str, message: str) -> IntegrityError:
    return IntegrityError(f"{path} {message} ({rule}).", problems=(Problem(rule, path, message),))
