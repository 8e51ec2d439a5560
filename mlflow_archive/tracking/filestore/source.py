"""A file store as a source: what its tables tell, and what of the folder did not get into them."""

from __future__ import annotations

from collections.abc import Iterator

from mlflow_archive.spec.kinds import Kind
from mlflow_archive.spec.loss import Loss
from mlflow_archive.spec.manifest import SourceInfo
from mlflow_archive.spec.selection import Selection
from mlflow_archive.stream import Item, Source
from mlflow_archive.tracking.filestore.client import FileStoreClient


class FileStoreSource:
    """Adds losses and remarks to a source. Implements `stream.Source`."""

    def __init__(self, client: FileStoreClient, source: Source) -> None:
        """Read from ``source``, which is closed with this one."""
        self._client = client
        self._source = source

    def describe(self) -> SourceInfo:
        """Name the folder."""
        return self._source.describe()

    def kinds(self) -> tuple[Kind, ...]:
        """Return the kinds that a file store can have."""
        return self._source.kinds()

    def read(self, kind: Kind, selection: Selection) -> Iterator[Item | Loss]:
        """List what could be read, after what could not."""
        if selection.wants(kind):
            names = self._client.experiment_names
            for loss in self._client.losses:
                if loss.kind is kind and _wants(selection, loss, names.get(loss.experiment_id or loss.id, "")):
                    yield loss
        yield from self._source.read(kind, selection)

    def expected(self, kind: Kind, selection: Selection) -> int | None:
        """Tell how many objects will be listed, if that is known."""
        return self._source.expected(kind, selection)

    def notes(self) -> tuple[str, ...]:
        """Say what is special about a file store."""
        return (*self._client.remarks, *self._source.notes())

    def close(self) -> None:
        """Close the source."""
        self._source.close()


def _wants(selection: Selection, loss: Loss, experiment_name: str) -> bool:
    if loss.kind is Kind.EXPERIMENT:
        return selection.wants_experiment(loss.id, experiment_name)
    if loss.kind is Kind.REGISTERED_MODEL:
        return selection.wants_model(loss.id)
    if loss.kind is Kind.PROMPT:
        return selection.wants_prompt(loss.id)
    by_id = {
        Kind.RUN: selection.wants_run_id,
        Kind.TRACE: selection.wants_trace_id,
        Kind.LOGGED_MODEL: selection.wants_logged_model_id,
    }
    return selection.wants_experiment(loss.experiment_id or "", experiment_name) and by_id[loss.kind](loss.id)
