"""References that hide in texts."""

from __future__ import annotations

import pytest

from mlflow_archive.spec.kinds import Kind
from mlflow_archive.tracking.idmap import IdMap
from mlflow_archive.tracking.rewriting import (
    replace_ids,
    rewrite_experiment_list,
    rewrite_location,
    rewrite_metadata,
    rewrite_mlmodel,
    rewrite_model_versions,
    rewrite_record_source,
    rewrite_run_link,
    unknown_model_ids,
)

RUN, NEW_RUN = "a" * 32, "1" * 32
MODEL, NEW_MODEL = "m-" + "b" * 32, "m-" + "2" * 32
STRANGER = "f" * 32


@pytest.fixture
def ids() -> IdMap:
    known = IdMap()
    known.add(Kind.EXPERIMENT, "3", "7", "mlflow-artifacts:/7")
    known.add(Kind.RUN, RUN, NEW_RUN, f"s3://new/7/{NEW_RUN}/artifacts")
    known.add(Kind.LOGGED_MODEL, MODEL, NEW_MODEL, f"mlflow-artifacts:/7/models/{NEW_MODEL}/artifacts")
    known.model_names["churn"] = "churn (restored)"
    return known


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (f"runs:/{RUN}/model", f"runs:/{NEW_RUN}/model"),
        (f"runs:/{STRANGER}/model", f"runs:/{STRANGER}/model"),
        (f"models:/{MODEL}", f"models:/{NEW_MODEL}"),
        (f"models:/{MODEL}/sub", f"models:/{NEW_MODEL}/sub"),
        ("models:/churn/5", "models:/churn (restored)/5"),
        ("models:/churn@champion", "models:/churn (restored)@champion"),
        ("models:/other/5", "models:/other/5"),
        (f"mlflow-artifacts:/3/{RUN}/artifacts/a/b", f"s3://new/7/{NEW_RUN}/artifacts/a/b"),
        (f"/var/mlruns/3/{RUN}/artifacts", f"s3://new/7/{NEW_RUN}/artifacts"),
        (
            f"file:///mlruns/3/models/{MODEL}/artifacts/x",
            f"mlflow-artifacts:/7/models/{NEW_MODEL}/artifacts/x",
        ),
        (f"s3://bucket/{RUN}/elsewhere", f"s3://bucket/{RUN}/elsewhere"),
        ("s3://bucket/model", "s3://bucket/model"),
        ("dummy-source", "dummy-source"),
    ],
)
def test_location(ids: IdMap, source: str, expected: str) -> None:
    assert rewrite_location(source, ids) == expected


def test_ids_inside_longer_words_are_not_ids(ids: IdMap) -> None:
    assert replace_ids(f"x{RUN} {RUN}0 ({RUN}) {MODEL}", ids) == f"x{RUN} {RUN}0 ({NEW_RUN}) {NEW_MODEL}"


def test_unknown_model_ids(ids: IdMap) -> None:
    assert not unknown_model_ids(f"{MODEL} and {STRANGER}", ids)
    assert unknown_model_ids(f"m-{STRANGER}", ids)


def test_run_link_takes_the_experiment_along_only_with_its_run(ids: IdMap) -> None:
    assert rewrite_run_link(f"http://x/#/experiments/3/runs/{RUN}", ids) == f"http://x/#/experiments/7/runs/{NEW_RUN}"
    stranger = f"http://x/#/experiments/3/runs/{STRANGER}"
    assert rewrite_run_link(stranger, ids) == stranger


def test_experiment_list_drops_the_unknown(ids: IdMap) -> None:
    assert rewrite_experiment_list(",3,4,", ids) == ",7,"
    assert rewrite_experiment_list(",4,", ids) == ""


def test_model_versions_and_metadata(ids: IdMap) -> None:
    before = '[{"name": "churn", "version": 3}, {"name": "x", "version": 1}]'
    assert rewrite_model_versions(before, ids) == before.replace('"churn"', '"churn (restored)"')
    metadata = {"mlflow.sourceRun": RUN, "mlflow.modelId": MODEL, "user": RUN}
    assert rewrite_metadata(metadata, ids) == {"mlflow.sourceRun": NEW_RUN, "mlflow.modelId": NEW_MODEL, "user": RUN}


def test_record_source_is_rewritten_at_any_depth(ids: IdMap) -> None:
    source = {"source_type": "TRACE", "source_data": {"trace_id": "tr-1", "runs": [RUN, 5, None]}}
    expected = {"source_type": "TRACE", "source_data": {"trace_id": "tr-1", "runs": [NEW_RUN, 5, None]}}
    assert rewrite_record_source(source, ids) == expected


def test_mlmodel_changes_only_the_lines_it_must(ids: IdMap) -> None:
    before = (
        f"artifact_path: mlflow-artifacts:/3/models/{MODEL}/artifacts\r\n"
        "flavors:\n"
        f"  python_function:\n    run_id: {RUN}\n"
        f"model_id: '{MODEL}'\n"
        f"model_uuid: {STRANGER}\n"
        f'run_id: "{RUN}"   \n'
        f"signature: {RUN} \xff"
    ).encode("latin-1")
    after = rewrite_mlmodel(before, ids)
    assert after.split(b"\n") == [
        f"artifact_path: mlflow-artifacts:/7/models/{NEW_MODEL}/artifacts\r".encode(),
        b"flavors:",
        b"  python_function:",
        f"    run_id: {RUN}".encode(),
        f"model_id: '{NEW_MODEL}'".encode(),
        f"model_uuid: {STRANGER}".encode(),
        f'run_id: "{NEW_RUN}"   '.encode(),
        f"signature: {RUN} ".encode() + b"\xff",
    ]


def test_mlmodel_without_known_ids_is_the_same_bytes() -> None:
    data = f"run_id: {RUN}\nartifact_path: model".encode()
    assert rewrite_mlmodel(data, IdMap()) == data


def test_map_keeps_roots_with_and_without_the_id_in_them() -> None:
    ids = IdMap()
    ids.add(Kind.RUN, RUN, NEW_RUN, f"s3://b/{NEW_RUN}/artifacts")
    ids.add(Kind.RUN, STRANGER, NEW_RUN, "s3://b/fixed")
    ids.add(Kind.TRACE, "tr-1", "tr-1")
    assert ids.root(Kind.RUN, RUN) == f"s3://b/{NEW_RUN}/artifacts"
    assert ids.root(Kind.RUN, STRANGER) == "s3://b/fixed"
    assert (ids.get(Kind.TRACE, "tr-1"), ids.root(Kind.TRACE, "tr-1"), ids.get(Kind.RUN, None)) == ("tr-1", None, None)
