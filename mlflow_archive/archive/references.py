"""What a record says of other objects: its own id, and references that should resolve within the archive."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import cast

from mlflow_archive.spec.kinds import Kind
from mlflow_archive.spec.object import ObjectDocument
from mlflow_archive.spec.records.base import Payload, Record
from mlflow_archive.spec.records.evaluation_dataset import EvaluationDatasetRecord
from mlflow_archive.spec.records.experiment import ExperimentRecord
from mlflow_archive.spec.records.logged_model import LoggedModelRecord
from mlflow_archive.spec.records.registered_model import RegisteredModelRecord
from mlflow_archive.spec.records.run import RunRecord
from mlflow_archive.spec.records.scorer import ScorerRecord
from mlflow_archive.spec.records.trace import TraceRecord
from mlflow_archive.spec.records.webhook import WebhookRecord
from mlflow_archive.spec.records.workspace import WorkspaceRecord

#: The kinds that others refer to by id.
REFERRED: frozenset[Kind] = frozenset({Kind.EXPERIMENT, Kind.RUN, Kind.LOGGED_MODEL})
PARENT_RUN_TAG = "mlflow.parentRunId"
SOURCE_RUN_METADATA = "mlflow.sourceRun"

Ids = dict[Kind, set[str]]
Missing = Iterator[tuple[str, str]]


def identity_fault(document: ObjectDocument, record: Record) -> str | None:
    """Return how the record's own id differs from its document's (E035), None if it does not."""
    own_id, experiment_id = _identity(record)
    if own_id is not None and own_id != document.id:
        return f"the record is of {own_id!r}, the document of {document.id!r}"
    if experiment_id is not None and document.experiment_id is not None and experiment_id != document.experiment_id:
        return f"the record is in experiment {experiment_id!r}, the document in {document.experiment_id!r}"
    return None


def missing_references(record: Record, known: Ids) -> Missing:
    """Yield a rule and a sentence for each reference that leaves the archive."""
    for type_, find in _FINDERS:
        if isinstance(record, type_):
            yield from find(record, known)


def _identity(record: Record) -> tuple[str | None, str | None]:
    if isinstance(record, RunRecord):
        return record.info.run_id, record.info.experiment_id
    if isinstance(record, LoggedModelRecord):
        return record.info.model_id, record.info.experiment_id
    if isinstance(record, TraceRecord):
        return record.info.trace_id, record.experiment_id
    if isinstance(record, ScorerRecord):
        return record.scorer_name, record.experiment_id
    if isinstance(record, ExperimentRecord):
        return record.experiment_id, None
    if isinstance(record, (RegisteredModelRecord, WorkspaceRecord)):
        return record.name, None
    if isinstance(record, EvaluationDatasetRecord):
        return record.dataset_id, None
    return (record.webhook_id, None) if isinstance(record, WebhookRecord) else (None, None)


def _of_run(record: Record, known: Ids) -> Missing:
    run = cast("RunRecord", record)
    parent = run.tags.get(PARENT_RUN_TAG)
    if parent and parent not in known[Kind.RUN]:
        yield "W010", f"the parent run {parent!r} is not in the archive"
    for model_id in sorted(_model_ids(run.model_inputs) | _model_ids(run.model_outputs)):
        if model_id not in known[Kind.LOGGED_MODEL]:
            yield "W015", f"the logged model {model_id!r} is not in the archive"


def _of_registered_model(record: Record, known: Ids) -> Missing:
    model = cast("RegisteredModelRecord", record)
    numbers = {version.version for version in model.versions}
    for version in model.versions:
        if version.run_id and version.run_id not in known[Kind.RUN]:
            yield "W011", f"the run {version.run_id!r} of version {version.version} is not in the archive"
        if version.model_id and version.model_id not in known[Kind.LOGGED_MODEL]:
            yield "W012", f"the logged model {version.model_id!r} of version {version.version} is not in the archive"
    for alias, number in sorted(model.aliases.items()):
        if number not in numbers:
            yield "W017", f"the alias {alias!r} names version {number}, which is not there"


def _of_logged_model(record: Record, known: Ids) -> Missing:
    run_id = cast("LoggedModelRecord", record).info.source_run_id
    if run_id and run_id not in known[Kind.RUN]:
        yield "W013", f"the source run {run_id!r} is not in the archive"


def _of_trace(record: Record, known: Ids) -> Missing:
    trace = cast("TraceRecord", record)
    for run_id in sorted({trace.info.trace_metadata.get(SOURCE_RUN_METADATA, ""), *trace.run_ids} - {""}):
        if run_id not in known[Kind.RUN]:
            yield "W014", f"the run {run_id!r} is not in the archive"


def _of_evaluation_dataset(record: Record, known: Ids) -> Missing:
    for experiment_id in cast("EvaluationDatasetRecord", record).experiment_ids:
        if experiment_id not in known[Kind.EXPERIMENT]:
            yield "W016", f"the experiment {experiment_id!r} is not in the archive"


_FINDERS: tuple[tuple[type[Record], Callable[[Record, Ids], Missing]], ...] = (
    (RunRecord, _of_run),
    (RegisteredModelRecord, _of_registered_model),
    (LoggedModelRecord, _of_logged_model),
    (TraceRecord, _of_trace),
    (EvaluationDatasetRecord, _of_evaluation_dataset),
)


def _model_ids(payloads: tuple[Payload, ...]) -> set[str]:
    return {str(payload["model_id"]) for payload in payloads if payload.get("model_id")}
