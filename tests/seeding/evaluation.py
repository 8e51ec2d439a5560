"""Evaluation: datasets with records, and scorers with several versions."""

from __future__ import annotations

from inspect import signature
from typing import Any

from mlflow.genai.judges import make_judge

from tests.seeding.world import UNICODE, World


def seed(world: World) -> None:
    """Make evaluation datasets and scorers in the generative experiment and the main one."""
    _datasets(world)
    _scorers(world)


def _datasets(world: World) -> None:
    generative, main = world.experiments["generative"], world.experiments["main"]
    questions = world.client.create_dataset(f"questions {UNICODE}", [generative, main], {"owner": "ada", "u": UNICODE})
    records: list[dict[str, Any]] = [
        {
            "inputs": {"question": f"{UNICODE} {number}", "context": {"deep": [1, 2.5, None, True]}},
            "expectations": {"answer": str(number), "score": number / 7} if number % 2 else {},
            "tags": {"number": str(number)} if number % 3 else {},
        }
        for number in range(15 if world.small else 1200)
    ]
    records.append({"inputs": {"q": "from a person"}, "source": {"source_type": "HUMAN", "source_data": {"u": "ada"}}})
    from_trace = {"source_type": "TRACE", "source_data": {"trace_id": world.traces["full"]}}
    records.append({"inputs": {"q": "from a trace"}, "expectations": {"a": "b"}, "source": from_trace})
    questions.merge_records(records)
    world.client.create_dataset("empty", main)
    world.client.create_dataset("of no experiment", [], {"k": "v"})
    world.counts["evaluation_dataset"] += 3
    world.counts["dataset_record"] += len(records)


def _scorers(world: World) -> None:
    for experiment in ("generative", "main"):
        for number in range(1, 4):
            judge = make_judge(
                name="helpful",
                instructions=f"Version {number}: does {{{{ outputs }}}} answer {{{{ inputs }}}}? {UNICODE}",
                model="openai:/gpt-4",
            )
            judge.register(experiment_id=world.experiments[experiment])
            world.counts["scorer_version"] += 1
        world.counts["scorer"] += 1
    # Judges of 3.5 cannot say what type their answer is.
    typed: dict[str, Any] = (
        {"feedback_value_type": bool} if "feedback_value_type" in signature(make_judge).parameters else {}
    )
    strict = make_judge(name="strict", instructions="Is {{ outputs }} right?", model="openai:/gpt-4", **typed)
    strict.register(experiment_id=world.experiments["generative"])
    world.counts["scorer_version"] += 1
    world.counts["scorer"] += 1
