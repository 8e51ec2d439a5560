"""Were the names that somebody asked for there?"""

from __future__ import annotations

import re
from dataclasses import replace

from mlflow_archive.spec.kinds import Kind
from mlflow_archive.spec.loss import Loss
from mlflow_archive.spec.selection import Selection
from mlflow_archive.stream import ObjectKey

_WORDS = {Kind.EXPERIMENT: "experiment", Kind.REGISTERED_MODEL: "registered model", Kind.PROMPT: "prompt"}


class WishCheck:
    """Crosses out the names of a selection as their objects come by. Globs may match nothing; names may not."""

    def __init__(self, selection: Selection) -> None:
        """Take the names of the kinds that the selection wants; the others will not come by."""
        asked = {
            Kind.EXPERIMENT: selection.experiments,
            Kind.REGISTERED_MODEL: selection.models or (),
            Kind.PROMPT: selection.prompts or (),
        }
        self._open: dict[Kind, dict[str, None]] = {
            kind: dict.fromkeys(name for name in names if not re.search(r"[*?\[]", name))
            for kind, names in asked.items()
            if selection.wants(kind)
        }
        self.narrow = replace(selection, artifacts=True) != Selection()
        """True if the selection asks for less than everything."""

    def saw(self, key: ObjectKey) -> None:
        """Cross out the names of an object that came by."""
        names = self._open.get(key.kind)
        if names:
            names.pop(key.name, None)
            names.pop(key.id, None)

    def missing(self) -> tuple[Loss, ...]:
        """Return a loss for each name that no object had."""
        return tuple(
            Loss(
                kind=kind,
                id=name,
                code="not_found",
                reason=f"The source has no {_WORDS[kind]} named {name!r}; the names are case-sensitive.",
            )
            for kind, names in self._open.items()
            for name in names
        )

    def nothing(self) -> str:
        """Return the sentence for a selection that matched nothing at all."""
        names = [f"{_WORDS[kind]} {name!r}" for kind, names in self._open.items() for name in names]
        asked = f" (no {', no '.join(names)})" if names else ""
        return f"Nothing at the source matches what was asked for{asked}; ls shows what is there."
