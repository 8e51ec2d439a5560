"""Kinds of minor use, kept as the server's JSON: one table says how each is listed and what belongs to it.

`label-schemas/list` inserts a default schema where there is none. It is called only where that schema is there, which
`get-by-name` tells; elsewhere the schemas that review queues name are read one by one. A database that is only read
inserts nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from urllib.parse import quote

from mlflow_archive.errors import NotFoundError, UnsupportedError
from mlflow_archive.spec.canonical import JSONObject, JSONValue
from mlflow_archive.spec.kinds import Kind
from mlflow_archive.spec.loss import Loss
from mlflow_archive.spec.records.server_object import ServerObjectRecord
from mlflow_archive.spec.selection import Selection
from mlflow_archive.stream import Content, Item, ObjectKey
from mlflow_archive.tracking.paging import each_once, finite, member, objects, pages, text
from mlflow_archive.tracking.sources.context import ExperimentRef, Reading

_API = "/api/3.0/mlflow/"
_PAGE = 100
_DEFAULT_SCHEMA = "Feedback"


@dataclass(frozen=True)
class Detail:
    """A list that belongs to an object and comes from a call of its own.

    Attributes:
        path: The call; ``{id}`` stands for the object's id.
        rows: The answer's field with the rows.
        parameter: The query parameter that takes the object's id; "" if the path has it.
        since: The first server that has the call.
        paged: Whether it takes ``max_results``.
    """

    path: str
    rows: str
    parameter: str = ""
    since: str = "0"
    paged: bool = True


@dataclass(frozen=True)
class Listing:
    """How a kind is listed.

    Attributes:
        method: GET or POST.
        path: The call.
        rows: The answer's field with the objects.
        id: The field with an object's id.
        name: The field with what a person calls it.
        paged: Whether it takes ``max_results``.
        in_deleted: Whether the server answers for a deleted experiment.
        details: Name -> a list that belongs to the object.
    """

    method: str
    path: str
    rows: str
    id: str
    name: str = "name"
    paged: bool = True
    in_deleted: bool = True
    details: dict[str, Detail] = field(default_factory=dict)


_LISTINGS: dict[Kind, Listing] = {
    Kind.REVIEW_QUEUE: Listing(
        "GET", "review-queues/list", "review_queues", "queue_id", in_deleted=False,
        details={"items": Detail("review-queues/items/list", "items", "queue_id")},
    ),
    Kind.ISSUE: Listing("POST", "issues/search", "issues", "issue_id"),
    Kind.GATEWAY_MODEL_DEFINITION: Listing(
        "GET", "gateway/model-definitions/list", "model_definitions", "model_definition_id", paged=False
    ),
    Kind.GATEWAY_ENDPOINT: Listing(
        "GET", "gateway/endpoints/list", "endpoints", "endpoint_id", paged=False,
        details={
            "bindings": Detail("gateway/endpoints/bindings/list", "bindings", "endpoint_id", paged=False),
            "guardrails": Detail(
                "gateway/guardrails/list-for-endpoint", "configs", "endpoint_id", since="3.12", paged=False
            ),
        },
    ),
    Kind.BUDGET_POLICY: Listing(
        "GET", "gateway/budgets/list", "budget_policies", "budget_policy_id", name="budget_policy_id"
    ),
    Kind.GUARDRAIL: Listing("GET", "gateway/guardrails/list", "guardrails", "guardrail_id"),
    Kind.MCP_SERVER: Listing(
        "GET", "mcp-servers", "mcp_servers", "name",
        details={
            "versions": Detail("mcp-servers/{id}/versions", "mcp_server_versions"),
            "access_endpoints": Detail("mcp-servers/{id}/endpoints", "mcp_access_endpoints"),
        },
    ),
}  # fmt: skip


def read(kind: Kind, reading: Reading, workspace: str | None, selection: Selection) -> Iterator[Item | Loss]:  # noqa: ARG001
    """List the objects of a kind that belongs to no experiment."""
    try:
        yield from _items(kind, reading, workspace, None)
    except UnsupportedError:
        # 501: the operator has switched the gateway off.
        reading.note("The server's AI gateway is switched off: what is defined in it was not read.")
        return
    if kind is Kind.GATEWAY_MODEL_DEFINITION:
        _note_secrets(reading, workspace)


def read_in_experiment(
    kind: Kind,
    reading: Reading,
    workspace: str | None,
    experiment: ExperimentRef,
    selection: Selection,  # noqa: ARG001
) -> Iterator[Item | Loss]:
    """List the objects of a kind that belongs to an experiment."""
    if not _LISTINGS[kind].in_deleted and reading.is_closed(experiment):
        return
    yield from _items(kind, reading, workspace, experiment)


def read_label_schemas(
    reading: Reading,
    workspace: str | None,
    experiment: ExperimentRef,
    selection: Selection,  # noqa: ARG001
) -> Iterator[Item | Loss]:
    """List the label schemas of an experiment, as far as that changes nothing at the server."""
    if reading.is_closed(experiment):
        return
    if reading.steady or _has_default_schema(reading, workspace, experiment):
        listing = Listing("GET", "label-schemas/list", "label_schemas", "schema_id")
        rows = _rows(reading, listing, workspace, experiment)
    else:
        reading.note(
            "Label schemas were read only where listing them changes nothing: in experiments whose default schema "
            "exists already. Elsewhere only those that a review queue uses were read; opening an experiment's "
            "label schemas in the MLflow UI creates the default one."
        )
        rows = _schemas_of_queues(reading, workspace, experiment)
    for row in rows:
        yield _item(Kind.LABEL_SCHEMA, reading, workspace, experiment, row, "schema_id", "name", {})


def _has_default_schema(reading: Reading, workspace: str | None, experiment: ExperimentRef) -> bool:
    params = {"experiment_id": experiment.id, "name": _DEFAULT_SCHEMA}
    try:
        answer = reading.client.call("GET", _API + "label-schemas/get-by-name", params=params, workspace=workspace)
    except NotFoundError as error:
        if error.code == "endpoint_not_found":
            raise
        return False
    return member(answer, "label_schema").get("is_default") is True


def _schemas_of_queues(reading: Reading, workspace: str | None, experiment: ExperimentRef) -> Iterator[JSONObject]:
    ids: set[str] = set()
    for queue in _rows(reading, _LISTINGS[Kind.REVIEW_QUEUE], workspace, experiment):
        schema_ids = queue.get("schema_ids")
        ids.update(map(text, schema_ids if isinstance(schema_ids, list) else []))
    for schema_id in sorted(ids):
        params = {"schema_id": schema_id}
        try:
            answer = reading.client.call("GET", _API + "label-schemas/get", params=params, workspace=workspace)
        except NotFoundError:
            # Deleted since; the queue keeps the id.
            continue
        yield member(answer, "label_schema")


def _items(kind: Kind, reading: Reading, workspace: str | None, experiment: ExperimentRef | None) -> Iterator[Item]:
    listing = _LISTINGS[kind]
    for row in _rows(reading, listing, workspace, experiment):
        yield _item(kind, reading, workspace, experiment, row, listing.id, listing.name, listing.details)


def _rows(
    reading: Reading, listing: Listing, workspace: str | None, experiment: ExperimentRef | None
) -> Iterator[JSONObject]:
    request: JSONObject = {"max_results": _PAGE} if listing.paged else {}
    if experiment is not None:
        request["experiment_id"] = experiment.id

    def walk() -> Iterator[list[JSONObject]]:
        for page in pages(reading.client, listing.method, _API + listing.path, request, workspace=workspace):
            yield objects(page.get(listing.rows))

    return each_once(walk, lambda row: text(row.get(listing.id)), steady=reading.steady)


def _item(
    kind: Kind,
    reading: Reading,
    workspace: str | None,
    experiment: ExperimentRef | None,
    row: JSONObject,
    id: str,
    name: str,
    details: dict[str, Detail],
) -> Item:
    key = ObjectKey(kind, text(row.get(id)), experiment.id if experiment else None, workspace, text(row.get(name)))
    return Item(key, partial(_load, reading, key, row, details))


def _load(reading: Reading, key: ObjectKey, row: JSONObject, details: dict[str, Detail]) -> Content:
    lists: JSONObject = {
        name: [*_detail_rows(reading, key, detail)]
        for name, detail in details.items()
        if reading.client.at_least(detail.since)
    }
    value: JSONObject = {"name": key.name, "payload": finite(row), "details": lists}
    return Content(ServerObjectRecord.from_json(value, "the server's answer"))


def _detail_rows(reading: Reading, key: ObjectKey, detail: Detail) -> Iterator[JSONValue]:
    request: JSONObject = {detail.parameter: key.id} if detail.parameter else {}
    if detail.paged:
        request["max_results"] = _PAGE
    path = _API + detail.path.replace("{id}", quote(key.id, safe="/"))
    for page in pages(reading.client, "GET", path, request, workspace=key.workspace):
        for row in objects(page.get(detail.rows)):
            yield finite(row)


def _note_secrets(reading: Reading, workspace: str | None) -> None:
    answer = reading.client.call("GET", _API + "gateway/secrets/list", workspace=workspace)
    if objects(answer.get("secrets")):
        where = "record" if reading.shows_all else "answer of the server"
        reading.note(f"The values of the AI gateway's secrets are not in any {where}; set them anew.")
