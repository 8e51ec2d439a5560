"""A loss: something the source has that is not in the archive, or something not brought to the target."""

from __future__ import annotations

from mlflow_archive.spec.base import Document
from mlflow_archive.spec.kinds import Kind


class Loss(Document):
    """One line of ``losses.jsonl``; also what a restore reports."""

    kind: Kind
    id: str
    """The object's id or name; empty when a whole listing failed."""
    experiment_id: str | None = None
    workspace: str | None = None
    path: str | None = None
    """The part that is lost: an artifact path, ``metrics``, ``records``, ``spans`` ...; None for the whole object."""
    code: str
    """Stable word: an error code of the tool, e.g. ``unavailable``, ``not_found``, ``unsupported``, ``name``."""
    reason: str
    """One sentence for a person; never holds a credential."""
    retryable: bool = False
    """True if the same command may succeed later without any change."""
