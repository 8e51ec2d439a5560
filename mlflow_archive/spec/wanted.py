"""What a selection wants of objects that are listed, and of their records: the same answers for all sources.

A source asks `wants_object` what can be told without a record, `RecordFilter` about the record (life-cycle, nesting,
the run filter), and gives registered models and prompts `with_wanted_versions`.
"""

from __future__ import annotations

from typing import TypeVar

from mlflow_archive.spec.kinds import Kind
from mlflow_archive.spec.patterns import plain_name
from mlflow_archive.spec.records.base import Record
from mlflow_archive.spec.records.experiment import ExperimentRecord
from mlflow_archive.spec.records.logged_model import LoggedModelRecord
from mlflow_archive.spec.records.prompt import PromptRecord
from mlflow_archive.spec.records.registered_model import ModelVersion, RegisteredModelRecord
from mlflow_archive.spec.records.run import RunRecord
from mlflow_archive.spec.run_filter import RunFilter
from mlflow_archive.spec.selection import Selection

R = TypeVar("R", bound=Record)

#: Kinds whose objects can be deleted and be there nevertheless.
WITH_LIFE_CYCLE = frozenset({Kind.EXPERIMENT, Kind.RUN, Kind.LOGGED_MODEL})
_TIMED = frozenset({Kind.RUN, Kind.LOGGED_MODEL, Kind.TRACE})


def wants_object(selection: Selection, kind: Kind, id: str, name: str, time_ms: int | None) -> bool:
    """Tell whether an object is wanted, its experiment being wanted, as far as a listing can tell.

    Args:
        selection: What is wanted.
        kind: The kind of the object.
        id: Its id; its name where that is the identity.
        name: What a person calls it; the id where it has no name.
        time_ms: Creation or start, milliseconds since the epoch, if known.
    """
    if kind is Kind.EXPERIMENT:
        return selection.wants_experiment(id, name)
    if kind is Kind.REGISTERED_MODEL:
        return selection.wants_model(name)
    if kind is Kind.PROMPT:
        return selection.wants_prompt(name)
    if kind is Kind.EVALUATION_DATASET:
        return selection.wants_dataset(id, name)
    if kind is Kind.RUN and not selection.wants_run_id(id):
        return False
    if kind is Kind.LOGGED_MODEL and not selection.wants_logged_model_id(id):
        return False
    if kind is Kind.TRACE and not selection.wants_trace_id(id):
        return False
    return kind not in _TIMED or selection.wants_time(time_ms)


class RecordFilter:
    """What a selection asks of the records of one kind. Made once for a listing."""

    def __init__(self, kind: Kind, selection: Selection) -> None:
        """Read the run filter, if there is one and it is for this kind.

        Raises:
            UsageError: The run filter is wrong.
        """
        of_runs = kind is Kind.RUN
        self._selection = selection
        self._run_filter = RunFilter(selection.run_filter) if of_runs and selection.run_filter else None
        self.asks_life_cycle = not selection.deleted and kind in WITH_LIFE_CYCLE
        """True if deleted objects are not wanted, and this kind can have some."""
        self.asks_more = self._run_filter is not None or (of_runs and selection.parent_run_ids is not None)
        """True if something else of the record matters. If nothing is asked, no record needs to be read."""

    def wants(self, record: Record) -> bool:
        """Tell whether the object with this record is wanted, as far as its record tells."""
        if self.asks_life_cycle and not self._selection.wants_life_cycle(life_cycle_stage(record)):
            return False
        if not isinstance(record, RunRecord):
            return True
        return self._selection.wants_parent(record.tags) and (
            self._run_filter is None or self._run_filter.matches(record)
        )


def life_cycle_stage(record: Record) -> str | None:
    """Return ``active`` or ``deleted``; None of a kind that has no life-cycle."""
    if isinstance(record, ExperimentRecord):
        return record.lifecycle_stage
    if isinstance(record, RunRecord):
        return record.info.lifecycle_stage
    if isinstance(record, LoggedModelRecord):
        # Servers do not say it; a source that found a deleted one does.
        stage = (record.info.model_extra or {}).get("lifecycle_stage")
        return stage if isinstance(stage, str) else "active"
    return None


def with_wanted_versions(record: R, selection: Selection) -> R:
    """Return a registered model or a prompt with the wanted versions and their aliases; any other record as it is."""
    if not isinstance(record, RegisteredModelRecord):
        return record
    wanted = _wanted_numbers(record, selection)
    kept = [version for version in record.versions if version.version in wanted]
    if len(kept) == len(record.versions):
        return record
    dropped = {version.version for version in record.versions} - {version.version for version in kept}
    aliases = {alias: number for alias, number in record.aliases.items() if number not in dropped}
    return record.model_copy(update={"versions": tuple(kept), "aliases": aliases})


def missing_versions(record: Record, selection: Selection) -> tuple[int, ...]:
    """Return the versions that were asked for and are not there, ascending.

    Asked of the record with all its versions. Nothing is missing in what a glob matches.
    """
    if not isinstance(record, RegisteredModelRecord):
        return ()
    is_prompt = isinstance(record, PromptRecord)
    numbers = selection.prompt_versions if is_prompt else selection.versions
    named = (selection.prompts if is_prompt else selection.models) or ()
    if not numbers or all(plain_name(pattern) != record.name for pattern in named):
        return ()
    return tuple(sorted(numbers - {version.version for version in record.versions}))


def _wanted_numbers(record: RegisteredModelRecord, selection: Selection) -> frozenset[int]:
    there = frozenset(version.version for version in record.versions)
    if isinstance(record, PromptRecord):
        return there if selection.prompt_versions is None else there & selection.prompt_versions
    if selection.latest_versions:
        newest: dict[str, int] = {}
        for version in record.versions:
            newest[_stage(version)] = max(version.version, newest.get(_stage(version), 0))
        there = frozenset(newest.values())
    if selection.stages is not None:
        stages = {stage.casefold() for stage in selection.stages}
        there &= {version.version for version in record.versions if _stage(version) in stages}
    return there if selection.versions is None else there & selection.versions


def _stage(version: ModelVersion) -> str:
    return (version.current_stage or "None").casefold()
