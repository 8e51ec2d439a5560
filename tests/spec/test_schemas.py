"""The committed JSON Schemas are generated, and give the same verdict as the parser."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from mlflow_archive.archive.checking import metrics_fault
from mlflow_archive.errors import IntegrityError
from mlflow_archive.spec.kinds import Kind
from mlflow_archive.spec.loss import Loss
from mlflow_archive.spec.manifest import Manifest, Marker
from mlflow_archive.spec.object import IndexEntry, ObjectDocument
from mlflow_archive.spec.records import record_type
from mlflow_archive.spec.schemas import schema_bytes, schemas, write
from tests.spec.make_vectors import VECTORS

SCHEMAS = VECTORS.parent / "schemas"
GENERATED = schemas()
#: Values that take the place of each value in turn.
REPLACEMENTS: tuple[Any, ...] = (None, True, -1, 7, 1.5, "", "7", "true", [], {}, ["x"], {"x": 1})


def validator(name: str) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(GENERATED[name])


def accepts(name: str, value: Any) -> bool:
    """The parser's verdict."""
    try:
        if name == "metrics":
            return isinstance(value, dict) and metrics_fault(value, "") is None
        types = {"marker": Marker, "manifest": Manifest, "index": IndexEntry, "losses": Loss}
        types.get(name, ObjectDocument).from_json(value, "x", strict=True)
        if name not in types:
            record_type(Kind(name)).from_json(value["record"], "x", strict=True)
            return bool(value["kind"] == name)
    except IntegrityError:
        return False
    return True


def documents(group: str = "valid") -> Iterator[tuple[str, str, bytes]]:
    """Yield schema name, place and bytes of each document and line of the vectors."""
    for path in sorted(VECTORS.glob(f"{group}/*/archive/**/*")):
        place = path.relative_to(VECTORS).as_posix()
        if "/artifacts/" in place or not path.is_file():
            continue
        names = {"mlflow-archive.json": "marker"}
        name = names.get(path.name, path.stem)
        lines = path.read_bytes().splitlines(keepends=True) if path.suffix == ".jsonl" else [path.read_bytes()]
        if name in GENERATED:
            yield from ((name, place, line) for line in lines)


def test_the_committed_schemas_are_generated(tmp_path: Path) -> None:
    write(tmp_path)
    made = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert made == {path.name: path.read_bytes() for path in SCHEMAS.iterdir()}
    assert made["run.json"] == schema_bytes(GENERATED["run"])


@pytest.mark.parametrize("name", GENERATED)
def test_a_schema_is_a_schema(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(GENERATED[name])


def test_schema_and_parser_accept_every_valid_document() -> None:
    seen = set()
    for name, place, data in documents():
        value = json.loads(data)
        assert [error.message for error in validator(name).iter_errors(value)] == [], place
        assert accepts(name, value), place
        seen.add(name)
    assert seen == set(GENERATED)


def spoilt(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield the value with each of its parts replaced, and with each of its keys left out."""

    def places(at: Any, path: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
        if path:
            yield path
        for key in at if isinstance(at, dict) else range(len(at)) if isinstance(at, list) else ():
            yield from places(at[key], (*path, key))

    for path in places(value, ()):
        for replacement in (*REPLACEMENTS, KeyError):
            changed = copy.deepcopy(value)
            holder = changed
            for step in path[:-1]:
                holder = holder[step]
            if replacement is KeyError:
                del holder[path[-1]]
            else:
                holder[path[-1]] = replacement
            yield f"{path} -> {replacement}", changed


def uneven(line: dict[str, Any]) -> bool:
    columns = [line.get(name) for name in ("timestamps", "steps", "values")]
    return len({len(column) for column in columns if isinstance(column, list)}) != 1


@pytest.mark.parametrize("name", GENERATED)
def test_schema_and_parser_agree_on_every_spoilt_document(name: str) -> None:
    place, data = next((place, data) for found, place, data in documents() if found == name)
    checker = validator(name)
    verdicts = set()
    for change, value in spoilt(json.loads(data)):
        if (
            name == "metrics"
            and len({len(c) for c in map(value.get, ("timestamps", "steps", "values")) if isinstance(c, list)}) != 1
        ):
            continue  # that columns are of one length is beyond JSON Schema
        verdict = checker.is_valid(value)
        assert accepts(name, value) == verdict, f"{place}: {change}"
        verdicts.add(verdict)
    assert verdicts == {True, False}


@pytest.mark.parametrize("group", ["valid", "warning"])
def test_bytes_to_document_to_bytes(group: str) -> None:
    types = {"marker": Marker, "manifest": Manifest, "index": IndexEntry, "losses": Loss}
    count = 0
    for name, place, data in documents(group):
        if "/W003-" in place or name == "metrics":
            continue
        document = types.get(name, ObjectDocument).from_bytes(data, place)
        assert (document.to_line() if place.endswith(".jsonl") else document.to_bytes()) == data, place
        if isinstance(document, ObjectDocument):
            record = record_type(document.kind).from_json(document.record, place)
            assert record.to_json() == document.record, place
        count += 1
    assert count > 50


def test_rewriting_keeps_unknown_fields() -> None:
    """E014: what this version does not know survives it, at every depth."""
    folder = VECTORS / "valid" / "unknown-fields" / "archive"
    marker = Marker.from_bytes((folder / "mlflow-archive.json").read_bytes(), "marker")
    assert marker.unknown_fields == {"x_note": "of a later version"}
    path = next(folder.glob("experiments/1/runs/*/run.json"))
    document = ObjectDocument.from_bytes(path.read_bytes(), "run.json")
    record = record_type(Kind.RUN).from_json(document.record, "run.json")
    rewritten = document.model_copy(update={"record": record.to_json()})
    assert rewritten.to_bytes() == path.read_bytes()
    assert b"inference_seconds" in path.read_bytes()
    assert b'"encoding": "identity"' in rewritten.to_bytes()
