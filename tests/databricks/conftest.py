from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.databricks.workspace_fake import TOKEN, WorkspaceFake
from tests.servers.server import MlflowServer

#: A profile of the configuration file that `workspace` writes.
URI = "databricks://here"


@pytest.fixture(scope="module")
def module_workspace(module_server: MlflowServer) -> Iterator[WorkspaceFake]:
    with WorkspaceFake(module_server.uri) as fake:
        yield fake


@pytest.fixture
def workspace(module_workspace: WorkspaceFake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WorkspaceFake:
    """The module's workspace, which the profile ``here`` names and nothing else does."""
    config = tmp_path / "databrickscfg"
    config.write_text(f"[here]\nhost = {module_workspace.host}\ntoken = {TOKEN}\n", encoding="utf-8")
    for name in ("DATABRICKS_HOST", "DATABRICKS_TOKEN", "DATABRICKS_CONFIG_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DATABRICKS_CONFIG_FILE", str(config))
    return module_workspace
