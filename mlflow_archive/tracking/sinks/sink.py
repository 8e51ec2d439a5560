"""A running MLflow server as the end that objects go to."""

from __future__ import annotations

from typing import Protocol

from mlflow_archive.errors import ConflictError, UsageError
from mlflow_archive.events import Observer, Silence
from mlflow_archive.spec.kinds import Kind
from mlflow_archive.spec.loss import Loss
from mlflow_archive.stream import Account, Item, Outcome, Scope
from mlflow_archive.tracking.artifacts import ArtifactAccess
from mlflow_archive.tracking.capabilities import FIRST_VERSION
from mlflow_archive.tracking.client import ServerClient
from mlflow_archive.tracking.idmap import IdMap
from mlflow_archive.tracking.sinks.context import SinkContext, unsupported
from mlflow_archive.tracking.sinks.evaluation_datasets import EvaluationDatasets
from mlflow_archive.tracking.sinks.experiments import Experiments
from mlflow_archive.tracking.sinks.governing import BudgetPolicies, Issues
from mlflow_archive.tracking.sinks.logged_models import LoggedModels
from mlflow_archive.tracking.sinks.mcp_servers import McpServers
from mlflow_archive.tracking.sinks.options import SinkOptions
from mlflow_archive.tracking.sinks.registered_models import RegisteredModels
from mlflow_archive.tracking.sinks.reviewing import LabelSchemas, ReviewQueues
from mlflow_archive.tracking.sinks.runs import Runs
from mlflow_archive.tracking.sinks.scorers import Scorers
from mlflow_archive.tracking.sinks.traces import Traces
from mlflow_archive.tracking.sinks.unrestorable import NotOverTheApi, Unrestorable
from mlflow_archive.tracking.sinks.uploading import Uploader
from mlflow_archive.tracking.sinks.webhooks import Webhooks
from mlflow_archive.tracking.sinks.workspaces import Workspaces

_NEEDS_KEY = (
    "Gateway model definitions and endpoints need an API key, which no archive holds; make them again at the target, "
    "the archive says how they were."
)
_NEEDS_ENDPOINT = (
    "Guardrails stand in front of gateway endpoints, which are not restored; the archive says how they were."
)
#: Leave alone what is there, switch nothing on.
CAREFUL = SinkOptions()


class KindSink(Protocol):
    """Writes the objects of one kind."""

    def write(self, item: Item) -> Outcome:
        """Take one object; as `Sink.write`."""
        ...


class MlflowSink:
    """Writes objects to an MLflow server over its REST API; implements `mlflow_archive.stream.Sink`.

    Objects get new ids where the API makes them, and every reference to them is rewritten. Each created object
    carries provenance tags (`mlflow_archive.spec.provenance`), by which a second restore finds it. What has to wait
    for other objects (links between runs and models, deletions) is done between the kinds and in `finish`.
    """

    def __init__(
        self,
        client: ServerClient,
        artifacts: ArtifactAccess,
        options: SinkOptions = CAREFUL,
        *,
        parallelism: int = 8,
        observer: Observer | None = None,
    ) -> None:
        """Prepare a restore; nothing is asked of the server yet.

        Args:
            client: The target server; closed by who made it.
            artifacts: The way to its artifacts; closed by who made it.
            options: What the operator decides.
            parallelism: Files uploaded and links made at the same time.
            observer: Hears of the bytes that move, and of what a person should know.
        """
        watcher = observer or Silence()
        self._uploader = Uploader(artifacts, IdMap(), watcher, parallelism, edit_mlmodels=options.edit_mlmodels)
        self._context = SinkContext(client, self._uploader, options, watcher, parallelism)
        experiments = Experiments(self._context)
        self._runs = Runs(self._context, experiments)
        self._logged_models = LoggedModels(self._context, experiments)
        self._traces = Traces(self._context, experiments)
        registered_models = RegisteredModels(self._context)
        self._kinds: dict[Kind, KindSink] = {
            Kind.DATABASE: NotOverTheApi(),
            Kind.EXPERIMENT: experiments,
            Kind.RUN: self._runs,
            Kind.LOGGED_MODEL: self._logged_models,
            Kind.REGISTERED_MODEL: registered_models,
            Kind.PROMPT: registered_models,
            Kind.TRACE: self._traces,
            Kind.WORKSPACE: Workspaces(self._context),
            Kind.EVALUATION_DATASET: EvaluationDatasets(self._context),
            Kind.SCORER: Scorers(self._context, experiments),
            Kind.LABEL_SCHEMA: LabelSchemas(self._context, experiments),
            Kind.REVIEW_QUEUE: ReviewQueues(self._context, experiments),
            Kind.ISSUE: Issues(self._context, experiments),
            Kind.BUDGET_POLICY: BudgetPolicies(self._context),
            Kind.WEBHOOK: Webhooks(self._context),
            Kind.GATEWAY_MODEL_DEFINITION: Unrestorable(_NEEDS_KEY),
            Kind.GATEWAY_ENDPOINT: Unrestorable(_NEEDS_KEY),
            Kind.GUARDRAIL: Unrestorable(_NEEDS_ENDPOINT),
            Kind.MCP_SERVER: McpServers(self._context),
        }

    @property
    def ids(self) -> IdMap:
        """What became of the source's ids."""
        return self._context.ids

    def write(self, item: Item) -> Outcome:
        """Write one object with everything that belongs to it."""
        if not self._context.options.dry_run:
            self._context.agenda.advance(item.key.kind)
        first = FIRST_VERSION[item.key.kind]
        if not self._context.client.at_least(first):
            what, version = str(item.key.kind).replace("_", " "), self._context.client.version
            return unsupported(
                item, f"The target's MLflow {version} does not know the kind {what}; {first} and later do."
            )
        try:
            return self._kinds[item.key.kind].write(item)
        except ConflictError as error:
            if error.code == ConflictError.code:
                raise
            # The server's own "exists already" is about one object only, and must not end the transfer.
            raise UsageError(str(error), code=error.code) from error

    def close_scope(self, scope: Scope) -> None:
        """Forget what was listed for the objects of this scope."""
        if scope.kind is Kind.RUN:
            self._runs.close_scope(scope)
        elif scope.kind is Kind.LOGGED_MODEL:
            self._logged_models.close_scope(scope)
        elif scope.kind is Kind.TRACE:
            self._traces.close_scope(scope)

    def finish(self, account: Account) -> tuple[Loss, ...]:  # noqa: ARG002
        """Make the links that are left, delete what is deleted at the source; return what did not come out right."""
        return self._context.agenda.finish()

    def close(self) -> None:
        """End the uploads under way; the client stays open."""
        self._uploader.close()
