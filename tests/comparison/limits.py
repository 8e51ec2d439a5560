"""What no program can set over MLflow's REST API, so that a restored object cannot have it.

Every entry is a field of an object as `tests.comparison.dump` writes it, with the reason. A field that is not here
must be equal.
"""

from __future__ import annotations

_TIME = "the server sets it to the time of the call"
_ID = "the server makes it; references to it are rewritten"
_PLACE = "made by the server out of its artifact root and its ids"

API_LIMITS: dict[str, str] = {
    "experiment.artifact_location": _PLACE,
    "experiment.creation_time": _TIME,
    "experiment.experiment_id": _ID,
    "experiment.last_update_time": _TIME,
    "run.info.artifact_uri": _PLACE,
    "logged_model.artifact_location": _PLACE,
    "logged_model.creation_timestamp": _TIME,
    "logged_model.last_updated_timestamp": _TIME,
    "registered_model.creation_timestamp": _TIME,
    "registered_model.last_updated_timestamp": _TIME,
    "registered_model.latest_versions": "the versions are compared themselves",
    "model_version.creation_timestamp": _TIME,
    "model_version.last_updated_timestamp": _TIME,
    "model_version.user_id": "the server knows only the one who calls",
    "prompt.creation_timestamp": _TIME,
    "prompt_version.creation_timestamp": _TIME,
    "prompt_version.last_updated_timestamp": _TIME,
    "prompt_version.user_id": "the server knows only the one who calls",
    "trace.trace_metadata.mlflow.trace.infoFinalized": "newer servers add it to every trace they are given",
    "evaluation_dataset.created_by": "the server knows only the one who calls",
    "evaluation_dataset.created_time": _TIME,
    "evaluation_dataset.digest": "made by the server out of its id and the time",
    "evaluation_dataset.last_update_time": _TIME,
    "evaluation_dataset.last_updated_by": "the server knows only the one who calls",
    "dataset_record.created_by": "the server knows only the one who calls",
    "dataset_record.created_time": _TIME,
    "dataset_record.last_update_time": _TIME,
    "dataset_record.last_updated_by": "the server knows only the one who calls",
    "label_schema.created_at": _TIME,
    "label_schema.updated_at": _TIME,
    "label_schema.created_by": "the server knows only the one who calls",
    "review_queue.creation_time_ms": _TIME,
    "review_queue.last_update_time_ms": _TIME,
    "review_queue_item.completed_time_ms": _TIME,
    "review_queue_item.creation_time_ms": _TIME,
    "review_queue_item.last_update_time_ms": _TIME,
    "issue.created_timestamp": _TIME,
    "issue.last_updated_timestamp": _TIME,
    "gateway_model_definition.created_at": _TIME,
    "gateway_model_definition.last_updated_at": _TIME,
    "gateway_endpoint.created_at": _TIME,
    "gateway_endpoint.last_updated_at": _TIME,
    "gateway_endpoint.model_mappings[].created_at": _TIME,
    "gateway_endpoint.model_mappings[].mapping_id": _ID,
    "gateway_endpoint.model_mappings[].model_definition.created_at": _TIME,
    "gateway_endpoint.model_mappings[].model_definition.last_updated_at": _TIME,
    "budget_policy.budget_policy_id": _ID,
    "budget_policy.created_at": _TIME,
    "budget_policy.last_updated_at": _TIME,
    "guardrail.created_at": _TIME,
    "guardrail.last_updated_at": _TIME,
    "guardrail.scorer.creation_time": _TIME,
    "guardrail.scorer.scorer_id": _ID,
    "mcp_server.access_endpoints": "the endpoints are compared themselves",
    "mcp_server.creation_timestamp": _TIME,
    "mcp_server.last_updated_timestamp": _TIME,
    "mcp_server.latest_version": "the versions are compared themselves",
    "mcp_server_version.creation_timestamp": _TIME,
    "mcp_server_version.last_updated_timestamp": _TIME,
    "mcp_access_endpoint.creation_timestamp": _TIME,
    "mcp_access_endpoint.id": _ID,
    "mcp_access_endpoint.resolved_version": "the versions are compared themselves",
    "mcp_access_endpoint.last_updated_timestamp": _TIME,
    "webhook.creation_timestamp": _TIME,
    "webhook.last_updated_timestamp": _TIME,
    "webhook.status": "restored switched off, so that a restored server does not act by itself",
}

#: Kinds of objects that a restore leaves out, with the reason; the archive has them.
NOT_RESTORED: dict[str, str] = {
    "gateway_endpoint": "needs API keys, which no archive holds",
    "gateway_model_definition": "needs an API key, which no archive holds",
    "guardrail": "stands in front of gateway endpoints",
}
