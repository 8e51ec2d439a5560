"""What a source does when a server is old, refuses, or has lost something."""

from __future__ import annotations

import pytest

from mlflow_archive.errors import (
    IntegrityError,
    NotAuthorisedError,
    NotFoundError,
    UnavailableError,
    UnsupportedError,
    UsageError,
)
from mlflow_archive.spec.kinds import KIND_ORDER, Kind
from mlflow_archive.spec.loss import Loss
from mlflow_archive.spec.selection import Selection
from mlflow_archive.stream import Item
from mlflow_archive.tracking.artifact_contract import ArtifactFault, ArtifactFile
from mlflow_archive.tracking.sources.source import MlflowSource
from tests.tracking.sources.fake import FakeArtifacts, FakeServer

SEARCH = "POST /api/2.0/mlflow/experiments/search"
RUNS = "POST /api/2.0/mlflow/runs/search"
CLASSIC = {Kind.EXPERIMENT, Kind.RUN, Kind.REGISTERED_MODEL}
BULK = "GET /ajax-api/2.0/mlflow/metrics/get-history-bulk"


def experiments(*ids: str):
    return lambda request: {
        "experiments": [
            {"experiment_id": id, "name": f"e{id}", "artifact_location": "x", "lifecycle_stage": "active"} for id in ids
        ]
    }


def run(run_id: str, **metrics: float) -> dict:
    return {
        "info": {
            "run_id": run_id, "run_uuid": run_id, "experiment_id": "1", "status": "FINISHED",
            "lifecycle_stage": "active", "artifact_uri": "x", "start_time": 5,
        },
        "data": {"metrics": [{"key": key, "value": value, "timestamp": 1} for key, value in metrics.items()]},
    }  # fmt: skip


def source(answers: dict, version: str = "2.22.5", artifacts: FakeArtifacts | None = None) -> MlflowSource:
    return MlflowSource(FakeServer(answers, version), artifacts or FakeArtifacts())


@pytest.mark.parametrize(
    ("version", "missing"),
    [
        ("2.9.2", {*KIND_ORDER} - {Kind.EXPERIMENT, Kind.RUN, Kind.REGISTERED_MODEL}),
        (
            "3.0.1",
            {*KIND_ORDER}
            - {Kind.EXPERIMENT, Kind.RUN, Kind.REGISTERED_MODEL, Kind.PROMPT, Kind.TRACE, Kind.LOGGED_MODEL},
        ),
        ("3.17.2", {Kind.DATABASE}),
    ],
)
def test_kinds_follow_from_the_version(version, missing):
    assert source({}, version).kinds() == tuple(kind for kind in KIND_ORDER if kind not in missing)


def test_a_server_before_2_9_is_refused_with_what_to_do():
    with pytest.raises(UnsupportedError, match="Upgrade the server"):
        source({}, "2.8.1")


def test_an_endpoint_that_should_be_there_and_is_not_is_a_loss():
    (loss,) = source({SEARCH: experiments("1")}).read(Kind.RUN, Selection())
    assert isinstance(loss, Loss)
    assert (loss.kind, loss.id, loss.experiment_id, loss.code) == (Kind.RUN, "", "1", "endpoint_not_found")


def test_a_server_that_refuses_the_experiments_ends_the_reading():
    def refuse(request):
        raise NotAuthorisedError("no")

    with pytest.raises(NotAuthorisedError):
        list(source({SEARCH: refuse}).read(Kind.EXPERIMENT, Selection()))
    with pytest.raises(NotAuthorisedError):
        list(source({SEARCH: refuse}).read(Kind.RUN, Selection()))


def test_experiments_that_only_our_copy_has_are_left_out():
    server = FakeServer({SEARCH: experiments("0", "7")}, "2.22.5")
    server.invented_experiment_ids = frozenset({"0"})
    items = MlflowSource(server, FakeArtifacts()).read(Kind.EXPERIMENT, Selection())
    assert [item.key.id for item in items if isinstance(item, Item)] == ["7"]


def test_run_filter_and_times_reach_the_server_as_one_filter():
    answers = {SEARCH: experiments("1"), RUNS: lambda request: {}}
    server = FakeServer(answers, "2.22.5")
    selection = Selection(run_filter="params.lr = '1'", since_ms=5, until_ms=9)
    assert list(MlflowSource(server, FakeArtifacts()).read(Kind.RUN, selection)) == []
    assert server.asked[-1][1]["filter"] == (
        "params.lr = '1' and attributes.start_time >= 5 and attributes.start_time < 9"
    )


def test_a_filter_that_the_server_refuses_is_the_users_mistake_and_no_loss():
    def refuse(request):
        raise UsageError("Invalid clause(s) in filter string: 'nonsense'", code="invalid_parameter_value")

    answers = {SEARCH: experiments("1"), RUNS: refuse}
    with pytest.raises(UsageError, match="refuses the run filter 'nonsense': Invalid clause") as caught:
        list(source(answers).read(Kind.RUN, Selection(run_filter="nonsense")))
    assert caught.value.code == "run_filter"

    (loss,) = source(answers).read(Kind.RUN, Selection(since_ms=5))
    assert loss.code == "invalid_parameter_value"


@pytest.mark.parametrize("error", [UnavailableError("It was busy."), NotAuthorisedError("no", code="forbidden")])
def test_workspaces_that_could_not_be_listed_are_a_loss_of_every_kind(error):
    def refuse(request):
        raise error

    answers = {SEARCH: experiments("1"), "GET /api/3.0/mlflow/server-info": refuse}
    item, loss = source(answers, "3.17.2").read(Kind.EXPERIMENT, Selection())
    assert item.key.workspace is None
    assert (loss.kind, loss.id, loss.code) == (Kind.EXPERIMENT, "", error.code)
    assert str(error) in loss.reason


def test_a_history_without_its_latest_value_is_kept_and_reported():
    answers = {
        SEARCH: experiments("1"),
        RUNS: lambda request: {"runs": [run("a", loss=2.0)]},
        BULK: lambda request: {"metrics": [{"run_id": "a", "key": "loss", "value": 3.0, "timestamp": 0, "step": 0}]},
    }
    (item,) = source(answers).read(Kind.RUN, Selection())
    content = item.load()
    (part,) = content.parts
    assert [line["values"] for line in part.open()] == [[3.0]]
    assert [(loss.code, loss.path) for loss in content.losses] == [("incomplete", "metrics")]


def test_a_part_can_be_opened_again_and_an_item_loaded_again():
    row = {"run_id": "a", "key": "loss", "value": 2.0, "timestamp": 1, "step": 0}
    answers = {
        SEARCH: experiments("1"),
        RUNS: lambda request: {"runs": [run("a", loss=2.0)]},
        BULK: lambda request: {"metrics": [row]},
        "GET /api/2.0/mlflow/metrics/get-history": lambda request: {"metrics": [row]},
    }
    (item,) = source(answers).read(Kind.RUN, Selection())
    lines = [list(part.open()) for content in (item.load(), item.load()) for part in content.parts for _ in "12"]
    assert lines == [[{"key": "loss", "timestamps": [1], "steps": [0], "values": [2.0]}]] * 4


def test_runs_without_metrics_have_no_part_and_ask_for_none():
    server = FakeServer({SEARCH: experiments("1"), RUNS: lambda request: {"runs": [run("a")]}}, "2.22.5")
    (item,) = MlflowSource(server, FakeArtifacts()).read(Kind.RUN, Selection())
    assert item.load().parts == ()
    assert server.request_count == 2


def test_files_and_what_cannot_be_listed_of_them():
    files = FakeArtifacts(ArtifactFile("a.txt", 3), ArtifactFault("b#c", "name", "cannot be carried", False))
    answers = {SEARCH: experiments("1"), RUNS: lambda request: {"runs": [run("r")]}}
    (item,) = source(answers, artifacts=files).read(Kind.RUN, Selection())
    blob, loss = item.load().blobs()
    with blob.open() as chunks:
        assert b"".join(chunks) == b"r/a.txt"
    assert (blob.role, blob.name, blob.size_bytes) == ("artifacts", "a.txt", 3)
    assert (loss.id, loss.path, loss.code) == ("r", "b#c", "name")


def test_without_artifacts_no_file_is_listed():
    answers = {SEARCH: experiments("1"), RUNS: lambda request: {"runs": [run("r")]}}
    (item,) = source(answers, artifacts=FakeArtifacts(ArtifactFile("a", 1))).read(Kind.RUN, Selection(artifacts=False))
    assert list(item.load().blobs()) == []


def test_deleted_logged_models_come_by_the_runs_that_name_them():
    def by_id(request):
        if request.get("allow_deleted") != ["true"]:
            raise NotFoundError("deleted")
        return {"model": {"info": {"model_id": "m-1", "experiment_id": "1"}}}

    answers = {
        SEARCH: experiments("1"),
        RUNS: lambda request: {"runs": [{**run("a"), "outputs": {"model_outputs": [{"model_id": "m-1"}]}}]},
        "POST /api/2.0/mlflow/logged-models/search": lambda request: {},
        "GET /api/2.0/mlflow/logged-models/m-1": by_id,
        "GET /api/3.0/mlflow/server-info": lambda request: {},
    }
    end = source(answers, "3.17.2")
    assert len(list(end.read(Kind.RUN, Selection()))) == 1
    (item,) = end.read(Kind.LOGGED_MODEL, Selection())
    assert item.load().record.to_json()["info"] == {
        "model_id": "m-1", "experiment_id": "1", "lifecycle_stage": "deleted",
    }  # fmt: skip


def test_label_schemas_are_not_listed_where_that_would_write():
    queue = {"queue_id": "q", "schema_ids": ["s"]}
    answers = {
        SEARCH: experiments("1"),
        "GET /api/3.0/mlflow/server-info": lambda request: {},
        "GET /api/3.0/mlflow/label-schemas/get-by-name": lambda request: {"label_schema": {"is_default": False}},
        "GET /api/3.0/mlflow/review-queues/list": lambda request: {"review_queues": [queue]},
        "GET /api/3.0/mlflow/label-schemas/get": lambda request: {"label_schema": {"schema_id": "s", "name": "n"}},
    }
    server = FakeServer(answers)
    end = MlflowSource(server, FakeArtifacts())
    (item,) = end.read(Kind.LABEL_SCHEMA, Selection())
    assert item.key.id == "s"
    assert server.times("/api/3.0/mlflow/label-schemas/list") == 0
    assert any("default schema" in note for note in end.notes())


def test_where_workspaces_cannot_be_listed_the_default_one_is_read_and_a_note_says_so():
    end = source({SEARCH: experiments("1")}, "3.17.2")
    assert [item.key.workspace for item in end.read(Kind.EXPERIMENT, Selection())] == [None]
    assert any("default workspace" in note for note in end.notes())
    (loss,) = end.read(Kind.WORKSPACE, Selection())
    assert loss.code == "endpoint_not_found"


def test_every_workspace_is_asked():
    answers = {
        SEARCH: experiments("1"),
        "GET /api/3.0/mlflow/server-info": lambda request: {"workspaces_enabled": True},
        "GET /api/3.0/mlflow/workspaces": lambda request: {"workspaces": [{"name": "default"}, {"name": "team"}]},
    }
    end = source(answers, "3.17.2")
    assert [item.key.id for item in end.read(Kind.WORKSPACE, Selection())] == ["default", "team"]
    assert [item.key.workspace for item in end.read(Kind.EXPERIMENT, Selection())] == [None, "team"]


def test_model_outputs_that_the_search_does_not_show_are_asked_for():
    full = {"run": {**run("a"), "outputs": {"model_outputs": [{"model_id": "m-1", "step": 3}]}}}
    answers = {
        SEARCH: experiments("1"),
        RUNS: lambda request: {"runs": [run("a")]},
        "POST /api/2.0/mlflow/logged-models/search": lambda request: {"models": [{"info": {"model_id": "m-1"}}]},
        "GET /api/2.0/mlflow/runs/get": lambda request: full,
    }
    (item,) = source(answers, "3.0.1").read(Kind.RUN, Selection())
    assert item.load().record.model_outputs == ({"model_id": "m-1", "step": 3},)


def read_with_losses(end: MlflowSource, kind: Kind) -> tuple[list[str], list[tuple[str, str]]]:
    """Return the ids of what can be loaded, and id and error code of what cannot."""
    good, bad = [], []
    for item in end.read(kind, Selection()):
        assert isinstance(item, Item)
        try:
            item.load()
        except IntegrityError as error:
            bad.append((item.key.id, error.code))
        else:
            good.append(item.key.id)
    return good, bad


def test_a_run_that_is_not_understood_is_lost_alone():
    wrong = run("b", loss=1.0)
    wrong["data"]["metrics"][0]["step"] = "soon"
    nameless = run("x")
    del nameless["info"]["run_id"]
    rows = [run("a"), wrong, nameless, run("c")]
    answers = {SEARCH: experiments("1"), RUNS: lambda request: {"runs": rows}}
    good, bad = read_with_losses(source(answers), Kind.RUN)
    assert sorted(good) == ["a", "c"]
    assert sorted(bad) == [("", "integrity"), ("b", "integrity")]


def test_a_logged_model_that_is_not_understood_is_lost_alone():
    rows = [
        {"info": {"model_id": id, "experiment_id": "1", "creation_timestamp_ms": time}}
        for id, time in (("m-1", "1"), ("m-2", "soon"), ("m-3", "2"))
    ]
    answers = {
        SEARCH: experiments("1"),
        "GET /api/3.0/mlflow/server-info": lambda request: {},
        "POST /api/2.0/mlflow/logged-models/search": lambda request: {"models": rows},
    }
    good, bad = read_with_losses(source(answers, "3.17.2"), Kind.LOGGED_MODEL)
    assert (good, bad) == (["m-1", "m-3"], [("m-2", "integrity")])


@pytest.mark.parametrize("time", ["soon", 10**19])
def test_a_trace_that_is_not_understood_is_lost_alone(time):
    rows = [
        {"request_id": id, "experiment_id": "1", "timestamp_ms": ms, "status": "OK"}
        for id, ms in (("tr-1", 1), ("tr-2", time), ("tr-3", 2))
    ]
    answers = {SEARCH: experiments("1"), "GET /api/2.0/mlflow/traces": lambda request: {"traces": rows}}
    good, bad = read_with_losses(source(answers, "2.22.5"), Kind.TRACE)
    assert (good, bad) == (["tr-1", "tr-3"], [("tr-2", "integrity")])
