"""What is deleted; late, because nothing can be added to deleted runs and experiments."""

from __future__ import annotations

from tests.seeding.world import World


def seed(world: World) -> None:
    """Delete single runs, then an experiment with everything in it."""
    for word in ("deleted", "deleted parent"):
        world.client.delete_run(world.runs[word])
    world.client.delete_experiment(world.experiments["deleted"])
