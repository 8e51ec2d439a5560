"""Issues and budget policies: they bear no name of their own, so each one at the target is taken once."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Lock
from typing import cast

from mlflow_archive.spec.canonical import JSONObject
from mlflow_archive.spec.kinds import Kind
from mlflow_archive.spec.records.server_object import ServerObjectRecord
from mlflow_archive.stream import Item, ObjectKey, Outcome, Status
from mlflow_archive.tracking.paging import integer
from mlflow_archive.tracking.sinks.context import API3, SinkContext, child, text, unsupported
from mlflow_archive.tracking.sinks.experiments import Experiments, TargetExperiment
from mlflow_archive.tracking.sinks.options import IfExists
from mlflow_archive.tracking.sinks.reviewing import InExperiment


class Claims:
    """Objects of the target that stand for one of the source already."""

    def __init__(self) -> None:
        """Start with none."""
        self._taken: set[str] = set()
        self._lock = Lock()

    def first(self, entries: Iterator[JSONObject], id_field: str) -> JSONObject | None:
        """Return the first entry that nobody has taken, and take it."""
        with self._lock:
            for entry in entries:
                if text(entry, id_field) not in self._taken:
                    self._taken.add(text(entry, id_field))
                    return entry
        return None

    def add(self, taken: str) -> None:
        """Note what was just made."""
        with self._lock:
            self._taken.add(taken)


class Issues(InExperiment):
    """Writes issues."""

    field = "issue"
    id_field = "issue_id"
    create_path = API3 + "issues"
    fields = ("description", "status", "severity", "source_run_id", "root_causes", "categories", "created_by")
    changeable = ("description", "status", "severity")
    compared = ("root_causes", "categories", "created_by")

    def __init__(self, context: SinkContext, experiments: Experiments) -> None:
        """Ask nothing yet."""
        super().__init__(context, experiments)
        self._claims = Claims()

    def _create(self, key: ObjectKey, record: ServerObjectRecord, target: TargetExperiment) -> JSONObject:
        made = super()._create(key, record, target)
        self._claims.add(text(made, self.id_field))
        return made

    def _find(self, key: ObjectKey, record: ServerObjectRecord, target: TargetExperiment) -> JSONObject | None:
        if target.fresh:
            return None
        wanted = (record.payload.get("name"), record.payload.get("description"))
        body: JSONObject = {"experiment_id": target.id, "max_results": 500}
        listed = self._context.pages(f"{API3}issues/search", body, "issues", workspace=key.workspace)
        same = [entry for entry in listed if (entry.get("name"), entry.get("description")) == wanted]
        # Issues that say the same are told apart by their order: the oldest was made first, for the first.
        same.sort(key=lambda entry: integer(entry.get("created_timestamp")) or 0)
        return self._claims.first(iter(same), self.id_field)

    def _rewrite(self, body: JSONObject) -> None:
        new = self._context.ids.get(Kind.RUN, text(body, "source_run_id"))
        body.pop("source_run_id", None)
        if new:
            body["source_run_id"] = new

    def _send_update(self, key: ObjectKey, target_id: str, changed: JSONObject) -> JSONObject:
        path = f"{self.create_path}/{target_id}"
        body: JSONObject = {self.id_field: target_id, **changed}
        return self._context.client.call("PATCH", path, body=body, workspace=key.workspace)


class BudgetPolicies:
    """Writes budget policies that stand for a whole server or workspace.

    One that says the same is the same; one that says anything else is another one, so there is nothing to update.
    """

    def __init__(self, context: SinkContext) -> None:
        """Ask nothing yet."""
        self._context = context
        self._claims = Claims()

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
        if self._context.if_exists is not IfExists.DUPLICATE:
            same = self._same(key, body)
            if same is not None:
                return self._context.existing(key, text(same, "budget_policy_id"))
        if self._context.options.dry_run:
            return self._context.plan(key)

        def find() -> JSONObject | None:
            found = self._same(key, body)
            return {"budget_policy": found} if found is not None else None

        answer = self._context.create(f"{API3}gateway/budgets/create", body, workspace=key.workspace, find=find)
        made = text(child(answer, "budget_policy"), "budget_policy_id")
        self._claims.add(made)
        return Outcome(key, Status.STORED, target_id=made)

    def _same(self, key: ObjectKey, body: JSONObject) -> JSONObject | None:
        params: JSONObject = {"max_results": 100}
        path = f"{API3}gateway/budgets/list"
        listed = self._context.pages(path, params, "budget_policies", workspace=key.workspace, method="GET")
        same = (entry for entry in listed if all(entry.get(name) == value for name, value in body.items()))
        return self._claims.first(same, "budget_policy_id")
