"""Archives with the tables of a database, made by what dumps them."""

from __future__ import annotations

from mlflow_archive.operations.backup import archive
from mlflow_archive.spec.kinds import Kind
from mlflow_archive.spec.manifest import SourceInfo
from mlflow_archive.spec.selection import Selection
from mlflow_archive.storage.opening import open_store
from mlflow_archive.tracking.database.dump import DatabaseDump
from mlflow_archive.tracking.database.snapshot import Snapshot


class TablesOnly:
    """A source with nothing but the tables."""

    def __init__(self, snapshot):
        self._snapshot = snapshot
        self._dump = DatabaseDump(snapshot)

    def describe(self):
        return SourceInfo(type="mlflow", uri=self._snapshot.address.shown)

    def kinds(self):
        return (Kind.DATABASE,)

    def read(self, kind, selection):
        return self._dump.items(lambda sentence: None)

    def expected(self, kind, selection):
        return 1

    def notes(self):
        return ()

    def close(self):
        self._snapshot.close()


def archive_tables(uri, folder):
    """Write the tables of a database into an archive, and return its URL."""
    snapshot = Snapshot.open(uri)
    try:
        archive(TablesOnly(snapshot), open_store(str(folder)), Selection())
    finally:
        snapshot.close()
    return str(folder)


def rows_of(uri, **how):
    """Return all rows of all tables: name -> sorted rows; what the dump leaves out is not in it."""
    snapshot = Snapshot.open(uri, **how)
    try:
        names = {name for name in snapshot.tables if not name.startswith("alembic")}
        return {
            name: sorted(map(repr, (row for batch in snapshot.batches(snapshot.tables[name]) for row in batch)))
            for name in sorted(names)
        }
    finally:
        snapshot.close()
