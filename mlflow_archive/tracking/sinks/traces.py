"""Traces: the same ids and times as at the source, with their spans, assessments and files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from threading import Lock
from typing import cast

from mlflow_archive.errors import NotFoundError
from mlflow_archive.spec import provenance
from mlflow_archive.spec.canonical import JSONObject
from mlflow_archive.spec.kinds import Kind
from mlflow_archive.spec.loss import Loss
from mlflow_archive.spec.records.base import Payload
from mlflow_archive.spec.records.trace import TraceRecord
from mlflow_archive.stream import Blob, Item, ObjectKey, Outcome, Part, Scope, Status
from mlflow_archive.tracking.artifacts import ArtifactOwner
from mlflow_archive.tracking.rewriting import rewrite_metadata, rewrite_record_source
from mlflow_archive.tracking.sinks.agenda import Stage
from mlflow_archive.tracking.sinks.context import (
    API3,
    SinkContext,
    attempt,
    child,
    is_open,
    own_tags,
    rows,
    tag_list,
    text,
    unsupported,
)
from mlflow_archive.tracking.sinks.experiments import Experiments, TargetExperiment
from mlflow_archive.tracking.sinks.known import KnownObjects
from mlflow_archive.tracking.sinks.options import IfExists
from mlflow_archive.tracking.sinks.spans import (
    OTLP_PATH,
    OTLP_TYPE,
    Window,
    belongs_to,
    otlp_requests,
    traces_json,
)

_TRACES = API3 + "traces"
_LOCATION = "mlflow.artifactLocation"
_SPANS_LOCATION = "mlflow.trace.spansLocation"
#: Tags that say where things are; the target says that itself.
_PLACES = frozenset({_LOCATION, _SPANS_LOCATION, "mlflow.trace.archiveLocation", "mlflow.trace.archivalFailure"})
_IN_ARTIFACTS = "ARTIFACT_REPO"


@dataclass
class _Trace:
    """A trace on its way."""

    key: ObjectKey
    record: TraceRecord
    losses: tuple[Loss, ...]
    target: TargetExperiment
    spans: Part | None
    blobs: tuple[Blob | Loss, ...]
    owner: ArtifactOwner | None = None
    to_database: bool = False

    @property
    def has_file(self) -> bool:
        """True if the spans are among the files."""
        return any(isinstance(blob, Blob) and blob.name == "traces.json" for blob in self.blobs)

    @property
    def in_artifacts(self) -> bool:
        """True if the target is to look for the spans among the files."""
        return not self.to_database and (self.has_file or self.spans is not None)


class Traces:
    """Writes traces."""

    def __init__(self, context: SinkContext, experiments: Experiments) -> None:
        """Ask nothing yet; the traces of a target experiment are listed when the first one for it comes."""
        self._context = context
        self._experiments = experiments
        self._known = KnownObjects(self._list)
        self._empty: dict[str | None, bool] = {}
        self._lock = Lock()

    def write(self, item: Item) -> Outcome:
        """Create a trace with all that belongs to it, unless it is there."""
        key = item.key
        if not self._context.client.at_least("3.2.0"):
            version = self._context.client.version
            return unsupported(item, f"MLflow {version} cannot take a trace with its id and times (3.2 and later can).")
        target = self._experiments.target(key)
        incomplete = self._state(key, target)
        if incomplete is False:
            return self._take(item)
        if self._context.options.dry_run:
            return self._context.plan(key, key.id)
        content = item.load()
        record = cast("TraceRecord", content.record)
        target = self._experiments.awake(key)
        spans = next((part for part in content.parts if part.name == "spans"), None)
        # A trace has a few files at most, and whether one is traces.json has to be known first.
        trace = _Trace(key, record, content.losses, target, spans, tuple(content.blobs()))
        trace.to_database = self._takes_spans(trace)
        return self._fill(trace, resumed=bool(incomplete))

    def close_scope(self, scope: Scope) -> None:
        """Forget what was at the target in this experiment."""
        self._known.forget(scope)

    def _take(self, item: Item) -> Outcome:
        key = item.key
        outcome = self._context.existing(key, key.id)
        if self._context.options.dry_run or self._context.if_exists is not IfExists.UPDATE:
            return outcome
        self._experiments.awake(key)
        record = cast("TraceRecord", item.load().record)
        tags = {name: value for name, value in own_tags(record.tags).items() if name not in _PLACES}
        losses = [loss for entry in tags.items() for loss in attempt(key, "tags", partial(self._tag, key, *entry))]
        return Outcome(key, Status.STORED, reason="updated", target_id=key.id, losses=tuple(losses))

    def _takes_spans(self, trace: _Trace) -> bool:
        """Tell whether the spans can go where the target keeps spans itself."""
        if trace.spans is None or (trace.has_file and trace.record.spans_location in (None, _IN_ARTIFACTS)):
            return False
        if not self._context.client.at_least("3.4.0"):
            return False
        first = next(iter(trace.spans.open()), None)
        return first is not None and belongs_to(trace.key.id, first)

    def _state(self, key: ObjectKey, target: TargetExperiment) -> bool | None:
        """Tell whether the trace is at the target: None no, True half-done by a restore, False yes.

        A trace id is unique over all experiments, so one that is in another experiment counts too.
        """
        incomplete = self._known.find(key, target)
        if incomplete is not None:
            return incomplete
        with self._lock:
            if key.workspace not in self._empty:
                self._empty[key.workspace] = self._is_empty(key.workspace)
            if self._empty[key.workspace]:
                return None
        try:
            answer = self._context.client.call("GET", f"{_TRACES}/{key.id}", workspace=key.workspace)
        except NotFoundError:
            return None
        info = child(child(answer, "trace"), "trace_info")
        return provenance.INCOMPLETE in child(info, "tags")

    def _list(self, target: TargetExperiment, workspace: str | None) -> dict[str, bool]:
        body: JSONObject = {"locations": [_location(target.id)], "max_results": 500}
        listed = self._context.pages(f"{_TRACES}/search", body, "traces", workspace=workspace)
        return {text(entry, "trace_id"): provenance.INCOMPLETE in child(entry, "tags") for entry in listed}

    def _is_empty(self, workspace: str | None) -> bool:
        """Tell whether the target had no trace at all when this restore came to the traces."""
        for experiment_id in self._experiments.all_ids(workspace):
            body: JSONObject = {"locations": [_location(experiment_id)], "max_results": 1}
            if rows(self._context.post(f"{_TRACES}/search", body, workspace=workspace), "traces"):
                return False
        return True

    def _fill(self, trace: _Trace, *, resumed: bool) -> Outcome:
        key, record = trace.key, trace.record
        in_order = any(a.get("valid") is False or a.get("overrides") for a in record.assessments)
        now = [a for a in record.assessments if "issue" not in a]
        trace.owner = self._start(trace, [] if in_order or resumed else now)
        losses = [*trace.losses, *self._log_spans(trace)]
        uploaded = self._context.uploader.upload_blobs(key, trace.blobs, trace.owner)
        losses += uploaded.losses
        if in_order or resumed:
            losses += self._assess(trace, now, resumed=resumed)
        losses += self._link_runs(trace)
        if later := [a for a in record.assessments if "issue" in a]:
            self._context.agenda.later(
                Stage.CONNECT, key, partial(self._assess_issues, key, later, keep=is_open(losses))
            )
        elif not is_open(losses):
            next(attempt(key, "tags", partial(self._untag, key)), None)
        size = uploaded.size_bytes
        return Outcome(key, Status.STORED, target_id=key.id, size_bytes=size, losses=tuple(losses))

    def _start(self, trace: _Trace, assessments: list[Payload]) -> ArtifactOwner:
        key, record, ids = trace.key, trace.record, self._context.ids
        info = cast("JSONObject", {k: v for k, v in record.info.to_json().items() if k not in ("tags", "assessments")})
        tags = {name: value for name, value in own_tags(record.tags).items() if name not in _PLACES}
        tags |= self._context.provenance(key.id, incomplete=True)
        if trace.in_artifacts:
            tags[_SPANS_LOCATION] = _IN_ARTIFACTS
        info["trace_location"] = _location(trace.target.id)
        info["trace_metadata"] = dict(rewrite_metadata(record.info.trace_metadata, ids))
        info["tags"] = dict(tags)
        info["assessments"] = [self._assessment(assessment) for assessment in assessments]
        answer = self._context.post(_TRACES, {"trace": {"trace_info": info}}, workspace=key.workspace)
        made = child(child(child(answer, "trace"), "trace_info"), "tags")
        return ArtifactOwner(Kind.TRACE, key.id, text(made, _LOCATION), key.workspace)

    def _log_spans(self, trace: _Trace) -> Iterator[Loss]:
        """Log the spans in the database, or among the artifacts where the target or the spans want it so."""
        if trace.spans is None:
            return
        if trace.to_database:
            yield from attempt(trace.key, "spans", partial(self._send_spans, trace, trace.spans))
        elif not trace.has_file:
            owner = cast("ArtifactOwner", trace.owner)
            yield from attempt(trace.key, "spans", partial(self._write_file, trace.spans, owner))

    def _send_spans(self, trace: _Trace, spans: Part) -> None:
        client, window = self._context.client, Window()
        headers = {"Content-Type": OTLP_TYPE, "x-mlflow-experiment-id": trace.target.id}
        for body in otlp_requests(trace.key.id, window.through(iter(spans.open()))):
            client.upload("POST", OTLP_PATH, body, headers=headers, workspace=trace.key.workspace)
        if window.widens(trace.record.info, trace.record.time_ms):
            self._start(trace, [])

    def _write_file(self, spans: Part, owner: ArtifactOwner) -> None:
        self._context.uploader.write(owner, "traces.json", traces_json(iter(spans.open())))

    def _assessment(self, assessment: Payload) -> JSONObject:
        changed: JSONObject = {name: value for name, value in assessment.items() if name != "valid"}
        ids = self._context.ids
        if isinstance(metadata := assessment.get("metadata"), dict):
            texts = {name: str(value) for name, value in metadata.items()}
            changed["metadata"] = dict(rewrite_metadata(texts, ids))
        if isinstance(run_id := assessment.get("run_id"), str):
            changed["run_id"] = ids.get(Kind.RUN, run_id) or run_id
        if "source" in assessment:
            changed["source"] = rewrite_record_source(assessment["source"], ids)
        if "issue" in assessment:
            name = text(assessment, "assessment_name")
            changed["assessment_name"] = ids.get(Kind.ISSUE, name) or name
        return changed

    def _assess(self, trace: _Trace, assessments: list[Payload], *, resumed: bool) -> Iterator[Loss]:
        """Create assessments one by one: one that overrides another makes that one invalid."""
        key = trace.key
        there = self._assessments_there(key) if resumed else set()
        overridden = {text(a, "overrides") for a in assessments}
        for assessment in assessments:
            name = text(assessment, "assessment_id")
            if name not in there:
                yield from self._create_assessment(key, assessment)
            if assessment.get("valid") is False and name not in overridden:
                reason = f"The assessment {name} is invalid at the source; the API can only restore it as valid."
                yield key.lost("limit", reason, path=f"assessments/{name}/valid")

    def _create_assessment(self, key: ObjectKey, assessment: Payload) -> Iterator[Loss]:
        body: JSONObject = {"assessment": self._assessment(assessment)}
        post = partial(self._context.post, f"{_TRACES}/{key.id}/assessments", body, workspace=key.workspace)
        yield from attempt(key, f"assessments/{assessment.get('assessment_id')}", post)

    def _assess_issues(self, key: ObjectKey, assessments: list[Payload], *, keep: bool) -> Iterator[Loss]:
        there = self._assessments_there(key)
        for assessment in assessments:
            if text(assessment, "assessment_id") not in there:
                yield from self._create_assessment(key, assessment)
        if not keep:
            next(attempt(key, "tags", partial(self._untag, key)), None)

    def _assessments_there(self, key: ObjectKey) -> set[str]:
        answer = self._context.client.call("GET", f"{_TRACES}/{key.id}", workspace=key.workspace)
        info = child(child(answer, "trace"), "trace_info")
        return {text(entry, "assessment_id") for entry in rows(info, "assessments")}

    def _link_runs(self, trace: _Trace) -> Iterator[Loss]:
        key = trace.key
        for old in trace.record.run_ids:
            new = self._context.ids.get(Kind.RUN, old)
            if new is None:
                reason = f"The run {old} is not at the target, so the trace's link to it is left out."
                yield key.lost("not_found", reason, path=f"runs/{old}")
                continue
            body: JSONObject = {"trace_ids": [key.id], "run_id": new}
            post = partial(self._context.post, "traces/link-to-run", body, workspace=key.workspace)
            yield from attempt(key, f"runs/{old}", post)

    def _tag(self, key: ObjectKey, name: str, value: str) -> None:
        body = tag_list({name: value})[0]
        self._context.client.call("PATCH", f"{_TRACES}/{key.id}/tags", body=body, workspace=key.workspace)

    def _untag(self, key: ObjectKey) -> None:
        body: JSONObject = {"key": provenance.INCOMPLETE}
        params = {"key": provenance.INCOMPLETE}
        path = f"{_TRACES}/{key.id}/tags"
        self._context.client.call("DELETE", path, params=params, body=body, workspace=key.workspace)


def _location(experiment_id: str) -> JSONObject:
    return {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": experiment_id}}
