"""Assessments of traces: every type of value, source and state."""

from __future__ import annotations

import mlflow
from mlflow.entities import AssessmentError, AssessmentSource

from tests.seeding.world import UNICODE, World


def seed(world: World) -> None:
    """Assess the traces that `traces` made."""
    trace_id = world.traces["full"]
    person = AssessmentSource("HUMAN", "ada@example.com")
    judge = AssessmentSource("LLM_JUDGE", "gpt-4")
    code = AssessmentSource("CODE", f"rule {UNICODE}")
    values = [True, False, 0, 0.25, -1, "yes", UNICODE, ["a", "b"], [1, 2.5], {"a": 1.0, "b": "x"}, ""]
    for number, value in enumerate(values):
        mlflow.log_feedback(
            trace_id=trace_id,
            name=f"feedback {number}",
            value=value,
            source=(person, judge, code)[number % 3],
            rationale=f"Because. {UNICODE}" if number % 2 else None,
            metadata={"number": str(number), "unicode": UNICODE} if number % 2 else None,
        )
    span_id = mlflow.get_trace(trace_id).data.spans[1].span_id
    mlflow.log_feedback(trace_id=trace_id, name="of a span", value=True, source=person, span_id=span_id)
    failed = AssessmentError("RATE_LIMIT", f"Too many. {UNICODE}", "Traceback ...")
    mlflow.log_feedback(trace_id=trace_id, name="failed", source=judge, error=failed)
    first = mlflow.log_feedback(trace_id=trace_id, name="overridden", value="bad", source=judge)
    mlflow.override_feedback(
        trace_id=trace_id, assessment_id=first.assessment_id, value="good", source=person, rationale="I know better."
    )
    wanted = ["text", 7, 0.5, True, ["a", "b"], {"deep": {"er": [1, None]}}, None]
    for number, expected in enumerate(wanted[:-1]):
        mlflow.log_expectation(trace_id=trace_id, name=f"expected {number}", value=expected, source=person)
    by_run = {"mlflow.assessment.sourceRunId": world.runs["full"]}
    signed = AssessmentSource("LLM_JUDGE", world.runs["full"])
    mlflow.log_feedback(trace_id=world.traces["bare"], name="by a run", value=1, source=signed, metadata=by_run)
    mlflow.log_feedback(trace_id=world.traces["in deleted"], name="kept", value=1, source=person)
    mlflow.log_feedback(trace_id=world.traces["error"], name="of an error", value=False, source=code)
    world.counts["assessment"] += len(values) + len(wanted) - 1 + 7
