"""What MLflow 3 adds to a server of `tests.predecessor.filling`: models, traces, prompts, evaluation datasets."""

from __future__ import annotations

import json
from typing import Any

import mlflow
from mlflow.entities import AssessmentError, AssessmentSource, LoggedModelInput, LoggedModelOutput, Metric, SpanEvent

from tests.seeding.world import EPOCH_MS, World

#: Traces whose spans are an artifact: as MLflow 3.0 wrote it, and as 2.14 to 2.22 did.
IN_ARTIFACTS, OLD_ARTIFACTS = "tr-" + "3c" * 16, "tr-" + "4d" * 16
START_NS = EPOCH_MS * 1_000_000


def fill(world: World) -> None:
    """Fill a server of MLflow 3.4 or later."""
    mlflow.set_tracking_uri(world.uri)
    _logged_models(world)
    _traces(world)
    _assessments(world)
    _prompts(world)
    _datasets(world)


def _logged_models(world: World) -> None:
    client, main, full = world.client, world.experiments["main"], world.runs["full"]
    made = (
        ("of a run", full, "READY", {"params": {"depth": "3"}, "tags": {"owner": "ada"}, "model_type": "classifier"}),
        ("of no run", None, "READY", {}),
        ("failed", full, "FAILED", {}),
    )
    for name, run_id, status, fields in made:
        model = client.create_logged_model(main, name, run_id, **fields)
        text = (
            f"artifact_path: {model.artifact_location}\nflavors: {{}}\nmodel_id: {model.model_id}\nrun_id: {run_id}\n"
        )
        world.put(model.artifact_location, {"MLmodel": text.encode(), "we ird/na me.bin": name.encode()})
        client.finalize_logged_model(model.model_id, status)
        world.models[name] = model.model_id
    of_run = world.models["of a run"]
    on_data = {"dataset_name": "churn table", "dataset_digest": "a1b2c3d4"}
    points = [Metric("f1", 0.5, EPOCH_MS, 0, model_id=of_run, run_id=full, **on_data)]
    points.append(Metric("odd f1", float("nan"), EPOCH_MS, 1, model_id=of_run, run_id=full))
    client.log_batch(full, metrics=points)
    client.log_outputs(full, [LoggedModelOutput(of_run, step=2), LoggedModelOutput(world.models["failed"], step=0)])
    client.log_inputs(world.runs["child"], models=[LoggedModelInput(of_run)])
    client.create_registered_model("of a logged model")
    client.create_model_version("of a logged model", f"models:/{of_run}", full, model_id=of_run)


def _traces(world: World) -> None:
    client, main = world.client, world.experiments["main"]
    for number, word in enumerate(("full", "second", "error")):
        start = START_NS + number * 1_000_000_000
        root = client.start_trace(
            word, inputs={"q": "\u00fc"}, tags={"own": word}, experiment_id=main, start_time_ns=start
        )
        child = client.start_span(
            "look up", root.trace_id, root.span_id, "TOOL", inputs={"k": 2**60}, start_time_ns=start + 1000
        )
        child.add_event(SpanEvent("happened", timestamp=start + 5, attributes={"n": 1}))
        client.end_span(root.trace_id, child.span_id, outputs=["a"], end_time_ns=start + 2_000_000)
        status = "ERROR" if word == "error" else "OK"
        client.end_trace(root.trace_id, outputs={"a": "b"}, status=status, end_time_ns=start + 7_000_000)
        world.traces[word] = root.trace_id
    in_run = client.start_trace("in a run", experiment_id=world.experiments["nested"], run_id=world.runs["child"])
    client.end_trace(in_run.trace_id)
    world.traces["in a run"] = in_run.trace_id
    client.link_traces_to_run([world.traces["second"]], world.runs["full"])
    for trace_id, span in ((IN_ARTIFACTS, _span(IN_ARTIFACTS)), (OLD_ARTIFACTS, _old_span(OLD_ARTIFACTS))):
        location = {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": main}}
        info: dict[str, Any] = {
            "trace_id": trace_id,
            "trace_location": location,
            "request_time": "2024-02-29T12:00:01.234Z",
            "execution_duration": "1.5s",
            "state": "OK",
            "client_request_id": "from outside",
            "request_preview": "asked",
            "trace_metadata": {"mlflow.trace_schema.version": "3", "own": "metadata"},
            "tags": {"mlflow.traceName": "in artifacts"},
        }
        answer = world.rest("POST", "3.0/mlflow/traces", {"trace": {"trace_info": info}})
        place = answer["trace"]["trace_info"]["tags"]["mlflow.artifactLocation"]
        world.put(place, {"traces.json": json.dumps({"spans": [span]}).encode()})
        world.traces[trace_id] = trace_id


def _attributes(trace_id: str) -> dict[str, str]:
    request = json.dumps(trace_id)
    return {"mlflow.traceRequestId": request, "mlflow.spanType": '"LLM"', "mlflow.spanInputs": '{"q": 1}'}


def _span(trace_id: str) -> dict[str, Any]:
    return {
        "trace_id": "PDw8PDw8PDw8PDw8PDw8PA==",
        "span_id": "AQIDBAUGBwg=",
        "parent_span_id": "",
        "name": "kept as an artifact",
        "start_time_unix_nano": START_NS + 1_234_000_000,
        "end_time_unix_nano": START_NS + 2_734_000_000,
        "events": [],
        "status": {"code": "STATUS_CODE_OK", "message": ""},
        "attributes": _attributes(trace_id),
    }


def _old_span(trace_id: str) -> dict[str, Any]:
    return {
        "name": "kept as an artifact by MLflow 2",
        "context": {"span_id": "0x0102030405060708", "trace_id": "0x" + "4d" * 16},
        "parent_id": None,
        "start_time": START_NS + 1_234_000_000,
        "end_time": START_NS + 2_734_000_000,
        "status_code": "OK",
        "status_message": "",
        "attributes": _attributes(trace_id),
        "events": [],
    }


def _assessments(world: World) -> None:
    trace_id = world.traces["full"]
    person, judge = AssessmentSource("HUMAN", "ada@example.com"), AssessmentSource("LLM_JUDGE", "a judge")
    span_id = mlflow.get_trace(trace_id).data.spans[1].span_id
    mlflow.log_feedback(
        trace_id=trace_id, name="right", value=True, source=person, rationale="It is.", metadata={"k": "v"}
    )
    mlflow.log_feedback(trace_id=trace_id, name="score", value={"a": 0.25}, source=judge, span_id=span_id)
    error = AssessmentError("RATE_LIMIT", "Too many.")
    mlflow.log_feedback(trace_id=trace_id, name="failed", source=judge, error=error)
    first = mlflow.log_feedback(trace_id=trace_id, name="overridden", value="bad", source=judge)
    mlflow.override_feedback(trace_id=trace_id, assessment_id=first.assessment_id, value="good", source=person)
    mlflow.log_expectation(trace_id=trace_id, name="expected", value={"a": [1, None]}, source=person)
    mlflow.log_expectation(trace_id=trace_id, name="expected text", value="yes", source=person)


def _prompts(world: World) -> None:
    client = world.client
    for number in range(1, 13):
        text = f"Summarise {{{{text}}}} in {number} words."
        client.register_prompt("summary", text, commit_message=f"no. {number}", tags={"number": str(number)})
    client.delete_prompt_version("summary", "4")
    client.set_prompt_alias("summary", "production", 11)
    client.set_prompt_tag("summary", "audience", "all")
    chat = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "{{question}}"}]
    answer = {"type": "object", "properties": {"answer": {"type": "string"}}}
    client.register_prompt("chat", chat, response_format=answer)


def _datasets(world: World) -> None:
    experiments = [world.experiments["main"], world.experiments["nested"]]
    questions = world.client.create_dataset("questions", experiments, {"owner": "ada"})
    from_trace = {"source_type": "TRACE", "source_data": {"trace_id": world.traces["full"]}}
    questions.merge_records(
        [
            {"inputs": {"q": "one", "deep": [1, 2.5, None]}, "expectations": {"a": "1"}, "tags": {"t": "1"}},
            {"inputs": {"q": "two"}, "source": {"source_type": "HUMAN", "source_data": {"user": "ada"}}},
            {"inputs": {"q": "three"}, "outputs": {"a": "3"}, "source": from_trace},
        ]
    )
    world.client.create_dataset("no records", [world.experiments["main"]])
