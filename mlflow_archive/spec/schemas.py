"""JSON Schemas (draft 2020-12) of all documents and lines, generated from the classes that the code uses.

``python -m mlflow_archive.spec.schemas DIR`` writes them; ``spec/v1/schemas/`` holds the result, and a test compares.
"""

from __future__ import annotations

import copy
import json
import sys
from pathlib import Path
from typing import Any

from mlflow_archive.spec.base import Document
from mlflow_archive.spec.canonical import document_bytes
from mlflow_archive.spec.kinds import Kind
from mlflow_archive.spec.loss import Loss
from mlflow_archive.spec.manifest import Manifest, Marker
from mlflow_archive.spec.object import IndexEntry, ObjectDocument
from mlflow_archive.spec.records import record_type
from mlflow_archive.spec.version import SPEC_MAJOR

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_INT64 = {"type": "integer"}

#: The hot rows of a metric history have no class.
_METRICS: dict[str, Any] = {
    "title": "MetricsLine",
    "description": "A line of metrics.jsonl: points of one metric, in columns of equal length.",
    "type": "object",
    "properties": {
        "key": {"type": "string"},
        "timestamps": {"type": "array", "items": _INT64, "minItems": 1, "maxItems": 10_000},
        "steps": {"type": "array", "items": _INT64, "minItems": 1, "maxItems": 10_000},
        "values": {
            "type": "array",
            "items": {"anyOf": [{"type": "number"}, {"enum": ["NaN", "Infinity", "-Infinity"]}]},
            "minItems": 1,
            "maxItems": 10_000,
        },
    },
    "required": ["key", "timestamps", "steps", "values"],
    "additionalProperties": True,
}


def schemas() -> dict[str, dict[str, Any]]:
    """Return the schemas by name: ``marker``, ``manifest``, ``index``, ``losses``, ``metrics`` and each kind."""
    found = {
        "marker": _of(Marker),
        "manifest": _of(Manifest),
        "index": _of(IndexEntry),
        "losses": _of(Loss),
        "metrics": copy.deepcopy(_METRICS),
    }
    found |= {kind.value: _of_kind(kind) for kind in Kind}
    return {name: _headed(name, schema) for name, schema in found.items()}


def schema_bytes(schema: dict[str, Any]) -> bytes:
    """Return the bytes of a schema file."""
    return document_bytes(schema)


def write(folder: Path) -> None:
    """Write all schemas into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, schema in schemas().items():
        (folder / f"{name}.json").write_bytes(schema_bytes(schema))


def _of_kind(kind: Kind) -> dict[str, Any]:
    """Return the schema of an object document whose record is of the kind."""
    schema, record = _of(ObjectDocument), _of(record_type(kind))
    definitions = {**schema.pop("$defs", {}), **record.pop("$defs", {})}
    name = record["title"]
    definitions[name] = record
    schema["$defs"] = definitions
    schema["title"] = f"{name.removesuffix('Record')}Document"
    schema["properties"]["kind"] = {"const": kind.value}
    schema["properties"]["record"] = {"$ref": f"#/$defs/{name}"}
    return schema


def _of(document: type[Document]) -> dict[str, Any]:
    schema: dict[str, Any] = document.model_json_schema(by_alias=True, mode="validation")
    if "$ref" in schema:  # a class that refers to itself is put among its own definitions
        schema = {**schema["$defs"][document.__name__], "$defs": schema["$defs"]}
    cleaned: dict[str, Any] = _cleaned(schema)
    return cleaned


def _cleaned(value: Any) -> Any:
    """Leave out what says nothing: titles of fields, defaults, and how the code's documentation is set."""
    if isinstance(value, list):
        return [_cleaned(item) for item in value]
    if not isinstance(value, dict):
        return value
    result: dict[str, Any] = {}
    for key, item in value.items():
        if key in ("properties", "$defs") and isinstance(item, dict):
            result[key] = {name: _without_title(_cleaned(inner), key) for name, inner in item.items()}
        elif key == "description" and isinstance(item, str):
            result[key] = item.replace("``", "`").split("\n\n")[0].replace("\n", " ")
        elif key != "default":
            result[key] = _cleaned(item)
    return result


def _without_title(schema: dict[str, Any], place: str) -> dict[str, Any]:
    return {key: item for key, item in schema.items() if key != "title" or place == "$defs"}


def _headed(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    head = {"$schema": _DIALECT, "$id": f"urn:mlflow-archive:spec:v{SPEC_MAJOR}:{name}"}
    text = json.dumps(schema)
    used = {key: item for key, item in schema.get("$defs", {}).items() if f'"#/$defs/{key}"' in text}
    if "$defs" in schema:
        schema = {**schema, "$defs": used}
    return {**head, **schema}


if __name__ == "__main__":
    write(Path(sys.argv[1]))
