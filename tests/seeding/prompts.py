"""Prompts: text and chat, response formats, model configurations, aliases, tags, several versions."""

from __future__ import annotations

from typing import Any

from tests.seeding.world import UNICODE, World


def seed(world: World) -> None:
    """Make prompts of every kind the version knows."""
    client = world.client
    name = "summary"
    for number in range(1, 6):
        client.register_prompt(
            name,
            f"Summarise in {number} sentences: {{{{text}}}}\n{UNICODE}"
            + " long" * ((80 if world.version < (3, 0) else 400) * number),
            commit_message=f"Attempt {number} {UNICODE}",
            tags={"author": "ada", "unicode": UNICODE},
        )
        world.counts["prompt_version"] += 1
    client.set_prompt_alias(name, "production", 2)
    client.set_prompt_alias(name, "candidate", 5)
    world.counts["prompt"] += 1
    if world.version >= (3, 5):
        client.set_prompt_tag(name, "audience", UNICODE)
        client.set_prompt_version_tag(name, 3, "score", "0.5")
        client.delete_prompt_version(name, "4")
        world.counts["prompt_version"] -= 1
        _structured(world)
        client.create_prompt("without versions", description="empty prompt", tags={"k": "v"})
        world.counts["prompt"] += 1
        client.link_prompt_version_to_run(world.runs["full"], client.get_prompt_version(name, "2"))
        client.link_prompt_version_to_model(name, "3", world.models["sklearn"])


def _structured(world: World) -> None:
    """Chat messages, a response format, a model configuration."""
    chat: list[dict[str, Any]] = [
        {"role": "system", "content": f"You are helpful. {UNICODE}"},
        {"role": "user", "content": "{{question}} and {% raw %}{{not a variable}}{% endraw %}"},
    ]
    answer = {"type": "object", "properties": {"answer": {"type": "string"}, "score": {"type": "number"}}}
    world.client.register_prompt("chat", chat, commit_message="chat", response_format=answer)
    fields: dict[str, Any] = {}
    if world.version >= (3, 8):
        fields["model_config"] = {"model_name": "gpt-4", "temperature": 0.7, "extra_params": {"seed": 7}}
    world.client.register_prompt(
        "chat", [*chat, {"role": "assistant", "content": ""}], response_format=answer, **fields
    )
    world.counts["prompt"] += 1
    world.counts["prompt_version"] += 2
