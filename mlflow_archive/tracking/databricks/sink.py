"""What a workspace wants otherwise than other targets, and what it can do beyond them.

Tags that nobody may set are left out and told of; permissions are set, and notebooks imported, when that is wished.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from threading import Lock
from typing import cast

from mlflow_archive.events import Note, Observer
from mlflow_archive.spec import provenance
from mlflow_archive.spec.kinds import Kind
from mlflow_archive.spec.loss import Loss
from mlflow_archive.spec.records.experiment import ExperimentRecord
from mlflow_archive.spec.records.registered_model import RegisteredModelRecord
from mlflow_archive.spec.records.run import RunRecord
from mlflow_archive.stream import Account, Content, Item, ObjectKey, Outcome, Scope, Sink, Status
from mlflow_archive.tracking.databricks.client import DatabricksClient
from mlflow_archive.tracking.databricks.notebooks import ImportedNotebooks
from mlflow_archive.tracking.databricks.permissions import Permissions
from mlflow_archive.tracking.databricks.unity_catalog import in_unity_catalog, unity_key
from mlflow_archive.tracking.paging import mapping, member
from mlflow_archive.tracking.sinks.context import own_tags, unsupported

#: Tags of runs and experiments that a workspace sets itself, and refuses from others.
REFUSED_TAGS = frozenset(
    {
        "mlflow.user",
        "mlflow.log-model.history",
        "mlflow.rootRunId",
        "mlflow.experiment.sourceType",
        "mlflow.experiment.sourceId",
    }
)


class WorkspaceSink:
    """Stands around the sink of a workspace; see `stream.Sink`. Does not close it."""

    def __init__(
        self,
        client: DatabricksClient,
        inner: Sink,
        *,
        notebook_folder: str | None,
        permissions: bool,
        dry_run: bool,
        observer: Observer,
    ) -> None:
        """Ask nothing yet; the arguments are those of `attaching.sink_at`."""
        self._client = client
        self._inner = inner
        self._notebooks = ImportedNotebooks(client, notebook_folder) if notebook_folder is not None else None
        self._permissions = Permissions(client) if permissions else None
        self._dry_run = dry_run
        self._observer = observer
        self._refused: Counter[str] = Counter()
        self._counting = Lock()

    def write(self, item: Item) -> Outcome:
        """Write one object, without what the workspace refuses."""
        if item.key.kind not in self._client.only_kinds:
            what = str(item.key.kind).replace("_", " ")
            return unsupported(item, f"A Databricks workspace takes no {what} over MLflow's API.")
        if item.key.workspace is not None:
            return unsupported(item, "A Databricks workspace has no MLflow workspaces within it.")
        trip = _Trip(item)
        outcome = self._inner.write(replace(item, load=trip.load))
        if outcome.status is Status.LOST:
            return outcome
        if outcome.status is Status.STORED:
            with self._counting:
                self._refused.update(trip.refused)
        more = () if self._dry_run else (*self._complete(trip, outcome),)
        return replace(outcome, losses=(*outcome.losses, *more)) if more else outcome

    def _complete(self, trip: _Trip, outcome: Outcome) -> Iterator[Loss]:
        """Do what only a workspace can, for an object that is at the target now."""
        key, made = trip.item.key, outcome.status is Status.STORED
        if key.kind is Kind.RUN and made and self._notebooks is not None and trip.content is not None:
            yield from self._notebooks.bring(key, outcome.target_id, trip.content.blobs())
        if key.kind is Kind.REGISTERED_MODEL and made and in_unity_catalog(outcome.target_id):
            yield from _renamed_tags(key, cast("RegisteredModelRecord", (trip.content or trip.load()).record))
        if key.kind in (Kind.EXPERIMENT, Kind.REGISTERED_MODEL) and self._permissions is not None:
            record = cast("ExperimentRecord | RegisteredModelRecord", (trip.content or trip.load()).record)
            if record.permissions and (made or self._is_ours(key.kind, outcome.target_id)):
                yield from self._permissions.grant(key, outcome.target_id, record.permissions)

    def _is_ours(self, kind: Kind, target_id: str) -> bool:
        """Tell whether an earlier restore made an object, perhaps one that did not come to its end."""
        word, field, of = (
            ("experiments", "experiment_id", "experiment")
            if kind is Kind.EXPERIMENT
            else ("registered-models", "name", "registered_model")
        )
        answer = self._client.call("GET", f"/api/2.0/mlflow/{word}/get", params={field: target_id})
        return provenance.SOURCE_ID in mapping(member(answer, of).get("tags"))

    def close_scope(self, scope: Scope) -> None:
        """Pass on what `Sink.close_scope` says."""
        self._inner.close_scope(scope)

    def finish(self, account: Account) -> tuple[Loss, ...]:
        """Finish what is around, and tell how many values of tags stay in the archive."""
        for name, count in sorted(self._refused.items()):
            objects = "one object" if count == 1 else f"{count:,} objects"
            self._observer.notify(
                Note(
                    f"A Databricks workspace sets the tag {name} itself and takes none from others: {objects} came "
                    "without the source's."
                )
            )
        return self._inner.finish(account)

    def close(self) -> None:
        """Close what is around."""
        self._inner.close()


class _Trip:
    """One object on its way: its content without what the workspace refuses, and what that is."""

    def __init__(self, item: Item) -> None:
        self.item = item
        self.content: Content | None = None
        self.refused: frozenset[str] = frozenset()

    def load(self) -> Content:
        """Load the object; see `Item.load`."""
        content, key = self.item.load(), self.item.key
        if key.kind in (Kind.EXPERIMENT, Kind.RUN):
            record = cast("ExperimentRecord | RunRecord", content.record)
            self.refused = REFUSED_TAGS & record.tags.keys()
            kept = {name: value for name, value in record.tags.items() if name not in REFUSED_TAGS}
            content = replace(content, record=record.model_copy(update={"tags": kept}))
        self.content = content
        return content


def _renamed_tags(key: ObjectKey, record: RegisteredModelRecord) -> Iterator[Loss]:
    places = [("", record.tags), *((f"versions/{version.version}/", version.tags) for version in record.versions)]
    for place, tags in places:
        for name in sorted(own_tags(tags)):
            if unity_key(name) != name:
                reason = f"Unity Catalog takes no tag called {name}; it is there as {unity_key(name)}."
                yield key.lost("renamed_tag", reason, path=f"{place}tags/{name}")
