"""What a workspace wants otherwise than other targets: tags that nobody may set are left out and told of."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

from mlflow_archive.spec.kinds import Kind
from mlflow_archive.spec.loss import Loss
from mlflow_archive.spec.records.experiment import ExperimentRecord
from mlflow_archive.spec.records.run import RunRecord
from mlflow_archive.stream import Account, Content, Item, Outcome, Scope, Sink, Status
from mlflow_archive.tracking.databricks.client import DatabricksClient
from mlflow_archive.tracking.sinks.context import unsupported

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
    ) -> None:
        """Ask nothing yet; the arguments are those of `attaching.sink_at`."""
        self._client = client
        self._inner = inner
        self._notebook_folder = notebook_folder
        self._permissions = permissions
        self._dry_run = dry_run

    def write(self, item: Item) -> Outcome:
        """Write one object, without what the workspace refuses."""
        if item.key.kind not in self._client.only_kinds:
            what = str(item.key.kind).replace("_", " ")
            return unsupported(item, f"A Databricks workspace takes no {what} over MLflow's API.")
        if item.key.workspace is not None:
            return unsupported(item, "A Databricks workspace has no MLflow workspaces within it.")
        refused: list[Loss] = []
        outcome = self._inner.write(replace(item, load=lambda: _without_refused(item, refused)))
        if outcome.status is not Status.STORED or not refused:
            return outcome
        return replace(outcome, losses=(*outcome.losses, *dict.fromkeys(refused)))

    def close_scope(self, scope: Scope) -> None:
        """Pass on what `Sink.close_scope` says."""
        self._inner.close_scope(scope)

    def finish(self, account: Account) -> tuple[Loss, ...]:
        """Finish what is around."""
        return self._inner.finish(account)

    def close(self) -> None:
        """Close what is around."""
        self._inner.close()


def _without_refused(item: Item, refused: list[Loss]) -> Content:
    """Load an object without the tags that the workspace refuses, which are added to ``refused`` as losses."""
    content = item.load()
    if item.key.kind not in (Kind.EXPERIMENT, Kind.RUN):
        return content
    record = cast("ExperimentRecord | RunRecord", content.record)
    names = sorted(REFUSED_TAGS & record.tags.keys())
    if not names:
        return content
    refused += [item.key.lost("refused_tag", _reason(name), path=f"tags/{name}") for name in names]
    kept = {name: value for name, value in record.tags.items() if name not in REFUSED_TAGS}
    return replace(content, record=record.model_copy(update={"tags": kept}))


def _reason(name: str) -> str:
    return f"A Databricks workspace sets the tag {name} itself and takes none from others."
