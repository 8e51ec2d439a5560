"""One listing of an experiment's root says which of its runs have no files."""

from __future__ import annotations

from collections.abc import Iterator

from mlflow_archive.spec.records.run import RunRecord
from mlflow_archive.tracking.artifact_contract import ArtifactFile, ArtifactOwner
from mlflow_archive.tracking.sources.run_files import RunFiles


class Artifacts:
    """Runs with files; ``shown`` is what the root's listing admits of them."""

    def __init__(self, full: set[str], shown: set[str] | None = None) -> None:
        self.full = full
        self.shown = full if shown is None else shown
        self.asked: list[str] = []

    def present(self, experiment_root: str, workspace: str | None = None) -> frozenset[str] | None:
        self.asked.append(experiment_root)
        return frozenset(self.shown)

    def list(self, owner: ArtifactOwner) -> Iterator[ArtifactFile]:
        self.asked.append(owner.id)
        if owner.id in self.full:
            yield ArtifactFile("file", 1)


def _runs(*ids: str, root: str = "mlflow-artifacts:/1") -> list[RunRecord]:
    return [
        RunRecord.from_json(
            {
                "info": {
                    "run_id": id,
                    "experiment_id": "1",
                    "status": "FINISHED",
                    "lifecycle_stage": "active",
                    "artifact_uri": f"{root}/{id}/artifacts",
                }
            },
            "test",
        )
        for id in ids
    ]


def test_runs_without_a_folder_have_no_files() -> None:
    files = Artifacts({"b"})
    asked = RunFiles(files, None)  # type: ignore[arg-type]
    assert asked.without_files(_runs("a", "b", "c")) == {"a", "c"}
    assert files.asked == ["mlflow-artifacts:/1", "a"]


def test_a_run_elsewhere_is_asked_for_itself() -> None:
    asked = RunFiles(Artifacts(set()), None)  # type: ignore[arg-type]
    assert asked.without_files([*_runs("a", "b"), *_runs("c", root="s3://other")]) == {"a", "b"}


def test_where_nearly_all_have_files_it_is_not_asked_again() -> None:
    ids = [str(number) for number in range(20)]
    files = Artifacts(set(ids))
    asked = RunFiles(files, None)  # type: ignore[arg-type]
    assert asked.without_files(_runs(*ids)) == frozenset()
    assert asked.without_files(_runs("x", "y")) == frozenset()
    assert files.asked == ["mlflow-artifacts:/1"]


def test_a_server_that_hides_folders_is_not_believed() -> None:
    asked = RunFiles(Artifacts({"a", "b"}, shown=set()), None)  # type: ignore[arg-type]
    assert asked.without_files(_runs("a", "b")) == frozenset()
    assert asked.without_files(_runs("c", "d")) == frozenset()
