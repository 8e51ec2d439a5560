"""What round trips share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.servers import WEBHOOK_KEY

SURROUNDINGS = {
    # Model versions in a bucket are out of reach at once, wherever the tests run.
    "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
    "AWS_ACCESS_KEY_ID": "none",
    "AWS_SECRET_ACCESS_KEY": "none",
    "AWS_MAX_ATTEMPTS": "1",
    # Who opens the database of a server with webhooks needs the server's key.
    "MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY": WEBHOOK_KEY,
}


@pytest.fixture(scope="package", autouse=True)
def surroundings() -> Iterator[None]:
    """Set the environment for all fixtures and tests here."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in SURROUNDINGS.items():
            patch.setenv(name, value)
        yield
