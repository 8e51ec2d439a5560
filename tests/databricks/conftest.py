from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.databricks.workspace_fake import TOKEN, WorkspaceFake
from tests.servers.server import MlflowServer

#: A profile of the configuration file that `workspace` writes.
URI = "databricks://here"


@pytest.fixture(scope="session")
def session_workspace(start_session_server: Callable[[], MlflowServer]) -> Iterator[WorkspaceFake]:
    with WorkspaceFake(start_session_server().uri) as fake:
        yield fake


@pytest.fixture(scope="session")
def open_server(start_session_server: Callable[[], MlflowServer]) -> MlflowServer:
    """An MLflow server that is no workspace."""
    return start_session_server()


@pytest.fixture
def workspace(session_workspace: WorkspaceFake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WorkspaceFake:
    """The session's workspace, which the profile ``here`` names and nothing else does."""
    config = tmp_path / "databrickscfg"
    config.write_text(f"[here]\nhost = {session_workspace.host}\ntoken = {TOKEN}\n", encoding="utf-8")
    for name in ("DATABRICKS_HOST", "DATABRICKS_TOKEN", "DATABRICKS_CONFIG_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DATABRICKS_CONFIG_FILE", str(config))
    return session_workspace
