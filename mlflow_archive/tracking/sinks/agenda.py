"""What has to wait until other objects are at the target."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from enum import IntEnum
from itertools import chain, islice
from threading import Lock

from mlflow_archive.errors import MlflowArchiveError, NotAuthorisedError
from mlflow_archive.spec.kinds import KIND_ORDER, Kind
from mlflow_archive.spec.loss import Loss
from mlflow_archive.stream import ObjectKey

Action = Callable[[], Iterable[Loss]]


class Stage(IntEnum):
    """Moments between the kinds; each is named after what happens in it."""

    LINK = 0
    """Runs and logged models are there: parents, inputs, outputs, descriptions of models."""
    REGISTER = 1
    """All registered models are there: model versions made from versions of other models."""
    REMOVE = 2
    """The registry is there: delete the runs and models that are deleted at the source, before any trace comes,
    because deleting a run deletes assessments."""
    CONNECT = 3
    """Everything is there: what says something about issues, which come after the traces."""
    CLOSE = 4
    """Last of all: delete the experiments that are deleted at the source."""


#: The first kind that comes after a stage.
_BEFORE = {Stage.LINK: Kind.REGISTERED_MODEL, Stage.REGISTER: Kind.TRACE, Stage.REMOVE: Kind.TRACE}
_RANK = {kind: rank for rank, kind in enumerate(KIND_ORDER)}


class Agenda:
    """Actions by stage. Actions of a stage run side by side, stages one after the other, each once."""

    def __init__(self, parallelism: int) -> None:
        """Start with nothing to do."""
        self._parallelism = parallelism
        self._actions: dict[Stage, list[tuple[ObjectKey, Action]]] = {stage: [] for stage in Stage}
        self._losses: list[Loss] = []
        self._done: set[Stage] = set()
        self._lock = Lock()
        self._turn = Lock()

    def later(self, stage: Stage, key: ObjectKey, action: Action) -> None:
        """Do something for an object at a stage; what it returns or raises is reported at the end."""
        with self._lock:
            self._actions[stage].append((key, action))

    def advance(self, kind: Kind) -> None:
        """Run the stages that come before a kind; other threads wait until they are over."""
        for stage, first in _BEFORE.items():
            if _RANK[kind] >= _RANK[first]:
                self._run(stage)

    def finish(self) -> tuple[Loss, ...]:
        """Run all that is left and return what was not all right in any stage."""
        for stage in Stage:
            self._run(stage)
        return tuple(self._losses)

    def _run(self, stage: Stage) -> None:
        with self._turn:
            if stage in self._done:
                return
            actions = iter(self._actions.pop(stage))
            with ThreadPoolExecutor(self._parallelism, thread_name_prefix="agenda") as pool:
                while batch := list(islice(actions, 64 * self._parallelism)):
                    self._losses += chain.from_iterable(pool.map(_attempt, batch))
            self._done.add(stage)


def _attempt(entry: tuple[ObjectKey, Action]) -> tuple[Loss, ...]:
    key, action = entry
    try:
        return tuple(action())
    except MlflowArchiveError as error:
        if isinstance(error, NotAuthorisedError) and not error.forbidden:
            raise
        return (key.lost(error.code, str(error), path="links", retryable=error.retryable),)
