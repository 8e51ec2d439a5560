"""What of a source is wanted; recorded in the manifest, so that an archive says what it was asked to hold."""

from __future__ import annotations

from dataclasses import dataclass, fields
from fnmatch import fnmatchcase

from mlflow_archive.spec.canonical import JSONObject
from mlflow_archive.spec.kinds import Kind


@dataclass(frozen=True, slots=True)
class Selection:
    """A wish. The default is everything, deleted objects included.

    Attributes:
        experiments: Names, globs of names (``*``, ``?``, ``[]``), or ids; empty is all.
        run_filter: MLflow's own filter string for runs, e.g. ``metrics.f1 > 0.9 and params.lr = '0.1'``.
        models: Names or globs of registered models; None is all, empty is none.
        prompts: Names or globs of prompts; None is all, empty is none.
        since_ms: Earliest start (runs), request (traces) or creation (logged models) time, inclusive,
            milliseconds since the epoch.
        until_ms: Latest such time, exclusive.
        kinds: Only these kinds; None is all.
        artifacts: False leaves all blobs out.
        run_ids: Only these runs; None is all. Set by a closure (a selected model takes its runs along).
        logged_model_ids: Only these logged models; None is all. Set by a closure.
        experiment_ids: Only these experiments; None is all. Set by a closure.
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

    def wants(self, kind: Kind) -> bool:
        """Tell whether objects of this kind are wanted at all."""
        return self.kinds is None or kind in self.kinds

    def wants_experiment(self, experiment_id: str, name: str) -> bool:
        """Tell whether an experiment, and so what is below it, is wanted."""
        if self.experiment_ids is not None and experiment_id not in self.experiment_ids:
            return False
        return not self.experiments or any(
            pattern == experiment_id or _matches(name, pattern) for pattern in self.experiments
        )

    def wants_model(self, name: str) -> bool:
        """Tell whether a registered model is wanted."""
        return self.models is None or any(_matches(name, pattern) for pattern in self.models)

    def wants_prompt(self, name: str) -> bool:
        """Tell whether a prompt is wanted."""
        return self.prompts is None or any(_matches(name, pattern) for pattern in self.prompts)

    def wants_run_id(self, run_id: str) -> bool:
        """Tell whether a closure wants this run; `run_filter` and times are checked by the source."""
        return self.run_ids is None or run_id in self.run_ids

    def wants_logged_model_id(self, model_id: str) -> bool:
        """Tell whether a closure wants this logged model."""
        return self.logged_model_ids is None or model_id in self.logged_model_ids

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
            if isinstance(value, (tuple, frozenset)):
                result[item.name] = [*sorted(str(v) for v in value)]
            else:
                result[item.name] = value
        return result


def _matches(name: str, pattern: str) -> bool:
    return name == pattern or fnmatchcase(name, pattern)
