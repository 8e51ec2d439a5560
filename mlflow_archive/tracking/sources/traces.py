"""Traces: infos and assessments by search, spans one trace at a time, files below the trace's artifact root.

From MLflow 3.2 on `3.0 traces/search` gives MLflow's ``TraceInfoV3``; before, `2.0 traces` gives an older form that
is written as a V3 one here, its other fields kept.

Links between traces and runs are in no trace's answer. They are asked for run by run, once there is a trace, for the
runs that were read before, of any experiment; beyond `MAX_LINK_RUNS` of them a note says that links were left out.
A database gives links and spans of many traces at once (`stored_spans`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from functools import partial
from itertools import islice
from urllib.parse import quote

from mlflow_archive.errors import IntegrityError, MlflowArchiveError
from mlflow_archive.spec.canonical import JSONObject, JSONValue
from mlflow_archive.spec.kinds import Kind
from mlflow_archive.spec.loss import Loss
from mlflow_archive.spec.records.trace import TraceRecord, parse_time_ms
from mlflow_archive.spec.selection import Selection
from mlflow_archive.stream import Content, Item, ObjectKey
from mlflow_archive.tracking.artifact_contract import ArtifactOwner
from mlflow_archive.tracking.capabilities import TRACE_LINKS, TRACES_V3
from mlflow_archive.tracking.paging import each_once, finite, integer, mapping, member, objects, pages, text, without
from mlflow_archive.tracking.sources import single
from mlflow_archive.tracking.sources.context import MAX_LINK_RUNS, ExperimentRef, Reading, unreadable
from mlflow_archive.tracking.sources.spans import spans_part
from mlflow_archive.tracking.sources.stored_spans import BATCH_TRACES, SpanBatch, TraceStore, trace_store

_PAGE = 500
_SOURCE_RUN = "mlflow.sourceRun"
_ARTIFACT_LOCATION = "mlflow.artifactLocation"


def read(
    reading: Reading, workspace: str | None, experiment: ExperimentRef, selection: Selection
) -> Iterator[Item | Loss]:
    """List the wanted traces of an experiment, those in progress included."""
    store = trace_store(reading.client)
    found = (_found(row, workspace, experiment) for row in _rows(reading, workspace, experiment, selection))
    while group := list(islice(found, 1 if store is None else BATCH_TRACES)):
        infos = {text(info.get("trace_id")): info for info in group if not isinstance(info, Item)}
        wanted = {
            id: info
            for id, info in infos.items()
            if selection.wants_time(parse_time_ms(text(info.get("request_time"))))
        }
        yield from (item for item in group if isinstance(item, Item))
        links = _linked_runs(reading, workspace, store, [*wanted])
        stored = SpanBatch(store, wanted) if store is not None else None
        for id, info in wanted.items():
            key = ObjectKey(
                Kind.TRACE, id, experiment.id, workspace, mapping(info.get("tags")).get("mlflow.traceName", "")
            )
            run_ids = sorted(links.get(id, set()) - {mapping(info.get("trace_metadata")).get(_SOURCE_RUN, "")})
            yield Item(key, partial(_load, reading, key, info, tuple(run_ids), stored, artifacts=selection.artifacts))


def _found(row: JSONObject | Item, workspace: str | None, experiment: ExperimentRef) -> JSONObject | Item:
    """Return a trace's info in the form of later versions, or what stands for one that cannot be read."""
    if isinstance(row, Item) or "trace_id" in row:
        return row
    try:
        return as_v3(row)
    except MlflowArchiveError as error:
        return unreadable(ObjectKey(Kind.TRACE, text(row.get("request_id")), experiment.id, workspace), error)


def as_v3(row: JSONObject) -> JSONObject:
    """Return a trace info of MLflow 2.14 to 3.1 in the form of later versions.

    Raises:
        IntegrityError: One of its times is none.
    """
    metadata = mapping(row.get("request_metadata"))
    time_ms, duration_ms = integer(row.get("timestamp_ms")), integer(row.get("execution_time_ms"))
    info: JSONObject = {
        **without(row, "request_id", "status", "request_metadata", "timestamp_ms", "execution_time_ms"),
        "trace_id": text(row.get("request_id")),
        "trace_location": {
            "type": "MLFLOW_EXPERIMENT",
            "mlflow_experiment": {"experiment_id": text(row.get("experiment_id"))},
        },
        "state": text(row.get("status")) or "STATE_UNSPECIFIED",
        "trace_metadata": {**metadata},
        "request_preview": metadata.get("mlflow.traceInputs"),
        "response_preview": metadata.get("mlflow.traceOutputs"),
    }
    if time_ms is not None:
        try:
            moment = datetime.fromtimestamp(time_ms // 1000, timezone.utc)
        except (ValueError, OverflowError, OSError) as error:
            raise IntegrityError(f"The server's answer has {time_ms} where a time in milliseconds belongs.") from error
        info["request_time"] = f"{moment:%Y-%m-%dT%H:%M:%S}.{time_ms % 1000:03d}Z"
    if duration_ms is not None and info["state"] != "IN_PROGRESS":
        info["execution_duration"] = f"{duration_ms // 1000}.{duration_ms % 1000:03d}s"
    return {name: value for name, value in info.items() if value is not None}


def by_id(reading: Reading, workspace: str | None, trace_id: str) -> tuple[JSONObject, str]:
    """Return a trace as a search shows it, and its experiment.

    Raises:
        NotFoundError: There is none.
        UsageError: This cannot be an id.
    """
    name = quote(trace_id, safe="")
    if reading.client.at_least(TRACES_V3):
        answer = reading.client.call("GET", f"/api/3.0/mlflow/traces/{name}", workspace=workspace)
        info = member(member(answer, "trace"), "trace_info")
        place = member(member(info, "trace_location"), "mlflow_experiment")
        return info, text(place.get("experiment_id"))
    answer = reading.client.call("GET", f"/api/2.0/mlflow/traces/{name}/info", workspace=workspace)
    info = member(answer, "trace_info")
    return info, text(info.get("experiment_id"))


def _rows(
    reading: Reading, workspace: str | None, experiment: ExperimentRef, selection: Selection
) -> Iterator[JSONObject | Item]:
    if selection.trace_ids is not None:
        known = reading.homes(Kind.TRACE, workspace)
        here = [id for id in selection.trace_ids if known.get(id) == experiment.id]
        for found in single.rows(reading, by_id, workspace, here):
            if len(found) == 2:
                yield unreadable(ObjectKey(Kind.TRACE, found[0], experiment.id, workspace), found[1])
            else:
                yield found[1]
        return
    yield from _searched(reading, workspace, experiment, selection)


def _searched(
    reading: Reading, workspace: str | None, experiment: ExperimentRef, selection: Selection
) -> Iterator[JSONObject]:
    request: JSONObject = {"max_results": _PAGE, "order_by": ["timestamp_ms ASC"]}
    wish = _filter(selection)
    if wish:
        request["filter"] = wish
    if reading.client.at_least(TRACES_V3):
        method, path = "POST", "/api/3.0/mlflow/traces/search"
        request["locations"] = [_location(experiment.id)]
    else:
        method, path = "GET", "/api/2.0/mlflow/traces"
        request["experiment_ids"] = [experiment.id]

    def walk() -> Iterator[list[JSONObject]]:
        for page in pages(reading.client, method, path, request, workspace=workspace):
            yield objects(page.get("traces"))

    return each_once(walk, lambda row: text(row.get("trace_id") or row.get("request_id")), steady=reading.steady)


def _filter(selection: Selection) -> str:
    clauses = []
    if selection.since_ms is not None:
        clauses.append(f"timestamp_ms >= {selection.since_ms}")
    if selection.until_ms is not None:
        clauses.append(f"timestamp_ms < {selection.until_ms}")
    return " and ".join(clauses)


def _load(
    reading: Reading,
    key: ObjectKey,
    info: JSONObject,
    run_ids: tuple[str, ...],
    stored: SpanBatch | None,
    *,
    artifacts: bool,
) -> Content:
    tags = mapping(info.get("tags"))
    parts, location, losses = spans_part(reading, key, info, tags, stored)
    value: JSONObject = {
        "info": {
            **without(info, "tags", "assessments"),
            "trace_metadata": {**mapping(info.get("trace_metadata"))},
        },
        "experiment_id": key.experiment_id,
        "tags": {**tags},
        "assessments": [*_in_order(objects(info.get("assessments")))],
        "spans_location": location,
        "run_ids": [*run_ids],
    }
    record = TraceRecord.from_json(value, "the server's answer")
    root = tags.get(_ARTIFACT_LOCATION)
    if not artifacts or not root:
        return Content(record, parts, losses=losses)
    owner = ArtifactOwner(Kind.TRACE, key.id, root, key.workspace)
    return Content(record, parts, partial(reading.blobs, key, owner), losses)


def _in_order(assessments: list[JSONObject]) -> list[JSONValue]:
    """Return the assessments ascending by creation, and each after the one that it overrides."""
    waiting = sorted(
        assessments,
        key=lambda one: (parse_time_ms(text(one.get("create_time"))) or 0, text(one.get("assessment_id"))),
    )
    placed: dict[str, JSONValue] = {}
    unplaced = {text(one.get("assessment_id")) for one in waiting}
    while waiting:
        ready = (one for one in waiting if text(one.get("overrides")) not in unplaced)
        following = next(ready, waiting[0])
        waiting.remove(following)
        unplaced.discard(text(following.get("assessment_id")))
        placed[text(following.get("assessment_id"))] = finite(following)
    return [*placed.values()]


def _linked_runs(
    reading: Reading, workspace: str | None, store: TraceStore | None, trace_ids: list[str]
) -> Mapping[str, set[str]]:
    """Return trace id -> the runs that were read and that it is linked to, of these traces at least."""
    if not trace_ids:
        return {}
    if store is None:
        return reading.links_of_traces(workspace, partial(_links, reading, workspace))
    links = store.runs_of(trace_ids)
    if not links:
        return links
    known = reading.run_ids(workspace)
    return links if len(known) > MAX_LINK_RUNS else {id: runs.intersection(known) for id, runs in links.items()}


def _links(reading: Reading, workspace: str | None) -> dict[str, set[str]]:
    """Return trace id -> the runs that were read and that it is linked to or was made in."""
    if not reading.client.at_least(TRACE_LINKS):
        return {}
    run_ids = reading.run_ids(workspace)
    if len(run_ids) > MAX_LINK_RUNS:
        reading.note(
            f"Links between traces and runs were not read, beyond those in the traces' own metadata: there are more "
            f"than {MAX_LINK_RUNS} runs to ask for."
        )
        return {}
    links: dict[str, set[str]] = {}
    locations: list[JSONValue] = [
        _location(experiment.id) for experiment in reading.experiments(workspace, Selection())
    ]
    ask = partial(_traces_of, reading, workspace, locations)
    for run_id, trace_ids in zip(run_ids, reading.pool.map(ask, run_ids), strict=True):
        for trace_id in trace_ids:
            links.setdefault(trace_id, set()).add(run_id)
    return links


def _traces_of(reading: Reading, workspace: str | None, locations: list[JSONValue], run_id: str) -> list[str]:
    request: JSONObject = {
        "locations": locations,
        "filter": f"attributes.run_id = '{run_id}'",
        "max_results": _PAGE,
    }
    found = pages(reading.client, "POST", "/api/3.0/mlflow/traces/search", request, workspace=workspace)
    return [text(row.get("trace_id")) for page in found for row in objects(page.get("traces"))]


def _location(experiment_id: str) -> JSONObject:
    return {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": experiment_id}}
