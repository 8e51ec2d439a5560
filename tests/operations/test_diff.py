"""Two ends compared, object by object."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from mlflow_archive.errors import UNREACHABLE, IntegrityError, UnavailableError
from mlflow_archive.operations.diff import compare
from mlflow_archive.operations.ignored import IGNORED, is_ignored
from mlflow_archive.spec.kinds import Kind
from mlflow_archive.spec.loss import Loss
from mlflow_archive.spec.provenance import SOURCE_ID, SOURCE_PARENT_RUN_ID
from mlflow_archive.spec.selection import Selection
from mlflow_archive.stream import Item
from tests.operations.ends import MemorySource, content, item, least

OLD, NEW = "a" * 32, "b" * 32
OLD_MODEL, NEW_MODEL = "m-" + "c" * 32, "m-" + "d" * 32


def run(id=OLD, experiment_id="1", *, tags=None, points=None, files=None, **info):
    record = least(Kind.RUN, id, experiment_id)
    record["info"].update(info)
    record["tags"] = tags or {}
    record["model_outputs"] = [{"model_id": OLD_MODEL if id == OLD else NEW_MODEL, "step": 0}]
    loaded = content(Kind.RUN, record, parts={"metrics": points or []}, files=files)
    return item(Kind.RUN, id, loaded, experiment_id=experiment_id)


def model(id, run_id, experiment_id="1", tags=None):
    record = {"info": {"model_id": id, "experiment_id": experiment_id, "source_run_id": run_id}, "tags": tags or {}}
    return item(Kind.LOGGED_MODEL, id, content(Kind.LOGGED_MODEL, record), experiment_id=experiment_id)


def experiment(id, **fields):
    record = {**least(Kind.EXPERIMENT, id, name="iris"), **fields}
    return item(Kind.EXPERIMENT, id, content(Kind.EXPERIMENT, record), name=record["name"])


def ends(left_run, right_run):
    left = [experiment("1"), left_run, model(OLD_MODEL, OLD)]
    right = [
        experiment("7", artifact_location="elsewhere", creation_time=5),
        right_run,
        model(NEW_MODEL, NEW, "7", {SOURCE_ID: OLD_MODEL}),
    ]
    return MemorySource(left), MemorySource(right)


def restored(**changes):
    tags = {SOURCE_ID: OLD, **changes.pop("tags", {})}
    return run(NEW, "7", tags=tags, **changes)


def line(*points):
    times, steps, values = zip(*points, strict=True)
    return {"key": "loss", "timestamps": [*times], "steps": [*steps], "values": [*values]}


def test_a_restored_end_equals_its_source():
    files = {"model/MLmodel": f"artifact_path: x/{OLD}/model\nmodel_id: {OLD_MODEL}\nrun_id: {OLD}\n".encode()}
    moved = {"model/MLmodel": f"artifact_path: y/{NEW}/model\nmodel_id: {NEW_MODEL}\nrun_id: {NEW}\n".encode()}
    left, right = ends(
        run(tags={"mlflow.log-model.history": json.dumps([{"run_id": OLD}])}, files=files, artifact_uri="x"),
        restored(tags={"mlflow.log-model.history": json.dumps([{"run_id": NEW}])}, files=moved, artifact_uri="y"),
    )
    report = compare(left, right, Selection())
    assert report.different == ()
    assert report.same
    assert report.equal == {"experiment": 1, "run": 1, "logged_model": 1}
    assert report.exit_code == 0
    back = compare(right, left, Selection())
    assert back.same


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"tags": {"team": "a"}}, "tags/team"),
        ({"status": "FAILED"}, "info/status"),
        ({"start_time": 5}, "info/start_time"),
        ({"points": [line((1, 0, 0.5))]}, "metrics.jsonl/loss"),
        ({"files": {"a/b.bin": b"1"}}, "artifacts/a/b.bin"),
    ],
)
def test_every_difference_is_named(changes, path):
    report = compare(*ends(run(), restored(**changes)), Selection())
    assert [(d.left.id, d.right.id, d.fields) for d in report.different] == [(OLD, NEW, (path,))]
    assert report.exit_code == 1
    assert report.to_json()["same"] is False


def test_one_changed_byte_is_seen_unless_files_are_left_out():
    left, right = ends(run(files={"a": b"one"}), restored(files={"a": b"onf"}))
    assert compare(left, right, Selection()).different[0].fields == ("artifacts/a",)
    assert compare(left, right, Selection(), artifacts=False).same


def test_the_order_of_points_and_the_cut_into_lines_mean_nothing():
    one = [line((1, 0, 1), (2, 1, "NaN"), (3, 2, 0.25))]
    two = [line((3, 2, 0.25)), line((2, 1, "NaN"), (1, 0, 1.0))]
    assert compare(*ends(run(points=one), restored(points=two)), Selection()).same
    three = [line((3, 2, 0.25)), line((2, 1, "NaN"), (1, 0, 1.0), (1, 0, 1.0))]
    assert not compare(*ends(run(points=one), restored(points=three)), Selection()).same


def test_what_only_one_end_has():
    left, right = ends(run(), restored())
    left.entries.append(run("e" * 32))
    right.entries.append(run("f" * 32, "7"))
    report = compare(left, right, Selection())
    assert [key.id for key in report.only_left] == ["e" * 32]
    assert [key.id for key in report.only_right] == ["f" * 32]
    assert report.equal["run"] == 1


def test_what_cannot_be_read_is_a_loss_and_not_a_difference():
    def broken():
        raise IntegrityError("damaged")

    left, right = ends(run(), item(Kind.RUN, NEW, broken, experiment_id="7"))
    report = compare(left, right, Selection())
    assert [loss.id for loss in report.losses] == [NEW]
    # It could not be matched either, as its tags cannot be read.
    assert [key.id for key in report.only_left] == [OLD]
    same, damaged = MemorySource([run()]), MemorySource([item(Kind.RUN, OLD, broken, experiment_id="1")])
    report = compare(same, damaged, Selection())
    assert report.same
    assert report.exit_code == 3


def test_a_reference_to_another_object_is_a_difference():
    left, right = ends(run(), restored())
    right.entries[2] = model(NEW_MODEL, "9" * 32, "7", {SOURCE_ID: OLD_MODEL})
    report = compare(left, right, Selection())
    assert [d.fields for d in report.different] == [("info/source_run_id",)]


def test_every_ignored_field_has_a_reason():
    assert all(reason for table in IGNORED.values() for reason in table.values())
    assert is_ignored(Kind.RUN, f"tags/{SOURCE_ID}")
    assert not is_ignored(Kind.RUN, "info/status")


@pytest.mark.parametrize(
    ("there", "same"),
    [
        (f"models:/{NEW_MODEL}", True),
        (f"mlflow-artifacts:/7/models/{NEW_MODEL}/artifacts", True),
        (f"models:/{OLD_MODEL[:-1]}0", False),
        ("mlflow-archive:/flower/1", False),
    ],
)
def test_a_version_stands_on_the_files_of_the_same_model(there, same):
    def version(source):
        record = {"name": "flower", "versions": [{"version": 1, "source": source}]}
        return item(Kind.REGISTERED_MODEL, "flower", content(Kind.REGISTERED_MODEL, record), name="flower")

    left, right = ends(run(), restored())
    left.entries.append(version(f"models:/{OLD_MODEL}"))
    right.entries.append(version(there))
    report = compare(left, right, Selection())
    assert report.same is same
    assert [d.fields for d in report.different] == ([] if same else [("versions/1/source",)])


def issue(id, experiment_id, name, **payload):
    record = {"name": name, "payload": {"issue_id": id, "experiment_id": experiment_id, "name": name, **payload}}
    return item(Kind.ISSUE, id, content(Kind.ISSUE, record), experiment_id=experiment_id, name=name)


def test_issues_are_paired_by_what_they_say_and_references_to_them_follow():
    old, new = "iss-" + "1" * 32, "iss-" + "2" * 32
    trace_id = "tr-" + "e" * 32

    def end(experiment_id, issue_id):
        record = least(Kind.TRACE, trace_id, experiment_id)
        record["assessments"] = [{"assessment_name": issue_id, "feedback": {"value": True}}]
        trace = item(Kind.TRACE, trace_id, content(Kind.TRACE, record), experiment_id=experiment_id)
        return MemorySource([experiment(experiment_id), trace, issue(issue_id, experiment_id, "slow", status="open")])

    report = compare(end("1", old), end("7", new), Selection())

    assert report.same, report.to_json()
    assert report.equal["issue"] == 1

    other = MemorySource([experiment("7"), issue(new, "7", "slow", status="closed")])
    report = compare(MemorySource([experiment("1"), issue(old, "1", "slow", status="open")]), other, Selection())

    assert [key.id for key in report.only_left] == [old]
    assert [key.id for key in report.only_right] == [new]


def test_a_parent_that_is_not_there_is_the_same_as_its_lineage():
    gone = "9" * 32
    lineage = restored(tags={SOURCE_PARENT_RUN_ID: gone})

    assert compare(*ends(run(tags={"mlflow.parentRunId": gone}), lineage), Selection()).same
    assert not compare(*ends(run(tags={"mlflow.parentRunId": OLD_MODEL}), lineage), Selection()).same


@pytest.mark.parametrize("where", ["content", "listing"])
def test_what_neither_end_could_read_of_an_object_is_told(where):
    def half(it):
        loss = it.key.lost("unavailable", "It was busy.", path="model.pkl", retryable=True)
        whole = it.load()
        if where == "content":
            return Item(it.key, lambda: replace(whole, losses=(loss,)))
        return Item(it.key, lambda: replace(whole, blobs=lambda: iter((loss,))))

    report = compare(*ends(half(run()), half(restored())), Selection())

    assert report.same
    assert [(loss.id, loss.path) for loss in report.losses] == [(OLD, "model.pkl"), (NEW, "model.pkl")]
    assert report.exit_code == 3

    assert compare(*ends(half(run()), half(restored())), Selection(), artifacts=False).exit_code == 0


def test_an_object_with_a_lost_part_is_compared_all_the_same():
    loss = Loss(kind=Kind.RUN, id=OLD, path="metrics", code="unavailable", reason="It was busy.")
    whole = run().load()
    half = Item(run().key, lambda: replace(whole, losses=(loss,)))

    report = compare(*ends(half, restored(tags={"team": "a"})), Selection())

    assert [(d.left.id, d.fields) for d in report.different] == [(OLD, ("tags/team",))]
    assert (report.only_left, report.only_right, report.losses) == ((), (), (loss,))


def test_a_server_that_is_gone_ends_the_comparison():
    def gone():
        raise UnavailableError("Nobody answers.", code=UNREACHABLE)

    with pytest.raises(UnavailableError, match="Nobody answers"):
        compare(*ends(run(), Item(restored().key, gone)), Selection())
