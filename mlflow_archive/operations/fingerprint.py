"""An object as digests by path, so that two of them can be compared without keeping either.

Paths: ``info/status``, ``tags/mlflow.user``, ``versions/3/description`` (versions by number), ``dataset_inputs``
(a list whose order means nothing is one path), ``metrics.jsonl/loss`` (all points of a metric), ``spans.jsonl``,
``records.jsonl``, ``artifacts/model/MLmodel``; of databases those of `mlflow_archive.operations.table_prints`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from hashlib import blake2b, sha256

from mlflow_archive.operations.ignored import is_ignored
from mlflow_archive.operations.table_prints import table_prints
from mlflow_archive.spec.canonical import JSONObject, JSONValue, encode_float, line_bytes
from mlflow_archive.spec.kinds import Kind
from mlflow_archive.spec.loss import Loss
from mlflow_archive.spec.provenance import SOURCE_PARENT_RUN_ID
from mlflow_archive.stream import Blob, Content, Part

Fingerprint = dict[str, bytes]

_ID = re.compile(r"(?<![0-9A-Za-z])(?:[a-z]{1,3}-)?[0-9a-f]{32}(?![0-9A-Za-z])")
#: Fields that hold ids of experiments, which are too short to be recognised in a text.
_EXPERIMENT_FIELDS = frozenset({"experiment_id", "experiment_ids", "_mlflow_experiment_ids", "mlflow.experimentId"})
#: Lists that are kept by number.
_NUMBERS = ("version", "scorer_version")
#: Mappings whose empty values say something; elsewhere an empty text is what a server says for none.
_MEANT_EMPTY = frozenset({"tags", "params"})
_MLMODEL_ID = re.compile(rb"^(run_id|model_id|model_uuid):")
_VERSION_SOURCE = re.compile(r"^versions/[^/]+/source$")
_MODULUS = 1 << 128
#: MLflow's tag that makes a run a child.
PARENT_RUN_ID = "mlflow.parentRunId"


class Translation:
    """The ids of one end in the words of the other."""

    def __init__(self, ids: Mapping[str, str], experiments: Mapping[str, str]) -> None:
        """Take own id -> other end's id, for experiments apart from all else."""
        self._ids = ids
        self._experiments = experiments

    def text(self, value: str) -> str:
        """Translate every id in a text."""
        return _ID.sub(lambda match: self._ids.get(match[0], match[0]), value) if self._ids else value

    def experiment(self, value: str) -> str:
        """Translate one experiment id, or a list like ``,1,2,``."""
        return ",".join(self._experiments.get(part, part) for part in value.split(","))


#: For the end whose words are used.
UNTRANSLATED = Translation({}, {})


def fingerprint(
    kind: Kind, content: Content, translation: Translation, *, artifacts: bool, lost: Callable[[Loss], None]
) -> Fingerprint:
    """Read an object to its end and return its digests by path; ``lost`` hears of files that cannot be listed.

    Raises:
        MlflowArchiveError: It cannot be read to its end.
    """
    if kind is Kind.DATABASE:
        return table_prints(content, lost)
    result: Fingerprint = {}
    walk = _Walk(kind, translation)
    walk.into(_as_at_source(kind, content.record.to_json()), "", result)
    for part in content.parts:
        result.update(_rows(part, walk))
    if artifacts:
        for blob in content.blobs():
            if isinstance(blob, Loss):
                lost(blob)
            else:
                result[f"{blob.role}/{blob.name}"] = _file(blob, translation)
    return result


def _as_at_source(kind: Kind, record: JSONObject) -> JSONObject:
    """Undo what a restore does to a run whose parent is not at the target: the pointer becomes lineage."""
    tags = record.get("tags")
    if kind is Kind.RUN and isinstance(tags, dict) and SOURCE_PARENT_RUN_ID in tags:
        return {**record, "tags": {PARENT_RUN_ID: tags[SOURCE_PARENT_RUN_ID], **tags}}
    return record


def summary(prints: Fingerprint) -> bytes:
    """Return one digest for all."""
    whole = blake2b(digest_size=16)
    for path in sorted(prints):
        whole.update(path.encode("utf-8", "surrogatepass") + b"\0" + prints[path])
    return whole.digest()


def differing(left: Fingerprint, right: Fingerprint) -> tuple[str, ...]:
    """Return the paths at which two objects differ, sorted."""
    return tuple(sorted(path for path in {*left, *right} if left.get(path) != right.get(path)))


class _Walk:
    """Flattens JSON of one kind of object."""

    def __init__(self, kind: Kind, translation: Translation) -> None:
        self._kind = kind
        self._translation = translation

    def into(self, value: JSONValue, path: str, result: Fingerprint) -> None:
        """Add the digests of a value and of what is in it."""
        if value is None or value in ([], {}) or (path and is_ignored(self._kind, path)):
            return
        if isinstance(value, dict):
            for name, inner in value.items():
                self.into(inner, f"{path}/{self._translation.text(name)}".lstrip("/"), result)
        elif isinstance(value, list):
            self._list(value, path, result)
        elif value != "" or not _MEANT_EMPTY.isdisjoint(path.split("/")):
            result[path] = _digest(self._leaf(value, path))

    def of(self, value: JSONValue, path: str) -> bytes:
        """Return one digest of a value."""
        inner: Fingerprint = {}
        self.into(value, path, inner)
        return summary(inner)

    def _list(self, values: list[JSONValue], path: str, result: Fingerprint) -> None:
        for number in _NUMBERS:
            if all(isinstance(value, dict) and number in value for value in values):
                for value in values:
                    if isinstance(value, dict):
                        self.into(value, f"{path}/{value[number]}", result)
                return
        result[path] = unordered(self.of(value, path) for value in values)

    def _leaf(self, value: JSONValue, path: str) -> JSONValue:
        if isinstance(value, str):
            if path.rpartition("/")[2] in _EXPERIMENT_FIELDS:
                return self._translation.experiment(value)
            if _VERSION_SOURCE.match(path):
                return _owner_of(self._translation.text(value))
            return self._translation.text(value)
        if isinstance(value, float):
            return int(value) if value.is_integer() and abs(value) < 2**53 else encode_float(value)
        return value


def _owner_of(location: str) -> str:
    """Return whose files a model version stands on: the location itself is the server's to choose.

    A registry URI without an id in it (``models:/name/1``) and a location that names nobody are kept as they are.
    """
    owners = _ID.findall(location)
    return f"files of {owners[-1]}" if owners else location


def unordered(digests: Iterable[bytes]) -> bytes:
    """Return a digest of many that does not depend on their order, and sees how often each one is there."""
    total = count = 0
    for digest in digests:
        total = (total + int.from_bytes(digest, "big")) % _MODULUS
        count += 1
    return total.to_bytes(16, "big") + count.to_bytes(8, "big")


def _rows(part: Part, walk: _Walk) -> Fingerprint:
    if part.name == "metrics":
        return _metrics(part)
    return {f"{part.name}.jsonl": unordered(walk.of(row, part.name) for row in part.open())}


def _metrics(part: Part) -> Fingerprint:
    """Digest the points metric by metric: neither their order nor how they are cut into lines means anything."""
    totals: dict[str, tuple[int, int]] = {}
    for line in part.open():
        key = str(line.get("key"))
        total, count = totals.get(key, (0, 0))
        for point in _points(line):
            total = (total + int.from_bytes(_digest(point), "big")) % _MODULUS
            count += 1
        totals[key] = (total, count)
    return {
        f"{part.name}.jsonl/{key}": total.to_bytes(16, "big") + count.to_bytes(8, "big")
        for key, (total, count) in totals.items()
    }


def _points(line: JSONObject) -> Iterable[list[JSONValue]]:
    times, steps, values = (line.get(name) for name in ("timestamps", "steps", "values"))
    if isinstance(times, list) and isinstance(steps, list) and isinstance(values, list):
        for time_ms, step, value in zip(times, steps, values, strict=True):
            yield [time_ms, step, float(value) if isinstance(value, int) else value]


def _file(blob: Blob, translation: Translation) -> bytes:
    if blob.name == "MLmodel" or blob.name.endswith("/MLmodel"):
        return _mlmodel(blob, translation)
    if blob.descriptor is not None:
        return bytes.fromhex(blob.descriptor.sha256)
    whole = sha256()
    with blob.open() as chunks:
        for chunk in chunks:
            whole.update(chunk)
    return whole.digest()


def _mlmodel(blob: Blob, translation: Translation) -> bytes:
    """Digest a model's description without its location, and with its ids in the other end's words."""
    with blob.open() as chunks:
        data = b"".join(chunks)
    whole = sha256()
    for line in data.splitlines(keepends=True):
        if line.startswith(b"artifact_path:"):
            continue
        if _MLMODEL_ID.match(line):
            whole.update(translation.text(line.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape"))
        else:
            whole.update(line)
    return whole.digest()


def _digest(value: JSONValue) -> bytes:
    return blake2b(line_bytes(value), digest_size=16).digest()
