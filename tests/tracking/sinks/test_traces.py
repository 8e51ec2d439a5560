"""Traces, and what people do with them, on a real server."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from mlflow_archive.spec.kinds import Kind
from mlflow_archive.tracking.artifacts import ArtifactOwner
from tests.tracking.sinks.making import Target, experiment, item, run, span, trace

pytestmark = pytest.mark.server
New = Callable[..., str]
TIMES = {"create_time": "2026-01-02T03:04:06.001Z", "last_update_time": "2026-01-02T03:04:07.001Z"}
HUMAN = {"source": {"source_type": "HUMAN", "source_id": "ada"}, **TIMES}


def _info(target: Target, trace_id: str) -> dict:
    return target.get(f"/api/3.0/mlflow/traces/{trace_id}")["trace"]["trace_info"]


def test_a_trace_keeps_its_id_times_spans_and_assessments(target: Target, new: New) -> None:
    exp, a, t = new(), new(), new("tr-")
    first = {"assessment_id": new("a-"), "assessment_name": "ok", "feedback": {"value": False}, "valid": False, **HUMAN}
    second = {"assessment_id": new("a-"), "assessment_name": "ok", "feedback": {"value": True}, "valid": True, **HUMAN}
    second |= {"overrides": first["assessment_id"], "metadata": {"mlflow.assessment.sourceRunId": a}}
    # What looks for issues in traces signs with its run.
    second["source"] = {"source_type": "LLM_JUDGE", "source_id": a}
    spans = [
        span(t, "0" * 15 + "1", **{"mlflow.spanInputs": {"x": [1, 2.5, None, "ü"]}}),
        span(t, "0" * 15 + "2", "0" * 15 + "1", picture=f"mlflow-attachment://u?trace_id={t}"),
    ]
    old_place = {"mlflow.artifactLocation": "mlflow-artifacts:/old", "mlflow.trace.spansLocation": "TRACKING_STORE"}
    items = [
        experiment(exp, exp),
        run(a, exp),
        trace(
            t,
            exp,
            spans=spans,
            tags={**old_place, "k": "v", "mlflow.traceName": "name"},
            info={"trace_metadata": {"mlflow.sourceRun": a, "m": "1"}},
            spans_location="TRACKING_STORE",
            files={"attachments/u": b"png"},
            assessments=[first, second],
            run_ids=[a],
        ),
    ]
    result = target.restore(items)
    assert result.losses == []
    info = _info(target, t)
    # The spans begin long before the trace does: the server must not move it.
    assert (info["request_time"], info["execution_duration"]) == ("2026-01-02T03:04:05.678Z", "0.250s")
    assert info["tags"]["k"] == "v"
    assert info["trace_metadata"]["mlflow.sourceRun"] == result.ids.get(Kind.RUN, a)
    assert {entry["assessment_id"]: entry["valid"] for entry in info["assessments"]} == {
        first["assessment_id"]: False,
        second["assessment_id"]: True,
    }
    assert {key: info["assessments"][0][key] for key in TIMES} == TIMES
    assert {entry["assessment_id"]: entry["source"]["source_id"] for entry in info["assessments"]} == {
        first["assessment_id"]: "ada",
        second["assessment_id"]: result.ids.get(Kind.RUN, a),
    }
    stored = target.get("/api/3.0/mlflow/traces/get", trace_id=t)["trace"]["spans"]
    assert sorted(entry["name"] for entry in stored) == ["span " + "0" * 15 + "1", "span " + "0" * 15 + "2"]
    owner = ArtifactOwner(Kind.TRACE, t, info["tags"]["mlflow.artifactLocation"])
    assert target.files.read(owner, "attachments/u") == b"png"
    assert {outcome.reason for outcome in target.restore(items).outcomes.values()} == {"exists"}


def test_spans_that_are_no_database_spans_go_to_a_file(target: Target, new: New) -> None:
    """Traces of MLflow 2 have ids that OpenTelemetry does not know."""
    exp, old, kept = new(), new(), new("tr-")
    spans = [span(new("tr-"), "0" * 15 + "1")]
    items = [
        experiment(exp, exp),
        trace(old, exp, spans=spans, spans_location="TRACKING_STORE"),
        trace(kept, exp, files={"traces.json": b'{"spans": []}'}, spans_location="ARTIFACT_REPO"),
    ]
    assert target.restore(items).losses == []
    for trace_id, expected in ((old, {"spans": spans}), (kept, {"spans": []})):
        tags = _info(target, trace_id)["tags"]
        assert tags["mlflow.trace.spansLocation"] == "ARTIFACT_REPO"
        owner = ArtifactOwner(Kind.TRACE, trace_id, tags["mlflow.artifactLocation"])
        assert json.loads(target.files.read(owner, "traces.json")) == expected


def test_a_trace_in_another_experiment_is_left_alone(target: Target, new: New) -> None:
    exp, t = new(), new("tr-")
    items = [experiment(exp, exp), trace(t, exp, tags={"k": "v"})]
    first = target.restore(items)
    result = target.restore(items, rename_experiment={exp: new()})
    assert result.outcomes[t].reason == "exists"
    home = _info(target, t)["trace_location"]["mlflow_experiment"]["experiment_id"]
    assert home == first.ids.get(Kind.EXPERIMENT, exp)


def test_a_trace_of_a_deleted_experiment(target: Target, new: New) -> None:
    exp, t = new(), new("tr-")
    result = target.restore([experiment(exp, exp, lifecycle_stage="deleted"), trace(t, exp)])
    assert result.losses == []
    home = target.get("experiments/get", experiment_id=result.ids.get(Kind.EXPERIMENT, exp))["experiment"]
    assert home["lifecycle_stage"] == "deleted"
    assert _info(target, t)["state"] == "OK"


def test_evaluation_datasets(target: Target, new: New) -> None:
    exp, d = new(), new("d-")
    source = {"source_type": "TRACE", "source_data": {"trace_id": "tr-1"}}
    records = [{"inputs": {"q": number}, "expectations": {"a": 1.5}, "source": source} for number in range(250)]
    record = {"dataset_id": d, "name": d, "tags": {"o": "ada"}, "experiment_ids": [exp, "999"]}
    items = [experiment(exp, exp), item(Kind.EVALUATION_DATASET, d, record, parts={"records": records})]
    result = target.restore(items)
    assert [(loss.code, loss.path) for loss in result.losses] == [("not_found", "experiments/999")]
    made = result.ids.get(Kind.EVALUATION_DATASET, d)
    answer = target.get(f"/api/3.0/mlflow/datasets/{made}/records", max_results=1000)
    assert sorted(entry["inputs"]["q"] for entry in json.loads(answer["records"])) == list(range(250))
    linked = target.get(f"/api/3.0/mlflow/datasets/{made}/experiment-ids")["experiment_ids"]
    assert linked == [result.ids.get(Kind.EXPERIMENT, exp)]
    assert target.restore(items).outcomes[d].reason == "exists"


def _object(kind: Kind, id: str, exp: str, payload: dict, **details: list) -> object:
    record = {"name": payload["name"], "payload": payload, "details": details}
    return item(kind, id, record, experiment_id=exp, name=payload["name"])


def test_review_objects_and_issues(target: Target, new: New) -> None:
    exp, a, t, schema, queue, issue = new(), new(), new("tr-"), new("ls-"), new("rq-"), new("iss-")
    about = {"assessment_id": new("a-"), "assessment_name": issue, "issue": {"issue_name": "slow"}, **HUMAN}
    options = {"categorical": {"options": ["a", "b"], "multi_select": True}}
    items = [
        experiment(exp, exp),
        run(a, exp),
        trace(t, exp, assessments=[about]),
        _object(Kind.LABEL_SCHEMA, schema, exp, {"name": "tone", "type": "FEEDBACK", "input": options}),
        _object(
            Kind.REVIEW_QUEUE,
            queue,
            exp,
            {"name": "weekly", "queue_type": "CUSTOM", "users": ["ada"], "schema_ids": [schema]},
            items=[{"item_id": t, "status": "COMPLETE", "completed_by": "ada"}],
        ),
        _object(Kind.ISSUE, issue, exp, {"name": "slow", "description": "d", "status": "resolved", "source_run_id": a}),
    ]
    result = target.restore(items)
    assert result.losses == []
    new_queue = result.ids.get(Kind.REVIEW_QUEUE, queue)
    reviewed = target.get("/api/3.0/mlflow/review-queues/items/list", queue_id=new_queue)["items"]
    assert [(entry["item_id"], entry["status"], entry["completed_by"]) for entry in reviewed] == [
        (t, "COMPLETE", "ada")
    ]
    # The assessment names the issue by its id, which is a new one.
    assert _info(target, t)["assessments"][0]["assessment_name"] == result.ids.get(Kind.ISSUE, issue)
    assert {outcome.reason for outcome in target.restore(items).outcomes.values()} == {"exists"}


def test_webhooks_and_scorers_come_back_switched_off(target: Target, new: New) -> None:
    exp, name, judge = new(), new("hook-"), new("judge-")
    hook = {"webhook_id": name, "name": name, "url": "https://8.8.8.8/x", "status": "ACTIVE"}
    hook["events"] = [{"entity": "MODEL_VERSION", "action": "CREATED"}]
    pydantic = {"instructions": "Is {{ outputs }} right?", "model": "openai:/gpt-4"}
    versions = [
        {
            "scorer_version": number,
            "serialized_scorer": json.dumps({"name": judge, "instructions_judge_pydantic_data": pydantic}),
        }
        for number in (1, 3)
    ]
    scorer = {"experiment_id": exp, "scorer_name": judge, "versions": versions, "online_config": {"sample_rate": 0.5}}
    items = [
        experiment(exp, exp),
        item(Kind.SCORER, judge, scorer, experiment_id=exp),
        item(Kind.WEBHOOK, name, hook),
    ]
    result = target.restore(items)
    assert result.losses == []
    listed = {entry["name"]: entry["status"] for entry in target.get("webhooks")["webhooks"]}
    assert listed[name] == "DISABLED"
    asked = {"experiment_id": result.ids.get(Kind.EXPERIMENT, exp), "name": judge}
    scorers = target.get("/api/3.0/mlflow/scorers/versions", **asked)["scorers"]
    assert sorted(entry["scorer_version"] for entry in scorers) == [1, 3]
    config = target.get("/api/3.0/mlflow/scorers/online-configs", scorer_ids=scorers[0]["scorer_id"])["configs"][0]
    assert config["sample_rate"] == 0.0
    assert {outcome.reason for outcome in target.restore(items).outcomes.values()} == {"exists"}
    active = target.restore([item(Kind.WEBHOOK, name, hook)], if_exists="duplicate", activate=True)
    there = {entry["webhook_id"]: entry["status"] for entry in target.get("webhooks")["webhooks"]}
    assert there[active.outcomes[name].target_id] == "ACTIVE"


def test_what_needs_a_key_is_lost_with_a_sentence(target: Target) -> None:
    item_ = item(Kind.GATEWAY_ENDPOINT, "e", {"name": "e", "payload": {"name": "e"}})
    outcome = target.restore([item_]).outcomes["e"]
    assert outcome.losses[0].code == "unsupported"
    assert "API key" in outcome.reason
