"""Runs: `runs/search` for nearly everything, `runs/get` for model inputs, histories in bulk, files from the store."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from mlflow_archive.errors import MlflowArchiveError, UsageError
from mlflow_archive.spec.canonical import JSONObject, JSONValue
from mlflow_archive.spec.kinds import Kind
from mlflow_archive.spec.records.run import RunRecord
from mlflow_archive.spec.selection import PARENT_RUN_TAG, Selection
from mlflow_archive.stream import Content, Item, ObjectKey
from mlflow_archive.tracking.artifact_contract import ArtifactOwner
from mlflow_archive.tracking.paging import each_once, integer, mapping, member, number, objects, pages, text, without
from mlflow_archive.tracking.sources import single
from mlflow_archive.tracking.sources.context import ExperimentRef, Reading, unreadable
from mlflow_archive.tracking.sources.histories import Batch, batch_size, metrics_part
from mlflow_archive.tracking.sources.run_files import RunFiles

_GET = "/api/2.0/mlflow/runs/get"
_PAGE = 1000
_PATH = "the server's answer"
#: The code of the error that the run filter is wrong.
WRONG_FILTER = "run_filter"


def read(reading: Reading, workspace: str | None, experiment: ExperimentRef, selection: Selection) -> Iterator[Item]:
    """List the wanted runs of an experiment, deleted ones included unless the selection leaves them out.

    Histories of the next runs are fetched while the last ones are written.
    """
    files = RunFiles(reading.artifacts, workspace) if selection.artifacts else None
    following: tuple[Batch, list[RunRecord]] | None = None
    for runs in _groups(reading, workspace, experiment, selection):
        if isinstance(runs, Item):
            yield runs
            continue
        batch = Batch(reading, workspace, runs)
        if reading.points.room:
            batch.start()
        if following:
            yield from _items(reading, *following, files)
        following = (batch, runs)
    if following:
        yield from _items(reading, *following, files)


def _groups(
    reading: Reading, workspace: str | None, experiment: ExperimentRef, selection: Selection
) -> Iterator[list[RunRecord] | Item]:
    """Yield the wanted runs in groups whose histories are read together; a run that is not understood alone."""
    group: list[RunRecord] = []
    for row in _rows(reading, workspace, experiment, selection):
        if isinstance(row, Item):
            yield row
            continue
        info = member(row, "info")
        run_id = text(info.get("run_id"))
        if not selection.wants_run_id(run_id) or not selection.wants_life_cycle(text(info.get("lifecycle_stage"))):
            continue
        try:
            run = run_record(row)
        except MlflowArchiveError as error:
            yield unreadable(ObjectKey(Kind.RUN, run_id, experiment.id, workspace), error)
            continue
        reading.name_models(workspace, experiment.id, [text(output.get("model_id")) for output in run.model_outputs])
        reading.remember_run(workspace, run.info.run_id)
        group.append(run)
        if len(group) >= batch_size(reading.points, len(run.metrics)):
            yield group
            group = []
    if group:
        yield group


def run_record(row: JSONObject) -> RunRecord:
    """Return the record of a run as the server wrote it."""
    info = member(row, "info")
    data = member(row, "data")
    inputs = member(row, "inputs")
    outputs = member(row, "outputs")
    metrics = sorted(objects(data.get("metrics")), key=lambda metric: text(metric.get("key")))
    value: JSONObject = {
        "info": without(info, "run_uuid"),
        "params": {**mapping(data.get("params"))},
        "tags": {**mapping(data.get("tags"))},
        "metrics": [_metric(metric) for metric in metrics],
        "dataset_inputs": [*objects(inputs.get("dataset_inputs"))],
        "model_inputs": [*objects(inputs.get("model_inputs"))],
        "model_outputs": [_numbered(output) for output in objects(outputs.get("model_outputs"))],
    }
    return RunRecord.from_json(value, _PATH)


def by_id(reading: Reading, workspace: str | None, run_id: str) -> tuple[JSONObject, str]:
    """Return a run as a search shows it, and its experiment.

    Raises:
        NotFoundError: There is none.
        UsageError: This cannot be an id.
    """
    answer = reading.client.call("GET", _GET, params={"run_id": run_id}, workspace=workspace)
    run = member(answer, "run")
    return run, text(member(run, "info").get("experiment_id"))


def ids_asked(selection: Selection) -> frozenset[str] | None:
    """Return the runs that are to be read one by one; None if they are searched for."""
    return None if selection.run_filter or selection.parent_run_ids is not None else selection.run_ids


def _rows(
    reading: Reading, workspace: str | None, experiment: ExperimentRef, selection: Selection
) -> Iterator[JSONObject | Item]:
    asked = ids_asked(selection)
    if asked is not None:
        known = reading.homes(Kind.RUN, workspace)
        here = [id for id in asked if known.get(id) == experiment.id]
        for found in single.rows(reading, by_id, workspace, here):
            if len(found) == 2:
                yield unreadable(ObjectKey(Kind.RUN, found[0], experiment.id, workspace), found[1])
            elif selection.wants_time(integer(member(found[1], "info").get("start_time"))):
                yield found[1]
        return
    for wish in _filters(selection):
        yield from _searched(reading, workspace, experiment, selection, wish)


def _searched(
    reading: Reading, workspace: str | None, experiment: ExperimentRef, selection: Selection, wish: str
) -> Iterator[JSONObject]:
    request: JSONObject = {
        "experiment_ids": [experiment.id],
        "run_view_type": "ALL" if selection.deleted else "ACTIVE_ONLY",
        "max_results": _PAGE,
        "order_by": ["attributes.start_time ASC"],
    }
    if wish:
        request["filter"] = wish

    def walk() -> Iterator[list[JSONObject]]:
        try:
            for page in pages(reading.client, "POST", "/api/2.0/mlflow/runs/search", request, workspace=workspace):
                yield objects(page.get("runs"))
        except UsageError as error:
            if not selection.run_filter or error.code != "invalid_parameter_value":
                raise
            sentence = f"The server refuses the run filter {selection.run_filter!r}: {error}"
            raise UsageError(sentence, code=WRONG_FILTER) from error

    return each_once(walk, lambda row: text(member(row, "info").get("run_id")), steady=reading.steady)


def _filters(selection: Selection) -> Iterator[str]:
    """Yield the filters whose answers together are the wanted runs; no run is in two of them."""
    clauses = [selection.run_filter] if selection.run_filter else []
    if selection.since_ms is not None:
        clauses.append(f"attributes.start_time >= {selection.since_ms}")
    if selection.until_ms is not None:
        clauses.append(f"attributes.start_time < {selection.until_ms}")
    if selection.parent_run_ids is None:
        yield " and ".join(clauses)
        return
    # No list of values can be asked of a tag.
    for parent in sorted(selection.parent_run_ids):
        yield " and ".join((*clauses, f"tags.`{PARENT_RUN_TAG}` = {_quoted(parent)}"))


def _items(reading: Reading, batch: Batch, runs: list[RunRecord], files: RunFiles | None) -> Iterator[Item]:
    bare = files.without_files(runs) if files else frozenset(run.info.run_id for run in runs)
    for run in runs:
        key = ObjectKey(Kind.RUN, run.info.run_id, run.info.experiment_id, batch.workspace, run.info.run_name or "")
        yield Item(key, partial(_load, reading, key, run, batch, key.id not in bare))


def _load(reading: Reading, key: ObjectKey, run: RunRecord, batch: Batch, artifacts: bool) -> Content:
    record = _with_models(reading, key, run)
    parts, losses = metrics_part(reading, key, run, batch)
    uri = run.info.artifact_uri
    if not artifacts or not uri:
        return Content(record, parts, losses=losses)
    owner = ArtifactOwner(Kind.RUN, key.id, uri, key.workspace)
    return Content(record, parts, lambda: reading.blobs(key, owner), losses)


def _with_models(reading: Reading, key: ObjectKey, run: RunRecord) -> RunRecord:
    """Ask for the models of a run where the workspace has logged models at all.

    No search shows the inputs, and that of MLflow 3.0 does not show the outputs either.
    """
    if reading.shows_all or not reading.has_logged_models(key.workspace):
        return run
    answer = reading.client.call("GET", _GET, params={"run_id": key.id}, workspace=key.workspace)
    inputs = objects(member(member(answer, "run"), "inputs").get("model_inputs"))
    outputs = [_numbered(made) for made in objects(member(member(answer, "run"), "outputs").get("model_outputs"))]
    named = [text(given.get("model_id")) for given in inputs]
    if not run.model_outputs:
        named += [text(made.get("model_id")) for made in outputs]
        run = run.model_copy(update={"model_outputs": tuple(outputs)})
    reading.name_models(key.workspace, run.info.experiment_id, named)
    return run.model_copy(update={"model_inputs": tuple(inputs)})


def _quoted(value: str) -> str:
    return f"'{value}'" if "'" not in value else f'"{value}"'


def _metric(metric: JSONObject) -> JSONValue:
    # The server's JSON leaves numbers out that are zero.
    return {
        **metric,
        "value": number(metric.get("value")),
        "timestamp": integer(metric.get("timestamp")) or 0,
        "step": integer(metric.get("step")) or 0,
    }


def _numbered(output: JSONObject) -> JSONObject:
    return {**output, "step": integer(output.get("step")) or 0}
