"""One server for each module of sink tests; every test uses names and ids of its own."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from tests.servers import MlflowServer
from tests.tracking.sinks.making import Target


@pytest.fixture(scope="module")
def target(module_server: MlflowServer) -> Iterator[Target]:
    """The server of the module."""
    target = Target(module_server.uri)
    yield target
    target.client.close()


@pytest.fixture
def new() -> object:
    """Makes ids that no other test uses."""

    def make(prefix: str = "") -> str:
        return prefix + uuid.uuid4().hex

    return make
