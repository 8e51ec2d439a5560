"""Traces of both forms, with and without their spans."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mlflow_archive.errors import IntegrityError
from mlflow_archive.spec.kinds import Kind
from mlflow_archive.spec.selection import Selection
from tests.predecessor.by_hand import files, in_experiment, read, rows, write

ONE = "tr-" + "1" * 32
SPAN = {"trace_id": "EREREREREREREREREREREQ==", "span_id": "AQ==", "name": "root", "start_time_unix_nano": 10**18}


def info(**more: Any) -> dict[str, Any]:
    return {
        "trace_id": ONE,
        "trace_location": {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": "1"}, "uc_schema": None},
        "request_time": 1709208000007,
        "execution_duration": 1500,
        "state": "OK",
        "request_preview": "asked",
        "response_preview": None,
        "client_request_id": None,
        "trace_metadata": {"mlflow.sourceRun": "r"},
        "tags": {"mlflow.traceName": "named", "mlflow.trace.spansLocation": "TRACKING_STORE"},
        "assessments": [],
        **more,
    }


def archive(tmp_path, document, spans=None):
    documents = {**in_experiment("traces", ONE), f"traces/{ONE}/trace.json": document}
    if spans is not None:
        documents[f"traces/{ONE}/artifacts/traces.json"] = spans
    return write(tmp_path, documents)


def only(tmp_path, document, spans=None):
    contents, losses, notes = read(archive(tmp_path, document, spans), Kind.TRACE)
    assert not losses
    assert any("links to runs" in note for note in notes)
    return contents[ONE]


def test_a_trace_of_which_only_the_header_was_exported_comes_with_a_loss_of_its_spans(tmp_path):
    content = only(tmp_path, {"info": info(), "data": [{"name": "a"}, {"name": "b"}]})
    record = content.record.to_json()
    assert record["info"] == {
        "trace_id": ONE,
        "trace_location": {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": "1"}},
        "request_time": "2024-02-29T12:00:00.007Z",
        "execution_duration": "1.500s",
        "state": "OK",
        "request_preview": "asked",
        "trace_metadata": {"mlflow.sourceRun": "r"},
    }
    assert (record["experiment_id"], record["spans_location"]) == ("1", None)
    assert record["tags"]["mlflow.traceName"] == "named"
    assert content.parts == ()
    (loss,) = content.losses
    assert (loss.id, loss.path, loss.code) == (ONE, "spans", "not_exported")
    assert loss.reason == "The export kept only the names of 2 spans."


def test_spans_that_the_server_kept_as_a_file_come_along(tmp_path):
    content = only(tmp_path, {"info": info(), "data": [{"name": "root"}]}, json.dumps({"spans": [SPAN]}))
    assert content.losses == ()
    assert rows(content, "spans") == [SPAN]
    assert content.record.to_json()["spans_location"] == "TRACKING_STORE"
    assert json.loads(files(content)["traces.json"]) == {"spans": [SPAN]}


def test_a_trace_of_which_the_export_saw_no_span_has_lost_none(tmp_path):
    content = only(tmp_path, {"info": info(tags={}), "data": []})
    assert (content.losses, content.parts) == ((), ())


@pytest.mark.parametrize("damaged", ["{", '{"spans": 1}', "[]"])
def test_a_file_of_spans_that_is_damaged_is_a_loss_and_stays_a_file(tmp_path, damaged):
    content = only(tmp_path, {"info": info(), "data": [{"name": "root"}]}, damaged)
    assert [loss.path for loss in content.losses] == ["spans"]
    assert files(content) == {"traces.json": damaged.encode()}


def test_the_form_of_mlflow_2_is_written_as_that_of_mlflow_3(tmp_path):
    old = {
        "request_id": ONE,
        "experiment_id": "1",
        "timestamp_ms": 1709208000007,
        "execution_time_ms": 20,
        "status": "ERROR",
        "request_metadata": {"mlflow.traceInputs": "in", "mlflow.traceOutputs": "out"},
        "tags": {"own": "tag"},
    }
    content = only(tmp_path, {"info": old, "data": []})
    assert content.record.to_json()["info"] == {
        "trace_id": ONE,
        "trace_location": {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": "1"}},
        "request_time": "2024-02-29T12:00:00.007Z",
        "execution_duration": "0.020s",
        "state": "ERROR",
        "trace_metadata": {"mlflow.traceInputs": "in", "mlflow.traceOutputs": "out"},
        "request_preview": "in",
        "response_preview": "out",
    }


def test_assessments_are_in_rests_own_form_each_after_the_one_it_overrides(tmp_path):
    person = {"source_type": "HUMAN", "source_id": "ada"}
    times = {"create_time_ms": 1709208000000, "last_update_time_ms": 1709208000001}
    base = {"source": person, "trace_id": ONE, "rationale": None, "span_id": None, "run_id": None, **times}
    error = {"error_code": "E", "error_message": "no", "stack_trace": None}
    assessments = [
        {"assessment_id": "a-1", "assessment_type": "feedback", "name": "new", "overrides": "a-2", "valid": True}
        | {"feedback": {"value": 0.5, "error": None}, "metadata": {"n": 1}, "expectation": None},
        {"assessment_id": "a-2", "assessment_type": "feedback", "name": "old", "overrides": None, "valid": False}
        | {"feedback": {"value": None, "error": error}, "expectation": None},
        {"assessment_id": "a-3", "assessment_type": "expectation", "name": "list", "expectation": [1, None]},
        {"assessment_id": "a-4", "assessment_type": "expectation", "name": "text", "expectation": "yes"},
        {"assessment_id": "a-5", "name": "an issue", "issue": {"issue_name": "slow"}, "feedback": None},
    ]
    document = {"info": info(assessments=[{**base, **one} for one in assessments]), "data": []}
    found = only(tmp_path, document).record.to_json()["assessments"]
    assert [one["assessment_id"] for one in found] == ["a-2", "a-1", "a-3", "a-4", "a-5"]
    assert found[0]["feedback"] == {"value": None, "error": {"error_code": "E", "error_message": "no"}}
    assert found[0]["valid"] is False
    assert found[1] == {
        "assessment_id": "a-1",
        "assessment_name": "new",
        "trace_id": ONE,
        "source": person,
        "create_time": "2024-02-29T12:00:00.000Z",
        "last_update_time": "2024-02-29T12:00:00.001Z",
        "feedback": {"value": 0.5},
        "metadata": {"n": "1"},
        "overrides": "a-2",
        "valid": True,
    }
    assert found[2]["expectation"]["serialized_value"] == {"serialization_format": "JSON_FORMAT", "value": "[1, null]"}
    assert found[3]["expectation"] == {"value": "yes"}
    assert found[4]["issue"] == {"issue_name": "slow"}


def test_only_the_named_traces_are_read_and_none_of_their_files_if_not_wanted(tmp_path):
    root = archive(tmp_path, {"info": info(), "data": []}, json.dumps({"spans": [SPAN]}))
    assert read(root, Kind.TRACE, Selection(trace_ids=frozenset({"tr-other"})))[0] == {}
    content = read(root, Kind.TRACE, Selection(artifacts=False))[0][ONE]
    assert files(content) == {}
    assert rows(content, "spans") == [SPAN]


def test_where_a_document_was_edited_the_list_counts(tmp_path):
    content = only(tmp_path, {"info": info(trace_id="tr-2"), "data": []})
    assert content.record.to_json()["info"]["trace_id"] == ONE


@pytest.mark.parametrize("wrong", [{"tags": {}, "request_time": "soon"}, {"request_time": 10**18}])
def test_a_document_with_a_time_that_is_none_is_refused(tmp_path, wrong):
    with pytest.raises(IntegrityError):
        read(archive(tmp_path, {"info": info(**wrong), "data": []}), Kind.TRACE)
