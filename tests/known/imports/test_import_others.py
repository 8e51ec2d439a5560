"""import-logged-model(s), import-trace(s), import-prompt(s) and import-evaluation-dataset(s) on a real server."""

from __future__ import annotations

import pytest

from mlflow_archive.spec.kinds import Kind
from mlflow_archive.stream import Item
from tests.known.imports.conftest import Archived, Importer, New
from tests.known.table import shows
from tests.tracking.sinks.making import experiment, item, logged_model, registered_model, run, span, trace

pytestmark = pytest.mark.server

IS_PROMPT = {"mlflow.prompt.is_prompt": "true"}


def prompt(name: str, *texts: str) -> Item:
    versions = [
        {"version": number, "source": "dummy-source", "tags": {**IS_PROMPT, "mlflow.prompt.text": text}}
        for number, text in enumerate(texts, 1)
    ]
    return registered_model(name, versions, Kind.PROMPT, tags=dict(IS_PROMPT), aliases={"newest": len(texts)})


def dataset(id: str, name: str, *questions: str, experiment_ids: tuple[str, ...] = ()) -> Item:
    record = {"dataset_id": id, "name": name, "tags": {"team": "blue"}, "experiment_ids": [*experiment_ids]}
    records = [{"dataset_record_id": f"{id}-{question}", "inputs": {"question": question}} for question in questions]
    return item(Kind.EVALUATION_DATASET, id, record, parts={"records": records}, name=name)


@shows("import-logged-models", "--input-dir", "--tracking-uri")
def test_import_logged_models(importer: Importer, archived: Archived, new: New) -> None:
    one, two, a, b = new("one-"), new("two-"), new("m-"), new("m-")
    place = archived(
        experiment("1", one),
        experiment("2", two),
        run(new(), "1"),
        logged_model(a, "1", params={"depth": "3"}),
        logged_model(b, "2"),
        registered_model(name := new("reg-"), [{"version": 1, "source": "s3://bucket/x"}]),
    )

    importer.done("import-logged-models", place)

    (first,) = importer.logged_models(one)
    assert first["data"]["params"] == [{"key": "depth", "value": "3"}]
    assert len(importer.logged_models(two)) == 1
    assert importer.runs(one) == {}, "no run is made for a logged model"
    assert importer.model(name) is None


@shows("import-logged-model", "--input-dir", "--tracking-uri", "--experiment-name")
def test_import_logged_model(importer: Importer, archived: Archived, new: New) -> None:
    target, m = new("models-"), new("m-")

    importer.done(
        "import-logged-model",
        archived(experiment("1", new("iris-")), logged_model(m, "1")),
        "--experiment-name",
        target,
    )

    (found,) = importer.logged_models(target)
    assert found["info"]["name"] == "classifier"
    assert found["info"]["status"] == "LOGGED_MODEL_READY"


@shows("import-logged-model", "--mlmodel-fix")
@pytest.mark.parametrize("fix", [True, False])
def test_the_mlmodel_fix_of_a_logged_model(importer: Importer, archived: Archived, new: New, fix: bool) -> None:
    target, m = new("models-"), f"m-{new()}"
    files = {"MLmodel": f"model_id: {m}\n".encode()}
    place = archived(experiment("1", new("iris-")), logged_model(m, "1", files=files))

    importer.done("import-logged-model", place, "--experiment-name", target, "--mlmodel-fix", str(fix))

    (found,) = importer.logged_models(target)
    model_id = found["info"]["model_id"]
    text = importer.file(Kind.LOGGED_MODEL, model_id, found["info"]["artifact_uri"], "MLmodel")
    assert text == f"model_id: {model_id if fix else m}\n"


@shows("import-traces", "--input-dir", "--tracking-uri")
def test_import_traces(importer: Importer, archived: Archived, new: New) -> None:
    one, two, a, b = new("one-"), new("two-"), new("tr-"), new("tr-")
    place = archived(
        experiment("1", one),
        experiment("2", two),
        run(new(), "1"),
        trace(a, "1", spans=[span(a, "00000000000000aa")]),
        trace(b, "2"),
    )

    importer.done("import-traces", place)

    assert (importer.traces(one), importer.traces(two)) == ([a], [b])
    assert importer.runs(one) == {}


@shows("import-trace", "--input-dir", "--tracking-uri", "--experiment-name")
def test_import_trace(importer: Importer, archived: Archived, new: New) -> None:
    target, a = new("traces-"), new("tr-")

    importer.done("import-trace", archived(experiment("1", new("iris-")), trace(a, "1")), "--experiment-name", target)

    assert importer.traces(target) == [a]


@shows("import-prompts", "--input-dir", "--tracking-uri")
def test_import_prompts(importer: Importer, archived: Archived, new: New) -> None:
    one, two, model = new("one-"), new("two-"), new("reg-")
    texts = [f"Hello {number}" for number in range(1, 12)]
    place = archived(
        prompt(one, *texts), prompt(two, "Bye"), registered_model(model, [{"version": 1, "source": "s3://b/x"}])
    )

    importer.done("import-prompts", place)

    versions = importer.versions(one)
    assert [versions[number]["tags"]["mlflow.prompt.text"] for number in sorted(versions)] == texts
    assert importer.model(one)["aliases"] == {"newest": 11}
    assert importer.model(two) is not None
    assert importer.model(model) is None


@shows(["import-prompts", "import-prompt", "import-all"], "--delete-prompt")
@pytest.mark.parametrize("command", ["import-prompts", "import-prompt", "import-all"])
def test_a_prompt_in_place_of_one(importer: Importer, archived: Archived, new: New, command: str) -> None:
    name = new("greet-")
    importer.done("import-prompts", archived(prompt(name, "old"), name="old"))
    importer.target.post("registered-models/set-tag", name=name, key="whose", value="theirs")

    importer.done(command, archived(prompt(name, "new 1", "new 2", "new 3"), name="new"), "--delete-prompt", "True")

    texts = [row["tags"]["mlflow.prompt.text"] for _, row in sorted(importer.versions(name).items())]
    assert texts == ["new 1", "new 2", "new 3"], "deleted once, not before each version"
    assert "whose" not in importer.model(name)["tags"]


@shows("import-prompt", "--input-dir", "--tracking-uri", "--prompt-name")
def test_import_prompt(importer: Importer, archived: Archived, new: New) -> None:
    one, two, other = new("one-"), new("two-"), new("other-")

    importer.done("import-prompt", archived(prompt(one, "Hello", "Hi"), name="one"))
    importer.done("import-prompt", archived(prompt(two, "Bye"), name="two"), "--prompt-name", other)

    assert len(importer.versions(one)) == 2
    assert importer.model(two) is None
    assert importer.versions(other)[1]["tags"]["mlflow.prompt.text"] == "Bye"


def test_import_prompt_chooses_by_name(importer: Importer, archived: Archived, new: New) -> None:
    one, two = new("one-"), new("two-")
    place = archived(prompt(one, "Hello"), prompt(two, "Bye"))

    importer.done("import-prompt", place, "--prompt-name", two)
    refused = importer.run("import-prompt", place)

    assert (importer.model(one), importer.model(two) is not None) == (None, True)
    assert refused.exit_code == 2
    assert "holds 2 prompts" in refused.stderr


@pytest.mark.parametrize(
    ("command", "words", "what"),
    [
        ("import-prompt", (), "prompt"),
        ("import-evaluation-dataset", (), "evaluation dataset"),
        ("import-model", ("--model", "x", "--experiment-name", "y"), "registered model"),
        ("import-trace", ("--experiment-name", "y"), "experiment"),
    ],
)
def test_nothing_of_the_kind(
    importer: Importer, archived: Archived, command: str, words: tuple[str, ...], what: str
) -> None:
    result = importer.run(command, archived(name="empty"), *words)

    assert result.exit_code == 1
    assert f"holds no {what}" in result.stderr


@shows("import-evaluation-datasets", "--input-dir", "--tracking-uri")
def test_import_evaluation_datasets(importer: Importer, archived: Archived, new: New) -> None:
    one, two = new("one/"), new("two-")

    importer.done(
        "import-evaluation-datasets", archived(dataset(new("d-"), one, "a", "b"), dataset(new("d-"), two, "c"))
    )

    (found,) = importer.datasets(one)
    assert importer.records(found["dataset_id"]) == ["a", "b"]
    assert len(importer.datasets(two)) == 1


@shows(["import-evaluation-datasets", "import-evaluation-dataset", "import-all"], "--delete-evaluation-dataset")
@pytest.mark.parametrize("command", ["import-evaluation-datasets", "import-evaluation-dataset", "import-all"])
def test_a_dataset_in_place_of_one(importer: Importer, archived: Archived, new: New, command: str) -> None:
    name = new("qa-")
    importer.done("import-evaluation-datasets", archived(dataset(new("d-"), name, "old"), name="old"))

    importer.done(command, archived(dataset(new("d-"), name, "new"), name="new"), "--delete-evaluation-dataset", "True")

    (found,) = importer.datasets(name)
    assert importer.records(found["dataset_id"]) == ["new"]


@shows("import-evaluation-dataset", "--input-dir", "--tracking-uri", "--evaluation-dataset-name")
@pytest.mark.parametrize("option", ["--evaluation-dataset-name", "--dataset-name"])
def test_import_evaluation_dataset(importer: Importer, archived: Archived, new: New, option: str) -> None:
    name, other = new("qa-"), new("other-")

    importer.done("import-evaluation-dataset", archived(dataset(new("d-"), name, "a")), option, other)

    assert importer.datasets(name) == []
    (found,) = importer.datasets(other)
    assert importer.records(found["dataset_id"]) == ["a"]
