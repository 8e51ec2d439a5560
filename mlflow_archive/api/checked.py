"""What several calls ask of their arguments."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlflow_archive.errors import UsageError

if TYPE_CHECKING:
    from mlflow_archive.operations.selecting import Wishes
    from mlflow_archive.spec.selection import Selection


def at_least_one(parallelism: int) -> int:
    """Return the number of threads.

    Raises:
        UsageError: There would be none.
    """
    if parallelism < 1:
        raise UsageError(f"parallelism is {parallelism}; give a number of 1 or more.")
    return parallelism


def chosen(selection: Selection | None, wishes: Wishes) -> Selection:
    """Return the ready-made selection, or the one that the wishes make.

    Raises:
        UsageError: Both are given, or the wishes contradict each other.
    """
    from mlflow_archive.operations.selecting import make_selection

    if selection is None:
        return make_selection(**wishes)
    if wishes:
        raise UsageError(f"A ready-made selection takes no further wishes; leave {', '.join(sorted(wishes))} out.")
    return selection
