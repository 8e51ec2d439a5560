"""The filter language for runs, held against MLflow's own over a table of filters and runs."""

from __future__ import annotations

import inspect

import pytest
from mlflow.entities import (
    Dataset,
    DatasetInput,
    InputTag,
    Metric,
    Param,
    Run,
    RunData,
    RunInfo,
    RunInputs,
    RunTag,
)
from mlflow.exceptions import MlflowException
from mlflow.utils.search_utils import SearchUtils
from mlflow.version import VERSION

from mlflow_archive.errors import UsageError
from mlflow_archive.spec.canonical import decode_float
from mlflow_archive.spec.records.run import RunRecord
from mlflow_archive.spec.run_filter import RunFilter

_INFO = {
    "experiment_id": "1",
    "lifecycle_stage": "active",
    "status": "FINISHED",
    "user_id": "nobody",
    "start_time": 500,
    "end_time": 9000,
}


def run(id, *, metrics=None, params=None, tags=None, dataset=None, **info):
    inputs = []
    if dataset:
        name, digest, context = dataset
        tag = {"key": "mlflow.data.context", "value": context}
        inputs.append({"dataset": {"name": name, "digest": digest}, "tags": [tag, {"key": "other", "value": "x"}]})
    return RunRecord.model_validate(
        {
            "info": {**_INFO, "run_id": id, **info},
            "metrics": [{"key": k, "value": v, "timestamp": 1, "step": 0} for k, v in (metrics or {}).items()],
            "params": params or {},
            "tags": tags or {},
            "dataset_inputs": inputs,
        }
    )


RUNS = [
    run("a1", metrics={"f1": 0.9, "loss": 0.1}, params={"lr": "0.1", "net": "ResNet"}, start_time=1000, end_time=2000),
    run("a2", metrics={"f1": 0.5, "loss": "NaN"}, params={"lr": "0.01"}, tags={"team": "vision"}, start_time=3000),
    run("a3", metrics={"f1": "Infinity", "val/f1 score": 1}, tags={"mlflow.runName": "x", "team": "VISION"}),
    run("b1", metrics={"f1": -3}, params={"batch-size": "32", "net": "resnet50"}, status="FAILED", user_id="ann"),
    run("b2", params={"empty": "", "text": "a'b", "quote": 'say "hi"'}, run_name="My run", status="RUNNING"),
    run("b3", tags={"a.b.c": "1", "per%cent": "50%", "under_score": "a_b"}, artifact_uri="s3://bucket/x"),
    run("c1", dataset=("iris", "abc123", "train"), tags={"new": "line one"}),
    run("c2", dataset=("mnist", "def", "eval"), metrics={"f1": 1e-9}, start_time=1000),
]

FILTERS = [
    "metrics.f1 > 0.5",
    "metrics.f1 >= 0.5",
    "metrics.f1 < 0.5",
    "metrics.f1 <= 0.5",
    "metrics.f1 = 0.5",
    "metrics.f1 != 0.5",
    "metric.f1 > -4",
    "metrics.f1 > 1e-10",
    "metrics.f1 < 1000000",
    "metrics.loss > 0",
    "metrics.loss != 0.1",
    "metrics.absent > 0",
    "metrics.absent != 0",
    "metrics.`val/f1 score` = 1",
    'metrics."val/f1 score" = 1',
    "params.lr = '0.1'",
    'params.lr = "0.1"',
    "params.lr != '0.1'",
    "param.lr = '0.1'",
    "parameter.lr = '0.1'",
    "parameters.lr = '0.1'",
    "params.`batch-size` = '32'",
    'params."batch-size" = "32"',
    "params.net LIKE 'Res%'",
    "params.net like 'res%'",
    "params.net ILIKE 'res%'",
    "params.net ilike 'RESNET__'",
    "params.net LIKE '%Net'",
    "params.net LIKE '%et%'",
    "params.net LIKE 'ResNet'",
    "params.empty = ''",
    "params.quote = 'say \"hi\"'",
    'params.text = "a\'b"',
    "tags.team = 'vision'",
    "tag.team = 'vision'",
    "tags.team != 'vision'",
    "tags.team ILIKE 'vision'",
    "tags.mlflow.runName = 'x'",
    "tags.`mlflow.runName` = 'x'",
    "tags.a.b.c = '1'",
    "tags.`per%cent` = '50%'",
    "tags.under_score LIKE 'a_b'",
    "tags.new LIKE 'line%'",
    "status = 'FINISHED'",
    "status != 'FINISHED'",
    "attributes.status = 'FAILED'",
    "attribute.status = 'FAILED'",
    "attr.status = 'FAILED'",
    "run.status = 'FAILED'",
    "status LIKE 'F%'",
    "status ILIKE 'f%'",
    "run_id = 'a1'",
    "run_id IN ('a1', 'b2', 'zz')",
    "attributes.run_id IN ('a1')",
    "run_id in ('a1','b2')",
    "run_id NOT IN ('a1', 'b2')",
    "run_name = 'My run'",
    "`run name` = 'My run'",
    "attributes.`Run name` = 'My run'",
    "attributes.`run name` LIKE 'My%'",
    "user_id = 'ann'",
    "artifact_uri LIKE 's3://%'",
    "start_time > 1000",
    "start_time >= 1000",
    "start_time = 1000",
    "start_time != 1000",
    "attributes.start_time < 3000",
    "created >= 3000",
    "attributes.Created < 3000",
    "end_time <= 2000",
    "dataset.name = 'iris'",
    "datasets.name LIKE 'i%'",
    "dataset.digest = 'def'",
    "dataset.context = 'train'",
    "dataset.name IN ('iris', 'mnist')",
    "dataset.name NOT IN ('iris')",
    "metrics.f1 > 0.1 and params.lr = '0.1'",
    "metrics.f1 > 0.1 AND params.lr = '0.1' AND status = 'FINISHED' AND start_time < 5000",
    "  metrics.f1>0.1   and\n params.lr='0.1'  ",
    "",
]

#: What MLflow's own language learned after 2.22: the first version that gives these runs.
LATER = {
    "params.net LIKE 'R.sNet'": ((3, 11), []),
    "params.lr IS NULL": ((3, 11), ["a3", "b1", "b2", "b3", "c1", "c2"]),
    "params.lr IS NOT NULL": ((3, 11), ["a1", "a2"]),
    "params.lr is null": ((3, 11), ["a3", "b1", "b2", "b3", "c1", "c2"]),
    "tags.team IS NULL": ((3, 11), ["a1", "b1", "b2", "b3", "c1", "c2"]),
    "tags.team is not null": ((3, 11), ["a2", "a3"]),
    "tags.team IS NOT NULL AND metrics.f1 > 0.6": ((3, 11), ["a3"]),
    "end_time < 2000.5": ((3, 17), ["a1"]),
}

WRONG = [
    "metrics.f1",
    "metrics.f1 >",
    "metrics.f1 > 'a'",
    "metrics.f1 LIKE 'a'",
    "metrics.f1 IS NULL",
    "params.lr > '1'",
    "params.lr = 1",
    "params.lr = abc",
    "tags.x < '1'",
    "foo.bar = 'x'",
    "unknown = 'x'",
    "lifecycle_stage = 'active'",
    "attributes.unknown = 'x'",
    "dataset.schema = 'x'",
    "status > 'A'",
    "status IS NULL",
    "start_time = 'x'",
    "start_time LIKE '1'",
    "run_id IN ()",
    "run_id IN ('a', 1)",
    "run_id IN 'a'",
    "status IN ('FINISHED')",
    "metrics.f1 > 0.1 OR metrics.f1 < 1",
    "params.lr = '0.1",
    "= 'x'",
    "'x' = params.lr",
]


def as_entity(record):
    info = record.info
    # MLflow 2 wants the id by its old name as well.
    old_name = {"run_uuid": info.run_id} if "run_uuid" in inspect.signature(RunInfo).parameters else {}
    return Run(
        RunInfo(
            **old_name,
            run_id=info.run_id,
            experiment_id=info.experiment_id,
            user_id=info.user_id,
            status=info.status,
            start_time=info.start_time,
            end_time=info.end_time,
            lifecycle_stage=info.lifecycle_stage,
            artifact_uri=info.artifact_uri,
            run_name=info.run_name,
        ),
        RunData(
            metrics=[Metric(m.key, decode_float(m.value), m.timestamp, m.step) for m in record.metrics],
            params=[Param(key, value) for key, value in record.params.items()],
            tags=[RunTag(key, value) for key, value in record.tags.items()],
        ),
        RunInputs(
            [
                DatasetInput(
                    Dataset(given["dataset"]["name"], given["dataset"]["digest"], "local", "x"),
                    [InputTag(tag["key"], tag["value"]) for tag in given["tags"]],
                )
                for given in record.dataset_inputs
            ]
        ),
    )


def verdict(text):
    parsed = RunFilter(text)
    return [record.info.run_id for record in RUNS if parsed.matches(record)]


def verdict_of_mlflow(text):
    return [found.info.run_id for found in SearchUtils.filter([as_entity(record) for record in RUNS], text)]


@pytest.mark.parametrize("text", FILTERS)
def test_the_verdicts_are_mlflows(text):
    assert verdict(text) == verdict_of_mlflow(text)


@pytest.mark.parametrize(("text", "since", "expected"), [(text, *later) for text, later in LATER.items()])
def test_the_verdicts_are_those_of_the_newest_mlflow(text, since, expected):
    assert verdict(text) == expected
    try:
        told = verdict_of_mlflow(text)
    except (MlflowException, ValueError):
        told = None
    installed = tuple(int(part) for part in VERSION.split(".")[:2])
    assert (told == expected) is (installed >= since), told


def test_the_table_tells_runs_apart():
    """Most filters must take some runs and leave others, or the comparison says little."""
    telling = 0
    filters = [*FILTERS, *LATER]
    for text in filters:
        telling += 0 < len(verdict(text)) < len(RUNS)
    assert telling > 0.85 * len(filters)


@pytest.mark.parametrize("text", WRONG)
def test_what_mlflow_refuses_is_refused(text):
    with pytest.raises(UsageError, match="position") as caught:
        RunFilter(text)
    assert caught.value.code == "run_filter"
    with pytest.raises(MlflowException):
        SearchUtils.filter([as_entity(record) for record in RUNS], text)


@pytest.mark.parametrize("text", ["metrics.f1 > 0.1 params.lr = '0.1'", "metrics.f1 > 0.1 AND", "AND status = 'x'"])
def test_what_is_surely_a_slip_is_refused_although_mlflow_takes_it(text):
    with pytest.raises(UsageError, match="position"):
        RunFilter(text)
    SearchUtils.filter([as_entity(record) for record in RUNS], text)


@pytest.mark.parametrize(
    ("text", "position", "expected"),
    [
        ("metrics.f1 >> 1", 13, "a number"),
        ("metrics.f1 > 1 or x", 16, "AND or the end"),
        ("foo.bar = 'x'", 1, "metrics, params, tags"),
        ("params.lr ~ '1'", 11, "one of !=, =, ILIKE, IS NOT NULL, IS NULL, LIKE after params.lr"),
        ("tags.x = 'a' AND", 17, "a key such as"),
        ("run_id IN ('a' 'b')", 16, r"'\)'"),
    ],
)
def test_the_position_is_told(text, position, expected):
    with pytest.raises(UsageError, match=rf"at position {position}: expected {expected}"):
        RunFilter(text)


def test_like_spans_lines_as_in_sql():
    record = run("x", tags={"note": "one\ntwo"})
    assert RunFilter("tags.note LIKE 'one%two'").matches(record)
    assert not RunFilter("tags.note LIKE 'one'").matches(record)
