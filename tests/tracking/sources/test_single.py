"""What a server is asked for single objects, for what is not deleted, and for versions."""

from __future__ import annotations

import pytest

from mlflow_archive.errors import NotAuthorisedError, NotFoundError, UnavailableError, UsageError
from mlflow_archive.spec.kinds import Kind
from mlflow_archive.spec.loss import Loss
from mlflow_archive.spec.selection import Selection
from mlflow_archive.stream import Item
from mlflow_archive.tracking.artifact_contract import ArtifactFile
from mlflow_archive.tracking.sources.source import MlflowSource
from tests.tracking.sources.fake import FakeArtifacts, FakeServer

MLFLOW = "/api/2.0/mlflow"
EXPERIMENTS = f"POST {MLFLOW}/experiments/search"
RUNS = f"POST {MLFLOW}/runs/search"
RUN = f"GET {MLFLOW}/runs/get"
LOGGED = f"POST {MLFLOW}/logged-models/search"


def run(run_id: str, experiment_id: str, stage: str = "active") -> dict:
    info = {"run_id": run_id, "experiment_id": experiment_id, "status": "FINISHED", "lifecycle_stage": stage}
    return {"info": {**info, "start_time": 5}, "data": {}}


def server(answers: dict, version: str = "2.22.5", *deleted: str) -> FakeServer:
    rows = [
        {"experiment_id": id, "name": f"e{id}", "artifact_location": "x", "lifecycle_stage": stage}
        for id in ("1", "2")
        for stage in ["deleted" if id in deleted else "active"]
    ]
    return FakeServer({EXPERIMENTS: lambda _: {"experiments": rows}, **answers}, version)


def read(fake: FakeServer, kind: Kind, *files: ArtifactFile, **wishes) -> list[Item | Loss]:
    return list(MlflowSource(fake, FakeArtifacts(*files)).read(kind, Selection(**wishes)))  # type: ignore[arg-type]


def ids(entries: list[Item | Loss]) -> list[str]:
    return [entry.key.id for entry in entries if isinstance(entry, Item)]


def one_of(rows: dict[str, dict], word: str):
    def answer(request: dict) -> dict:
        (id,) = request["run_id"]
        if id not in rows:
            raise NotFoundError("There is none.")
        return {word: rows[id]}

    return answer


def test_single_runs_are_asked_for_one_by_one_and_never_searched():
    rows = {id: run(id, home) for id, home in [("a", "1"), ("b", "2"), ("c", "2")]}
    fake = server({RUN: one_of(rows, "run")})
    assert ids(read(fake, Kind.RUN, run_ids=frozenset({"a", "c", "gone"}))) == ["a", "c"]
    assert fake.times(f"{MLFLOW}/runs/search") == 0
    assert ids(read(fake, Kind.RUN, run_ids=frozenset({"a", "c"}), experiment_ids=frozenset({"2"}))) == ["c"]
    assert ids(read(fake, Kind.RUN, run_ids=frozenset({"a", "c"}), since_ms=6)) == []


def test_a_single_run_that_is_deleted_can_be_left_out():
    fake = server({RUN: one_of({"a": run("a", "1", "deleted"), "b": run("b", "1")}, "run")})
    assert ids(read(fake, Kind.RUN, run_ids=frozenset({"a", "b"}))) == ["a", "b"]
    assert ids(read(fake, Kind.RUN, run_ids=frozenset({"a", "b"}), deleted=False)) == ["b"]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UnavailableError("It is busy."), "unavailable"),
        (NotAuthorisedError("You may not.", code="forbidden"), "forbidden"),
        (NotFoundError("No such page.", code="endpoint_not_found"), "endpoint_not_found"),
    ],
)
def test_a_single_run_that_cannot_be_read_is_a_loss(error, code):
    def answer(request: dict) -> dict:
        if request["run_id"] == ["a"]:
            raise error
        return {"run": run(request["run_id"][0], "1")}

    entries = read(server({RUN: answer}), Kind.RUN, run_ids=frozenset({"a", "b"}))
    assert ids(entries) == ["b"]
    assert [(loss.id, loss.code) for loss in entries if isinstance(loss, Loss)] == [("a", code)]


def test_refused_credentials_end_the_reading():
    def answer(request: dict) -> dict:
        raise NotAuthorisedError("Who are you?")

    with pytest.raises(NotAuthorisedError):
        read(server({RUN: answer}), Kind.RUN, run_ids=frozenset({"a"}))


def test_what_cannot_be_an_id_is_not_there():
    def answer(request: dict) -> dict:
        raise UsageError("Invalid run ID: 'a b'", code="invalid_parameter_value")

    assert read(server({RUN: answer}), Kind.RUN, run_ids=frozenset({"a b"})) == []


def test_with_a_filter_single_runs_are_searched_for():
    fake = server({RUNS: lambda request: {"runs": [run("a", "1"), run("b", "1")]}})
    wish = {"run_ids": frozenset({"b"}), "experiment_ids": frozenset({"1"}), "run_filter": "params.x = '1'"}
    assert ids(read(fake, Kind.RUN, **wish)) == ["b"]


def test_children_are_asked_for_by_the_tag_of_their_parent():
    asked = []

    def answer(request: dict) -> dict:
        asked.append(request["filter"])
        return {"runs": [run("a", "1")] if "'p1'" in request["filter"] else []}

    fake = server({RUNS: answer})
    parents = frozenset({"p2", "p1"})
    assert ids(read(fake, Kind.RUN, parent_run_ids=parents, experiment_ids=frozenset({"1"}))) == ["a"]
    assert asked == ["tags.`mlflow.parentRunId` = 'p1'", "tags.`mlflow.parentRunId` = 'p2'"]


def test_what_is_deleted_is_not_even_asked_for():
    def answer(request: dict) -> dict:
        return {"runs": [run("a", "1")] if request["run_view_type"] == "ACTIVE_ONLY" else []}

    fake = server({RUNS: answer}, "2.22.5", "2")
    assert ids(read(fake, Kind.EXPERIMENT, deleted=False)) == ["1"]
    assert ids(read(fake, Kind.RUN, deleted=False)) == ["a"]
    assert [body["experiment_ids"] for path, body in fake.asked if path.endswith("runs/search")] == [["1"]]


def logged(model_id: str, experiment_id: str = "1") -> dict:
    return {"info": {"model_id": model_id, "experiment_id": experiment_id, "name": "net"}, "data": {}}


def test_single_logged_models_are_asked_for_one_by_one_deleted_ones_too():
    def deleted(request: dict) -> dict:
        if not request.get("allow_deleted"):
            raise NotFoundError("It is deleted.")
        return {"model": logged("m-2")}

    fake = server(
        {
            f"GET {MLFLOW}/logged-models/m-1": lambda _: {"model": logged("m-1")},
            f"GET {MLFLOW}/logged-models/m-2": deleted,
        },
        "3.17.2",
    )
    wanted = frozenset({"m-1", "m-2"})
    assert ids(read(fake, Kind.LOGGED_MODEL, logged_model_ids=wanted)) == ["m-1", "m-2"]
    assert ids(read(fake, Kind.LOGGED_MODEL, logged_model_ids=wanted, deleted=False)) == ["m-1"]
    assert fake.times(f"{MLFLOW}/logged-models/search") == 0


@pytest.mark.parametrize("version", ["2.22.5", "3.17.2"])
def test_single_traces_are_asked_for_one_by_one(version):
    if version.startswith("2"):
        path, row = f"{MLFLOW}/traces/tr-1/info", {"request_id": "tr-1", "experiment_id": "2", "status": "OK"}
        answer: dict = {"trace_info": row}
    else:
        place = {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": "2"}}
        path, row = "/api/3.0/mlflow/traces/tr-1", {"trace_id": "tr-1", "trace_location": place}
        answer = {"trace": {"trace_info": row}}
    fake = server({f"GET {path}": lambda _: answer}, version)
    (item,) = read(fake, Kind.TRACE, trace_ids=frozenset({"tr-1"}))
    assert isinstance(item, Item)
    assert (item.key.id, item.key.experiment_id) == ("tr-1", "2")


MODELS = f"GET {MLFLOW}/registered-models/search"
VERSIONS = f"GET {MLFLOW}/model-versions/search"
PLACE = f"GET {MLFLOW}/model-versions/get-download-uri"
IN_RUN = f"mlflow-artifacts:/1/{'a' * 32}/artifacts/model"


def registry(*places: str) -> FakeServer:
    rows = [
        {"name": "net", "version": str(n + 1), "current_stage": "Production", "run_id": "a" * 32}
        for n in range(len(places))
    ]
    answers = {
        MODELS: lambda request: {"registered_models": [{"name": "net"}]},
        VERSIONS: lambda request: {"model_versions": rows},
        PLACE: lambda request: {"artifact_uri": places[int(request["version"][0]) - 1]},
        RUN: lambda request: {"run": {"info": {**run("a" * 32, "1")["info"], "artifact_uri": "/srv/1/a/artifacts"}}},
    }
    return server(answers)


def test_only_wanted_versions_are_asked_where_they_are():
    fake = registry(IN_RUN, IN_RUN, IN_RUN)
    (item,) = read(fake, Kind.REGISTERED_MODEL, latest_versions=True)
    assert isinstance(item, Item)
    (version,) = item.load().record.versions  # type: ignore[attr-defined]
    assert (version.version, version.storage_location) == (3, IN_RUN)
    assert fake.times(f"{MLFLOW}/model-versions/get-download-uri") == 1


@pytest.mark.parametrize("place", [IN_RUN, f"runs:/{'a' * 32}/model", "s3://bucket/own"])
def test_the_files_of_versions_come_along_if_so_wished(place):
    files = [ArtifactFile("model/MLmodel", 3), ArtifactFile("other", 3)]
    for wish in (False, True):
        (item,) = read(registry(place), Kind.REGISTERED_MODEL, *files, version_files=wish)
        assert isinstance(item, Item)
        blobs = [(blob.role, blob.name) for blob in item.load().blobs()]  # type: ignore[union-attr]
        own = not place.startswith(("runs", "mlflow"))
        names = ["MLmodel"] if place.startswith("runs") else ["model/MLmodel", "other"]
        assert blobs == ([("versions/1/artifacts", name) for name in names] if wish or own else [])
