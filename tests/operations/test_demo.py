"""The demonstration, with its two real stores."""

from __future__ import annotations

import json

import pytest

import mlflow_archive as ma


@pytest.mark.server
def test_the_whole_circle_closes(tmp_path):
    report = ma.demo(str(tmp_path / "demo"))
    assert report.made.losses == ()
    assert report.backup.losses == ()
    assert report.verified.problems == ()
    assert report.restored.losses == ()
    assert report.diff.different == ()
    assert report.diff.same
    assert report.ok
    assert set(report.diff.equal) >= {"experiment", "run", "logged_model", "registered_model", "prompt", "trace"}
    assert (tmp_path / "demo" / "archive" / "manifest.json").is_file()
    assert (tmp_path / "demo" / "target.db").is_file()
    assert json.loads(json.dumps(report.to_json()))["ok"] is True
