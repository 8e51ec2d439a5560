"""The tables of a database and no objects (``--only database``): where there are any, and as a source of objects."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace

from mlflow_archive.archive.reader import ArchiveReader
from mlflow_archive.errors import UnsupportedError, UsageError
from mlflow_archive.spec.kinds import Kind
from mlflow_archive.spec.selection import Selection
from mlflow_archive.stream import Item, Source

#: The ids of the objects that are the tracking database, and that of users and permissions.
TRACKING, AUTH = "tracking", "auth"


def asks_for_tables(selection: Selection) -> bool:
    """Tell whether databases are asked for and nothing else."""
    return selection.kinds is not None and selection.kinds - {Kind.WORKSPACE} == {Kind.DATABASE}


def require_parquet() -> None:
    """Raise unless tables can be written and read here.

    Raises:
        UnsupportedError: The sentence says what to install.
    """
    from mlflow_archive.tracking.database.parquet import require

    require()


def require_tables(source: Source, selection: Selection) -> None:
    """Raise if tables alone are asked for, and the source cannot give them.

    Raises:
        UsageError: Less than all tables are asked for.
        UnsupportedError: The source has none, or the package that writes them is missing.
    """
    if not asks_for_tables(selection):
        return
    if not replace(selection, kinds=None, artifacts=True, version_files=False).is_everything:
        raise UsageError("The tables of a database come as a whole: ask for --only database and nothing else.")
    if Kind.DATABASE not in source.kinds():
        raise UnsupportedError(
            f"{source.describe().uri} gives no tables: they are read by SQL from the database behind a server "
            "(--tracking-uri sqlite:///mlflow.db, postgresql://user@host/database, mysql://...).",
            code="no_tables",
        )
    require_parquet()


@contextmanager
def with_objects(source: Source, *, parallelism: int) -> Iterator[Source]:
    """Yield the source; in place of an archive of tables alone, the objects that they are about.

    Raises:
        IntegrityError: The tables are damaged.
        UnsupportedError: They are of a newer MLflow than the installed one, or a package to read them is missing.
    """
    if not isinstance(source, ArchiveReader) or source.kinds() != (Kind.DATABASE,):
        yield source
        return
    tables = tracking_tables(source)
    if tables is None:
        yield source
        return
    from mlflow_archive.spec.records.database import DatabaseRecord
    from mlflow_archive.tracking.database.exact import schema
    from mlflow_archive.tracking.database.exact.state import Identity
    from mlflow_archive.tracking.database.from_tables import source_of_tables

    record = tables.load().record
    revision = record.revision if isinstance(record, DatabaseRecord) else ""
    if isinstance(record, DatabaseRecord):
        schema.require(revision, made_by=record.mlflow_version)
    identity = Identity(source.marker.archive_id, source.root_digest, revision, made=False)
    with closing(source_of_tables(tables, identity, source.origin, parallelism=parallelism)) as objects:
        yield objects


def tracking_tables(source: ArchiveReader) -> Item | None:
    """Return the object of the tracking database, None if the archive has none."""
    return _tables(source, TRACKING)


def users_tables(source: ArchiveReader) -> Item | None:
    """Return the object of the database of users and permissions, None if the archive has none."""
    return _tables(source, AUTH)


def _tables(source: ArchiveReader, id: str) -> Item | None:
    for item in source.read(Kind.DATABASE, Selection()):
        if isinstance(item, Item) and item.key.id == id:
            return item
    return None
