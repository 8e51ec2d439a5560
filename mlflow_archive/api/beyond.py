"""Wishes for what only a Databricks workspace has, checked before anything is connected."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mlflow_archive.errors import UsageError

if TYPE_CHECKING:
    from mlflow_archive.operations.ends import WorkspaceWishes


def beyond_mlflow(notebook_formats: Sequence[str], *, permissions: bool) -> WorkspaceWishes:
    """Return the wishes, with the words of the forms in capital letters.

    Raises:
        UsageError: A form is none of the four that there are.
    """
    from mlflow_archive.operations.ends import WorkspaceWishes
    from mlflow_archive.tracking.databricks.notebook_formats import NOTEBOOK_FORMATS

    if isinstance(notebook_formats, str):
        raise UsageError(f"notebook_formats is a tuple of words: give ({notebook_formats!r},).")
    wanted = tuple(dict.fromkeys(word.strip().upper() for word in notebook_formats))
    unknown = [word for word in wanted if word not in NOTEBOOK_FORMATS]
    if unknown:
        raise UsageError(f"{unknown[0]!r} is no form of a notebook; there are {', '.join(NOTEBOOK_FORMATS)}.")
    return WorkspaceWishes(wanted, permissions)
