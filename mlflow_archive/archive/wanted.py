"""Which index entries a selection wants, told from the entry alone."""

from __future__ import annotations

from mlflow_archive.spec.kinds import Kind
from mlflow_archive.spec.object import IndexEntry
from mlflow_archive.spec.selection import Selection

_TIMED = frozenset({Kind.RUN, Kind.LOGGED_MODEL, Kind.TRACE})


def wants_entry(selection: Selection, kind: Kind, entry: IndexEntry) -> bool:
    """Tell whether an object is wanted, its experiment being wanted; the run filter is not asked here."""
    name = entry.name or entry.id
    if kind is Kind.EXPERIMENT:
        return selection.wants_experiment(entry.id, name)
    if kind is Kind.REGISTERED_MODEL:
        return selection.wants_model(name)
    if kind is Kind.PROMPT:
        return selection.wants_prompt(name)
    if kind is Kind.RUN and not selection.wants_run_id(entry.id):
        return False
    if kind is Kind.LOGGED_MODEL and not selection.wants_logged_model_id(entry.id):
        return False
    return kind not in _TIMED or selection.wants_time(entry.time_ms)
