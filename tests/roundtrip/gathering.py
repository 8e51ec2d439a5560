"""What a selection of a source brings: ids, versions, losses."""

from __future__ import annotations

from typing import Any

from mlflow_archive.operations.closure import closed_under
from mlflow_archive.operations.selecting import make_selection
from mlflow_archive.operations.transfer import transfer
from mlflow_archive.spec.kinds import Kind
from mlflow_archive.spec.loss import Loss
from mlflow_archive.spec.records.registered_model import RegisteredModelRecord
from mlflow_archive.stream import Account, Item, Outcome, Scope, Source, Status
from mlflow_archive.tracking.artifacts import open_artifacts
from mlflow_archive.tracking.connecting import connect
from mlflow_archive.tracking.sources.source import MlflowSource

#: Kind and id -> versions of registered models and prompts.
Found = dict[tuple[Kind, str], "tuple[int, ...]"]


class Gathering:
    """A sink that notes what comes: of models and prompts the versions."""

    def __init__(self) -> None:
        self.found: Found = {}

    def write(self, item: Item) -> Outcome:
        content = item.load()
        record = content.record
        versions = record.versions if isinstance(record, RegisteredModelRecord) else ()
        self.found[item.key.kind, item.key.id] = tuple(version.version for version in versions)
        return Outcome(item.key, Status.STORED, losses=content.losses)

    def close_scope(self, scope: Scope) -> None:
        pass

    def finish(self, account: Account) -> tuple[Loss, ...]:
        return ()

    def close(self) -> None:
        pass


def gathered(source: Source, **wishes: Any) -> tuple[Found, list[tuple[Kind, str, str | None]]]:
    """Return what came, without files, and what was lost."""
    selection = make_selection(**{"without": ["artifacts"], **wishes})
    sink = Gathering()
    report = transfer(closed_under(source, selection), sink, selection)
    return sink.found, sorted((loss.kind, loss.id, loss.path) for loss in report.losses)


def ids(found: Found, kind: Kind) -> set[str]:
    """Return the ids of a kind."""
    return {id for of, id in found if of is kind}


def source_at(uri: str) -> MlflowSource:
    """Return a server as a source; the caller closes it."""
    client = connect(uri, read_only=True)
    return MlflowSource(client, open_artifacts(client, roots={}))
