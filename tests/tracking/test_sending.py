"""Requests that leave this process carry what MLflow would give them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest
from mlflow.tracking.request_header import registry
from mlflow.utils.rest_utils import MlflowHostCreds

from mlflow_archive.tracking.http_client import HttpClient
from mlflow_archive.tracking.sending import is_plain
from tests.tracking.fault_server import FaultServer


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with FaultServer() as server:
        yield server


class _Plugin:
    asked = 0

    def in_context(self) -> bool:
        return True

    def request_headers(self) -> dict[str, str]:
        type(self).asked += 1
        return {"X-Plugin": "yes"}


def test_header_plugins_are_asked_seldom_and_heard_always(server: FaultServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry._request_header_provider_registry, "_registry", [_Plugin()])
    with closing(HttpClient.at(server.uri)) as client:
        for _ in range(3):
            client.call("GET", "/api/2.0/mlflow/experiments/get")
    assert [asked.headers.get("X-Plugin") for asked in server.asked] == ["yes"] * 3
    assert _Plugin.asked == 1


@pytest.mark.parametrize(
    "special",
    [{"aws_sigv4": True}, {"auth": "kubernetes"}, {"use_databricks_sdk": True}, {"client_secret": "s"}],
)
def test_what_needs_more_than_headers_goes_through_mlflow(special: dict[str, object]) -> None:
    assert is_plain(MlflowHostCreds("http://here", username="u", password="p"))
    assert not is_plain(MlflowHostCreds("http://here", **special))
