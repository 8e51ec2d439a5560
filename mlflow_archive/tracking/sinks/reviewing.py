"""What people review traces with: label schemas and review queues (kinds kept as the server's own JSON)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import cast

from mlflow_archive.errors import NotFoundError
from mlflow_archive.spec.canonical import JSONObject, JSONValue
from mlflow_archive.spec.kinds import Kind
from mlflow_archive.spec.loss import Loss
from mlflow_archive.spec.records.server_object import ServerObjectRecord
from mlflow_archive.stream import Content, Item, ObjectKey, Outcome, Status
from mlflow_archive.tracking.sinks.context import API3, SinkContext, attempt, child, text
from mlflow_archive.tracking.sinks.experiments import Experiments, TargetExperiment
from mlflow_archive.tracking.sinks.options import IfExists

_ITEMS_PER_CALL = 100


class InExperiment:
    """Writes objects of an experiment that are known by their name."""

    field = ""
    id_field = ""
    create_path = ""
    fields: tuple[str, ...] = ()
    changeable: tuple[str, ...] = ()
    """The fields that can be changed later."""
    compared: tuple[str, ...] = ()
    """The other fields that mean the same at both ends."""
    update_method = "PATCH"
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
        target = self._experiments.readable(key)
        found = self._find(key, record, target)
        if found is not None:
            target_id = text(found, self.id_field)
            self._context.ids.add(key.kind, key.id, target_id)
            return self._take(key, content, found, target)
        if self._context.options.dry_run:
            return self._context.plan(key)
        self._experiments.awake(key)
        target_id = text(self._create(key, record, target), self.id_field)
        self._context.ids.add(key.kind, key.id, target_id)
        losses = (*content.losses, *self._complete(key, record, target_id))
        return Outcome(key, Status.STORED, target_id=target_id, losses=losses)

    def _take(self, key: ObjectKey, content: Content, found: JSONObject, target: TargetExperiment) -> Outcome:
        """Take the object that is there: as it is, brought up to date, or completed after an interruption.

        A name stands for one object here: a second one of the same name cannot be made.
        """
        record, target_id = cast("ServerObjectRecord", content.record), text(found, self.id_field)
        update = self._context.if_exists is IfExists.UPDATE
        if self._context.options.dry_run or not (update or (target.interrupted and self.has_members)):
            return self._context.existing(key, target_id)
        self._experiments.awake(key)
        losses = [*content.losses]
        if update:
            losses += self._update(key, record, found)
        losses += self._complete(key, record, target_id)
        if update:
            return Outcome(key, Status.STORED, reason="updated", target_id=target_id, losses=tuple(losses))
        return Outcome(key, Status.SKIPPED, reason="exists", target_id=target_id, losses=tuple(losses))

    def _update(self, key: ObjectKey, record: ServerObjectRecord, found: JSONObject) -> Iterator[Loss]:
        """Overwrite the fields that the API can change, where they differ."""
        wanted = {n: record.payload[n] for n in self.changeable if record.payload.get(n) is not None}
        changed: JSONObject = {name: value for name, value in wanted.items() if found.get(name) != value}
        if changed:
            yield from attempt(key, "fields", partial(self._send_update, key, text(found, self.id_field), changed))
        fixed = {name: record.payload.get(name) for name in self.fields if name not in self.changeable}
        for name, value in fixed.items():
            if value is not None and name in self.compared and found.get(name) != value:
                reason = f"The {name} of what is there differs, and the API cannot change it."
                yield key.lost("limit", reason, path=name)

    def _send_update(self, key: ObjectKey, target_id: str, changed: JSONObject) -> JSONObject:
        """Send the call that changes an object."""
        path = self.create_path.replace("/create", "/update")
        body = {self.id_field: target_id, **changed}
        return self._context.client.call(self.update_method, path, body=body, workspace=key.workspace)

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


class LabelSchemas(InExperiment):
    """Writes label schemas."""

    field = "label_schema"
    id_field = "schema_id"
    create_path = API3 + "label-schemas/create"
    fields = ("type", "input", "instruction", "enable_comment")
    changeable = ("input", "instruction", "enable_comment")
    compared = ("type",)

    def _find(self, key: ObjectKey, record: ServerObjectRecord, target: TargetExperiment) -> JSONObject | None:
        if not record.payload.get("is_default"):
            return super()._find(key, record, target)
        if self._context.options.dry_run:
            # Listing makes it, so only look whether it is there.
            found = super()._find(key, record, target)
            return found if found and found.get("is_default") else {}
        # The server makes the default question itself, once somebody lists, and lets nobody else make or change it.
        params: JSONObject = {"experiment_id": target.id, "max_results": 100}
        path = API3 + "label-schemas/list"
        listed = self._context.pages(path, params, "label_schemas", workspace=key.workspace, method="GET")
        return next((entry for entry in listed if entry.get("is_default")), None)

    def _take(self, key: ObjectKey, content: Content, found: JSONObject, target: TargetExperiment) -> Outcome:
        if cast("ServerObjectRecord", content.record).payload.get("is_default"):
            reason = "made by the server"
            return Outcome(key, Status.SKIPPED, reason=reason, target_id=text(found, self.id_field))
        return super()._take(key, content, found, target)


class ReviewQueues(InExperiment):
    """Writes review queues with their items."""

    field = "review_queue"
    id_field = "queue_id"
    create_path = API3 + "review-queues/create"
    fields = ("queue_type", "users", "schema_ids", "created_by")
    update_method = "POST"
    has_members = True

    def _update(self, key: ObjectKey, record: ServerObjectRecord, found: JSONObject) -> Iterator[Loss]:
        users = record.payload.get("users")
        if record.payload.get("queue_type") == "USER" or not users or found.get("users") == users:
            # The questions of a queue cannot be changed while it has items, those of a user's queue never.
            return
        changed: JSONObject = {"users": users, "update_users": True}
        yield from attempt(key, "users", partial(self._send_update, key, text(found, self.id_field), changed))

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
