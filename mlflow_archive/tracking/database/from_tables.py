"""The tables of an archive as a source of objects: loaded into a temporary database, which is read by SQL."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, closing

import sqlalchemy as sa

from mlflow_archive.errors import NotFoundError
from mlflow_archive.events import Silence
from mlflow_archive.spec.kinds import Kind
from mlflow_archive.spec.manifest import SourceInfo
from mlflow_archive.spec.selection import Selection
from mlflow_archive.stream import Account, Item, Source
from mlflow_archive.tracking.artifact_contract import ArtifactFault, ArtifactFile, ArtifactOwner
from mlflow_archive.tracking.child import private_folder
from mlflow_archive.tracking.database.addresses import DatabaseAddress
from mlflow_archive.tracking.database.client import DatabaseClient
from mlflow_archive.tracking.database.exact.connection import Target
from mlflow_archive.tracking.database.exact.roots import Moves
from mlflow_archive.tracking.database.exact.sink import ExactOptions, ExactSink
from mlflow_archive.tracking.database.exact.state import Identity
from mlflow_archive.tracking.database.exact.stored_rows import StoredRows
from mlflow_archive.tracking.database.snapshot import Snapshot
from mlflow_archive.tracking.sources.source import MlflowSource

NO_FILES = "The archive holds the tables of a database and no files: runs, models and traces come without theirs."


class TablesSource(MlflowSource):
    """The objects that the tables of an archive are about, without files. Implements `stream.Source`."""

    def notes(self) -> tuple[str, ...]:
        """Say what such an archive cannot give."""
        return (NO_FILES, *super().notes())


class _TablesClient(DatabaseClient):
    """Answers from the temporary database."""

    def __init__(self, snapshot: Snapshot, shown: str) -> None:
        super().__init__(snapshot)
        self.uri = shown
        # What the addresses lead to on this machine is not the archive's.
        self.artifact_roots: Mapping[str, str] = {}
        self.only_kinds = self.only_kinds - {Kind.DATABASE}
        self.of_database = {}


class _NoFiles:
    """No files, whatever is asked for. Implements `ArtifactAccess`."""

    def list(self, owner: ArtifactOwner) -> Iterator[ArtifactFile | ArtifactFault]:  # noqa: ARG002 - the protocol's
        return iter(())

    def open(self, owner: ArtifactOwner, name: str) -> AbstractContextManager[Iterator[bytes]]:
        raise NotFoundError(f"The archive holds no files, and so not the {name} of {owner.kind} {owner.id}.")

    def write(self, owner: ArtifactOwner, name: str, data: Iterator[bytes], size_bytes: int | None) -> None:  # noqa: ARG002
        raise NotFoundError(f"The archive takes no files, and so not the {name} of {owner.kind} {owner.id}.")

    def present(self, experiment_root: str, workspace: str | None = None) -> frozenset[str] | None:  # noqa: ARG002
        return frozenset()

    def close(self) -> None:
        """Nothing is held."""


def source_of_tables(tables: Item, archive: Identity, origin: SourceInfo, *, parallelism: int = 8) -> Source:
    """Load the tables of an archive, brought to the installed MLflow's schema; the caller closes the source.

    Args:
        tables: The archive's object of the tracking database.
        archive: Which archive it is.
        origin: What it was made of.
        parallelism: How many answers may be under way at once.

    Raises:
        IntegrityError: The tables are damaged.
        UnsupportedError: They are of a newer MLflow than the installed one.
    """
    scratch = private_folder(None)
    try:
        file = scratch / "tables.db"
        address = DatabaseAddress(sa.URL.create("sqlite", database=str(file)), origin.uri)
        # Nothing acts in a file that nobody serves; what is restored from it is switched off by who restores it.
        options = ExactOptions(Moves({}), activate=True)
        rows = StoredRows(tables.key, tables.load(), scratch)
        with closing(ExactSink(Target(address), archive, rows, None, options, Silence())) as sink:
            sink.prepare()
            sink.write(tables)
            sink.finish(Account(origin, Selection(), 0, (), {}, {}, ()))
        snapshot = Snapshot.open(f"sqlite:///{file}", parallelism=parallelism)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return TablesSource(_TablesClient(snapshot, origin.uri), _NoFiles(), parallelism=parallelism)
