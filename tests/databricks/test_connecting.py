"""From a URI to a workspace; and what is said when that does not work."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlflow_archive.errors import NotAuthorisedError, NotFoundError, UnsupportedError
from mlflow_archive.tracking.connecting import connect
from mlflow_archive.tracking.databricks import credentials
from tests.databricks.conftest import URI
from tests.databricks.workspace_fake import TOKEN, WorkspaceFake

pytestmark = pytest.mark.server


def test_a_profile_names_a_workspace(workspace: WorkspaceFake) -> None:
    client = connect(URI, read_only=True)
    try:
        assert client.uri == workspace.host
        assert client.version == "databricks"
        with pytest.raises(NotFoundError):
            client.call("GET", "/ajax-api/2.0/mlflow/metrics/get-history-bulk")
    finally:
        client.close()


def test_the_environment_names_a_workspace(workspace: WorkspaceFake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABRICKS_HOST", workspace.host)
    monkeypatch.setenv("DATABRICKS_TOKEN", TOKEN)
    client = connect("databricks", read_only=True)
    client.close()
    assert client.uri == workspace.host


def test_a_profile_wins_over_the_environment(workspace: WorkspaceFake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABRICKS_HOST", "http://127.0.0.1:9")
    monkeypatch.setenv("DATABRICKS_TOKEN", "of another workspace")
    client = connect(URI, read_only=True)
    client.close()
    assert client.uri == workspace.host


def test_a_token_that_is_refused(workspace: WorkspaceFake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "wrong"
    config.write_text(f"[here]\nhost = {workspace.host}\ntoken = dapi-wrong-secret\n", encoding="utf-8")
    monkeypatch.setenv("DATABRICKS_CONFIG_FILE", str(config))
    with pytest.raises(NotAuthorisedError, match="the profile 'here'") as caught:
        connect(URI, read_only=True)
    assert "dapi" not in str(caught.value)
    assert not caught.value.forbidden


def test_a_profile_that_is_not_there(workspace: WorkspaceFake) -> None:
    with pytest.raises(NotAuthorisedError, match="have the profile 'elsewhere' in"):
        connect("databricks://elsewhere", read_only=True)


def test_the_package_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(credentials.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UnsupportedError, match=r"pip install 'mlflow-archive\[databricks\]'"):
        connect(URI, read_only=True)
