"""The envelope that every object of an archive is stored in (spec/v1/objects.md, "The object document").

``run.json``, ``model.json``, ``trace.json`` ...: the record as the source gave it, and descriptors of everything
that is kept beside it. *Parts* are long lists kept as lines (``.jsonl``); *blobs* are files.
"""

from __future__ import annotations

from mlflow_archive.spec.base import Document
from mlflow_archive.spec.canonical import JSONObject
from mlflow_archive.spec.descriptor import Descriptor, SizeBytes
from mlflow_archive.spec.kinds import Kind
from mlflow_archive.spec.loss import Loss


class PartEntry(Document):
    """A list of rows beside the record: metric history, spans, dataset records."""

    name: str
    """``metrics`` (run), ``spans`` (trace), ``records`` (evaluation dataset)."""
    lines: SizeBytes
    """Number of lines of the file."""
    rows: SizeBytes
    """Number of rows: metric points, spans or records."""
    descriptor: Descriptor


class BlobEntry(Document):
    """A file that belongs to the object."""

    role: str
    """``artifacts``, or ``versions/<version>/artifacts`` for a model version's own files."""
    name: str
    """The artifact path as MLflow has it, POSIX, relative to the object's artifact root."""
    descriptor: Descriptor


class ObjectDocument(Document):
    """An object with everything that belongs to it."""

    kind: Kind
    id: str
    experiment_id: str | None = None
    workspace: str | None = None
    """None is MLflow's default workspace."""
    record: JSONObject
    """One of the record types of ``spec/v1/objects.md``, chosen by ``kind``."""
    parts: tuple[PartEntry, ...] = ()
    blobs: tuple[BlobEntry, ...] = ()
    """Sorted by role and name, by code point."""
    losses: tuple[Loss, ...] = ()
    """What of this object could not be read; also in the manifest's ``losses.jsonl``."""


class IndexEntry(Document):
    """One line of an ``index.jsonl``; lines are sorted by ``id``, by code point."""

    id: str
    name: str | None = None
    """What a person calls it, where that differs from the id."""
    time_ms: int | None = None
    """Creation or start, milliseconds since the epoch, UTC, where the source tells."""
    state: str | None = None
    """Status and life-cycle in a word or two for listings; the record is the truth."""
    total_bytes: SizeBytes
    """Bytes of the record's document, its parts and its blobs."""
    blobs: SizeBytes
    """Number of blobs."""
    descriptor: Descriptor
    """Of the object document."""
    children: tuple[Section, ...] = ()
    """The objects below this one: only an experiment has them."""


class Section(Document):
    """All objects of one kind below the root or below one experiment."""

    kind: Kind
    workspace: str | None = None
    count: SizeBytes
    total_bytes: SizeBytes
    """Bytes of the index entries' objects together, children included, without the index itself."""
    index: Descriptor


IndexEntry.model_rebuild()


def rows_in(part: str, line: JSONObject) -> int:
    """Return how many rows a line of a part holds: the points of a ``metrics`` line, else one."""
    if part == "metrics":
        timestamps = line.get("timestamps")
        return len(timestamps) if isinstance(timestamps, list) else 0
    return 1
