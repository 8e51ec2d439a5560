"""What of a source is wanted; recorded in the manifest, so that an archive says what it was asked to hold."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from typing import Any

from mlflow_archive.spec.canonical import JSONObject, JSONValue
from mlflow_archive.spec.kinds import Kind
from mlflow_archive.spec.patterns import matches

#: The tag by which MLflow nests a run below another one of the same experiment.
PARENT_RUN_TAG = "mlflow.parentRunId"


@dataclass(frozen=True, slots=True)
class Selection:
    """A wish. The default is everything, deleted objects included.

    Sources filter by every attribute but `with_children`, `runs_within`, `whole_experiments` and what comes along with
    named objects: that is the closure's (`mlflow_archive.operations.closure`), which reads a source with selections of
    its own.

    Attributes:
        experiments: Names, globs of names (``*``, ``?``, ``[]``), or ids; empty is all. `patterns.exactly` makes a
            pattern of a name that has these signs in it.
        run_filter: MLflow's own filter string for runs, e.g. ``metrics.f1 > 0.9 and params.lr = '0.1'``.
        models: Names or globs of registered models; None is all, empty is none.
        prompts: Names or globs of prompts; None is all, empty is none.
        since_ms: Earliest start (runs), request (traces) or creation (logged models) time, inclusive,
            milliseconds since the epoch.
        until_ms: Latest such time, exclusive.
        kinds: Only these kinds; None is all.
        artifacts: False leaves all blobs out, but for the tables of a database and what `version_files` asks for.
        run_ids: Only these runs; None is all.
        logged_model_ids: Only these logged models; None is all.
        experiment_ids: Only these experiments; None is all. Set by a closure.
        deleted: False leaves out what is deleted: experiments with all that is below them, runs, logged models.
        with_children: With `run_ids`: the runs nested below them as well, at any depth.
        runs_within: With `run_ids`: only those of these experiments (names, globs or ids); empty is wherever they are.
        parent_run_ids: Only runs nested directly below one of these; None is all. Set by a closure.
        trace_ids: Only these traces; None is all.
        datasets: Names, globs or ids of evaluation datasets; None is all, empty is none.
        stages: Only versions of registered models in these stages (``None``, ``Staging``, ``Production``,
            ``Archived``; case does not matter); None is all.
        versions: Only these versions of registered models; None is all.
        latest_versions: Only the newest version of each stage of a registered model, before `stages` and `versions`
            are asked.
        prompt_versions: Only these versions of prompts; None is all.
        version_files: True stores the files of every model version with it, also where they lie in a run or a logged
            model, which has them already.
        whole_experiments: True takes everything below the experiments that named models need a run of, not that run
            alone.
    """

    experiments: tuple[str, ...] = ()
    run_filter: str | None = None
    models: tuple[str, ...] | None = None
    prompts: tuple[str, ...] | None = None
    since_ms: int | None = None
    until_ms: int | None = None
    kinds: frozenset[Kind] | None = None
    artifacts: bool = True
    run_ids: frozenset[str] | None = None
    logged_model_ids: frozenset[str] | None = None
    experiment_ids: frozenset[str] | None = None
    deleted: bool = True
    with_children: bool = False
    runs_within: tuple[str, ...] = ()
    parent_run_ids: frozenset[str] | None = None
    trace_ids: frozenset[str] | None = None
    datasets: tuple[str, ...] | None = None
    stages: frozenset[str] | None = None
    versions: frozenset[int] | None = None
    latest_versions: bool = False
    prompt_versions: frozenset[int] | None = None
    version_files: bool = False
    whole_experiments: bool = False

    def wants(self, kind: Kind) -> bool:
        """Tell whether objects of this kind are wanted at all."""
        return self.kinds is None or kind in self.kinds

    def wants_files(self, kind: Kind) -> bool:
        """Tell whether the blobs of objects of this kind are wanted."""
        return self.artifacts or kind is Kind.DATABASE or (self.version_files and kind is Kind.REGISTERED_MODEL)

    def wants_experiment(self, experiment_id: str, name: str) -> bool:
        """Tell whether an experiment, and so what is below it, is wanted."""
        if self.experiment_ids is not None and experiment_id not in self.experiment_ids:
            return False
        return not self.experiments or any(
            pattern == experiment_id or matches(name, pattern) for pattern in self.experiments
        )

    def wants_model(self, name: str) -> bool:
        """Tell whether a registered model is wanted."""
        return self.models is None or any(matches(name, pattern) for pattern in self.models)

    def wants_prompt(self, name: str) -> bool:
        """Tell whether a prompt is wanted."""
        return self.prompts is None or any(matches(name, pattern) for pattern in self.prompts)

    def wants_dataset(self, dataset_id: str, name: str) -> bool:
        """Tell whether an evaluation dataset is wanted, if its experiments are."""
        return self.datasets is None or any(
            pattern == dataset_id or matches(name, pattern) for pattern in self.datasets
        )

    def wants_run_id(self, run_id: str) -> bool:
        """Tell whether this run is wanted; its life-cycle, parent, time and the run filter are asked besides."""
        return self.run_ids is None or run_id in self.run_ids

    def wants_parent(self, tags: Mapping[str, str]) -> bool:
        """Tell by its tags whether a run is nested below one of the wanted parents."""
        return self.parent_run_ids is None or tags.get(PARENT_RUN_TAG) in self.parent_run_ids

    def wants_logged_model_id(self, model_id: str) -> bool:
        """Tell whether this logged model is wanted."""
        return self.logged_model_ids is None or model_id in self.logged_model_ids

    def wants_trace_id(self, trace_id: str) -> bool:
        """Tell whether this trace is wanted."""
        return self.trace_ids is None or trace_id in self.trace_ids

    def wants_life_cycle(self, stage: str | None) -> bool:
        """Tell by its life-cycle stage whether an experiment, a run or a logged model is wanted."""
        return self.deleted or stage != "deleted"

    def wants_time(self, time_ms: int | None) -> bool:
        """Tell whether a time is in the window; an object without a time is only in an open window."""
        if self.since_ms is None and self.until_ms is None:
            return True
        if time_ms is None:
            return False
        return (self.since_ms is None or time_ms >= self.since_ms) and (
            self.until_ms is None or time_ms < self.until_ms
        )

    @property
    def is_everything(self) -> bool:
        """True if nothing is left out."""
        return self == Selection()

    def to_json(self) -> JSONObject:
        """Return the fields that differ from the default, for the manifest; ``{}`` is everything."""
        result: JSONObject = {}
        for item in fields(self):
            value = getattr(self, item.name)
            if value == item.default:
                continue
            result[item.name] = _in_order(value) if isinstance(value, (tuple, frozenset)) else value
        return result


def _in_order(values: Collection[Any]) -> list[JSONValue]:
    numbers = [value for value in values if isinstance(value, int)]
    return [*sorted(numbers), *sorted(str(value) for value in values if not isinstance(value, int))]
