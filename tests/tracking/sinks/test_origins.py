"""Source tags of records, without a server."""

from __future__ import annotations

from typing import Any, cast

import pytest

from mlflow_archive.spec.records.experiment import ExperimentRecord
from mlflow_archive.spec.records.registered_model import RegisteredModelRecord
from mlflow_archive.spec.records.run import RunRecord
from mlflow_archive.tracking.sinks.origins import MAX_VALUE_CHARS, SourceTags
from tests.tracking.sinks.making import experiment, registered_model, run

OURS, EXIM, LEGACY = "mlflow_archive.source.", "mlflow_exim.", "mlflow_export_import."
RUN = "a" * 32


def _run(**fields: Any) -> RunRecord:
    return cast("RunRecord", run(RUN, "7", **fields).load().record)


def _tags(prefix: str | None) -> tuple[SourceTags, list[str]]:
    notes: list[str] = []
    return SourceTags(prefix, notes.append), notes


def test_without_a_prefix_there_are_none() -> None:
    tags, _ = _tags(None)
    assert tags.of_run(_run(tags={"mlflow.user": "ada"})) == {}


def test_a_run() -> None:
    tags, notes = _tags(OURS)
    assert tags.of_run(_run(tags={"mlflow.user": "ada", "team": "blue"}, info={"end_time": None})) == {
        f"{OURS}run_id": RUN,
        f"{OURS}experiment_id": "7",
        f"{OURS}run_name": "run-aaa",
        f"{OURS}user_id": "ada",
        f"{OURS}status": "FINISHED",
        f"{OURS}start_time": "1700000000000",
        f"{OURS}lifecycle_stage": "active",
        f"{OURS}artifact_uri": f"mlflow-artifacts:/7/{RUN}/artifacts",
        f"{OURS}mlflow.user": "ada",
    }
    assert notes == []


def test_an_experiment_in_the_layout_of_others() -> None:
    record = cast("ExperimentRecord", experiment("7", "iris", creation_time=1_700_000_000_000).load().record)
    exim, legacy = _tags(EXIM)[0].of_experiment(record), _tags(LEGACY)[0].of_experiment(record)
    assert exim[f"{EXIM}field._creation_time"] == "2023-11-14 22:13:20"
    assert legacy[f"{LEGACY}src._creation_time_utc"] == "2023-11-14 22:13:20"
    assert exim[f"{EXIM}field.experiment_id"] == legacy[f"{LEGACY}src.experiment_id"] == "7"


def test_a_model_and_a_version_with_its_aliases() -> None:
    versions = [{"version": 3, "run_id": RUN, "current_stage": "Staging", "source": "s3://b/m"}]
    item = registered_model("iris", versions, aliases={"champion": 3, "best": 3, "other": 4}, description="d")
    record = cast("RegisteredModelRecord", item.load().record)
    assert _tags(EXIM)[0].of_model(record) == {f"{EXIM}field.name": "iris", f"{EXIM}field.description": "d"}
    assert _tags(EXIM)[0].of_version(record, record.versions[0]) == {
        f"{EXIM}field.name": "iris",
        f"{EXIM}field.version": "3",
        f"{EXIM}field.run_id": RUN,
        f"{EXIM}field.current_stage": "Staging",
        f"{EXIM}field.source": "s3://b/m",
        f"{EXIM}field.aliases": "['best', 'champion']",
    }
    assert _tags(OURS)[0].of_version(record, record.versions[0])[f"{OURS}aliases"] == '["best", "champion"]'


@pytest.mark.parametrize("prefix", [OURS, EXIM, LEGACY])
def test_an_origin_that_is_told_already_is_not_told_around(prefix: str) -> None:
    first, _ = _tags(prefix)
    moved = _run(
        tags={"mlflow.user": "bob", **first.of_run(_run(tags={"mlflow.user": "ada"}))}, info={"user_id": "bob"}
    )
    assert _tags(prefix)[0].of_run(moved) == {}
    for other in {OURS, EXIM, LEGACY} - {prefix}:
        told = _tags(other)[0].of_run(moved)
        assert told == _tags(other)[0].of_run(_run(tags={"mlflow.user": "ada"}))


def test_a_long_value_is_cut_and_said_once() -> None:
    tags, notes = _tags(EXIM)
    long = "x" * (MAX_VALUE_CHARS + 1)
    for name in ("mlflow.note.content", "mlflow.other"):
        made = tags.of_run(_run(tags={name: long, f"mlflow.{'k' * 260}": "v"}))
        assert made[f"{EXIM}mlflow_tag.{name.removeprefix('mlflow.')}"] == long[:-1]
        assert all(len(key) <= 250 for key in made)
    tags.of_run(_run(tags={"mlflow.other": long}))
    assert len(notes) == 3
    assert notes[0].startswith(f"The source tag {EXIM}mlflow_tag.note.content holds the first 5,000 characters")
    assert f"(the first: run {RUN})" in notes[0]
    assert sum("is left out: no tag may have so long a name" in note for note in notes) == 1


def test_no_password_gets_into_a_tag() -> None:
    tags, _ = _tags(OURS)
    secret = {"mlflow.source.git.repoURL": "https://me:hunter2@git.example.com/x.git"}
    made = tags.of_run(_run(tags=secret, info={"artifact_uri": "s3://key:hunter2@bucket/x?token=hunter2"}))
    assert "hunter2" not in str(made)
    assert made[f"{OURS}mlflow.source.git.repoURL"] == "https://git.example.com/x.git"
