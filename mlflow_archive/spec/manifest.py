"""The marker, the commit and what they hold (spec/v1/archive.md, "Layout" and "Commit")."""

from __future__ import annotations

from typing import Literal

from mlflow_archive.spec.base import Document
from mlflow_archive.spec.canonical import JSONObject
from mlflow_archive.spec.descriptor import Descriptor, SizeBytes
from mlflow_archive.spec.object import Section


class Features(Document):
    """Named features a reader must know for an operation; unknown name: refuse that operation (E004)."""

    read: tuple[str, ...] = ()
    verify: tuple[str, ...] = ()


class Marker(Document):
    """``mlflow-archive.json``, written first and never changed."""

    format: str
    """Always ``mlflow-archive`` (E001)."""
    spec_version: str
    """``<major>.<minor>`` (E002: greater major is refused)."""
    archive_id: str
    """A random UUID, the same in the manifest (E003)."""
    features: Features = Features()


class SourceInfo(Document):
    """Where the objects came from; never holds a credential."""

    type: str
    """``mlflow`` for a server, a database or a file store, ``archive`` for another archive."""
    uri: str
    """Without user, password, token or query."""
    mlflow_version: str | None = None
    """The server's version; of a database, the first release of its revision."""
    dialect: str | None = None
    """Of a database that was read by SQL: ``sqlite``, ``postgresql``, ``mysql`` or ``mssql``."""
    revision: str | None = None
    """Of a database that was read by SQL: the revision of its schema (alembic)."""
    source_tags: str | None = None
    """A restore is to tell of the source in the tags of what it makes, in this layout: ``mlflow_archive``,
    ``mlflow_exim`` or ``mlflow_export_import``."""


class KindCount(Document):
    """The account of one kind: every object the source named is in exactly one of the three."""

    stored: SizeBytes
    skipped: SizeBytes
    lost: SizeBytes


class LossSummary(Document):
    """The losses: how many, of which codes, and where the lines are."""

    count: SizeBytes
    by_code: dict[str, int]
    descriptor: Descriptor | None = None
    """Of ``losses.jsonl``; absent when there is none."""


class Tool(Document):
    """The program that wrote the archive."""

    name: str
    version: str


class Manifest(Document):
    """``manifest.json``: the commit. Written last, create-if-absent; without it there is no archive (E005)."""

    format: str
    spec_version: str
    archive_id: str
    status: Literal["complete", "partial"]
    """``partial`` exactly when ``losses.count`` is not 0 (E030)."""
    started_ms: int
    finished_ms: int
    tool: Tool
    source: SourceInfo
    selection: JSONObject
    """What was asked for; ``{}`` is everything."""
    counts: dict[str, KindCount]
    """By kind word; ``stored`` equals the number of index entries of that kind (E031)."""
    skipped: dict[str, int] = {}
    """How many objects were skipped, by reason."""
    losses: LossSummary
    notes: tuple[str, ...] = ()
    """What the source has that no client can read, in sentences (secrets, password hashes ...)."""
    total_bytes: SizeBytes
    """Sum of the ``total_bytes`` of the sections (E036)."""
    files: tuple[Descriptor, ...] = ()
    """Files that belong to no object: the marker always (E006), and ``README.txt``; the losses have their own place."""
    sections: tuple[Section, ...]
