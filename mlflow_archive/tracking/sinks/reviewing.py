"""What people review traces with: label schemas, review queues, issues (kinds kept as the server's own JSON)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import cast

from mlflow_archive.errors import NotFoundError
from mlflow_archive.spec.canonical import JSONObject, JSONValue
from mlflow_archive.spec.kinds import Kind
from mlflow_archive.spec.loss import Loss
from mlflow_archive.spec.records.server_object import ServerObjectRecord
from mlflow_archive.stream import Item, ObjectKey, Outcome, Status
from mlflow_archive.tracking.sinks.context import API3, SinkContext, attempt, child, rows, text, unsupported
from mlflow_archive.tracking.sinks.experiments import Experiments, TargetExperiment
from mlflow_archive.tracking.sinks.options import IfExists

_ITEMS_PER_CALL = 100


class _InExperiment:
    """Writes objects of an experiment that are known by their name."""

    field = ""
    id_field = ""
    create_path = ""
    fields: tuple[str, ...] = ()
    has_members = False
    """True if something belongs to an object that can be added to one that is there."""

    def __init__(self, context: SinkContext, experiments: Experiments) -> None:
        """Ask nothing yet."""
        self._context = context
        self._experiments = experiments

    def write(self, item: Item) -> Outcome:
        """Create the object, or take the one of that name."""
        key = item.key
        target = self._experiments.target(key)
        content = item.load()
        record = cast("ServerObjectRecord", content.record)
        if self._context.options.dry_run and (target.fresh or target.deleted):
            return self._context.plan(key)
        target = self._experiments.awake(key)
        found = self._find(key, record, target)
        if found is not None:
            self._context.ids.add(key.kind, key.id, text(found, self.id_field))
            # A name stands for one object here: a second one of the same name cannot be made.
            update = self._context.if_exists is IfExists.UPDATE and self.has_members
            if not update or self._context.options.dry_run:
                return self._context.existing(key, text(found, self.id_field))
        elif self._context.options.dry_run:
            return self._context.plan(key)
        reason = "updated" if found is not None else ""
        made = found if found is not None else self._create(key, record, target)
        target_id = text(made, self.id_field)
        self._context.ids.add(key.kind, key.id, target_id)
        losses = (*content.losses, *self._complete(key, record, target_id))
        return Outcome(key, Status.STORED, reason=reason, target_id=target_id, losses=losses)

    def _create(self, key: ObjectKey, record: ServerObjectRecord, target: TargetExperiment) -> JSONObject:
        body = {name: record.payload[name] for name in self.fields if record.payload.get(name) is not None}
        body |= {"experiment_id": target.id, "name": record.payload.get("name") or record.name}
        self._rewrite(body)

        def find() -> JSONObject | None:
            found = self._find(key, record, target)
            return {self.field: found} if found is not None else None

        answer = self._context.create(self.create_path, body, workspace=key.workspace, find=find)
        return child(answer, self.field)

    def _find(self, key: ObjectKey, record: ServerObjectRecord, target: TargetExperiment) -> JSONObject | None:
        params = {"experiment_id": target.id, "name": text(record.payload, "name") or record.name}
        path = self.create_path.replace("/create", "/get-by-name")
        try:
            answer = self._context.client.call("GET", path, params=params, workspace=key.workspace)
        except NotFoundError:
            return None
        return child(answer, self.field) or None

    def _rewrite(self, body: JSONObject) -> None:
        """Change the ids in the body; nothing to change by default."""

    def _complete(self, key: ObjectKey, record: ServerObjectRecord, target_id: str) -> Iterator[Loss]:  # noqa: ARG002
        """Bring along what belongs to the object; nothing by default."""
        return iter(())


class LabelSchemas(_InExperiment):
    """Writes label schemas."""

    field = "label_schema"
    id_field = "schema_id"
    create_path = API3 + "label-schemas/create"
    fields = ("type", "input", "instruction", "enable_comment")


class ReviewQueues(_InExperiment):
    """Writes review queues with their items."""

    field = "review_queue"
    id_field = "queue_id"
    create_path = API3 + "review-queues/create"
    fields = ("queue_type", "users", "schema_ids", "created_by")
    has_members = True

    def _create(self, key: ObjectKey, record: ServerObjectRecord, target: TargetExperiment) -> JSONObject:
        if record.payload.get("queue_type") != "USER":
            return super()._create(key, record, target)
        users = cast("list[str]", record.payload.get("users") or [record.name])
        body: JSONObject = {"experiment_id": target.id, "user": users[0]}
        answer = self._context.post(f"{API3}review-queues/get-or-create-user", body, workspace=key.workspace)
        return child(answer, self.field)

    def _rewrite(self, body: JSONObject) -> None:
        known = (
            self._context.ids.get(Kind.LABEL_SCHEMA, old) for old in cast("list[str]", body.get("schema_ids") or [])
        )
        body["schema_ids"] = [new for new in known if new]

    def _complete(self, key: ObjectKey, record: ServerObjectRecord, target_id: str) -> Iterator[Loss]:
        for old in cast("list[str]", record.payload.get("schema_ids") or []):
            if self._context.ids.get(Kind.LABEL_SCHEMA, old) is None:
                reason = f"The label schema {old} is not at the target, so the queue goes without it."
                yield key.lost("not_found", reason, path=f"schemas/{old}")
        items = record.details.get("items", ())
        post: Callable[..., JSONObject] = partial(self._context.post, workspace=key.workspace)
        for start in range(0, len(items), _ITEMS_PER_CALL):
            names: list[JSONValue] = [text(entry, "item_id") for entry in items[start : start + _ITEMS_PER_CALL]]
            body: JSONObject = {"queue_id": target_id, "item_ids": names, "item_type": "TRACE"}
            yield from attempt(key, "items", partial(post, f"{API3}review-queues/items/add", body))
        for entry in items:
            status = text(entry, "status")
            if not status or status.endswith("PENDING"):
                continue
            body = {"queue_id": target_id, "item_id": text(entry, "item_id"), "status": status}
            if entry.get("completed_by"):
                body["completed_by"] = entry["completed_by"]
            action = partial(post, f"{API3}review-queues/items/set-status", body)
            yield from attempt(key, f"items/{entry.get('item_id')}", action)


class Issues(_InExperiment):
    """Writes issues."""

    field = "issue"
    id_field = "issue_id"
    create_path = API3 + "issues"
    fields = ("description", "status", "severity", "source_run_id", "root_causes", "categories", "created_by")

    def _find(self, key: ObjectKey, record: ServerObjectRecord, target: TargetExperiment) -> JSONObject | None:
        if target.fresh:
            return None
        wanted = (record.payload.get("name"), record.payload.get("description"))
        body: JSONObject = {"experiment_id": target.id, "max_results": 500}
        listed = self._context.pages(f"{API3}issues/search", body, "issues", workspace=key.workspace)
        return next((entry for entry in listed if (entry.get("name"), entry.get("description")) == wanted), None)

    def _rewrite(self, body: JSONObject) -> None:
        new = self._context.ids.get(Kind.RUN, text(body, "source_run_id"))
        body.pop("source_run_id", None)
        if new:
            body["source_run_id"] = new


class BudgetPolicies:
    """Writes budget policies that stand for a whole server or workspace."""

    def __init__(self, context: SinkContext) -> None:
        """Ask nothing yet."""
        self._context = context

    def write(self, item: Item) -> Outcome:
        """Create a budget policy, or take one that says the same."""
        key = item.key
        payload = cast("ServerObjectRecord", item.load().record).payload
        if payload.get("target_value"):
            return unsupported(
                item, "A budget policy of one gateway endpoint needs that endpoint, which is not restored."
            )
        fields = ("budget_unit", "budget_amount", "duration", "target_scope", "budget_action")
        body: JSONObject = {name: payload[name] for name in fields if payload.get(name) is not None}
        path = f"{API3}gateway/budgets/list"
        listed = rows(self._context.client.call("GET", path, workspace=key.workspace), "budget_policies")
        same = next((entry for entry in listed if all(entry.get(n) == v for n, v in body.items())), None)
        if same is not None and self._context.if_exists is not IfExists.DUPLICATE:
            return self._context.existing(key, text(same, "budget_policy_id"))
        if self._context.options.dry_run:
            return self._context.plan(key)
        path = f"{API3}gateway/budgets/create"
        answer = self._context.create(path, body, workspace=key.workspace, find=lambda: None)
        return Outcome(key, Status.STORED, target_id=text(child(answer, "budget_policy"), "budget_policy_id"))


class Unrestorable:
    """Says of kinds that need what no archive has why they do not come along."""

    def __init__(self, reason: str) -> None:
        """Keep the sentence."""
        self._reason = reason

    def write(self, item: Item) -> Outcome:
        """Record the object as lost."""
        return unsupported(item, self._reason)
