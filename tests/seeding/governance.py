"""What the newest servers keep besides: issues, label schemas, review queues, the gateway, MCP servers."""

from __future__ import annotations

from typing import Any

import mlflow
from mlflow.entities import AssessmentSource
from mlflow.genai import label_schemas, review_queues

from tests.seeding.world import UNICODE, World


def seed(world: World) -> None:
    """Make them all in the generative experiment."""
    experiment = world.experiments["generative"]
    _issues(world, experiment)
    _reviews(world, experiment)
    _gateway(world, experiment)
    _mcp_servers(world)


def _issues(world: World, experiment: str) -> None:
    bodies: list[dict[str, Any]] = [
        {"name": "too slow", "description": f"It takes long. {UNICODE}", "status": "pending"},
        {
            "name": "wrong answers",
            "description": "They are wrong.",
            "status": "resolved",
            "severity": "high",
            "root_causes": ["a", UNICODE],
            "categories": ["quality"],
            "source_run_id": world.runs["full"],
            "created_by": "ada",
        },
    ]
    for body in bodies:
        issue = world.rest("POST", "3.0/mlflow/issues", {"experiment_id": experiment, **body})["issue"]
        world.counts["issue"] += 1
    source = AssessmentSource("HUMAN", "ada@example.com")
    mlflow.log_issue(trace_id=world.traces["bare"], issue_id=issue["issue_id"], source=source, rationale=UNICODE)
    world.counts["assessment"] += 1


def _reviews(world: World, experiment: str) -> None:
    inputs: dict[str, Any] = {
        "tone": label_schemas.InputCategorical(["kind", "rude", UNICODE], multi_select=True),
        "comment": label_schemas.InputText(max_length=100),
        "score": label_schemas.InputNumeric(min_value=0, max_value=10),
        "passed": label_schemas.InputPassFail("yes", "no"),
    }
    schemas = []
    for number, (name, kind) in enumerate(inputs.items()):
        schemas.append(
            label_schemas.create_label_schema(
                name,
                type="expectation" if number == 1 else "feedback",
                input=kind,
                instruction=f"Say it. {UNICODE}" if number else None,
                enable_comment=bool(number % 2),
                experiment_id=experiment,
            )
        )
        world.counts["label_schema"] += 1
    # Listing makes the default question, as opening the page does.
    world.counts["label_schema"] += len(label_schemas.list_label_schemas(experiment)) - len(schemas)
    queue = review_queues.create_review_queue(
        f"weekly {UNICODE}",
        queue_type="custom",
        users=["ada@example.com", "bob"],
        schema_ids=[str(schema.schema_id) for schema in schemas[:2]],
        experiment_id=experiment,
    )
    traces = [world.traces["full"], world.traces["bare"], world.traces["error"]]
    review_queues.add_items_to_review_queue(queue.queue_id, item_ids=traces)
    review_queues.set_review_queue_item_status(
        queue.queue_id, item_id=traces[0], status="complete", completed_by="ada@example.com"
    )
    review_queues.get_or_create_user_queue("bob", experiment_id=experiment)
    world.counts["review_queue"] += 2


def _gateway(world: World, experiment: str) -> None:
    """Model definitions behind endpoints; budgets and guardrails in front of them."""

    def make(what: str, **body: object) -> dict[str, Any]:
        return world.rest("POST", f"3.0/mlflow/gateway/{what}", body)

    key = make(
        "secrets/create", secret_name="openai key", secret_value={"api_key": "sk-not-a-real-key"}, provider="openai"
    )
    secret_id = key["secret"]["secret_id"]
    models = [
        make("model-definitions/create", name=name, secret_id=secret_id, provider="openai", model_name=name)
        for name in ("gpt-4", "gpt-3.5-turbo")
    ]
    ids = [model["model_definition"]["model_definition_id"] for model in models]
    configs = [
        {"model_definition_id": ids[0], "linkage_type": "PRIMARY", "weight": 1.0},
        {"model_definition_id": ids[1], "linkage_type": "FALLBACK", "weight": 1.0, "fallback_order": 1},
    ]
    fallback = {"strategy": "SEQUENTIAL", "max_attempts": 2}
    endpoint = make(
        "endpoints/create",
        name="chat-endpoint",
        model_configs=configs,
        fallback_config=fallback,
        experiment_id=experiment,
        usage_tracking=True,
    )["endpoint"]
    make("endpoints/create", name="plain-endpoint", model_configs=configs[:1], usage_tracking=False)
    make("endpoints/set-tag", endpoint_id=endpoint["endpoint_id"], key="team", value=UNICODE)
    budget = {"budget_unit": "USD", "budget_action": "ALERT", "duration": {"unit": "DAYS", "value": 30}}
    make("budgets/create", budget_amount=99.5, target_scope="GLOBAL", **budget)
    world.counts.update(gateway_model_definition=2, gateway_endpoint=2, budget_policy=1)
    scorers = world.rest("GET", f"3.0/mlflow/scorers/list?experiment_id={experiment}")["scorers"]
    guardrail = make(
        "guardrails/create",
        name="no nonsense",
        scorer_id=scorers[0]["scorer_id"],
        scorer_version=1,
        stage="BEFORE",
        action="VALIDATION",
    )["guardrail"]
    make(
        "guardrails/add-to-endpoint",
        endpoint_id=endpoint["endpoint_id"],
        guardrail_id=guardrail["guardrail_id"],
        execution_order=1,
    )
    world.counts["guardrail"] += 1


def _mcp_servers(world: World) -> None:
    client, name = world.client, "io.example/weather"
    client.create_mcp_server(name, description=f"Weather. {UNICODE}")
    for version in ("1.0.0", "1.1.0"):
        remote = {"type": "streamable-http", "url": "https://example.com/mcp"}
        server = {"name": name, "version": version, "description": "Weather.", "remotes": [remote]}
        client.create_mcp_server_version(server, source="https://example.com/repository", tools=[])
    client.set_mcp_server_tag(name, "team", UNICODE)
    client.set_mcp_server_version_tag(name, "1.0.0", "tested", "yes")
    client.update_mcp_server_version(name, "1.0.0", status="active")
    client.set_mcp_server_alias(name, "stable", "1.0.0")
    client.create_mcp_access_endpoint(name, "https://example.com/mcp", server_alias="stable")
    world.counts["mcp_server"] += 1
    world.counts["mcp_server_version"] += 2
