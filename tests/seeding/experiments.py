"""Experiments: names that are hard to carry, tags, places, lifecycle."""

from __future__ import annotations

from tests.seeding.world import UNICODE, World

NAMES = {
    "main": "Customer churn",
    "unicode": f"Ünïcode, 実験 🧪 {UNICODE}",
    "slashes": "/Users/someone@example.com/deep/er",
    "percent": "100%25 of 50% #1 & more?",
    "trailing": "trailing space ",
    "dots": "..",
    "case": "customer CHURN",
    "empty": "empty",
    "deleted": "deleted",
    "long": "n" * 240,
    "custom": "custom location",
    "generative": "generative",
}


def seed(world: World) -> None:
    """Make the experiments that everything else goes into."""
    for word, name in NAMES.items():
        location = f"{world.artifact_root.rstrip('/')}/custom/place" if word == "custom" else None
        world.experiments[word] = world.client.create_experiment(name, artifact_location=location)
    main = world.experiments["main"]
    tags = {
        "mlflow.note.content": f"# Churn\n\nA *description* in Markdown. {UNICODE}",
        "team": "growth",
        "long": "x" * (5000 if world.version < (3, 16) else 20_000),
        "unicode": UNICODE,
        "empty": "",
        "mlflow.experimentKind": "custom_model_development",
    }
    for key, value in tags.items():
        world.client.set_experiment_tag(main, key, value)
    world.client.set_experiment_tag("0", "default", "tagged too")
    world.counts["experiment"] = len(NAMES) + 1
