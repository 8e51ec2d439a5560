"""Dumps two servers in two child processes, pairs their objects, and lists what is not equal."""

from __future__ import annotations

import json
import os
import re
import subprocess
import tempfile
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.comparison.limits import API_LIMITS
from tests.servers import SERVER_PYTHON

ABSENT = "<absent>"
Row = dict[str, Any]
#: Ids up to this length are numbers of experiments and versions, which cannot be told from other numbers in a text.
SHORT_ID = 8
#: Lists whose order means nothing to MLflow.
UNORDERED = frozenset(
    {"aliases", "dataset_inputs", "experiment_ids", "model_inputs", "model_outputs", "schema_ids", "users"}
)


@dataclass(frozen=True)
class Difference:
    """One field that is not equal; ``field`` is empty if the whole object is on one side only."""

    kind: str
    key: str
    field: str
    left: object
    right: object

    def __str__(self) -> str:
        return f"{self.kind} {self.key} {self.field}: {_short(self.left)} != {_short(self.right)}"


def describe(differences: list[Difference]) -> str:
    """Return the differences as text, for the message of an assertion."""
    return f"{len(differences)} differences\n" + "\n".join(str(one) for one in differences[:60])


def compare_servers(
    left: str,
    right: str,
    *,
    left_python: str = SERVER_PYTHON,
    right_python: str = SERVER_PYTHON,
    limits: Mapping[str, str] = API_LIMITS,
    without: Container[str] = (),
) -> list[Difference]:
    """Compare everything MLflow's client shows of two servers.

    Objects are paired by name, or by the id that a restore noted in the tag ``mlflow_archive.source_id``. Ids of the
    left are replaced by those of their partners before the comparison, wherever they stand.

    Args:
        left: URI of the server that is the original.
        right: URI of the server that should be equal to it.
        left_python: A Python with a client that fits the left server.
        right_python: A Python with a client that fits the right server.
        limits: Fields that may differ.
        without: Kinds to leave out.

    Returns:
        What differs; empty if the servers are equal.
    """
    with tempfile.TemporaryDirectory() as directory:
        sides = [
            dump(uri, Path(directory) / str(number), python)
            for number, (uri, python) in enumerate(((left, left_python), (right, right_python)))
        ]
    left_rows, right_rows = ([row for row in side if row["kind"] not in without] for side in sides)
    return compare_rows(left_rows, right_rows, limits)


def compare_rows(left: list[Row], right: list[Row], limits: Mapping[str, str] = API_LIMITS) -> list[Difference]:
    """Compare what `dump` read of two servers; see `compare_servers`."""
    return list(_compare(left, right, limits))


def dump(uri: str, target: Path, python: str = SERVER_PYTHON) -> list[Row]:
    """Read everything of a server in a child process; see `tests.comparison.dump`."""
    command = [python, str(Path(__file__).with_name("dump.py")), uri, str(target)]
    env = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "PYTHONPATH"))}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}\n{done.stderr[-6000:]}")
    with target.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def _compare(left: list[Row], right: list[Row], limits: Mapping[str, str]) -> Iterator[Difference]:
    pairs = _pairs(left, right)
    ids = {a["id"]: b["id"] for a, b in pairs if a and b and a["id"] != b["id"] and len(a["id"]) > SHORT_ID}
    pattern = re.compile("|".join(map(re.escape, ids))) if ids else None
    for a, b in pairs:
        one = a or b
        assert one is not None
        kind, key = one["kind"], " / ".join(one["key"])
        if not (a and b):
            yield Difference(kind, key, "", "present" if a else ABSENT, "present" if b else ABSENT)
            continue
        fields = (
            json.loads(pattern.sub(lambda match: ids[match.group()], json.dumps(a["fields"])))
            if pattern
            else a["fields"]
        )
        for field, x, y in _unequal(fields, b["fields"], ""):
            if not _limited(f"{kind}.{field}", limits):
                yield Difference(kind, key, field, x, y)


def _pairs(left: list[Row], right: list[Row]) -> list[tuple[Row | None, Row | None]]:
    """Pair rows: by the noted id of the source, by equal id, by the same noted id, or by name."""
    by_source = {(row["kind"], row["source_id"]): row for row in right if row.get("source_id")}
    by_id = {(row["kind"], row["id"]): row for row in right if not row.get("source_id") and not row["named"]}
    by_key = {(row["kind"], *row["key"]): row for row in right if row["named"]}
    pairs: list[tuple[Row | None, Row | None]] = []
    taken: set[int] = set()
    partner_of: dict[str, str] = {}
    for a in left:
        kind = a["kind"]
        if a["named"]:
            # The name of a part may hold the id of what it is a part of.
            b = by_key.get((kind, *(partner_of.get(word, word) for word in a["key"])))
        else:
            b = by_source.get((kind, a["id"])) or by_id.get((kind, a["id"]))
            b = b or (by_source.get((kind, a["source_id"])) if a.get("source_id") else None)
        if b is not None:
            taken.add(id(b))
            if len(a["id"]) > SHORT_ID:
                partner_of[a["id"]] = b["id"]
        pairs.append((a, b))
    pairs.extend((None, row) for row in right if id(row) not in taken)
    return pairs


def _unequal(a: Any, b: Any, path: str) -> Iterator[tuple[str, object, object]]:
    if isinstance(a, dict) and isinstance(b, dict):
        for key in sorted(a.keys() | b.keys()):
            if key.startswith("mlflow_archive."):
                continue
            yield from _unequal(a.get(key, ABSENT), b.get(key, ABSENT), f"{path}.{key}" if path else key)
    elif isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        if path.rpartition(".")[2] in UNORDERED:
            a, b = sorted(a, key=repr), sorted(b, key=repr)
        for x, y in zip(a, b, strict=True):
            yield from _unequal(x, y, f"{path}[]")
    elif a != b and not (_nothing(a) and _nothing(b)):
        yield path, a, b


def _limited(path: str, limits: Mapping[str, str]) -> bool:
    """Tell whether a field, or what it is part of, may differ."""
    while path not in limits:
        path, dot, _ = path.rpartition(".")
        path = path.removesuffix("[]")
        if not dot:
            return False
    return True


def _nothing(value: object) -> bool:
    """Tell whether a field says nothing: a client of another version may leave it out."""
    if isinstance(value, dict):
        return all(map(_nothing, value.values()))
    if isinstance(value, str):
        return value in ("", ABSENT) or value.endswith("_UNSPECIFIED")
    return value is None or value == []


def _short(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, sort_keys=True)
    return text if len(text) <= 300 else f"{text[:300]} ... ({len(text)} characters)"
