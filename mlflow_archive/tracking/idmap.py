"""Which object of the target stands for which object of the source.

Over the API experiments, runs, logged models and datasets get new ids; every reference to them has to follow
(`mlflow_archive.tracking.rewriting`). One map serves one transfer and is safe to use from several threads:
entries are only ever added, and a Python dict assignment is atomic.
"""

from __future__ import annotations

import sys

from mlflow_archive.spec.kinds import Kind

_WHOLE = "\0"


class IdMap:
    """Old id -> new id, by kind, with the artifact roots of runs and logged models.

    Built for millions of runs: a root is kept as the two interned texts around the id, not as a text of its own.
    """

    def __init__(self) -> None:
        """Start empty."""
        self._ids: dict[Kind, dict[str, tuple[str, str | None, str]]] = {kind: {} for kind in Kind}
        self.model_names: dict[str, str] = {}
        """Registered models and prompts that go by another name at the target."""

    def add(self, kind: Kind, old: str, new: str, root: str | None = None) -> None:
        """Note that ``old`` of the source is ``new`` at the target, with its artifact root there."""
        if root is None:
            self._ids[kind][old] = (new, None, "")
            return
        before, found, after = root.partition(new) if new else (root, "", "")
        # A root without the id in it is rare: kept whole.
        self._ids[kind][old] = (new, sys.intern(before), sys.intern(after)) if found else (new, root, _WHOLE)

    def get(self, kind: Kind, old: str | None) -> str | None:
        """Return the id at the target, or None if the object is not there."""
        entry = self._ids[kind].get(old) if old else None
        return entry[0] if entry else None

    def root(self, kind: Kind, old: str) -> str | None:
        """Return the artifact root at the target, or None if it is not known."""
        entry = self._ids[kind].get(old)
        if entry is None or entry[1] is None:
            return None
        new, before, after = entry
        return before if after == _WHOLE else f"{before}{new}{after}"

    def any_id(self, old: str) -> str | None:
        """Return the new id of a run or a logged model."""
        return self.get(Kind.LOGGED_MODEL if old.startswith("m-") else Kind.RUN, old)

    def any_root(self, old: str) -> str | None:
        """Return the new artifact root of a run or a logged model."""
        return self.root(Kind.LOGGED_MODEL if old.startswith("m-") else Kind.RUN, old)
