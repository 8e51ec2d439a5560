"""import-experiments, import-experiment and import-run: what each option does to a real server."""

from __future__ import annotations

import pytest

from mlflow_archive.spec.kinds import Kind
from tests.known.imports.conftest import Archived, Importer, New
from tests.known.table import shows, with_option
from tests.tracking.sinks.making import experiment, logged_model, run, trace

pytestmark = pytest.mark.server


@shows("import-experiments", "--input-dir", "--tracking-uri")
@shows("import-experiments", "--use-threads", "--parallel")
@pytest.mark.parametrize("words", [(), ("--use-threads", "False"), ("--use-threads",), ("--parallel", "2")], ids=str)
def test_import_experiments(importer: Importer, archived: Archived, new: New, words: tuple[str, ...]) -> None:
    iris, wine, a, b, m, t = new("iris-"), new("wine-"), new(), new(), new("m-"), new("tr-")
    place = archived(
        experiment("1", iris, tags={"team": "blue"}),
        experiment("2", wine),
        run(a, "1"),
        run(b, "2", info={"lifecycle_stage": "deleted"}),
        logged_model(m, "1"),
        trace(t, "1"),
    )

    report = importer.done("import-experiments", place, *words)

    assert {kind: count["stored"] for kind, count in report["counts"].items() if count["stored"]} == {
        "experiment": 2,
        "run": 2,
        "logged_model": 1,
        "trace": 1,
    }
    assert importer.experiment(iris)["tags"]["team"] == "blue"
    (found,) = importer.runs(iris).values()
    assert (found["info"]["start_time"], found["info"]["end_time"]) == (1_700_000_000_000, 1_700_000_060_000)
    (gone,) = importer.runs(wine).values()
    assert gone["info"]["lifecycle_stage"] == "deleted"
    assert importer.traces(iris) == [t]


@shows(["import-experiment", "import-run"], "--import-source-tags", "--source-tags-prefix")
@pytest.mark.parametrize("command", ["import-experiment", "import-run"])
def test_source_tags_of_a_run(importer: Importer, archived: Archived, new: New, command: str) -> None:
    target, a = new("copy-"), new()
    place = archived(experiment("1", new("iris-")), run(a, "1"))

    words = ("--import-source-tags", "--source-tags-prefix", "mlflow_exim")
    importer.done(command, place, "--experiment-name", target, *words)

    (found,) = importer.runs(target).values()
    assert found["tags"]["mlflow_exim.run_info.run_id"] == a


def test_a_second_import_makes_nothing_twice(importer: Importer, archived: Archived, new: New) -> None:
    name = new("iris-")
    place = archived(experiment("1", name), run(new(), "1"))
    importer.done("import-experiments", place)

    again = importer.done("import-experiments", place)

    assert again["counts"]["run"]["stored"] == 0
    assert len(importer.runs(name)) == 1


@shows("import-experiments", "--experiment-name-prefix")
def test_import_experiments_with_a_prefix(importer: Importer, archived: Archived, new: New) -> None:
    name = new("iris-")
    importer.done("import-experiments", archived(experiment("1", name)), "--experiment-name-prefix", "imported_")

    assert importer.experiment(f"imported_{name}") is not None
    assert importer.experiment(name) is None


@shows("import-experiments", "--experiment-rename-file")
def test_import_experiments_under_names_from_a_file(importer: Importer, archived: Archived, new: New, tmp_path) -> None:
    me = new("/Users/me")
    place = archived(experiment("1", f"{me}/iris"), experiment("2", f"{me}gan/iris"), experiment("3", f"{me}, one"))
    file = tmp_path / "renames.csv"
    file.write_text(f'{me},/Shared/{me[7:]}\n"{me}, one",{me}-two\n', encoding="utf-8")

    importer.done("import-experiments", place, "--experiment-rename-file", str(file))

    assert importer.experiment(f"/Shared/{me[7:]}/iris") is not None
    assert importer.experiment(f"{me}gan/iris") is not None, "a rule is about whole parts of a name"
    assert importer.experiment(f"{me}-two") is not None


@pytest.mark.parametrize(
    ("content", "said"), [("one\n", "Line 1"), (None, "cannot be read"), ("a,b\na,c\n", "a second time")]
)
def test_a_rename_file_that_is_none(importer: Importer, tmp_path, content: str | None, said: str) -> None:
    file = tmp_path / "renames.csv"
    if content is not None:
        file.write_text(content, encoding="utf-8")

    result = importer.run("import-experiments", str(tmp_path), "--experiment-rename-file", str(file))

    assert result.exit_code == 2
    assert said in result.stderr


@shows("import-experiments", "--import-source-tags", "--source-tags-prefix")
@pytest.mark.parametrize(
    ("words", "tag"),
    [
        (("--import-source-tags",), "mlflow_archive.source.run_id"),
        (("--import-source-tags", "True"), "mlflow_archive.source.run_id"),
        (
            ("--import-source-tags", "true", "--source-tags-prefix", "mlflow_exim"),
            "mlflow_exim.run_info.run_id",
        ),
        (
            ("--import-source-tags", "1", "--source-tags-prefix", "mlflow_export_import"),
            "mlflow_export_import.run_info.run_id",
        ),
        (("--import-source-tags", "False"), None),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else str(value),
)
def test_source_tags(importer: Importer, archived: Archived, new: New, words: tuple[str, ...], tag: str | None) -> None:
    name, a = new("iris-"), new()

    importer.done("import-experiments", archived(experiment("1", name), run(a, "1")), *words)

    (found,) = importer.runs(name).values()
    written = {key: value for key, value in found["tags"].items() if key.endswith(("source.run_id", "run_info.run_id"))}
    assert written == ({tag: a} if tag else {})


@shows(["import-experiments", "import-experiment", "import-run", "import-all"], "--use-src-user-id")
@pytest.mark.parametrize("command", ["import-experiments", "import-experiment", "import-run", "import-all"])
def test_the_user_of_the_source(importer: Importer, archived: Archived, new: New, command: str) -> None:
    place = archived(experiment("1", name := new("iris-")), run(new(), "1", tags={"mlflow.user": "ada"}))
    other = new("other-")
    target = () if command in ("import-experiments", "import-all") else ("--experiment-name", other)
    importer.done(command, place, *target, "--use-src-user-id", "True")
    (kept,) = importer.runs(other if target else name).values()
    assert (kept["info"]["user_id"], kept["tags"]["mlflow.user"]) == ("ada", "ada")

    place = archived(experiment("2", name := new("iris-")), run(new(), "2", tags={"mlflow.user": "ada"}), name="second")
    other = new("other-")
    target = target and ("--experiment-name", other)
    importer.done(command, place, *target)
    (own,) = importer.runs(other if target else name).values()
    assert "ada" not in (own["info"]["user_id"], own["tags"].get("mlflow.user"))


@shows(with_option("--import-permissions", prefix="import-"), "--import-permissions")
@pytest.mark.parametrize("command", ["import-experiments", "import-experiment", "import-all", "import-models"])
def test_permissions_need_a_workspace(importer: Importer, archived: Archived, new: New, command: str) -> None:
    place = archived(experiment("1", name := new("iris-")))
    target = ("--experiment-name", name) if command == "import-experiment" else ()

    result = importer.run(command, place, *target, "--import-permissions", "True")

    assert result.exit_code == 0
    assert [line for line in result.stderr.splitlines() if "--import-permissions" in line and "Databricks" in line]
    assert importer.experiment(name) is not None
    assert "Databricks" not in importer.run(command, place, *target, "--import-permissions", "False").stderr


@shows(["import-experiment", "import-run"], "--dst-notebook-dir")
@pytest.mark.parametrize("command", ["import-experiment", "import-run"])
def test_notebooks_need_a_workspace(importer: Importer, archived: Archived, new: New, command: str) -> None:
    place = archived(experiment("1", name := new("iris-")), run(new(), "1"))

    result = importer.run(command, place, "--experiment-name", name, "--dst-notebook-dir", "/Users/me")

    assert result.exit_code == 0
    assert [line for line in result.stderr.splitlines() if "--dst-notebook-dir" in line and "Databricks" in line]
    assert len(importer.runs(name)) == 1


@shows("import-experiment", "--input-dir", "--experiment-name", "--import-source-tags")
def test_import_experiment_under_another_name(importer: Importer, archived: Archived, new: New) -> None:
    source, target, parent, child = new("iris-"), new("copy-"), new(), new()
    place = archived(
        experiment("1", source, tags={"team": "blue"}),
        run(parent, "1", info={"run_name": "parent"}),
        run(child, "1", info={"run_name": "child"}, tags={"mlflow.parentRunId": parent}),
    )

    importer.done("import-experiment", place, "--experiment-name", target, "--import-source-tags")

    found = importer.experiment(target)
    assert found["tags"]["team"] == "blue"
    assert found["tags"]["mlflow_archive.source.name"] == source
    runs = importer.runs(target)
    assert runs["child"]["tags"]["mlflow.parentRunId"] == runs["parent"]["info"]["run_id"]
    assert importer.experiment(source) is None


def test_import_experiment_into_one_that_is_there(importer: Importer, archived: Archived, new: New) -> None:
    target = new("copy-")
    importer.target.post("experiments/create", name=target, tags=[{"key": "team", "value": "red"}])

    place = archived(experiment("1", new("iris-"), tags={"team": "blue"}), run(new(), "1"))
    importer.done("import-experiment", place, "--experiment-name", target)

    assert importer.experiment(target)["tags"]["team"] == "red"
    assert len(importer.runs(target)) == 1


def test_import_experiment_chooses_by_name(importer: Importer, archived: Archived, new: New) -> None:
    one, two = new("one-"), new("two-")
    place = archived(experiment("1", one), experiment("2", two), run(new(), "2"))

    importer.done("import-experiment", place, "--experiment-name", two)
    refused = importer.run("import-experiment", place, "--experiment-name", new("other-"))

    assert len(importer.runs(two)) == 1
    assert importer.experiment(one) is None
    assert refused.exit_code == 2
    assert "holds 2 experiments" in refused.stderr


@shows("import-run", "--input-dir", "--experiment-name")
def test_import_run_into_an_experiment(importer: Importer, archived: Archived, new: New) -> None:
    target, a, m = new("runs-"), new(), new("m-")
    place = archived(experiment("1", new("iris-"), tags={"team": "blue"}), run(a, "1"), logged_model(m, "1"))

    importer.done("import-run", place, "--experiment-name", target)

    (found,) = importer.runs(target).values()
    assert found["info"]["end_time"] == 1_700_000_060_000
    assert len(importer.logged_models(target)) == 1


@shows("import-run", "--mlmodel-fix")
@pytest.mark.parametrize(
    ("words", "edited"), [((), True), (("--mlmodel-fix", "True"), True), (("--mlmodel-fix", "False"), False)]
)
def test_the_mlmodel_fix(
    importer: Importer, archived: Archived, new: New, words: tuple[str, ...], edited: bool
) -> None:
    target, a = new("runs-"), new()
    place = archived(
        experiment("1", new("iris-")), run(a, "1", files={"model/MLmodel": f"flavors: {{}}\nrun_id: {a}\n".encode()})
    )

    importer.done("import-run", place, "--experiment-name", target, *words)

    (found,) = importer.runs(target).values()
    expected = found["info"]["run_id"] if edited else a
    info = found["info"]
    text = importer.file(Kind.RUN, info["run_id"], info["artifact_uri"], "model/MLmodel")
    assert text == f"flavors: {{}}\nrun_id: {expected}\n"


def test_an_archive_that_is_not_there(importer: Importer, tmp_path) -> None:
    result = importer.run("import-run", str(tmp_path / "nothing"), "--experiment-name", "x")

    assert result.exit_code == 6
    assert len(result.stderr.strip().splitlines()) == 1


@shows("import-experiments", "--dry-run")
def test_a_dry_run_changes_nothing(importer: Importer, archived: Archived, new: New) -> None:
    name = new("iris-")

    report = importer.done("import-experiments", archived(experiment("1", name)), "--dry-run")

    assert report["dry_run"] is True
    assert importer.experiment(name) is None
