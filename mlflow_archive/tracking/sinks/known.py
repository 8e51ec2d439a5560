"""What was in a target experiment before: listed once, and forgotten when nothing more comes for it."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import Generic, TypeVar

from mlflow_archive.stream import ObjectKey, Scope
from mlflow_archive.tracking.sinks.experiments import TargetExperiment

_T = TypeVar("_T")

#: No id of a source begins so.
_SHARED = "\0"


class KnownObjects(Generic[_T]):
    """The objects of one kind that a target has, by the ids they have at the source. Used by many threads."""

    def __init__(self, listing: Callable[[TargetExperiment, str | None], dict[str, _T]]) -> None:
        """List nothing yet; ``listing`` is called for an experiment when its first object comes."""
        self._listing = listing
        # By the id of the experiment at the source: that is what a scope tells when it is left. What is shared by all
        # of them is kept to the end, by its own.
        self._known: dict[str, dict[str, _T]] = {}
        self._lock = Lock()

    def find(self, key: ObjectKey, target: TargetExperiment) -> _T | None:
        """Return what the target experiment has of this object."""
        if target.fresh:
            return None
        with self._lock:
            listed = f"{_SHARED}{target.id}" if target.shared else key.experiment_id or ""
            if listed not in self._known:
                self._known[listed] = self._listing(target, key.workspace)
            return self._known[listed].get(key.id)

    def forget(self, scope: Scope) -> None:
        """Free what is known of an experiment of the source that has been left."""
        with self._lock:
            self._known.pop(scope.experiment_id or "", None)

    def __len__(self) -> int:
        """Return of how many experiments something is known."""
        return len(self._known)
