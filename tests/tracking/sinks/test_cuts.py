"""A restore that ends at any request is completed by the next one, to the same as one that nobody disturbed.

``--cuts N`` cuts at every N-th request only (the default keeps it short); ``--cuts 1`` at each.
"""

from __future__ import annotations

import threading
import uuid
from typing import Any

import pytest

from mlflow_archive.tracking.client import ServerClient
from tests.tracking.sinks.making import ProxyArtifacts, Target
from tests.tracking.sinks.small_world import Shown, SmallWorld

pytestmark = [pytest.mark.server, pytest.mark.timeout(3600)]


class Cut(BaseException):
    """As if the process were killed."""


class CutClient:
    """A client that ends at its n-th writing request: before it is sent if n is odd, after it if n is even."""

    def __init__(self, client: ServerClient, at: int) -> None:
        self._client = client
        self._at = at
        self._lock = threading.Lock()
        self.count = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def call(self, method: str, path: str, **options: Any) -> Any:
        if method == "GET" or path.endswith("/search"):
            if self.is_over:
                raise Cut
            return self._client.call(method, path, **options)
        return self._send(lambda: self._client.call(method, path, **options))

    def upload(self, *arguments: Any, **options: Any) -> Any:
        return self._send(lambda: self._client.upload(*arguments, **options))

    @property
    def is_over(self) -> bool:
        return bool(self._at) and self.count >= self._at

    def _send(self, request: Any) -> Any:
        with self._lock:
            if self.is_over:
                raise Cut
            self.count += 1
            if not self.is_over:
                return request()
            if self.count % 2 == 0:
                request()
            raise Cut


class CutTarget(Target):
    """A target whose restore ends at a request; 0 is never."""

    def __init__(self, target: Target, at: int) -> None:
        self.client: Any = CutClient(target.client, at)
        self.files = ProxyArtifacts(self.client)


def restored(target: Target, world: SmallWorld, at: int = 0) -> tuple[dict[str, Any], int]:
    """Restore, with a cut or without; return what the server then shows, and the number of writing requests."""
    if at:
        with pytest.raises(Cut):
            CutTarget(target, at).restore(world.items())
    cutting = CutTarget(target, 0)
    result = cutting.restore(world.items())
    assert [str(loss) for loss in result.losses] == []
    return Shown(target, world, result.ids).all(), cutting.client.count


def test_a_restore_cut_at_any_request_is_completed_by_the_next(target: Target, request: pytest.FixtureRequest) -> None:
    expected, count = restored(target, SmallWorld(uuid.uuid4().hex[:12]))
    assert count > 100
    wrong: dict[int, list[str]] = {}
    step: int = request.config.getoption("--cuts")
    for at in range(1, count + 1, step):
        shown, _ = restored(target, SmallWorld(uuid.uuid4().hex[:12]), at)
        differing = [
            f"{name}: {shown.get(name)} != {value}" for name, value in expected.items() if shown[name] != value
        ]
        if differing:
            wrong[at] = differing
    assert not wrong, "\n".join(f"cut at {at}: {line}" for at, lines in wrong.items() for line in lines)
