"""Reads one server through MLflow's client: traces with spans and assessments, evaluation datasets, scorers."""

from __future__ import annotations

import json
import re
import urllib.parse
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from mlflow.entities import TraceData
from mlflow.exceptions import MlflowException

from tests.comparison.reading import Row, Server, pages

if TYPE_CHECKING:
    from mlflow.entities import Trace

#: A reference to an attachment, as it stands in spans.
ATTACHMENT = re.compile(r"mlflow-attachment://([0-9a-f-]+)\?[^\"\\]*trace_id=([^&\"\\]+)")


def read(server: Server) -> Iterator[Row]:
    """Yield the lines of traces, datasets and scorers."""
    yield from _traces(server)
    yield from _links(server)
    if server.version >= (3, 4):
        yield from _datasets(server)
    if server.version >= (3, 5):
        yield from _scorers(server)


def _traces(server: Server) -> Iterator[Row]:
    ids = [one.experiment_id for one in server.experiments]
    for found in pages(server.client.search_traces, locations=ids, max_results=200, include_spans=False):
        trace_id = found.info.trace_id
        info = found.info.to_dict()
        # Without this tag the spans are an artifact; newer servers say so.
        info["tags"].setdefault("mlflow.trace.spansLocation", "ARTIFACT_REPO")
        if server.version < (3, 2):
            for preview, key in (
                ("request_preview", "mlflow.traceInputs"),
                ("response_preview", "mlflow.traceOutputs"),
            ):
                info[preview] = info["trace_metadata"].get(key)
        assessments = {one["assessment_id"]: one for one in info.pop("assessments", [])}
        spans, files = _content(server, trace_id, info["tags"]["mlflow.artifactLocation"])
        key = (server.name(found.info.experiment_id), trace_id)
        yield server.row(
            "trace", key, trace_id, info, named=False, assessments_by_id=assessments, spans=spans, attachments=files
        )


def _content(server: Server, trace_id: str, place: str) -> tuple[object, dict[str, object]]:
    """Return the spans by id, or why they cannot be had, and the digest of each attachment."""
    if server.version < (3, 2):
        # The newest client cannot have the spans of so old a server: they are a file.
        data = TraceData.from_dict(json.loads(server.file(f"{place}/traces.json")))
        return {span.span_id: span.to_dict() for span in data.spans}, {}
    try:
        trace: Trace = server.client.get_trace(trace_id, display=False)
    except MlflowException as error:
        return f"{error.error_code}", {}
    spans = {span.span_id: span.to_dict() for span in trace.data.spans}
    return spans, dict(_attachments(server, trace))


def _attachments(server: Server, trace: Trace) -> Iterator[tuple[str, object]]:
    for attachment_id, owner in sorted(set(ATTACHMENT.findall(repr([span.to_dict() for span in trace.data.spans])))):
        place = trace.info.tags["mlflow.artifactLocation"]
        name = f"attachments/{attachment_id}"
        yield f"{attachment_id} of {urllib.parse.unquote(owner)}", server.digest(f"{place}/{name}")


def _links(server: Server) -> Iterator[Row]:
    """Which traces belong to which run; only a search by run tells."""
    ids = [one.experiment_id for one in server.experiments]
    for run in pages(server.client.search_runs, experiment_ids=ids, max_results=500):
        run_id = run.info.run_id
        found = pages(server.client.search_traces, locations=ids, run_id=run_id, include_spans=False)
        linked = sorted(one.info.trace_id for one in found)
        if linked:
            yield server.row("traces_of_run", (run_id,), f"traces of {run_id}", {"traces": linked})


def _datasets(server: Server) -> Iterator[Row]:
    for found in pages(server.client.search_datasets, max_results=50):
        dataset = server.client.get_dataset(found.dataset_id)
        fields: dict[str, Any] = dataset.to_dict()
        records = fields.pop("records", None) or []
        fields["experiment_ids"] = list(dataset.experiment_ids)
        fields.pop("dataset_id")
        for text in ("schema", "profile"):
            # JSON whose order is that in which the records came.
            fields[text] = json.loads(fields[text]) if fields.get(text) else None
        yield server.row("evaluation_dataset", (dataset.name,), dataset.dataset_id, fields)
        for record in records or [one.to_dict() for one in dataset.records]:
            plain = server.plain(record)
            # The order of names in an object means nothing in JSON, nor to MLflow, which tells records apart sorted.
            key = (dataset.name, json.dumps(plain["inputs"], sort_keys=True))
            plain.pop("dataset_record_id", None)
            yield server.row("dataset_record", key, record["dataset_record_id"], plain)


def _scorers(server: Server) -> Iterator[Row]:
    from mlflow.genai.scorers import list_scorers
    from mlflow.genai.scorers.registry import list_scorer_versions

    for experiment in server.active:
        for found in list_scorers(experiment_id=experiment.experiment_id):
            for scorer, number in list_scorer_versions(name=found.name, experiment_id=experiment.experiment_id):
                key = (experiment.name, found.name, str(number))
                yield server.row("scorer_version", key, "/".join(key), scorer.model_dump())
