"""Which server has which kind of object: one table, with the reasons.

A kind that a server of that version does not have is no loss. An endpoint that the version should have and that
answers 404 is one: a proxy in front of the server, or a switched-off feature, hides objects that may exist.
"""

from __future__ import annotations

from mlflow_archive.errors import UnsupportedError
from mlflow_archive.spec.kinds import KIND_ORDER, Kind
from mlflow_archive.tracking.client import ServerClient, shows_all

#: Older servers lack `experiments/search` in today's form or were never tried.
OLDEST_SERVER = "2.9"

#: What a server can tell over its API.
OVER_THE_API = frozenset(KIND_ORDER) - {Kind.DATABASE}

#: Kind -> the first MLflow version whose server can list it.
FIRST_VERSION: dict[Kind, str] = {
    Kind.DATABASE: "2.9",  # read by SQL alone: `DatabaseClient.only_kinds`
    Kind.WORKSPACE: "3.10",  # table workspaces, header X-MLFLOW-WORKSPACE; off unless --enable-workspaces
    Kind.EXPERIMENT: "2.9",
    Kind.RUN: "2.9",
    Kind.LOGGED_MODEL: "3.0",  # table logged_models
    Kind.REGISTERED_MODEL: "2.9",
    Kind.PROMPT: "2.21",  # rows of the registry with the tag mlflow.prompt.is_prompt
    Kind.TRACE: "2.14",  # GET 2.0 traces; POST 3.0 traces/search from 3.2 on
    Kind.EVALUATION_DATASET: "3.4",  # tables evaluation_dataset*
    Kind.SCORER: "3.4",  # tables scorers, scorer_versions
    Kind.LABEL_SCHEMA: "3.14",  # table label_schemas
    Kind.REVIEW_QUEUE: "3.14",  # tables review_queue*
    Kind.ISSUE: "3.11",  # table issues
    Kind.GATEWAY_MODEL_DEFINITION: "3.8",  # table model_definitions
    Kind.GATEWAY_ENDPOINT: "3.8",  # tables endpoint*
    Kind.BUDGET_POLICY: "3.11",  # table budget_policies
    Kind.GUARDRAIL: "3.12",  # tables guardrail*
    Kind.MCP_SERVER: "3.15",  # tables mcp_*; FastAPI routes, absent under gunicorn
    Kind.WEBHOOK: "3.3",  # tables webhook*
}

#: `metrics/get-history` takes ``max_results``; before, the whole history is one answer.
PAGED_HISTORY = "3.2"
#: `3.0 traces/search` with TraceInfoV3 and assessments.
TRACES_V3 = "3.2"
#: Where it is a later one that takes objects of a kind as they were: traces with their ids and times.
FIRST_VERSION_TAKING: dict[Kind, str] = {**FIRST_VERSION, Kind.TRACE: TRACES_V3}
#: Traces linked to runs beyond the one in their metadata (table entity_associations).
TRACE_LINKS = "3.3"
#: `logged-models/<id>?allow_deleted=true`.
DELETED_LOGGED_MODELS = "3.7"
#: `3.0 scorers/online-configs`.
ONLINE_SCORING = "3.9"
#: Server jobs.
JOBS = "3.5"


def kinds_of(client: ServerClient) -> tuple[Kind, ...]:
    """Return the kinds a server of this version can have, in `KIND_ORDER`.

    Raises:
        UnsupportedError: The server is older than `OLDEST_SERVER`.
    """
    if not client.at_least(OLDEST_SERVER):
        raise UnsupportedError(
            f"The server is MLflow {client.version}; servers from {OLDEST_SERVER} on are supported. "
            "Upgrade the server first."
        )
    only: frozenset[Kind] = getattr(client, "only_kinds", OVER_THE_API)
    if shows_all(client):
        return tuple(kind for kind in KIND_ORDER if kind in only)
    return tuple(kind for kind in KIND_ORDER if kind in only and client.at_least(FIRST_VERSION[kind]))
