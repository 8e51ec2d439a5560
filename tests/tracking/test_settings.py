"""Each end of a copy may have credentials of its own, and never gets those of the other."""

from __future__ import annotations

from base64 import b64decode
from contextlib import closing
from pathlib import Path

import pytest

from mlflow_archive.errors import UsageError
from mlflow_archive.tracking.connecting import connect
from mlflow_archive.tracking.settings import SETTINGS, host_credentials, settings_of
from tests.tracking.fault_server import FaultServer

SECRET = "s3cr3t-0f-0ne-end"


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in SETTINGS:
        monkeypatch.delenv(name, raising=False)


def authorization(own: dict[str, str] | None, uri: str = "") -> str | None:
    with FaultServer() as server, closing(connect(uri or server.uri, read_only=True, own=own)) as client:
        client.call("GET", "/api/2.0/mlflow/experiments/get")
        return server.asked[0].headers.get("Authorization")


def test_settings_of_an_end_replace_those_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "of-the-process")
    assert authorization(None) == "Bearer of-the-process"
    assert authorization({"MLFLOW_TRACKING_TOKEN": SECRET}) == f"Bearer {SECRET}"
    sent = authorization({"MLFLOW_TRACKING_USERNAME": "ann", "MLFLOW_TRACKING_PASSWORD": SECRET}) or ""
    assert b64decode(sent.removeprefix("Basic ")).decode() == f"ann:{SECRET}"
    # A name alone is no credential, and what is the process's stays with the other server.
    assert authorization({"MLFLOW_TRACKING_USERNAME": "ann"}) is None


def test_the_address_may_be_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    with FaultServer() as server:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
        with closing(connect(None, read_only=True, own={"MLFLOW_TRACKING_URI": server.uri})) as client:
            assert client.uri == server.uri


def test_a_workspace_has_its_profile_instead() -> None:
    with pytest.raises(UsageError, match="databricks://profile") as refused:
        connect("databricks://here", read_only=True, own={"MLFLOW_TRACKING_TOKEN": SECRET})
    assert SECRET not in str(refused.value)


def test_certificates_are_settings(tmp_path: Path) -> None:
    own = {"MLFLOW_TRACKING_SERVER_CERT_PATH": "ca.pem", "MLFLOW_TRACKING_CLIENT_CERT_PATH": "me.pem"}
    credentials = host_credentials("https://there", own)
    assert (credentials.verify, credentials.client_cert_path) == ("ca.pem", "me.pem")
    assert host_credentials("https://there", {"MLFLOW_TRACKING_INSECURE_TLS": "true"}).verify is False
    assert host_credentials("https://there", {"MLFLOW_TRACKING_AWS_SIGV4": "1"}).aws_sigv4 is True
    with pytest.raises(UsageError, match="contradict"):
        host_credentials("https://there", {**own, "MLFLOW_TRACKING_INSECURE_TLS": "true"})


def test_variables_with_the_prefix_of_an_end_are_its_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    assert settings_of("source", None) is None
    monkeypatch.setenv("MLFLOW_ARCHIVE_SOURCE_TRACKING_TOKEN", SECRET)
    assert settings_of("source", None) == {"MLFLOW_TRACKING_TOKEN": SECRET}
    assert settings_of("target", None) is None
    assert settings_of("source", {}) == {}
    monkeypatch.setenv("MLFLOW_ARCHIVE_TARGET_TRACKING_TOKN", SECRET)
    with pytest.raises(UsageError, match="MLFLOW_TRACKING_TOKN in the variables MLFLOW_ARCHIVE_TARGET_") as refused:
        settings_of("target", None)
    assert SECRET not in str(refused.value)


def test_a_file_of_settings_is_read_as_people_write_it(tmp_path: Path) -> None:
    path = tmp_path / "production.env"
    path.write_text(
        f"# production\n\nexport MLFLOW_TRACKING_USERNAME=ann\nMLFLOW_TRACKING_PASSWORD = '{SECRET}='\n"
        'MLFLOW_TRACKING_URI="http://there:5000"\n'
    )
    assert settings_of("target", path) == {
        "MLFLOW_TRACKING_USERNAME": "ann",
        "MLFLOW_TRACKING_PASSWORD": SECRET + "=",
        "MLFLOW_TRACKING_URI": "http://there:5000",
    }


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (f"MLFLOW_TRACKING_TOKEN {SECRET}\n", "Line 1 of .* is not NAME=value"),
        (f"AWS_SECRET_ACCESS_KEY={SECRET}\n", "AWS_SECRET_ACCESS_KEY in .* is no setting"),
        (None, "cannot be read"),
    ],
)
def test_a_bad_file_is_refused_without_showing_what_is_in_it(tmp_path: Path, text: str | None, sentence: str) -> None:
    path = tmp_path / "bad.env"
    if text is not None:
        path.write_text(text)
    with pytest.raises(UsageError, match=sentence) as refused:
        settings_of("source", path)
    assert SECRET not in str(refused.value)
