"""The one way to refer to bytes: path, media type, size, digest (spec/v1/archive.md, "Descriptors")."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from mlflow_archive.spec.base import Document

MARKER_TYPE = "application/vnd.mlflow-archive.marker.v1+json"
MANIFEST_TYPE = "application/vnd.mlflow-archive.manifest.v1+json"
OBJECT_TYPE = "application/vnd.mlflow-archive.object.v1+json"
INDEX_TYPE = "application/vnd.mlflow-archive.index.v1+jsonl"
LOSSES_TYPE = "application/vnd.mlflow-archive.losses.v1+jsonl"
METRICS_TYPE = "application/vnd.mlflow-archive.metrics.v1+jsonl"
RECORDS_TYPE = "application/vnd.mlflow-archive.records.v1+jsonl"
SPANS_TYPE = "application/vnd.mlflow-archive.spans.v1+jsonl"
BLOB_TYPE = "application/octet-stream"
TEXT_TYPE = "text/plain"

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
SizeBytes = Annotated[int, Field(ge=0)]


class Descriptor(Document):
    """Names bytes in the archive and pins them."""

    path: str
    """Relative to the archive's root (rule E020)."""
    media_type: str
    size_bytes: SizeBytes
    sha256: Sha256
    """Lower-case hexadecimal digest of the bytes as stored, before any container's compression."""
