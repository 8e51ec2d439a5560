"""import-models, import-model and import-model-version: what each option does to a real server."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mlflow_archive.stream import Item
from tests.known.imports.conftest import Archived, Importer, New
from tests.known.table import shows
from tests.tracking.sinks.making import experiment, logged_model, registered_model, run

pytestmark = pytest.mark.server


def churn(
    name: str, experiment_name: str, run_id: str, numbers: tuple[int, ...] = (1, 2), **fields: object
) -> list[Item]:
    """Return a registered model whose versions come from one run."""
    source = f"mlflow-artifacts:/1/{run_id}/artifacts/model"
    versions = [
        {
            "version": number,
            "source": source,
            "run_id": run_id,
            "description": f"Version {number}",
            "tags": {"number": str(number)},
            "current_stage": "Staging" if number == max(numbers) else "None",
            "user_id": "ada",
        }
        for number in numbers
    ]
    model = {"description": "Churn", "tags": {"owner": "ada"}, "aliases": {"champion": max(numbers)}, **fields}
    files = {"model/MLmodel": f"flavors: {{}}\nrun_id: {run_id}\n".encode()}
    return [
        experiment("1", experiment_name, tags={"team": "blue"}),
        run(run_id, "1", files=files),
        registered_model(name, versions, **model),
    ]


@pytest.fixture
def foreign(importer: Importer, new: New) -> str:
    """A registered model that the target has, with a version of its own."""
    name = new("foreign-")
    importer.target.post("registered-models/create", name=name, tags=[{"key": "whose", "value": "theirs"}])
    importer.target.post("model-versions/create", name=name, source="s3://bucket/theirs")
    return name


@shows("import-models", "--input-dir", "--tracking-uri")
def test_import_models(importer: Importer, archived: Archived, new: New) -> None:
    name, iris = new("churn-"), new("iris-")

    importer.done("import-models", archived(*churn(name, iris, new(), (1, 2, 11))))

    assert importer.model(name)["aliases"] == {"champion": 11}
    versions = importer.versions(name)
    assert sorted(versions) == [1, 2, 11]
    assert versions[11]["current_stage"] == "Staging"
    (found,) = importer.runs(iris).values()
    assert versions[2]["run_id"] == found["info"]["run_id"]


@shows("import-models", "--delete-model")
def test_import_models_in_place_of_what_is_there(
    importer: Importer, archived: Archived, new: New, foreign: str
) -> None:
    place = archived(*churn(foreign, new("iris-"), new()))

    importer.done("import-models", place, "--delete-model", "True")

    assert "whose" not in importer.model(foreign)["tags"]
    assert {row["tags"]["number"] for row in importer.versions(foreign).values()} == {"1", "2"}


@shows("import-models", "--experiment-rename-file", "--model-rename-file")
def test_import_models_under_other_names(importer: Importer, archived: Archived, new: New, tmp_path: Path) -> None:
    name, iris = new("churn-"), new("iris-")
    models, experiments = tmp_path / "models.csv", tmp_path / "experiments.csv"
    models.write_text(f"{name},{name}-prod\n", encoding="utf-8")
    experiments.write_text(f"{iris},{iris}-prod\n", encoding="utf-8")

    importer.done(
        "import-models",
        archived(*churn(name, iris, new())),
        *("--model-rename-file", str(models), "--experiment-rename-file", str(experiments)),
    )

    assert importer.model(name) is None
    assert len(importer.versions(f"{name}-prod")) == 2
    assert len(importer.runs(f"{iris}-prod")) == 1


@shows(["import-models", "import-model", "import-model-version"], "--import-source-tags", "--source-tags-prefix")
@pytest.mark.parametrize("command", ["import-models", "import-model", "import-model-version"])
def test_source_tags_of_versions(importer: Importer, archived: Archived, new: New, command: str) -> None:
    name, iris = new("churn-"), new("iris-")
    place = archived(*churn(name, iris, new(), (1,)))
    words = () if command == "import-models" else ("--model", name, "--experiment-name", iris)
    more = ("--create-model",) if command == "import-model-version" else ()

    importer.done(command, place, *words, *more, "--import-source-tags", "--source-tags-prefix", "mlflow_exim")

    assert importer.versions(name)[1]["tags"]["mlflow_exim.field.version"] == "1"


@shows(["import-models", "import-model"], "--use-src-user-id")
@pytest.mark.parametrize("command", ["import-models", "import-model"])
def test_the_user_of_the_source(importer: Importer, archived: Archived, new: New, command: str) -> None:
    for wish, kept in (("True", True), ("False", False)):
        name, iris = new("churn-"), new("iris-")
        place = archived(*churn(name, iris, new()), name=f"archive-{wish}")
        words = () if command == "import-models" else ("--model", name, "--experiment-name", iris)

        importer.done(command, place, *words, "--use-src-user-id", wish)

        (found,) = importer.runs(iris).values()
        assert (found["info"]["user_id"] == "ada") is kept


@shows(["import-models", "import-model"], "--verbose")
@pytest.mark.parametrize("command", ["import-models", "import-model"])
def test_verbose_names_every_object(importer: Importer, archived: Archived, new: New, command: str) -> None:
    name, iris, a = new("churn-"), new("iris-"), new()
    words = () if command == "import-models" else ("--model", name, "--experiment-name", iris)

    result = importer.run(command, archived(*churn(name, iris, a)), *words, "--verbose", "True")

    (found,) = importer.runs(iris).values()
    assert re.search(rf"^  run +{a} +->  {found['info']['run_id']}$", result.stdout, flags=re.MULTILINE)


@shows("import-model", "--input-dir", "--tracking-uri", "--model", "--experiment-name")
def test_import_model_under_another_name(importer: Importer, archived: Archived, new: New) -> None:
    name, target, iris, a = new("churn-"), new("prod-"), new("runs-"), new()

    importer.done(
        "import-model", archived(*churn(name, new("iris-"), a, (1, 3))), "--model", target, "--experiment-name", iris
    )

    assert importer.model(name) is None
    found = importer.model(target)
    assert (found["description"], found["tags"]["owner"], found["aliases"]) == ("Churn", "ada", {"champion": 3})
    versions = importer.versions(target)
    assert sorted(versions) == [1, 3], "numbers are kept in a new model"
    (made,) = importer.runs(iris).values()
    assert {row["run_id"] for row in versions.values()} == {made["info"]["run_id"]}, "the run came once"


def test_import_model_into_one_that_is_there(importer: Importer, archived: Archived, new: New, foreign: str) -> None:
    place, words = (
        archived(*churn(new("churn-"), new("iris-"), new())),
        ("--model", foreign, "--experiment-name", new()),
    )

    importer.done("import-model", place, *words)
    importer.done("import-model", place, *words)

    versions = importer.versions(foreign)
    assert {number: row["tags"].get("number") for number, row in versions.items()} == {1: None, 2: "1", 3: "2"}
    assert importer.model(foreign)["tags"]["whose"] == "theirs"


@shows("import-model", "--delete-model")
def test_import_model_in_place_of_one(importer: Importer, archived: Archived, new: New, foreign: str) -> None:
    place = archived(*churn(new("churn-"), new("iris-"), new()))

    importer.done("import-model", place, "--model", foreign, "--experiment-name", new(), "--delete-model", "true")

    assert {row["tags"]["number"] for row in importer.versions(foreign).values()} == {"1", "2"}


def test_import_model_chooses_by_name(importer: Importer, archived: Archived, new: New) -> None:
    one, two = new("one-"), new("two-")
    place = archived(*churn(one, new("iris-"), new()), registered_model(two, [{"version": 1, "source": "s3://b/x"}]))

    importer.done("import-model", place, "--model", two, "--experiment-name", new())
    refused = importer.run("import-model", place, "--model", new(), "--experiment-name", new())

    assert importer.model(one) is None
    assert len(importer.versions(two)) == 1
    assert refused.exit_code == 2
    assert "holds 2 registered models" in refused.stderr


@shows("import-model", "--await-creation-for")
def test_a_version_gets_time_to_become_ready(importer: Importer, archived: Archived, new: New) -> None:
    name, iris = new("churn-"), new("iris-")

    importer.done(
        "import-model",
        archived(*churn(name, iris, new())),
        "--model",
        name,
        "--experiment-name",
        iris,
        "--await-creation-for",
        "5",
    )

    assert {row["status"] for row in importer.versions(name).values()} == {"READY"}


@shows("import-model-version", "--input-dir", "--tracking-uri", "--model", "--experiment-name", "--create-model")
def test_import_model_version(importer: Importer, archived: Archived, new: New, foreign: str) -> None:
    place, iris, absent = archived(*churn(new("churn-"), new("iris-"), new(), (7,))), new("runs-"), new("absent-")

    importer.done("import-model-version", place, "--model", foreign, "--experiment-name", iris)
    refused = importer.run("import-model-version", place, "--model", absent, "--experiment-name", new())
    importer.done(
        "import-model-version", place, "--model", new("n-"), "--experiment-name", new(), "--create-model", "True"
    )

    versions = importer.versions(foreign)
    assert sorted(versions) == [1, 2]
    assert versions[2]["tags"]["number"] == "7"
    assert versions[2]["description"] == "Version 7"
    assert (versions[2]["current_stage"], importer.model(foreign)["aliases"]) == ("None", {})
    assert importer.model(foreign).get("description", "") == ""
    assert len(importer.runs(iris)) == 1
    assert refused.exit_code == 3
    assert importer.model(absent) is None


@shows("import-model-version", "--import-stages-and-aliases")
def test_import_model_version_with_stage_and_aliases(
    importer: Importer, archived: Archived, new: New, foreign: str
) -> None:
    place = archived(*churn(new("churn-"), new("iris-"), new(), (7,)))

    importer.done(
        "import-model-version", place, "--model", foreign, "--experiment-name", new(), "--import-stages-and-aliases"
    )

    assert importer.versions(foreign)[2]["current_stage"] == "Staging"
    assert importer.model(foreign)["aliases"] == {"champion": 2}


@shows("import-model-version", "--import-metadata")
@pytest.mark.parametrize("wanted", [True, False])
def test_import_model_version_with_metadata(importer: Importer, archived: Archived, new: New, wanted: bool) -> None:
    name = new("prod-")
    place = archived(*churn(new("churn-"), new("iris-"), new(), (7,)))

    importer.done(
        "import-model-version",
        place,
        "--model",
        name,
        "--experiment-name",
        new(),
        "--create-model",
        "--import-metadata",
        str(wanted),
    )

    found = importer.model(name)
    assert (found.get("description", "") == "Churn") is wanted
    assert ("owner" in found["tags"]) is wanted
    (version,) = importer.versions(name).values()
    assert (version["description"], version["tags"]["number"]) == ("Version 7", "7")


def test_a_model_version_with_its_logged_model(importer: Importer, archived: Archived, new: New) -> None:
    a, m, name, iris = new(), new("m-"), new("churn-"), new("iris-")
    version = {"version": 1, "source": f"models:/{m}", "run_id": a, "model_id": m}
    place = archived(
        experiment("1", new("iris-")),
        run(a, "1"),
        logged_model(m, "1", info={"source_run_id": a}, files={"MLmodel": f"model_id: {m}\n".encode()}),
        registered_model(name, [version]),
    )

    importer.done("import-model", place, "--model", name, "--experiment-name", iris)

    (model,) = importer.logged_models(iris)
    assert importer.versions(name)[1]["source"] == f"models:/{model['info']['model_id']}"
