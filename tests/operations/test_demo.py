"""The demonstration, with its two real stores, of whatever MLflow is installed."""

from __future__ import annotations

import json

import pytest
from mlflow.version import VERSION

import mlflow_archive as ma

INSTALLED = tuple(int(part) for part in VERSION.split(".")[:2])
#: What older MLflows cannot hold of the demonstration's objects: the first version that can, kind, path and code.
NEEDS = [
    ((3, 0), ("logged_model", None, "unsupported")),
    ((3, 0), ("registered_model", "versions/1/source", "source")),
    ((3, 0), ("run", "model_outputs", "unsupported")),
    ((3, 2), ("trace", None, "unsupported")),
    ((3, 4), ("evaluation_dataset", None, "unsupported")),
]


@pytest.mark.server
def test_the_whole_circle_closes(tmp_path):
    report = ma.demo(str(tmp_path / "demo"))
    out_of_reach = {loss for since, loss in NEEDS if since > INSTALLED}
    assert {(loss.kind, loss.path, loss.code) for loss in report.made.losses} == out_of_reach
    assert len(report.made.losses) == len(out_of_reach)
    # What the first store took goes round without a loss.
    assert report.backup.losses == ()
    assert report.verified.problems == ()
    assert report.restored.losses == ()
    assert report.diff.losses == ()
    assert report.diff.different == ()
    assert report.diff.same
    assert report.ok is not bool(out_of_reach)
    everything = {"experiment", "run", "logged_model", "registered_model", "prompt", "trace"}
    absent = {kind for kind, path, _ in out_of_reach if path is None}
    assert set(report.diff.equal) >= everything - absent
    assert not set(report.diff.equal) & absent
    assert (tmp_path / "demo" / "archive" / "manifest.json").is_file()
    assert (tmp_path / "demo" / "target.db").is_file()
    assert json.loads(json.dumps(report.to_json()))["ok"] is report.ok
