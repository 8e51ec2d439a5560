"""`MadeRows`: from the objects of an archive to the rows of a database of one revision."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from mlflow_archive.spec.kinds import Kind
from mlflow_archive.spec.loss import Loss
from mlflow_archive.stream import Content, ObjectKey
from mlflow_archive.tracking.database.exact.made import (
    evaluation_datasets,
    experiments,
    gateway,
    issues,
    label_schemas,
    logged_models,
    mcp_servers,
    registered_models,
    review_queues,
    runs,
    scorers,
    traces,
    webhooks,
    workspaces,
)
from mlflow_archive.tracking.database.exact.made.making import Making, TableRows

_Maker = Callable[[Making, ObjectKey, Content], Iterator[TableRows]]

_MAKERS: dict[Kind, _Maker] = {
    Kind.WORKSPACE: workspaces.rows,
    Kind.EXPERIMENT: experiments.rows,
    Kind.RUN: runs.rows,
    Kind.LOGGED_MODEL: logged_models.rows,
    Kind.REGISTERED_MODEL: registered_models.rows,
    Kind.PROMPT: registered_models.rows,
    Kind.TRACE: traces.rows,
    Kind.EVALUATION_DATASET: evaluation_datasets.rows,
    Kind.SCORER: scorers.rows,
    Kind.LABEL_SCHEMA: label_schemas.rows,
    Kind.REVIEW_QUEUE: review_queues.rows,
    Kind.ISSUE: issues.rows,
    Kind.GATEWAY_MODEL_DEFINITION: gateway.rows,
    Kind.GATEWAY_ENDPOINT: gateway.rows,
    Kind.BUDGET_POLICY: gateway.rows,
    Kind.GUARDRAIL: gateway.rows,
    Kind.MCP_SERVER: mcp_servers.rows,
    Kind.WEBHOOK: webhooks.rows,
}


class MadeRows:
    """Makes the rows that MLflow's own store would have written for the objects of an archive.

    Objects must come in the order of `KIND_ORDER`: then each row comes after those that its foreign keys name. Rows of
    one table have always the same columns, all but generated ones. Ids that no API shows are derived from what they
    stand for: the same archive gives the same rows. Safe to use from several threads, for one kind after the other.
    """

    #: The revision of the schema that the rows are for (MLflow 3.17).
    REVISION = "dc11669786a5"

    def __init__(self, *, deleted_ms: int | None = None) -> None:
        """Make nothing yet.

        Args:
            deleted_ms: When the archive was made, milliseconds since the epoch: the time at which deleted runs count
                as deleted, as no API tells it. Without it they have none, and `mlflow gc` passes them over.
        """
        self._making = Making(deleted_ms)

    def rows_of(self, key: ObjectKey, content: Content) -> Iterator[TableRows]:
        """Yield the rows of an object, lazily: name of a table and at most 10,000 rows of it.

        Raises:
            UnsupportedError: A database cannot hold the object; nothing of it was yielded.
            IntegrityError: A part cannot be read to its end; rows of the object may have been yielded before.
        """
        maker = _MAKERS.get(key.kind)
        return iter(()) if maker is None else maker(self._making, key, content)

    def finish(self) -> Iterator[TableRows]:
        """Yield the rows that only the end can tell, after those of all objects."""
        yield from workspaces.default_row(self._making)
        yield from scorers.waiting_rows(self._making)
        yield from gateway.guardrail_rows(self._making)

    @property
    def losses(self) -> tuple[Loss, ...]:
        """Parts of objects that have no row so far."""
        return tuple(self._making.losses)

    @property
    def notes(self) -> tuple[str, ...]:
        """What the rows lack or had to be given, because no API tells it: sentences, each once."""
        return self._making.notes()
