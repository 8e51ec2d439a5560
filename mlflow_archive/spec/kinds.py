"""The kinds of MLflow object an archive can hold: one word for each, the same on every floor."""

from __future__ import annotations

from enum import Enum


class Kind(str, Enum):
    """A kind of object. The value is the word used in documents, events and options."""

    DATABASE = "database"
    WORKSPACE = "workspace"
    EXPERIMENT = "experiment"
    RUN = "run"
    LOGGED_MODEL = "logged_model"
    REGISTERED_MODEL = "registered_model"
    PROMPT = "prompt"
    TRACE = "trace"
    EVALUATION_DATASET = "evaluation_dataset"
    SCORER = "scorer"
    LABEL_SCHEMA = "label_schema"
    REVIEW_QUEUE = "review_queue"
    ISSUE = "issue"
    GATEWAY_MODEL_DEFINITION = "gateway_model_definition"
    GATEWAY_ENDPOINT = "gateway_endpoint"
    BUDGET_POLICY = "budget_policy"
    GUARDRAIL = "guardrail"
    MCP_SERVER = "mcp_server"
    WEBHOOK = "webhook"

    def __str__(self) -> str:
        """Return the word itself (Python 3.10 has no StrEnum)."""
        return self.value


#: The order in which a transfer walks the kinds; a target can always resolve references to earlier kinds.
KIND_ORDER: tuple[Kind, ...] = tuple(Kind)

#: Kinds whose objects belong to one experiment and are stored below it.
IN_EXPERIMENT: frozenset[Kind] = frozenset(
    {Kind.RUN, Kind.LOGGED_MODEL, Kind.TRACE, Kind.SCORER, Kind.LABEL_SCHEMA, Kind.REVIEW_QUEUE, Kind.ISSUE}
)

#: The folder of each kind.
FOLDERS: dict[Kind, str] = {
    Kind.DATABASE: "database",
    Kind.WORKSPACE: "workspaces",
    Kind.EXPERIMENT: "experiments",
    Kind.RUN: "runs",
    Kind.LOGGED_MODEL: "logged_models",
    Kind.REGISTERED_MODEL: "models",
    Kind.PROMPT: "prompts",
    Kind.TRACE: "traces",
    Kind.EVALUATION_DATASET: "evaluation_datasets",
    Kind.SCORER: "scorers",
    Kind.LABEL_SCHEMA: "label_schemas",
    Kind.REVIEW_QUEUE: "review_queues",
    Kind.ISSUE: "issues",
    Kind.GATEWAY_MODEL_DEFINITION: "gateway_model_definitions",
    Kind.GATEWAY_ENDPOINT: "gateway_endpoints",
    Kind.BUDGET_POLICY: "budget_policies",
    Kind.GUARDRAIL: "guardrails",
    Kind.MCP_SERVER: "mcp_servers",
    Kind.WEBHOOK: "webhooks",
}
