"""Reads one server: what only the newest have. Issues and the gateway have no public client and are asked by REST."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from typing import Any

from tests.comparison.reading import Row, Server, pages


def read(server: Server) -> Iterator[Row]:
    """Yield the lines of webhooks, reviews, issues, the gateway and MCP servers."""
    for webhook in pages(server.client.list_webhooks):
        fields = server.plain(webhook)
        fields.pop("webhook_id", None)
        fields["events"] = sorted(fields["events"], key=repr)
        yield server.row("webhook", (webhook.name,), webhook.webhook_id, fields)
    if server.version < (3, 15):
        return
    for experiment in server.active:
        yield from _reviews(server, experiment)
        yield from _issues(server, experiment)
    yield from _gateway(server)
    yield from _mcp_servers(server)


def _get(server: Server, path: str) -> Any:
    with urllib.request.urlopen(f"{server.uri}/api/3.0/mlflow/{path}") as answer:
        return json.loads(answer.read())


def _named(server: Server, kind: str, prefix: tuple[str, ...], body: Any, id_field: str) -> Row:
    """Return the line of an object that is known by its name."""
    fields = server.plain(body)
    own = str(fields.pop(id_field))
    return server.row(kind, (*prefix, fields["name"]), own, fields)


def _reviews(server: Server, experiment: Any) -> Iterator[Row]:
    from mlflow.genai import label_schemas, review_queues

    here = (experiment.name,)
    for schema in pages(label_schemas.list_label_schemas, experiment_id=experiment.experiment_id):
        # Listing makes the default question where there was none: untouched, it says nothing.
        if not (schema.is_default and schema.created_at == schema.updated_at):
            yield _named(server, "label_schema", here, schema, "schema_id")
    for queue in pages(review_queues.list_review_queues, experiment_id=experiment.experiment_id):
        yield _named(server, "review_queue", here, queue, "queue_id")
        for item in pages(review_queues.list_review_queue_items, queue_id=queue.queue_id):
            fields = server.plain(item)
            fields.pop("queue_id")
            key = (experiment.name, queue.name, item.item_id)
            yield server.row("review_queue_item", key, "/".join(key), fields)


def _issues(server: Server, experiment: Any) -> Iterator[Row]:
    body = json.dumps({"experiment_id": experiment.experiment_id, "max_results": 1000}).encode()
    address = f"{server.uri}/api/3.0/mlflow/issues/search"
    request = urllib.request.Request(address, data=body, headers={"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        for issue in json.loads(answer.read()).get("issues", []):
            yield _named(server, "issue", (experiment.name,), issue, "issue_id")


def _gateway(server: Server) -> Iterator[Row]:
    for definition in _get(server, "gateway/model-definitions/list").get("model_definitions", []):
        yield _named(server, "gateway_model_definition", (), definition, "model_definition_id")
    for endpoint in _get(server, "gateway/endpoints/list").get("endpoints", []):
        for mapping in endpoint["model_mappings"]:
            mapping.pop("endpoint_id", None)
        endpoint["model_mappings"].sort(key=lambda mapping: (mapping.get("fallback_order", 0), mapping["linkage_type"]))
        endpoint["tags"] = {tag["key"]: tag["value"] for tag in endpoint.get("tags", [])}
        yield _named(server, "gateway_endpoint", (), endpoint, "endpoint_id")
    for number, policy in enumerate(_get(server, "gateway/budgets/list").get("budget_policies", [])):
        yield server.row("budget_policy", (str(number),), policy["budget_policy_id"], policy)
    for guardrail in _get(server, "gateway/guardrails/list").get("guardrails", []):
        yield _named(server, "guardrail", (), guardrail, "guardrail_id")


def _mcp_servers(server: Server) -> Iterator[Row]:
    for found in pages(server.client.search_mcp_servers):
        name = found.name
        yield server.row("mcp_server", (name,), name, server.client.get_mcp_server(name))
        for version in pages(server.client.search_mcp_server_versions, name=name):
            yield server.row("mcp_server_version", (name, version.version), f"{name}/{version.version}", version)
        for endpoint in pages(server.client.search_mcp_access_endpoints, server_name=name):
            fields = server.plain(endpoint)
            fields.pop("endpoint_id", None)
            yield server.row("mcp_access_endpoint", (name, endpoint.url), f"{name} {endpoint.url}", fields)
