"""One record type for each kind of object; ``spec/v1/objects.md`` is the same in words."""

from __future__ import annotations

from mlflow_archive.spec.canonical import JSONObject
from mlflow_archive.spec.kinds import Kind
from mlflow_archive.spec.records.base import Record
from mlflow_archive.spec.records.database import DatabaseRecord
from mlflow_archive.spec.records.evaluation_dataset import EvaluationDatasetRecord
from mlflow_archive.spec.records.experiment import ExperimentRecord
from mlflow_archive.spec.records.logged_model import LoggedModelRecord
from mlflow_archive.spec.records.prompt import PromptRecord
from mlflow_archive.spec.records.registered_model import RegisteredModelRecord
from mlflow_archive.spec.records.run import RunRecord
from mlflow_archive.spec.records.scorer import ScorerRecord
from mlflow_archive.spec.records.server_object import ServerObjectRecord
from mlflow_archive.spec.records.trace import TraceRecord
from mlflow_archive.spec.records.webhook import WebhookRecord
from mlflow_archive.spec.records.workspace import WorkspaceRecord

#: The record type of each kind; kinds not named here use `ServerObjectRecord`.
_RECORDS: dict[Kind, type[Record]] = {
    Kind.DATABASE: DatabaseRecord,
    Kind.WORKSPACE: WorkspaceRecord,
    Kind.EXPERIMENT: ExperimentRecord,
    Kind.RUN: RunRecord,
    Kind.LOGGED_MODEL: LoggedModelRecord,
    Kind.REGISTERED_MODEL: RegisteredModelRecord,
    Kind.PROMPT: PromptRecord,
    Kind.TRACE: TraceRecord,
    Kind.EVALUATION_DATASET: EvaluationDatasetRecord,
    Kind.SCORER: ScorerRecord,
    Kind.WEBHOOK: WebhookRecord,
}


def record_type(kind: Kind) -> type[Record]:
    """Return the record type of a kind."""
    return _RECORDS.get(kind, ServerObjectRecord)


def parse_record(kind: Kind, value: JSONObject, path: str) -> Record:
    """Check a record that comes from an archive.

    Raises:
        IntegrityError: The record is not of the kind's type (E015).
    """
    return record_type(kind).from_json(value, path)
