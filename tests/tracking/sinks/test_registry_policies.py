"""How registered models, prompts and evaluation datasets are brought to a real server."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from typing import Any

import pytest

from mlflow_archive.errors import UnavailableError, UsageError
from mlflow_archive.spec.kinds import Kind
from mlflow_archive.stream import Blob, Content, Item, Status
from tests.tracking.sinks.making import Target, experiment, item, registered_model, run
from tests.tracking.sinks.small_world import API3
from tests.tracking.sinks.test_cuts import CutTarget

pytestmark = pytest.mark.server
New = Callable[..., str]
PROMPT = {"mlflow.prompt.is_prompt": "true", "mlflow.prompt.text": "Hi {{x}}", "_mlflow_prompt_type": "text"}
MODELS = frozenset({Kind.REGISTERED_MODEL})


def _model(name: str, *numbers: int, **fields: Any) -> Item:
    versions = [{"version": n, "source": f"s3://b/{n}", "tags": {"n": str(n)}, "description": f"v{n}"} for n in numbers]
    return registered_model(name, versions, **fields)


def _there(target: Target, name: str) -> dict[str, Any]:
    found = target.get("registered-models/get", name=name)["registered_model"]
    found["tags"] = {tag["key"]: tag["value"] for tag in found.get("tags", [])}
    found["aliases"] = {entry["alias"]: int(entry["version"]) for entry in found.get("aliases", [])}
    clause = " AND tag.`mlflow.prompt.is_prompt` = 'true'" if "mlflow.prompt.is_prompt" in found["tags"] else ""
    listed = target.get("model-versions/search", filter=f"name='{name}'{clause}").get("model_versions", [])
    found["versions"] = {int(version["version"]): version for version in listed}
    for version in found["versions"].values():
        version["tags"] = {tag["key"]: tag["value"] for tag in version.get("tags", [])}
    return found


def _sources(target: Target, name: str) -> dict[int, str]:
    return {number: version["source"] for number, version in sorted(_there(target, name)["versions"].items())}


def test_a_model_takes_the_place_of_the_one_that_is_there(target: Target, new: New) -> None:
    name = new("reg-")
    target.restore([_model(name, 1, 2, 3)])
    for number, stage in ((2, "Production"), (3, "Staging")):
        target.post("model-versions/transition-stage", name=name, version=str(number), stage=stage)
    result = target.restore([_model(name, 1, 4)], replace=MODELS)
    assert (result.losses, result.outcomes[name].status) == ([], Status.STORED)
    assert _sources(target, name) == {1: "s3://b/1", 4: "s3://b/4"}


def test_versions_in_use_are_archived_before_the_model_is_deleted_once(target: Target, new: New) -> None:
    name = new("reg-")
    target.restore([_model(name, 1, 2)])
    target.post("model-versions/transition-stage", name=name, version="2", stage="Production")
    watched, asked = CutTarget(target, 0), []
    call = watched.client.call

    def note(method: str, path: str, **options: Any) -> Any:
        body = options.get("body") or {}
        asked.append((path.removeprefix("/api/2.0/mlflow/"), body.get("version"), body.get("stage")))
        return call(method, path, **options)

    watched.client.call = note  # type: ignore[method-assign]
    assert watched.restore([_model(name, 1, 2, 3)], replace=MODELS).losses == []
    words = [one for one in asked if one[0].startswith(("registered-models/", "model-versions/"))]
    archived = words.index(("model-versions/transition-stage", "2", "Archived"))
    deleted = words.index(("registered-models/delete", None, None))
    made = words.index(("registered-models/create", None, None))
    assert archived < deleted < made
    assert words.count(("registered-models/delete", None, None)) == 1
    assert ("model-versions/transition-stage", "1", "Archived") not in words


def test_a_dry_run_tells_what_would_be_deleted(target: Target, new: New) -> None:
    name, other = new("reg-"), new("reg-")
    target.restore([_model(name, 1)])
    result = target.restore([_model(name, 1), _model(other, 1)], replace=MODELS, dry_run=True)
    assert result.outcomes[name].reason == f"would delete the registered model {name!r} and create it anew"
    assert result.outcomes[other].reason == "would create"
    assert _sources(target, name) == {1: "s3://b/1"}


def test_what_is_not_to_be_replaced_stays(target: Target, new: New) -> None:
    name = new("prompt-")
    prompt = registered_model(
        name, [{"version": 1, "source": "dummy-source", "tags": PROMPT}], Kind.PROMPT, tags=PROMPT
    )
    target.restore([prompt])
    target.post("registered-models/set-tag", name=name, key="mine", value="1")
    assert target.restore([prompt], replace=MODELS).outcomes[name].reason == "exists"
    assert "mine" in _there(target, name)["tags"]
    target.restore([prompt], replace=frozenset({Kind.PROMPT}))
    there = _there(target, name)
    assert "mine" not in there["tags"]
    assert there["versions"].keys() == {1}


@contextlib.contextmanager
def _unreadable() -> Any:
    raise UnavailableError("The file cannot be read.")
    yield


def test_nothing_is_deleted_for_what_cannot_be_read(target: Target, new: New) -> None:
    name, gone = new("reg-"), new("reg-")
    target.restore([_model(name, 1), _model(gone, 1)])
    whole = _model(name, 2)
    blob = Blob("versions/2/artifacts", "MLmodel", None, _unreadable)
    broken = Item(whole.key, lambda: Content(whole.load().record, (), lambda: iter([blob])))

    def fail() -> Content:
        raise UnavailableError("The record cannot be read.")

    result = target.restore([broken, Item(_model(gone, 1).key, fail)], replace=MODELS)
    assert {one.status for one in result.outcomes.values()} == {Status.LOST}
    assert _sources(target, name) == _sources(target, gone) == {1: "s3://b/1"}


def test_nothing_is_deleted_for_what_can_be_read_in_part(target: Target, new: New) -> None:
    """A prompt of an old archive has a document for each version; the one that is damaged may be at the target."""
    name, other = new("reg-"), new("reg-")
    target.restore([_model(name, 1, 2), _model(other, 1, 2)])
    half, old = _model(name, 1), _model(other, 1)
    damaged = half.key.lost("integrity", "The document of version 2 is not JSON.")
    known = old.key.lost("not_exported", "The export could not read version 2.")
    items = [
        Item(half.key, lambda: Content(half.load().record, (), lambda: iter(()), (damaged,))),
        Item(old.key, lambda: Content(old.load().record, (), lambda: iter(()), (known,))),
    ]
    result = target.restore(items, replace=MODELS)
    assert [result.outcomes[one].status for one in (name, other)] == [Status.LOST, Status.STORED]
    assert (_sources(target, name).keys(), _sources(target, other).keys()) == ({1, 2}, {1})


def test_two_of_one_name_do_not_delete_each_other(target: Target, new: New) -> None:
    a, b, name = new("a-"), new("b-"), new("reg-")
    target.restore([_model(name, 7)])
    items = [_model(a, 1), _model(b, 1, 2)]
    target.restore(items, replace=MODELS, rename_model={a: name, b: name})
    assert _sources(target, name) == {1: "s3://b/1", 2: "s3://b/2"}


def test_an_interrupted_replacement_begins_anew(target: Target, new: New) -> None:
    name = new("reg-")
    target.restore([_model(name, 1)])
    cut = CutTarget(target, 4)
    with contextlib.suppress(BaseException), contextlib.closing(cut.sink(replace=MODELS)) as sink:
        sink.write(_model(name, 1, 2))
    assert cut.client.is_over
    target.restore([_model(name, 1, 2)], replace=MODELS)
    assert _sources(target, name) == {1: "s3://b/1", 2: "s3://b/2"}


def _dataset(id: str, name: str, *questions: str) -> Item:
    record = {"dataset_id": id, "name": name, "tags": {"k": "v"}}
    return item(
        Kind.EVALUATION_DATASET, id, record, name=name, parts={"records": [{"inputs": {"q": q}} for q in questions]}
    )


def _datasets(target: Target, name: str) -> list[dict[str, Any]]:
    found = target.post(f"{API3}datasets/search", filter_string=f"name = '{name}'", max_results=50).get("datasets", [])
    return [one for one in found if one["name"] == name]


def _questions(target: Target, dataset_id: str) -> set[str]:
    answer = target.get(f"{API3}datasets/{dataset_id}/records")
    return {record["inputs"]["q"] for record in json.loads(answer["records"])}


def test_a_dataset_takes_the_place_of_the_one_that_is_there(target: Target, new: New) -> None:
    name = new("data-")
    target.restore([_dataset(new("d-"), name, "old")])
    [before] = _datasets(target, name)
    replace = frozenset({Kind.EVALUATION_DATASET})
    newer = _dataset(new("d-"), name, "new", "newer")
    planned = target.restore([newer], replace=replace, dry_run=True)
    assert planned.outcomes[newer.key.id].reason == f"would delete the evaluation dataset {name!r} and create it anew"
    result = target.restore([newer], replace=replace)
    assert result.losses == []
    [after] = _datasets(target, name)
    assert after["dataset_id"] != before["dataset_id"]
    assert _questions(target, after["dataset_id"]) == {"new", "newer"}


def test_a_dataset_that_cannot_be_read_deletes_none(target: Target, new: New) -> None:
    name = new("data-")
    target.restore([_dataset(new("d-"), name, "old")])

    def lines() -> Any:
        yield {"inputs": {"q": "new"}}
        raise UnavailableError("The rest cannot be read.")

    whole = _dataset(new("d-"), name)
    part = whole.load().parts
    broken = Item(whole.key, lambda: Content(whole.load().record, (type(part[0])("records", lines),)))
    result = target.restore([broken], replace=frozenset({Kind.EVALUATION_DATASET}))
    assert result.outcomes[whole.key.id].status is Status.LOST
    assert _questions(target, _datasets(target, name)[0]["dataset_id"]) == {"old"}


def test_a_dataset_under_another_name(target: Target, new: New) -> None:
    name, wanted = new("data-"), new("data-")
    dataset = _dataset(new("d-"), name, "q")
    target.restore([dataset])
    only = {Kind.EVALUATION_DATASET: wanted}
    result = target.restore([dataset], only_names=only)
    assert result.outcomes[dataset.key.id].reason == f"renamed to {wanted!r}"
    assert _questions(target, _datasets(target, wanted)[0]["dataset_id"]) == {"q"}
    assert target.restore([dataset], only_names=only).outcomes[dataset.key.id].reason == "exists"


def test_one_name_is_for_one_object(target: Target, new: New) -> None:
    a, b, name = new("a-"), new("b-"), new("reg-")
    result = target.restore([_model(a, 1), _model(b, 1)], only_names={Kind.REGISTERED_MODEL: name})
    assert result.outcomes[a].reason == f"renamed to {name!r}"
    assert result.outcomes[b].status is Status.LOST
    assert result.losses[0].code == UsageError.code
    assert f"{name!r} can be the name of one object only" in result.losses[0].reason
    assert _sources(target, name) == {1: "s3://b/1"}


def test_a_model_that_is_not_there_is_refused(target: Target, new: New) -> None:
    name, prompt = new("reg-"), new("prompt-")
    items = [
        _model(name, 1),
        registered_model(prompt, [{"version": 1, "source": "dummy-source", "tags": PROMPT}], Kind.PROMPT, tags=PROMPT),
    ]
    for dry_run in (True, False):
        result = target.restore(items, create_models=False, dry_run=dry_run)
        assert (result.outcomes[name].status, result.outcomes[prompt].status) == (Status.LOST, Status.STORED)
        assert result.losses[0].code == "not_found"
        assert "--create-model" in result.losses[0].reason
    target.post("registered-models/create", name=name)
    assert target.restore(items[:1], create_models=False).outcomes[name].reason == "1 version added"


def test_without_stages_aliases_and_metadata(target: Target, new: New) -> None:
    name, other = new("reg-"), new("reg-")
    versions = [{"version": 1, "source": "s3://b/1", "current_stage": "Production", "tags": {"n": "1"}}]
    fields = {"aliases": {"champion": 1}, "description": "d", "tags": {"k": "v"}}
    target.restore([registered_model(name, versions, **fields)], stages_and_aliases=False)
    there = _there(target, name)
    assert (there["aliases"], there["versions"][1]["current_stage"]) == ({}, "None")
    assert (there["description"], there["tags"]["k"]) == ("d", "v")
    target.restore([registered_model(other, versions, **fields)], registry_metadata=False)
    there = _there(target, other)
    assert (there.get("description", ""), "k" in there["tags"]) == ("", False)
    assert (there["aliases"], there["versions"][1]["tags"]["n"]) == ({"champion": 1}, "1")
    target.client.call("PATCH", "/api/2.0/mlflow/registered-models/update", body={"name": other, "description": "mine"})
    target.restore([registered_model(other, versions, **fields)], registry_metadata=False, if_exists="update")
    assert _there(target, other)["description"] == "mine"


def test_versions_are_appended(target: Target, new: New) -> None:
    source, name, exp, a = new("reg-"), new("reg-"), new(), new()
    target.post("registered-models/create", name=name)
    for number in range(3):
        target.post("model-versions/create", name=name, source=f"s3://mine/{number}")
    target.client.call("DELETE", "/api/2.0/mlflow/model-versions/delete", body={"name": name, "version": "3"})
    runs = [experiment(exp, exp), run(a, exp, files={"model/MLmodel": b"x"})]
    version = {"version": 2, "run_id": a, "source": f"runs:/{a}/model", "current_stage": "Staging", "tags": {"k": "v"}}
    model = registered_model(source, [version], aliases={"best": 2})
    wish: dict[str, Any] = {"only_names": {Kind.REGISTERED_MODEL: name}, "append_versions": True}
    planned = target.restore([*runs, model], **wish, dry_run=True)
    assert planned.outcomes[source].reason == "would add 1 version"
    result = target.restore([*runs, model], **wish)
    assert (result.losses, result.outcomes[source].reason) == ([], "1 version added")
    there = _there(target, name)
    assert set(there["versions"]) == {1, 2, 4}
    made = there["versions"][4]
    assert (made["run_id"], made["current_stage"], made["tags"]["k"]) == (result.ids.get(Kind.RUN, a), "Staging", "v")
    assert there["aliases"] == {"best": 4}
    assert there["versions"][2]["source"] == "s3://mine/1"
    again = target.restore([*runs, model], **wish)
    assert again.outcomes[source].reason == "exists"
    assert set(_there(target, name)["versions"]) == {1, 2, 4}
    changed = registered_model(source, [{**version, "tags": {"k": "new"}, "current_stage": "Production"}])
    target.restore([changed], **wish, if_exists="update")
    there = _there(target, name)["versions"]
    assert (there[4]["tags"]["k"], there[4]["current_stage"]) == ("new", "Production")
    assert (there[2]["tags"], there[2]["current_stage"]) == ({}, "None")


def test_appending_knows_the_versions_of_an_earlier_restore(target: Target, new: New) -> None:
    name = new("reg-")
    target.restore([_model(name, 1, 3)])
    target.post("model-versions/create", name=name, source="s3://mine/4")
    assert target.restore([_model(name, 3)], append_versions=True).outcomes[name].reason == "exists"
    target.restore([_model(name, 2, 4)], append_versions=True)
    assert _sources(target, name) == {1: "s3://b/1", 3: "s3://b/3", 4: "s3://mine/4", 5: "s3://b/2", 6: "s3://b/4"}
    target.restore([_model(name, 2, 4)], append_versions=True)
    assert set(_sources(target, name)) == {1, 3, 4, 5, 6}


def test_appended_files_are_each_their_own(target: Target, new: New) -> None:
    a, b, name = new("a-"), new("b-"), new("reg-")
    target.post("registered-models/create", name=name)
    for source, data in ((a, b"of a"), (b, b"of b")):
        model = registered_model(
            source, [{"version": 1, "source": "s3://b/1"}], files={"x": data}, role="versions/1/artifacts"
        )
        result = target.restore([model], only_names={Kind.REGISTERED_MODEL: name}, append_versions=True)
        assert result.losses == []
    read = []
    for place in _sources(target, name).values():
        with target.client.download(f"/api/2.0/mlflow-artifacts/artifacts{place.partition(':')[2]}/x") as chunks:
            read.append(b"".join(chunks))
    assert read == [b"of a", b"of b"]


@pytest.mark.parametrize("at", range(1, 8))
def test_an_interrupted_append_is_gone_on_with(target: Target, new: New, at: int) -> None:
    source, name = new("reg-"), new("reg-")
    target.post("registered-models/create", name=name)
    target.post("model-versions/create", name=name, source="s3://mine/1")
    versions = [{"version": n, "source": f"s3://b/{n}", "current_stage": "Archived"} for n in (5, 6)]
    model = registered_model(source, versions, aliases={"best": 6})
    wish: dict[str, Any] = {"only_names": {Kind.REGISTERED_MODEL: name}, "append_versions": True}
    with contextlib.suppress(BaseException), contextlib.closing(CutTarget(target, at).sink(**wish)) as sink:
        sink.write(model)
    result = target.restore([model], **wish)
    assert result.losses == []
    there = _there(target, name)
    assert _sources(target, name) == {1: "s3://mine/1", 2: "s3://b/5", 3: "s3://b/6"}
    assert [there["versions"][number]["current_stage"] for number in (1, 2, 3)] == ["None", "Archived", "Archived"]
    assert there["aliases"] == {"best": 3}
    assert "mlflow_archive.incomplete" not in there["tags"]


def test_source_tags_of_models_and_versions(target: Target, new: New) -> None:
    name, prompt = new("reg-"), new("prompt-")
    items = [
        _model(name, 1, aliases={"best": 1}, description="d", creation_timestamp=1_700_000_000_000),
        registered_model(prompt, [{"version": 1, "source": "dummy-source", "tags": PROMPT}], Kind.PROMPT, tags=PROMPT),
    ]
    result = target.restore(items, source_tags="mlflow_exim.")
    assert result.losses == []
    there = _there(target, name)
    assert there["tags"]["mlflow_exim.field.name"] == name
    assert there["tags"]["mlflow_exim.field._creation_timestamp"] == "2023-11-14 22:13:20"
    assert there["versions"][1]["tags"]["mlflow_exim.field.source"] == "s3://b/1"
    assert there["versions"][1]["tags"]["mlflow_exim.field.aliases"] == "['best']"
    assert not [tag for tag in _there(target, prompt)["tags"] if tag.startswith("mlflow_exim")]


def test_a_broken_connection_costs_no_version_that_was_there(target: Target, new: New) -> None:
    name = new("reg-")
    target.restore([_model(name, 1, 2)])
    broken = CutTarget(target, 0)
    call = broken.client.call

    def once(method: str, path: str, **options: Any) -> Any:
        if path.endswith("model-versions/create") and not failed:
            failed.append(path)
            raise UnavailableError("The connection broke before the request was sent.")
        return call(method, path, **options)

    failed: list[str] = []
    broken.client.call = once  # type: ignore[method-assign]
    result = broken.restore([_model(name, 1, 2, 3)])
    assert failed
    assert result.losses == []
    assert _sources(target, name) == {1: "s3://b/1", 2: "s3://b/2", 3: "s3://b/3"}
