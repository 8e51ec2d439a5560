"""From a tracking URI to a client, or to a sentence that says what to give."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from mlflow_archive.errors import MlflowArchiveError, UnavailableError, UnsupportedError, UsageError
from mlflow_archive.tracking import embedded
from mlflow_archive.tracking.connecting import connect
from tests.tracking.fault_server import FaultServer


@pytest.mark.parametrize(
    ("uri", "error", "sentence"),
    [
        ("databricks://scope:prefix", UsageError, "databricks://profile"),
        ("databricks://profile/else/where", UsageError, "databricks://profile"),
        ("postgresql://user:pw@host", UsageError, "names no database"),
        ("postgresql://user:pw@127.0.0.1:1/db", UnavailableError, "postgresql://127.0.0.1:1/db cannot be read"),
        ("mysql+absent://user:pw@host/db", UnsupportedError, "Python package absent is needed"),
        ("./mlruns", UnsupportedError, "The folder"),
        ("file:///srv/mlruns", UnsupportedError, "The folder"),
        ("localhost:5000", UsageError, "write http://localhost:5000"),
        ("127.0.0.1:5000", UsageError, "write http://127.0.0.1:5000"),
        ("mlflow.example.com:80/ui", UsageError, "write http://mlflow.example.com:80"),
        ("user:pw@host:5000", UsageError, "write http://host:5000"),
        ("plugin://user:pw@host", UnsupportedError, "plugin"),
        ("http://", UsageError, "names no host"),
        ("sqlite://", UsageError, "names no file"),
        ("sqlite:///:memory:", UsageError, "names no file"),
        ("sqlite:///file:/x.db?mode=ro&uri=true", UsageError, "plain path"),
    ],
)
def test_what_cannot_be_connected_to(uri: str, error: type[MlflowArchiveError], sentence: str) -> None:
    with pytest.raises(error, match=sentence) as caught:
        connect(uri, read_only=True)
    assert "pw" not in str(caught.value)


def test_the_default_is_mlflows(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with pytest.raises(UsageError, match="MLFLOW_TRACKING_URI"):
        connect(None, read_only=True)
    opened: list[Path] = []

    class Noted:
        def __init__(self, path: Path, **_: object) -> None:
            opened.append(path)

    monkeypatch.setattr(embedded, "EmbeddedClient", Noted)
    (tmp_path / "mlflow.db").touch()
    connect(None, read_only=True)
    assert opened == [Path("mlflow.db")]
    with FaultServer() as server:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)
        with closing(connect(None, read_only=True)) as client:
            assert client.uri == server.uri


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("sqlite:///mlflow.db", "mlflow.db"),
        ("sqlite:////srv/a%20b.db", "/srv/a b.db"),
        ("sqlite+pysqlite:////srv/m.db?timeout=5", "/srv/m.db"),
    ],
)
def test_paths_of_sqlite_stores(monkeypatch: pytest.MonkeyPatch, uri: str, path: str) -> None:
    opened: list[Path] = []

    class Noted:
        def __init__(self, path: Path, **_: object) -> None:
            opened.append(path)

    monkeypatch.setattr(embedded, "EmbeddedClient", Noted)
    connect(uri, read_only=True)
    assert opened == [Path(path)]
