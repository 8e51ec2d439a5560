"""Traces: nested spans with everything on them, every state, links, attachments, and places of their spans."""

from __future__ import annotations

import contextlib
import json
import random
from typing import Any

import mlflow
from mlflow.entities import SpanEvent, SpanStatus, SpanStatusCode

from tests.seeding.world import EPOCH_MS, UNICODE, World

#: Ids of traces that are made by hand.
IN_PROGRESS = "tr-" + "1a" * 16
INFO_ONLY = "tr-" + "2b" * 16
IN_ARTIFACTS = "tr-" + "3c" * 16


def seed(world: World) -> None:
    """Make traces in the generative experiment, in the main one and in one to be deleted."""
    experiment = world.experiments["generative"]
    mlflow.set_tracking_uri(world.uri)
    world.traces["full"] = _full(world, experiment)
    world.traces["error"] = _error(world, experiment)
    world.traces["bare"] = _bare(world, experiment, "bare")
    world.traces["in main"] = _bare(world, world.experiments["main"], "in main")
    world.traces["in deleted"] = _bare(world, world.experiments["deleted"], "in deleted")
    for number in range(3 if world.small else 30):
        _bare(world, experiment, f"many {number}")
    if world.version >= (3, 2):
        _by_hand(world, experiment)
    if world.version >= (3, 5):
        _linked(world, experiment)
    # An exporter that fails only says so in the log.
    trace = world.client.get_trace(world.traces["full"], display=False)
    assert len(trace.data.spans) == 6, f"{len(trace.data.spans)} spans of a trace came to the server"


def _end(world: World, trace_id: str, span_id: str, **fields: Any) -> None:
    world.client.end_span(trace_id, span_id, **fields)


def _id(span: Any) -> str:
    """Return the id of a span's trace; 2.x calls it the request's."""
    return str(span.trace_id if hasattr(span, "trace_id") else span.request_id)


def _bare(world: World, experiment: str, name: str) -> str:
    root = world.client.start_trace(name, inputs={"q": name}, experiment_id=experiment)
    world.client.end_trace(_id(root), outputs={"a": name})
    world.counts["trace"] += 1
    return _id(root)


def _full(world: World, experiment: str) -> str:
    """Spans four deep, of every type, with events, attributes of every kind, and tokens."""
    client, noise = world.client, random.Random(5)
    start = EPOCH_MS * 1_000_000 + 123_456_789
    root = client.start_trace(
        f"full {UNICODE}",
        span_type="CHAIN",
        inputs={"question": UNICODE, "nested": {"list": [1, 2.5, None, True, "x"]}, "big": 2**60},
        attributes={"string": UNICODE, "int": 7, "float": 0.1, "bool": False, "list": ["a", 1], "long": "y" * 20_000},  # type: ignore[dict-item]
        tags={"unicode": UNICODE, "long": "t" * 3000, "empty": ""},
        experiment_id=experiment,
        start_time_ns=start,
    )
    trace_id, parent = _id(root), root.span_id
    for depth, kind in enumerate(("AGENT", "TOOL", "CHAT_MODEL", "RETRIEVER", "own kind")):
        span = client.start_span(
            f"depth {depth}",
            trace_id,
            parent_id=parent,
            span_type=kind,
            inputs={"messages": [{"role": "user", "content": UNICODE}]},
            attributes={"noise": noise.random()},
            start_time_ns=start + depth * 1_000_001,
        )
        span.add_event(
            SpanEvent("happened", timestamp=start + 5, attributes={"text": UNICODE, "number": 1, "on": True})
        )
        if kind == "CHAT_MODEL":
            usage = {"input_tokens": 11, "output_tokens": 22, "total_tokens": 33}
            span.set_attributes({"mlflow.chat.tokenUsage": usage, "mlflow.llm.model": "gpt-4"})
        if kind == "RETRIEVER":
            found = [{"page_content": "text", "metadata": {"doc_uri": "a"}, "id": "1"}]
            _end(world, trace_id, span.span_id, outputs=found, end_time_ns=start + 9_000_000)
        else:
            outputs = {"ok": kind} if depth % 2 else None
            _end(world, trace_id, span.span_id, outputs=outputs, end_time_ns=start + 8_000_000 - depth)
        if kind != "TOOL":
            parent = span.span_id
    client.end_trace(trace_id, outputs=UNICODE, attributes={"last": "one"}, end_time_ns=start + 99_000_000)
    client.set_trace_tag(trace_id, "later", "set afterwards")
    world.counts["trace"] += 1
    return trace_id


def _error(world: World, experiment: str) -> str:
    """A trace that failed, with the exception as an event."""
    root = world.client.start_trace("error", inputs={}, experiment_id=experiment)
    trace_id = _id(root)
    span = world.client.start_span("raises", trace_id, parent_id=root.span_id)
    with contextlib.suppress(ValueError):
        try:
            raise ValueError(f"no good: {UNICODE}")
        except ValueError as error:
            span.add_event(SpanEvent.from_exception(error))
            raise
    _end(world, trace_id, span.span_id, status=SpanStatus(SpanStatusCode.ERROR, f"no good: {UNICODE}"))
    world.client.end_trace(trace_id, status="ERROR")
    world.counts["trace"] += 1
    return trace_id


def _by_hand(world: World, experiment: str) -> None:
    """Traces that no ended span stands behind, and one whose spans are an artifact, as old clients write them."""
    for trace_id, state in ((IN_PROGRESS, "IN_PROGRESS"), (INFO_ONLY, "STATE_UNSPECIFIED"), (IN_ARTIFACTS, "OK")):
        info: dict[str, Any] = {
            "trace_id": trace_id,
            "trace_location": {
                "type": "MLFLOW_EXPERIMENT",
                "mlflow_experiment": {"experiment_id": experiment},
            },
            "request_time": "2024-02-29T12:00:01.234Z",
            "state": state,
            "client_request_id": f"client-{state}",
            "request_preview": f"asked {UNICODE}",
            "response_preview": "answered",
            "trace_metadata": {"mlflow.trace_schema.version": "3", "own": UNICODE},
            "tags": {"mlflow.traceName": f"by hand {state}", "own": UNICODE},
        }
        if state == "OK":
            info["execution_duration"] = "1.5s"
        answer = world.rest("POST", "3.0/mlflow/traces", {"trace": {"trace_info": info}})
        world.counts["trace"] += 1
        if trace_id == IN_ARTIFACTS:
            place = answer["trace"]["trace_info"]["tags"]["mlflow.artifactLocation"]
            world.put(place, {"traces.json": json.dumps({"spans": [_old_span(trace_id)]}).encode()})
            world.traces["in artifacts"] = trace_id


def _old_span(trace_id: str) -> dict[str, Any]:
    """One span as MLflow 3.0 wrote it to ``traces.json``."""
    start = EPOCH_MS * 1_000_000
    return {
        "trace_id": "PDw8PDw8PDw8PDw8PDw8PA==",
        "span_id": "AQIDBAUGBwg=",
        "parent_span_id": "",
        "name": "kept as an artifact",
        "start_time_unix_nano": start,
        "end_time_unix_nano": start + 1_500_000_000,
        "events": [],
        "status": {"code": "STATUS_CODE_OK", "message": ""},
        "attributes": {
            "mlflow.traceRequestId": json.dumps(trace_id),
            "mlflow.spanType": '"UNKNOWN"',
            "mlflow.spanInputs": json.dumps({"q": UNICODE}),
            "mlflow.spanOutputs": '"a"',
        },
    }


def _linked(world: World, experiment: str) -> None:
    """What refers to others: runs, models, prompts, spans of other traces; users, sessions and attachments."""
    mlflow.set_experiment(experiment_id=experiment)
    # What no client of 3.5 can say yet.
    newer = hasattr(mlflow.entities, "Link")
    links, picture, who = _of_newer_clients(world) if newer else ({}, "none", {})
    with mlflow.start_span("linked", **links) as span:
        span.set_inputs({"picture": picture, "text": "see it"})
        mlflow.update_current_trace(
            tags={"kind": "linked"},
            metadata={"own": "metadata"},
            client_request_id=f"request {UNICODE}",
            request_preview=f"preview {UNICODE}",
            response_preview="short",
            model_id=world.models["sklearn"],
            **who,
        )
        world.traces["linked"] = span.trace_id
    # Clients of 3.5 take no run here.
    of_run: dict[str, Any] = {"run_id": world.runs["RUNNING"]} if newer else {}
    in_run = world.client.start_trace("in a run", experiment_id=world.experiments["main"], **of_run)
    world.client.end_trace(in_run.trace_id)
    world.traces["in a run"] = in_run.trace_id
    world.counts["trace"] += 2
    world.client.link_traces_to_run([world.traces["full"], world.traces["bare"]], world.runs["full"])
    versions = [world.client.get_prompt_version("summary", "2"), world.client.get_prompt_version("chat", "1")]
    world.client.link_prompt_versions_to_trace(versions, world.traces["full"])


def _of_newer_clients(world: World) -> tuple[dict[str, Any], Any, dict[str, Any]]:
    """Return a link to a span of another trace, an attachment, and a session with its user."""
    from mlflow.entities import Link
    from mlflow.tracing.attachments import Attachment

    other = mlflow.get_trace(world.traces["full"]).data.spans[0]
    picture = Attachment(content_type="image/png", content_bytes=b"\x89PNG\r\n\x1a\n" + bytes(5000))
    links = {"links": [Link(other.trace_id, other.span_id, {"why": UNICODE})]}
    return links, picture, {"session_id": f"session {UNICODE}", "user": "ada@example.com"}
