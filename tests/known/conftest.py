"""The server that the known commands are tried on."""

from __future__ import annotations

import pytest

from tests.conftest import StartServer
from tests.known.world import KnownWorld, fill


@pytest.fixture(scope="session")
def world(start_session_server: StartServer) -> KnownWorld:
    """A server that is known in every detail; only to be read."""
    return fill(start_session_server().uri)
