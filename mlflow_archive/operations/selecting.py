"""From what a person asks for to a `Selection`: words, names and times."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import date, datetime, timezone
from typing import TypedDict

from mlflow_archive.errors import UsageError
from mlflow_archive.spec.kinds import FOLDERS, IN_EXPERIMENT, KIND_ORDER, Kind
from mlflow_archive.spec.selection import Selection

#: The stages of a model version, as the registry writes them.
STAGES = ("None", "Staging", "Production", "Archived")
#: Not a kind, but can be left out like one: all files.
ARTIFACTS = "artifacts"


class Wishes(TypedDict, total=False):
    """What of a source is wanted; everything if nothing is given.

    Attributes:
        experiments: Names, globs of names, or ids; `mlflow_archive.exactly` makes a name of one that looks like a glob.
        run_filter: MLflow's filter string for runs.
        models: Names or globs of registered models; an empty sequence is none.
        prompts: Names or globs of prompts; an empty sequence is none.
        since: Earliest time, inclusive: ISO 8601 text, a `date` or a `datetime`; UTC unless it says otherwise.
        until: Latest time, exclusive, likewise.
        without: Kind words to leave out; ``artifacts`` leaves out all files.
        only: Kind words to take, and nothing else.
        deleted: False leaves out deleted experiments with all that is below them, deleted runs and logged models.
        run_ids: Runs by their ids, with the records of their experiments and the logged models they made or used.
        with_children: The runs nested below these, at any depth, likewise.
        runs_within: Of the named runs only those of these experiments: names, globs of names, or ids.
        logged_model_ids: Logged models by their ids, with the runs they came from.
        trace_ids: Traces by their ids.
        datasets: Names, globs or ids of evaluation datasets; an empty sequence is none.
        stages: Of registered models, only versions in these stages.
        versions: Of registered models, only these versions.
        latest_versions: Of registered models, only the newest version of each stage.
        prompt_versions: Of prompts, only these versions.
        version_files: Store the files of every model version with it, also those that its run or logged model has,
            and also ``without`` artifacts.
        whole_experiments: Take all that is below the experiments of the named models' runs, not these runs alone.
    """

    experiments: Sequence[str]
    run_filter: str | None
    models: Sequence[str] | None
    prompts: Sequence[str] | None
    since: str | date | None
    until: str | date | None
    without: Sequence[str]
    only: Sequence[str]
    deleted: bool
    run_ids: Sequence[str]
    with_children: bool
    runs_within: Sequence[str]
    logged_model_ids: Sequence[str]
    trace_ids: Sequence[str]
    datasets: Sequence[str] | None
    stages: Sequence[str]
    versions: Sequence[int]
    latest_versions: bool
    prompt_versions: Sequence[int]
    version_files: bool
    whole_experiments: bool


def make_selection(  # noqa: PLR0913 - the words of `Wishes`
    *,
    experiments: Sequence[str] = (),
    run_filter: str | None = None,
    models: Sequence[str] | None = None,
    prompts: Sequence[str] | None = None,
    since: str | date | None = None,
    until: str | date | None = None,
    without: Sequence[str] = (),
    only: Sequence[str] = (),
    deleted: bool = True,
    run_ids: Sequence[str] = (),
    with_children: bool = False,
    runs_within: Sequence[str] = (),
    logged_model_ids: Sequence[str] = (),
    trace_ids: Sequence[str] = (),
    datasets: Sequence[str] | None = None,
    stages: Sequence[str] = (),
    versions: Sequence[int] = (),
    latest_versions: bool = False,
    prompt_versions: Sequence[int] = (),
    version_files: bool = False,
    whole_experiments: bool = False,
) -> Selection:
    """Return the selection for a person's wishes; see `Wishes` for the arguments.

    What names some objects leaves the others out: ``experiments=["iris"]`` is that experiment with what is below it,
    without the model registry; ``models=["iris"]`` is that model with what it needs
    (`mlflow_archive.operations.closure`); both together are both. A kind below experiments brings the experiments'
    own records along, because it stands below them.

    Raises:
        UsageError: An unknown word, a time that cannot be read or an empty window, both ``only`` and ``without``
            naming the same kind, or a filter that has nothing to work on.
    """
    names = {
        "experiments": experiments,
        "models": models,
        "prompts": prompts,
        "run_ids": run_ids,
        "logged_model_ids": logged_model_ids,
        "trace_ids": trace_ids,
        "datasets": datasets,
    }
    for word, value in {**names, "stages": stages, "runs_within": runs_within}.items():
        if isinstance(value, str):
            raise UsageError(f"{word} takes a list of names, not one string; write [{value!r}].")
    since_ms, until_ms = _time_ms(since, "since"), _time_ms(until, "until")
    if since_ms is not None and until_ms is not None and since_ms >= until_ms:
        raise UsageError("The time window is empty: since must be before until.")
    named = any(names.values())
    filtered = bool(run_filter) or since_ms is not None or until_ms is not None
    if named and filtered and not experiments and not (models and whole_experiments):
        raise UsageError(
            "A run filter and times choose among all runs of experiments, and what is named otherwise comes whole; "
            "name the experiments they are for as well, or leave them out."
        )
    if with_children and not run_ids:
        raise UsageError("with_children takes the runs below named ones along: name those by run_ids (--run-id).")
    if runs_within and not run_ids:
        raise UsageError("runs_within says where named runs stand: name those by run_ids (--run-id).")
    return Selection(
        experiments=tuple(experiments),
        run_filter=run_filter or None,
        models=() if models is None and named else _names(models),
        prompts=() if prompts is None and named else _names(prompts),
        since_ms=since_ms,
        until_ms=until_ms,
        kinds=_kinds(only, without),
        artifacts=ARTIFACTS not in (_plain(word) for word in without),
        run_ids=frozenset(run_ids) or None,
        logged_model_ids=frozenset(logged_model_ids) or None,
        deleted=deleted,
        with_children=with_children,
        runs_within=tuple(runs_within),
        trace_ids=frozenset(trace_ids) or None,
        # Of experiments that are taken whole the datasets come along.
        datasets=() if datasets is None and named and not (experiments or whole_experiments) else _names(datasets),
        stages=frozenset(map(_stage, stages)) or None,
        versions=_numbers(versions, "versions"),
        latest_versions=latest_versions,
        prompt_versions=_numbers(prompt_versions, "prompt_versions"),
        version_files=version_files,
        whole_experiments=whole_experiments,
    )


def kind_words() -> tuple[str, ...]:
    """Return the words for the kinds, in the order of a transfer."""
    return tuple(kind.value for kind in KIND_ORDER)


def parse_kind(word: str) -> Kind:
    """Return the kind for its word, or for its folder's word: ``run``, ``runs``, ``logged-models``, ``models`` ...

    Raises:
        UsageError: There is no such kind; the message lists the words.
    """
    plain = _plain(word)
    for kind in KIND_ORDER:
        if plain in (kind.value, FOLDERS[kind]):
            return kind
    raise UsageError(f"{word!r} is not a kind of object; the words are {', '.join(kind_words())}.")


def _kinds(only: Sequence[str], without: Sequence[str]) -> frozenset[Kind] | None:
    wanted = {parse_kind(word) for word in only}
    unwanted = {parse_kind(word) for word in without if _plain(word) != ARTIFACTS}
    both = wanted & unwanted
    if both:
        raise UsageError(f"{', '.join(sorted(both))} is asked for and left out at once.")
    if not wanted and not unwanted:
        return None
    kinds = (wanted or set(KIND_ORDER)) - unwanted
    if Kind.EXPERIMENT in unwanted:
        kinds -= IN_EXPERIMENT
    if kinds & IN_EXPERIMENT:
        kinds.add(Kind.EXPERIMENT)
    if Kind.WORKSPACE not in unwanted:
        kinds.add(Kind.WORKSPACE)
    return frozenset(kinds)


def _plain(word: str) -> str:
    return word.strip().lower().replace("-", "_")


def _names(names: Iterable[str] | None) -> tuple[str, ...] | None:
    return None if names is None else tuple(names)


def _stage(word: str) -> str:
    for stage in STAGES:
        if word.strip().lower() == stage.lower():
            return stage
    raise UsageError(f"{word!r} is not a stage of model versions; the stages are {', '.join(STAGES)}.")


def _numbers(numbers: Sequence[int], word: str) -> frozenset[int] | None:
    for number in numbers:
        if isinstance(number, bool) or not isinstance(number, int) or number < 1:
            raise UsageError(f"{number!r} in {word} is not a version; versions are whole numbers from 1.")
    return frozenset(numbers) or None


def _time_ms(value: str | date | None, word: str) -> int | None:
    if value is None:
        return None
    if isinstance(value, str):
        value = _parse_time(value, word)
    if not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day, tzinfo=timezone.utc)
    if value.tzinfo is None:
        value = value.replace(tzinfo=timezone.utc)
    since_epoch = value - datetime(1970, 1, 1, tzinfo=timezone.utc)
    return (since_epoch.days * 86_400 + since_epoch.seconds) * 1000 + since_epoch.microseconds // 1000


def _parse_time(text: str, word: str) -> datetime:
    plain = re.sub(r"[zZ]$", "+00:00", text.strip())
    # Python 3.10 reads three or six digits of a second's fraction, and no other number.
    plain = re.sub(r"\.(\d+)", lambda match: f".{match[1]:0<6.6}", plain)
    try:
        return datetime.fromisoformat(plain)
    except ValueError as error:
        raise UsageError(
            f"{word} {text!r} is not a time; write an ISO 8601 date or time in UTC, "
            "for example 2026-01-31 or 2026-01-31T12:00:00Z."
        ) from error
