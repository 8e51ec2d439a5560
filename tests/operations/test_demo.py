"""The demonstration, with its two real stores, of whatever MLflow is installed."""

from __future__ import annotations

import json

import pytest
from mlflow.version import VERSION

import mlflow_archive as ma

INSTALLED = tuple(int(part) for part in VERSION.split(".")[:2])
#: Kinds of the demonstration's objects that not every supported MLflow can hold: the first that can.
NEEDS = {"logged_model": (3, 0), "trace": (3, 2), "evaluation_dataset": (3, 4)}


@pytest.mark.server
def test_the_whole_circle_closes(tmp_path):
    report = ma.demo(str(tmp_path / "demo"))
    out_of_reach = {kind for kind, since in NEEDS.items() if since > INSTALLED}
    assert set(report.left_out) == out_of_reach
    assert all(tuple(map(int, version.split("."))) > INSTALLED for version in report.left_out.values())
    assert report.made.losses == ()
    assert report.backup.losses == ()
    assert report.verified.problems == ()
    assert report.restored.losses == ()
    assert report.diff.losses == ()
    assert report.diff.different == ()
    assert report.diff.same
    assert report.ok
    assert report.exit_code == 0
    assert set(report.diff.equal) == {"experiment", "run", "registered_model", "prompt", *NEEDS} - out_of_reach
    assert (tmp_path / "demo" / "archive" / "manifest.json").is_file()
    assert (tmp_path / "demo" / "target.db").is_file()
    assert json.loads(json.dumps(report.to_json()))["ok"] is True
