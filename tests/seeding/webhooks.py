"""Webhooks; made last, so that none is called while the server is filled."""

from __future__ import annotations

from typing import Any

from tests.seeding.world import UNICODE, World

#: Nobody listens there (the server must allow private addresses): a webhook that fires does no harm.
URL = "https://127.0.0.1:9/hook"


def seed(world: World) -> None:
    """Make an active webhook and a disabled one."""
    events: list[Any] = ["registered_model.created", "model_version.created", "prompt_version.created"]
    world.client.create_webhook("active", URL, ["model_version_alias.deleted"], secret="not a real secret")
    world.client.create_webhook("disabled-one", f"{URL}/2?q=1", events, description=UNICODE, status="DISABLED")
    world.counts["webhook"] += 2
