"""Checks of the format's rules on what a store holds: findings, the inventory, and documents read with suspicion.

Nothing here believes a size, a path or a digest that the archive states: a document is read up to the limit of
the specification, long files are streamed.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

from mlflow_archive.errors import IntegrityError, NotFoundError, Problem
from mlflow_archive.spec.base import Document
from mlflow_archive.spec.canonical import (
    MAX_DOCUMENT_BYTES,
    MAX_LINE_BYTES,
    JSONObject,
    decode_float,
    document_bytes,
    line_bytes,
    parse_object,
)
from mlflow_archive.spec.descriptor import METRICS_TYPE, RECORDS_TYPE, SPANS_TYPE, Descriptor
from mlflow_archive.spec.kinds import Kind
from mlflow_archive.spec.object import PartEntry, rows_in
from mlflow_archive.spec.paths import check_path
from mlflow_archive.storage.store import Store

_D = TypeVar("_D", bound=Document)

#: Most problems, and most warnings, that one verification collects.
MAX_FINDINGS = 10_000
#: Most points that a line of a metric history may hold.
MAX_POINTS = 10_000
#: The parts each kind may have, with their media types.
PARTS: dict[tuple[Kind, str], str] = {
    (Kind.RUN, "metrics"): METRICS_TYPE,
    (Kind.TRACE, "spans"): SPANS_TYPE,
    (Kind.EVALUATION_DATASET, "records"): RECORDS_TYPE,
}


class Findings:
    """Problems and warnings, collected from several threads, at most `MAX_FINDINGS` of each."""

    def __init__(self) -> None:
        """Start without findings."""
        self._limit = MAX_FINDINGS
        self._lock = threading.Lock()
        self._problems: list[Problem] = []
        self._warnings: list[Problem] = []
        self.truncated = False

    def add(self, rule: str, path: str, message: str) -> None:
        """Keep a finding, unless there are too many."""
        with self._lock:
            found = self._problems if rule.startswith("E") else self._warnings
            if len(found) < self._limit:
                found.append(Problem(rule, path, message))
            else:
                self.truncated = True

    def add_all(self, problems: Iterable[Problem]) -> None:
        """Keep the problems of an error."""
        for problem in problems:
            self.add(problem.rule, problem.path, problem.message)

    def absorb(self, other: Findings) -> None:
        """Keep all that another collection has."""
        self.add_all(other.problems)
        self.add_all(other.warnings)

    @property
    def full(self) -> bool:
        """True when it is no use to go on."""
        return self.truncated and len(self._problems) >= self._limit

    @property
    def problems(self) -> tuple[Problem, ...]:
        """The errors, by path."""
        return tuple(sorted(self._problems, key=lambda p: (p.path, p.rule, p.message)))

    @property
    def warnings(self) -> tuple[Problem, ...]:
        """The warnings, by path."""
        return tuple(sorted(self._warnings, key=lambda p: (p.path, p.rule, p.message)))


class Inventory:
    """One listing of a store, and which of its files a descriptor has named.

    Holds one entry a file: about 300 bytes each.
    """

    def __init__(self, store: Store) -> None:
        """List the store."""
        self._sizes = {stored.key: stored.size_bytes for stored in store.list()}
        self._lock = threading.Lock()
        self._blind: set[str] = set()

    def __contains__(self, path: str) -> bool:
        """Tell whether there is such a file."""
        return path in self._sizes

    def claim(self, path: str) -> tuple[int | None, bool]:
        """Note that a descriptor names the path.

        Returns:
            The size in bytes, None if there is no such file; and whether the path was named before.
        """
        with self._lock:
            size = self._sizes.get(path)
            if size is None:
                return None, False
            if size < 0:
                return ~size, True
            self._sizes[path] = ~size
            return size, False

    def look_away(self, folder: str) -> None:
        """Do not call the files below a folder unnamed: the document that would name them cannot be read."""
        with self._lock:
            self._blind.add(folder)

    def unclaimed(self) -> Iterator[str]:
        """Yield the files that nothing has named."""
        for path, size in self._sizes.items():
            if size >= 0 and not self._is_blind(path):
                yield path

    def _is_blind(self, path: str) -> bool:
        if "" in self._blind:
            return True
        end = path.find("/")
        while end >= 0:
            if path[:end] in self._blind:
                return True
            end = path.find("/", end + 1)
        return False


@dataclass(frozen=True, slots=True)
class Streamed:
    """What was seen of a file that was read to its end."""

    sha256: str
    size_bytes: int


@dataclass(slots=True)
class LineReader:
    """Reads a ``.jsonl`` file as a stream, hashing it on the way.

    Attributes:
        store: Where the file is.
        path: Its path; must exist.
        ended: What was read, after the last line.
    """

    store: Store
    path: str
    ended: Streamed | None = field(default=None, init=False)

    def lines(self) -> Iterator[bytes]:
        """Yield the lines, newline included.

        Raises:
            IntegrityError: A line is longer than the limit of the specification (E010).
            NotFoundError: The file went away.
        """
        digest = hashlib.sha256()
        size = 0
        rest = bytearray()
        for chunk in self.store.read(self.path):
            digest.update(chunk)
            size += len(chunk)
            rest += chunk
            if b"\n" in chunk:
                *whole, last = rest.split(b"\n")
                for line in whole:
                    yield bytes(line) + b"\n"
                rest = bytearray(last)
            if len(rest) > MAX_LINE_BYTES:
                message = "has a line that is longer than 64 MiB"
                raise IntegrityError(f"{self.path} {message}.", problems=(Problem("E010", self.path, message),))
        self.ended = Streamed(digest.hexdigest(), size)
        if rest:
            yield bytes(rest)


class Checker:
    """Checks files against descriptors. Safe to use from several threads."""

    def __init__(self, store: Store, inventory: Inventory, findings: Findings, *, canonical: bool) -> None:
        """Check what the store holds; ``canonical`` asks for rule W003 too."""
        self.store = store
        self.inventory = inventory
        self.findings = findings
        self.abandoned = threading.Event()
        """Set when nobody waits for a result any more: long files are not read to their end."""
        self._canonical = canonical

    def place(
        self, descriptor: Descriptor, *, path: str | None = None, below: str = "", media_type: str | None = None
    ) -> bool:
        """Check where a descriptor points, that the file is there and that it has the size.

        Args:
            descriptor: What to check.
            path: The path it must have, where the layout says so.
            below: Else the folder it must be in.
            media_type: What it must be, where the place says so.

        Returns:
            True if the bytes are worth reading.
        """
        add = self.findings.add
        try:
            check_path(descriptor.path)
        except IntegrityError as error:
            self.findings.add_all(error.problems)
            return False
        if path is not None and descriptor.path != path:
            add("E021", descriptor.path, f"the layout puts this file at {path}")
        if path is None and not descriptor.path.startswith(below + "/"):
            add("E021", descriptor.path, f"the layout puts this file below {below}/")
        if media_type is not None and descriptor.media_type != media_type:
            add("E043", descriptor.path, f"the media type is {descriptor.media_type!r}, not {media_type!r}")
        size, named_before = self.inventory.claim(descriptor.path)
        if named_before:
            add("E022", descriptor.path, "more than one descriptor names this file")
        if size is None:
            add("E040", descriptor.path, "this file is missing")
        elif size != descriptor.size_bytes:
            add("E041", descriptor.path, f"this file has {size} bytes, not {descriptor.size_bytes}")
        return size == descriptor.size_bytes

    def bytes_match(self, descriptor: Descriptor, streamed: Streamed | None) -> bool:
        """Compare what was read with the descriptor."""
        if streamed is None or streamed.size_bytes != descriptor.size_bytes:
            self.findings.add("E041", descriptor.path, "reading this file does not give the bytes its size promises")
            return False
        if streamed.sha256 != descriptor.sha256:
            found = f"the sha256 of this file is {streamed.sha256}, not {descriptor.sha256}"
            self.findings.add("E042", descriptor.path, found)
            return False
        return True

    def hash(self, descriptor: Descriptor) -> None:
        """Read a whole file, as a stream, and compare its digest."""
        digest = hashlib.sha256()
        size = 0
        try:
            for chunk in self.store.read(descriptor.path):
                digest.update(chunk)
                size += len(chunk)
                if self.abandoned.is_set():
                    return
        except NotFoundError:
            self.findings.add("E040", descriptor.path, "this file is missing")
            return
        except IntegrityError as error:
            self.findings.add_all(problems_of(error, descriptor.path))
            return
        self.bytes_match(descriptor, Streamed(digest.hexdigest(), size))

    def read_bytes(self, path: str) -> bytes | None:
        """Return a document's bytes, None after a finding if it is missing or too large."""
        try:
            return self.store.read_all(path, limit_bytes=MAX_DOCUMENT_BYTES)
        except NotFoundError:
            self.findings.add("E040", path, "this file is missing")
        except IntegrityError as error:
            self.findings.add_all(problems_of(error, path))
        return None

    def document(self, type_: type[_D], descriptor: Descriptor) -> _D | None:
        """Read, hash and parse a document; None if it cannot be understood."""
        data = self.read_bytes(descriptor.path)
        if data is None:
            return None
        scratch = Findings()
        document = self.parsed(type_, data, descriptor.path, scratch)
        if self.bytes_match(descriptor, Streamed(hashlib.sha256(data).hexdigest(), len(data))):
            self.findings.absorb(scratch)
        return document

    def parsed(
        self, type_: type[_D], data: bytes, path: str, found: Findings | None = None, *, line: bool = False
    ) -> _D | None:
        """Parse a document or a line; None after a finding, which goes to ``found`` if that is given."""
        findings = found or self.findings
        try:
            value = parse_object(data, path)
            document = type_.from_json(value, path, strict=True)
        except IntegrityError as error:
            findings.add_all(error.problems)
            return None
        self._check_form(value, data, path, findings, line=line)
        return document

    def each_line(self, reader: LineReader, found: Findings | None = None) -> Iterator[bytes]:
        """Yield the lines of a file; what keeps it from being read to the end becomes a finding."""
        findings = found or self.findings
        try:
            yield from reader.lines()
        except NotFoundError:
            findings.add("E040", reader.path, "this file is missing")
        except IntegrityError as error:
            findings.add_all(problems_of(error, reader.path))

    def part(self, part: PartEntry) -> None:
        """Read a part, line by line: its digest, its form, its lines and rows."""
        reader = LineReader(self.store, part.descriptor.path)
        path = part.descriptor.path
        scratch = Findings()
        lines = rows = 0
        last_key = ""
        for data in self.each_line(reader):
            lines += 1
            value = self._part_line(part, data, last_key, scratch)
            if value is not None:
                rows += rows_in(part.name, value)
                last_key = str(value["key"]) if part.name == "metrics" else ""
        if self.bytes_match(part.descriptor, reader.ended):
            if not scratch.problems and (lines, rows) != (part.lines, part.rows):
                scratch.add("E050", path, f"has {lines} lines and {rows} rows, not {part.lines} and {part.rows}")
            self.findings.absorb(scratch)

    def _part_line(self, part: PartEntry, data: bytes, last_key: str, found: Findings) -> JSONObject | None:
        path = part.descriptor.path
        try:
            value = parse_object(data, path)
        except IntegrityError as error:
            found.add_all(error.problems)
            return None
        fault = metrics_fault(value, last_key) if part.name == "metrics" else None
        if fault:
            found.add("E051", path, fault)
            return None
        self._check_form(value, data, path, found, line=True)
        return value

    def _check_form(self, value: JSONObject, data: bytes, path: str, found: Findings, *, line: bool) -> None:
        if line and not data.endswith(b"\n"):
            found.add("E010", path, "the last line does not end with a newline")
        elif self._canonical and (line_bytes(value) if line else document_bytes(value)) != data:
            found.add("W003", path, "the bytes are not the canonical form of this JSON")


def problems_of(error: IntegrityError, path: str) -> tuple[Problem, ...]:
    """Return the violated rules of an error about a file, at least one."""
    return error.problems or (Problem("E042", path, str(error)),)


def metrics_fault(line: JSONObject, last_key: str) -> str | None:
    """Return what is wrong with a line of a metric history, None if nothing is."""
    key, timestamps, steps, values = (line.get(name) for name in ("key", "timestamps", "steps", "values"))
    if not isinstance(key, str):
        return "a line has no key"
    if not isinstance(timestamps, list) or not isinstance(steps, list) or not isinstance(values, list):
        return f"the line of {key!r} has not the three columns timestamps, steps and values"
    if not len(timestamps) == len(steps) == len(values):
        return f"the columns of {key!r} have {len(timestamps)}, {len(steps)} and {len(values)} entries"
    if not 1 <= len(timestamps) <= MAX_POINTS:
        return f"a line of {key!r} has {len(timestamps)} points, not 1 to {MAX_POINTS}"
    if not {*map(type, timestamps), *map(type, steps)} <= {int}:
        return f"a timestamp or a step of {key!r} is not an integer"
    if set(map(type, values)) != {float} and not all(map(_is_value, values)):
        return f"a value of {key!r} is neither a number nor NaN, Infinity or -Infinity"
    if key < last_key:
        return f"the key {key!r} comes after {last_key!r}"
    return None


def _is_value(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return False
    try:
        decode_float(value)
    except (ValueError, OverflowError):
        return False
    return True
