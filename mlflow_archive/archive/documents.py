"""Documents and files of lines on their way into a store: written once, hashed while they pass."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mlflow_archive.errors import IntegrityError, MlflowArchiveError
from mlflow_archive.spec.canonical import MAX_DEPTH, MAX_DOCUMENT_BYTES, MAX_LINE_BYTES, JSONObject, line_bytes, parse
from mlflow_archive.spec.descriptor import METRICS_TYPE, RECORDS_TYPE, SPANS_TYPE, Descriptor
from mlflow_archive.spec.layout import part_name
from mlflow_archive.spec.object import PartEntry, rows_in
from mlflow_archive.spec.paths import check_path
from mlflow_archive.storage.hashing import HashingWriter, sha256_of
from mlflow_archive.storage.store import Store
from mlflow_archive.stream import Part

#: Lines are handed to the store in pieces of about this size.
_BATCH_BYTES = 256 << 10

_PART_TYPES = {"metrics": METRICS_TYPE, "spans": SPANS_TYPE, "records": RECORDS_TYPE}


def put_bytes(store: Store, path: str, data: bytes, media_type: str) -> Descriptor:
    """Write a document that is in memory and return its descriptor.

    Raises:
        IntegrityError: A reader would refuse it: its path (E020), its size (E010), its nesting (E011).
    """
    check_path(path)
    _require_readable(data, path, MAX_DOCUMENT_BYTES)
    with store.write(path) as writer:
        writer.write(data)
    return Descriptor(path=path, media_type=media_type, size_bytes=len(data), sha256=sha256_of(data))


def put_lines(store: Store, path: str, lines: Iterable[bytes], media_type: str) -> Descriptor:
    """Write a file of lines, lazily, and return its descriptor. An exception of the iterable leaves nothing behind."""
    check_path(path)
    with store.write(path) as target:
        writer = HashingWriter(target)
        for batch in _batches(lines):
            writer.write(batch)
    return Descriptor(
        path=path, media_type=media_type, size_bytes=writer.digest.size_bytes, sha256=writer.digest.sha256
    )


def put_part(store: Store, folder: str, part: Part) -> PartEntry:
    """Write the rows of a part below its object's folder.

    Raises:
        RowsError: The source broke off, or gave a row that cannot be written; the cause is chained.
    """
    path = f"{folder}/{part_name(part.name)}"
    count = _Count()
    media_type = _PART_TYPES.get(part.name, RECORDS_TYPE)
    descriptor = put_lines(store, path, _encoded(part, path, count), media_type)
    return PartEntry(name=part.name, lines=count.lines, rows=count.rows, descriptor=descriptor)


class RowsError(Exception):
    """The rows of a part could not be had; ``error`` says why. Keeps faults of the source apart from the store's."""

    def __init__(self, error: MlflowArchiveError) -> None:
        """Wrap the source's error."""
        super().__init__(str(error))
        self.error = error


class _Count:
    def __init__(self) -> None:
        self.lines = 0
        self.rows = 0


def _encoded(part: Part, path: str, count: _Count) -> Iterator[bytes]:
    try:
        for row in part.open():
            yield encode_line(row, path)
            count.lines += 1
            count.rows += rows_in(part.name, row)
    except MlflowArchiveError as error:
        raise RowsError(error) from error


def encode_line(value: JSONObject, path: str) -> bytes:
    """Return one line that every reader takes.

    Raises:
        IntegrityError: It cannot be written as JSON, or a reader would refuse it.
    """
    try:
        line = line_bytes(value)
    except ValueError as error:
        raise IntegrityError(f"{path} would have a line that is not JSON: {error}.", code="invalid") from error
    _require_readable(line, path, MAX_LINE_BYTES)
    return line


def _require_readable(data: bytes, path: str, limit_bytes: int) -> None:
    if len(data) > limit_bytes:
        raise IntegrityError(f"{path} would be larger than {limit_bytes:,} bytes.", code="too_large")
    if data.count(b"[") + data.count(b"{") > MAX_DEPTH:  # only then can it be too deep
        parse(data, path)


def _batches(lines: Iterable[bytes]) -> Iterator[bytes]:
    batch: list[bytes] = []
    size = 0
    for line in lines:
        batch.append(line)
        size += len(line)
        if size >= _BATCH_BYTES:
            yield b"".join(batch)
            batch, size = [], 0
    if batch:
        yield b"".join(batch)
