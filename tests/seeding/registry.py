"""Registered models and their versions: numbers with gaps, stages, aliases, every kind of source."""

from __future__ import annotations

from tests.seeding.world import UNICODE, World


def seed(world: World) -> None:
    """Make registered models; runs and logged models are there already."""
    _twelve(world)
    _sources(world)
    client = world.client
    client.create_registered_model("no versions", description="", tags={"empty": ""})
    client.create_registered_model(f"Ünïcode {UNICODE} & 100% #1?", tags={"k": "v"}, description=UNICODE)
    client.create_registered_model("  blanks  ")
    world.counts["registered_model"] += 3


def _twelve(world: World) -> None:
    """Twelve versions, three of them deleted, one the newest."""
    client, name = world.client, "churn"
    client.create_registered_model(name, tags={"owner": "ada", "unicode": UNICODE}, description=f"Churn. {UNICODE}")
    full = world.runs["full"]
    for number in range(1, 13):
        client.create_model_version(
            name,
            source=f"runs:/{full}/readme.md" if number % 2 else f"s3://bucket/models/{number}",
            run_id=full if number % 2 else None,
            tags={"number": str(number), "unicode": UNICODE},
            run_link=f"https://example.com/runs/{number}" if number == 5 else None,
            description=f"Version {number}. {UNICODE}" if number % 3 else None,
        )
    for number, stage in ((1, "Archived"), (2, "Staging"), (4, "Production"), (5, "Production")):
        client.transition_model_version_stage(name, str(number), stage)
    for alias, number in (("champion", 5), ("challenger", 11), ("also-champion", 5)):
        client.set_registered_model_alias(name, alias, str(number))
    for number in (3, 7, 12):
        client.delete_model_version(name, str(number))
    world.counts["registered_model"] += 1
    world.counts["model_version"] += 9


def _sources(world: World) -> None:
    """One version from every kind of place."""
    client, name = world.client, "sources of all.kinds"
    client.create_registered_model(name)
    full, deleted = world.runs["full"], world.runs["deleted"]
    root = client.get_run(full).info.artifact_uri
    made = [
        client.create_model_version(name, f"runs:/{full}/deep", run_id=full),
        client.create_model_version(name, f"{root}/deep", run_id=full),
        client.create_model_version(name, "s3://bucket/elsewhere/model"),
        client.create_model_version(name, f"runs:/{deleted}/kept.txt", run_id=deleted, description="run is deleted"),
        client.create_model_version(name, "dbfs:/databricks/model", tags={"place": "dbfs"}),
    ]
    if world.models:
        logged = world.models["sklearn"]
        made.append(client.create_model_version(name, f"models:/{logged}", run_id=full, model_id=logged))
        alone = world.models["no run"]
        made.append(client.create_model_version(name, f"models:/{alone}", model_id=alone))
    # A copy keeps the number of its original as its source: models:/churn/5.
    made.append(client.copy_model_version("models:/churn/5", name))
    made.append(client.copy_model_version("models:/churn/11", "a copy alone"))
    world.counts["registered_model"] += 2
    world.counts["model_version"] += len(made)
