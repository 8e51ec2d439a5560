"""A server that exists only in memory: answers by path, counts its requests, remembers what was asked."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from packaging.version import Version

from mlflow_archive.errors import NotFoundError
from mlflow_archive.tracking.artifact_contract import ArtifactFault, ArtifactFile

Answer = Callable[[dict], dict]


class FakeServer:
    """A `ServerClient`; `answers` maps "METHOD path" to a function of the request."""

    uri = "http://fake"
    local = False
    invented_experiment_ids: frozenset[str] = frozenset()
    artifact_roots: Mapping[str, str] = {}

    def __init__(self, answers: dict[str, Answer], version: str = "3.17.2") -> None:
        self.answers = answers
        self.version = version
        self.asked: list[tuple[str, dict]] = []
        self.closed = False
        self._lock = threading.Lock()

    @property
    def request_count(self) -> int:
        return len(self.asked)

    def at_least(self, version: str) -> bool:
        return Version(self.version) >= Version(version)

    def call(self, method, path, *, params=None, body=None, workspace=None, repeatable=True):
        request: dict = dict(body or {})
        pairs = params.items() if isinstance(params, Mapping) else params or []
        for name, value in pairs:
            request[name] = [*request[name], value] if name in request else [value]
        with self._lock:
            self.asked.append((path, request))
        answer = self.answers.get(f"{method} {path}")
        if answer is None:
            raise NotFoundError(f"{path} is not known", code="endpoint_not_found")
        return answer(request)

    @contextmanager
    def download(self, path, *, params=None, headers=None, workspace=None) -> Iterator[Iterator[bytes]]:
        raise NotFoundError(f"{path} is not known", code="endpoint_not_found")
        yield iter(())

    def upload(self, *args, **kwargs):
        raise AssertionError("a source must not write")

    def close(self) -> None:
        self.closed = True

    def times(self, path: str) -> int:
        """How often a path was asked."""
        return sum(asked == path for asked, _ in self.asked)


class FakeArtifacts:
    """An `ArtifactAccess` with the same files for every owner."""

    def __init__(self, *files: ArtifactFile | ArtifactFault) -> None:
        self.files = files

    def list(self, owner):
        return iter(self.files)

    @contextmanager
    def open(self, owner, name):
        yield iter([f"{owner.id}/{name}".encode()])

    def write(self, *args):
        raise AssertionError("a source must not write")

    def close(self) -> None:
        pass
