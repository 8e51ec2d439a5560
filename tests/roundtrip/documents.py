"""Two archives, file by file and field by field: what a comparison by meaning would pass over counts here too."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

#: What is an archive's own: its id, times and sums.
OWN = frozenset({"README.txt", "manifest.json", "mlflow-archive.json", "losses.jsonl"})
#: Lists in the order of the rows of a database, which is nobody's.
UNORDERED = frozenset({"dataset_inputs", "model_mappings"})
_ABSENT = "<absent>"


def differing_fields(first: Path, second: Path) -> set[str]:
    """Return what differs: ``<kind>.<field>`` of records and files of the same name, else the path of the file."""
    ours, theirs = _files(first), _files(second)
    found = set(ours.keys() ^ theirs.keys())
    for name in sorted(ours.keys() & theirs.keys()):
        one, other = ours[name].read_bytes(), theirs[name].read_bytes()
        if one != other and name.endswith(".json") and "/artifacts/" not in name:
            kind = Path(name).stem
            found |= {f"{kind}{field}" for field in _fields(json.loads(one), json.loads(other), "")}
        elif one != other and not name.endswith("index.jsonl"):
            found.add(name)
    return found


def _files(archive: Path) -> dict[str, Path]:
    found = {path.relative_to(archive).as_posix(): path for path in archive.rglob("*") if path.is_file()}
    return {name: path for name, path in found.items() if name not in OWN}


def _fields(one: Any, other: Any, place: str) -> Iterator[str]:
    if isinstance(one, dict) and isinstance(other, dict):
        for name in one.keys() | other.keys():
            step = "" if name == "record" and not place else f".{name}"
            yield from _fields(one.get(name, _ABSENT), other.get(name, _ABSENT), place + step)
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        if place.rpartition(".")[2] in UNORDERED:
            one, other = (sorted(values, key=json.dumps) for values in (one, other))
        for a, b in zip(one, other, strict=True):
            yield from _fields(a, b, place)
    elif one != other:
        yield re.sub(r"\d+", "N", place)
