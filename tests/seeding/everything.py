"""The order in which a server is filled; deletions come last."""

from __future__ import annotations

import importlib

from tests.seeding.world import World

#: Module -> the first MLflow that has what it makes. Imported only then: older clients lack the classes it needs.
STEPS = {
    "experiments": (2, 0),
    "runs": (2, 0),
    "logged_models": (3, 0),
    "registry": (2, 0),
    "prompts": (2, 21),
    "traces": (2, 21),
    "assessments": (3, 2),
    "evaluation": (3, 5),
    "governance": (3, 15),
    "deletions": (2, 0),
    "webhooks": (3, 4),
}


def seed(uri: str, *, small: bool = False) -> dict[str, int]:
    """Fill the server and return the number of objects made of each kind."""
    world = World(uri, small=small)
    for name, since in STEPS.items():
        if world.version >= since:
            importlib.import_module(f"tests.seeding.{name}").seed(world)
    return dict(world.counts)
