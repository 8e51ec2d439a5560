"""`model_definitions`, `endpoints` with what belongs to them, `budget_policies`, `guardrails`.

No server shows the values of secrets: definitions come back without one.
"""

from __future__ import annotations

from collections.abc import Iterator

from mlflow_archive.spec.canonical import JSONObject
from mlflow_archive.spec.kinds import Kind
from mlflow_archive.spec.records.server_object import ServerObjectRecord
from mlflow_archive.stream import Content, ObjectKey
from mlflow_archive.tracking.database.exact.made.making import (
    NO_PARENT,
    Making,
    Row,
    TableRows,
    batches,
    invented,
    missing,
    workspace_of,
)
from mlflow_archive.tracking.database.exact.made.values import finite_float, json_text, present
from mlflow_archive.tracking.paging import integer, member, objects, text

_SECRETS = (
    "Model definitions of the AI gateway that had a secret, which is in no answer of a server: {n}; they have none "
    "now, set the secrets anew."
)
_LOST_CONFIGS = "Guardrails at endpoints which are not in the archive themselves: {n}; they are left out."


def rows(making: Making, key: ObjectKey, content: Content) -> Iterator[TableRows]:
    """Yield the rows of one of the gateway's objects."""
    record = content.record
    if not isinstance(record, ServerObjectRecord):
        return
    if key.kind is Kind.GATEWAY_MODEL_DEFINITION:
        yield "model_definitions", [_definition(making, key, record.payload)]
    elif key.kind is Kind.GATEWAY_ENDPOINT:
        yield from _endpoint(making, key, record)
    elif key.kind is Kind.BUDGET_POLICY:
        yield "budget_policies", [_budget(key, record.payload)]
    else:
        making.wait("guardrails", workspace_of(key), _guardrail(making, key, record.payload))


def _definition(making: Making, key: ObjectKey, payload: JSONObject) -> Row:
    id = text(payload.get("model_definition_id")) or key.id
    making.first("model_definitions", id)
    making.count(_SECRETS, int(bool(payload.get("secret_id"))))
    return {
        "model_definition_id": id,
        "name": text(payload.get("name")),
        "secret_id": None,
        "provider": text(payload.get("provider")),
        "model_name": text(payload.get("model_name")),
        **_signed(key, payload),
    }


def _endpoint(making: Making, key: ObjectKey, record: ServerObjectRecord) -> Iterator[TableRows]:
    payload = record.payload
    id = text(payload.get("endpoint_id")) or key.id
    making.name_endpoint(workspace_of(key), text(payload.get("name")), id)
    mappings = [_mapping(id, mapping) for mapping in objects(payload.get("model_mappings"))]
    yield (
        "endpoints",
        [
            {
                "endpoint_id": id,
                "name": present(payload.get("name")),
                **_signed(key, payload),
                "routing_strategy": present(payload.get("routing_strategy")),
                "fallback_config_json": _fallback(member(payload, "fallback_config"), mappings),
                "experiment_id": _experiment(making, key, payload),
                "usage_tracking": payload.get("usage_tracking") is not False,
            }
        ],
    )
    yield from batches("endpoint_model_mappings", _known(making, key, mappings))
    tags = {text(tag.get("key")): tag for tag in objects(payload.get("tags"))}
    yield from batches(
        "endpoint_tags",
        ({"key": name, "value": text(tag.get("value")), "endpoint_id": id} for name, tag in tags.items()),
    )
    yield from batches("endpoint_bindings", (_binding(id, row) for row in record.details.get("bindings", ())))
    for config in record.details.get("guardrails", ()):
        making.wait("guardrail_configs", workspace_of(key), _config(key, id, config))


def _experiment(making: Making, key: ObjectKey, payload: JSONObject) -> int | None:
    number = integer(payload.get("experiment_id"))
    if number is None or making.has("experiments", number):
        return number
    reason = f"The experiment {number} of its traces is not in the archive, so that the endpoint names none."
    making.lose(key.lost(NO_PARENT, reason, path=f"experiments/{number}"))
    return None


def _mapping(endpoint_id: str, mapping: JSONObject) -> Row:
    definition, linkage = text(mapping.get("model_definition_id")), text(mapping.get("linkage_type")) or "PRIMARY"
    weight = finite_float(mapping.get("weight"))
    return {
        "mapping_id": text(mapping.get("mapping_id")) or f"m-{invented('mapping', endpoint_id, definition, linkage)}",
        "endpoint_id": endpoint_id,
        "model_definition_id": definition,
        "weight": 1.0 if weight is None else weight,
        "created_by": present(mapping.get("created_by")),
        "created_at": integer(mapping.get("created_at")) or 0,
        "linkage_type": linkage,
        "fallback_order": integer(mapping.get("fallback_order")),
    }


def _known(making: Making, key: ObjectKey, mappings: list[Row]) -> Iterator[Row]:
    for mapping in mappings:
        definition = mapping["model_definition_id"]
        if making.has("model_definitions", str(definition)):
            yield mapping
        else:
            reason = f"The model definition {definition} is not in the archive, so that the endpoint has lost it."
            making.lose(key.lost(NO_PARENT, reason, path=f"model_mappings/{definition}"))


def _fallback(config: JSONObject, mappings: list[Row]) -> str | None:
    fallbacks = [str(row["model_definition_id"]) for row in mappings if row["linkage_type"] == "FALLBACK"]
    if not config and not fallbacks:
        return None
    return json_text(
        {
            "strategy": present(config.get("strategy")),
            "max_attempts": integer(config.get("max_attempts")),
            "model_definition_ids": [*fallbacks],
        }
    )


def _binding(endpoint_id: str, binding: JSONObject) -> Row:
    created = integer(binding.get("created_at")) or 0
    return {
        "endpoint_id": endpoint_id,
        "resource_type": text(binding.get("resource_type")).lower(),
        "resource_id": text(binding.get("resource_id")),
        "created_at": created,
        "created_by": present(binding.get("created_by")),
        "last_updated_at": integer(binding.get("last_updated_at")) or created,
        "last_updated_by": present(binding.get("last_updated_by")),
        "display_name": present(binding.get("display_name")),
    }


def _budget(key: ObjectKey, payload: JSONObject) -> Row:
    duration = member(payload, "duration")
    return {
        "budget_policy_id": text(payload.get("budget_policy_id")) or key.id,
        "budget_unit": text(payload.get("budget_unit")),
        "budget_amount": finite_float(payload.get("budget_amount")) or 0.0,
        "duration_unit": text(duration.get("unit")),
        "duration_value": integer(duration.get("value")) or 0,
        "target_scope": text(payload.get("target_scope")),
        "budget_action": text(payload.get("budget_action")),
        **_signed(key, payload),
        "target_value": present(payload.get("target_value")),
    }


def _guardrail(making: Making, key: ObjectKey, payload: JSONObject) -> Row:
    """Return the row of a guardrail, which waits until all scorers and endpoints are known."""
    scorer = member(payload, "scorer")
    id, version = text(scorer.get("scorer_id")), integer(scorer.get("scorer_version")) or 0
    if not making.has("scorer_versions", (id, version)):
        raise missing(key, f"the scorer {text(scorer.get('scorer_name')) or id} in version {version}")
    return {
        "guardrail_id": text(payload.get("guardrail_id")) or key.id,
        "name": text(payload.get("name")),
        "scorer_id": id,
        "scorer_version": version,
        "stage": text(payload.get("stage")),
        "action": text(payload.get("action")),
        "action_endpoint_id": _action_endpoint(making, key, payload),
        **_signed(key, payload),
    }


def _action_endpoint(making: Making, key: ObjectKey, payload: JSONObject) -> str | None:
    named = text(payload.get("action_endpoint_id"))
    # Servers write the name of the endpoint into this field.
    id = making.endpoint_ids(workspace_of(key)).get(named, named)
    if not named or making.has("endpoints", id):
        return id or None
    reason = f"The endpoint {named} that the guardrail asks is not in the archive, so that the guardrail names none."
    making.lose(key.lost(NO_PARENT, reason, path=f"endpoints/{named}"))
    return None


def guardrail_rows(making: Making) -> Iterator[TableRows]:
    """Yield the guardrails, and their places before and behind endpoints, once all are known."""
    guardrails = [row for _, row in making.waiting("guardrails")]
    known = {row["guardrail_id"] for row in guardrails}
    yield from batches("guardrails", guardrails)
    configs = [row for _, row in making.waiting("guardrail_configs")]
    making.count(_LOST_CONFIGS, sum(row["guardrail_id"] not in known for row in configs))
    yield from batches("guardrail_configs", (row for row in configs if row["guardrail_id"] in known))


def _config(key: ObjectKey, endpoint_id: str, config: JSONObject) -> Row:
    return {
        "endpoint_id": endpoint_id,
        "guardrail_id": text(config.get("guardrail_id")),
        "execution_order": integer(config.get("execution_order")),
        "created_by": present(config.get("created_by")),
        "created_at": integer(config.get("created_at")) or 0,
        "workspace": workspace_of(key),
    }


def _signed(key: ObjectKey, payload: JSONObject) -> Row:
    created = integer(payload.get("created_at")) or 0
    return {
        "created_by": present(payload.get("created_by")),
        "created_at": created,
        "last_updated_by": present(payload.get("last_updated_by")),
        "last_updated_at": integer(payload.get("last_updated_at")) or created,
        "workspace": workspace_of(key),
    }
