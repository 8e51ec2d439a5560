"""What the operator decides about a restore."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum


class IfExists(str, Enum):
    """What to do with an object that is at the target already."""

    SKIP = "skip"
    """Leave it as it is; add below it what is missing."""
    UPDATE = "update"
    """Overwrite its tags, description and end state."""
    FAIL = "fail"
    """Refuse the object."""
    DUPLICATE = "duplicate"
    """Make a second one."""

    def __str__(self) -> str:
        """Return the word itself."""
        return self.value


@dataclass(frozen=True, slots=True)
class SinkOptions:
    """The choices of one restore.

    Attributes:
        if_exists: What to do with objects that are there already.
        rename_experiment: Experiment name -> name at the target.
        rename_model: Name of a registered model or a prompt -> name at the target.
        dry_run: Read the target, write nothing.
        activate: Restore webhooks and online scorers as active as they were, instead of switched off.
        source_uri: Where the objects come from, without credentials; written into provenance tags.
    """

    if_exists: IfExists = IfExists.SKIP
    rename_experiment: Mapping[str, str] = field(default_factory=dict)
    rename_model: Mapping[str, str] = field(default_factory=dict)
    dry_run: bool = False
    activate: bool = False
    source_uri: str = ""
