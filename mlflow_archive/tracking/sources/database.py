"""Reading the tables of a database as they are; only a client of a database has them.

A database is stored as a whole or not at all: a selection that narrows more than kinds and files leaves it out, with a
note. Without pyarrow the objects are stored, and the database is counted as skipped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Protocol

from mlflow_archive.spec.loss import Loss
from mlflow_archive.spec.selection import Selection
from mlflow_archive.stream import Item
from mlflow_archive.tracking.sources.context import Reading


class Dump(Protocol):
    """What the client of a database has beyond that of a server."""

    def items(self, note: Callable[[str], None]) -> Iterator[Item]:
        """Yield the databases; ``note`` hears sentences for a person."""
        ...


NARROWED = (
    "The tables of the database are not in the archive: they come as a whole or not at all, and less than everything "
    "was asked for."
)


def read(reading: Reading, workspace: str | None, selection: Selection) -> Iterator[Item | Loss]:
    """List the databases, which belong to no workspace."""
    if workspace is not None:
        return
    if not _whole(selection):
        reading.note(NARROWED)
        return
    dump: Dump = reading.client.dump  # type: ignore[attr-defined]
    yield from dump.items(reading.note)


def _whole(selection: Selection) -> bool:
    """Tell whether the selection narrows nothing but kinds and files."""
    kept = {"kinds": None, "artifacts": True, "version_files": False}
    return replace(selection, **kept).is_everything  # type: ignore[arg-type]
