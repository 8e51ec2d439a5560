"""Exact restore: an archive into an empty database, with every id as it was.

From its tables where it has them and all of it is wanted, otherwise from its objects.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from itertools import groupby, islice
from typing import TYPE_CHECKING, Any

from mlflow_archive.archive.reader import ArchiveReader
from mlflow_archive.errors import IntegrityError, UsageError
from mlflow_archive.events import Observer, Silence
from mlflow_archive.operations.closure import closed_under
from mlflow_archive.operations.ends import AS_THE_SERVER_SAYS, CAREFUL, ArtifactPlaces, ServerChoices, stored_source
from mlflow_archive.operations.report import Report
from mlflow_archive.operations.restore import Notes, restore
from mlflow_archive.operations.tables import tracking_tables, users_tables
from mlflow_archive.operations.transfer import SerialisedObserver, transfer
from mlflow_archive.spec.kinds import Kind
from mlflow_archive.spec.records import parse_record
from mlflow_archive.spec.selection import Selection
from mlflow_archive.stream import Blob, Item, Source

if TYPE_CHECKING:
    from mlflow_archive.predecessor.source import PredecessorSource
    from mlflow_archive.tracking.database.addresses import DatabaseAddress
    from mlflow_archive.tracking.database.exact.files import ExactFiles
    from mlflow_archive.tracking.database.exact.rows import RowSource
    from mlflow_archive.tracking.database.exact.sink import ExactSink
    from mlflow_archive.tracking.database.exact.state import Identity
    from mlflow_archive.tracking.database.exact.with_users import SinkWithUsers

#: In each scope of an archive that has no index of files, so many objects are looked at for one with files.
_TRIED = 5
_WITH_FILES = (Kind.RUN, Kind.LOGGED_MODEL, Kind.TRACE, Kind.REGISTERED_MODEL)


@dataclass(frozen=True, slots=True)
class _Given:
    """Where rows come from, which archive that is, and the objects that go with them."""

    rows: RowSource
    archive: Identity
    objects: Source


@dataclass(frozen=True, slots=True)
class ExactChoices:
    """What an exact restore is asked beyond every restore.

    Attributes:
        moves: Beginnings of artifact addresses in the rows -> what takes their place.
        start_over: Clear what an interrupted exact restore left, of whichever archive.
        auth_uri: The database for users and permissions; None leaves them out.
    """

    moves: Mapping[str, str] = field(default_factory=dict)
    start_over: bool = False
    auth_uri: str | None = None


def exact_choices(
    *, exact: bool, moves: Mapping[str, str] | None, start_over: bool, auth_uri: str | None = None
) -> ExactChoices | None:
    """Return what an exact restore is asked; None if none is wanted.

    Raises:
        UsageError: Something is asked that only an exact restore does.
    """
    if exact:
        return ExactChoices(dict(moves or {}), start_over, auth_uri)
    if moves or start_over or auth_uri is not None:
        raise UsageError("Only an exact restore moves artifacts, starts over or brings users: add --exact.")
    return None


def restore_or_exactly(src_url: str, tracking_uri: str | None, *, exact: ExactChoices | None, **how: Any) -> Report:
    """Restore over the API, or exactly if that is asked for; see `restore` and `restore_exactly`."""
    if exact is None:
        return restore(src_url, tracking_uri, **how)
    return restore_exactly(src_url, tracking_uri, exact=exact, **how)


def restore_exactly(  # noqa: PLR0913 - the choices of a restore
    src_url: str,
    tracking_uri: str | None,
    *,
    selection: Selection,
    exact: ExactChoices,
    choices: ServerChoices = CAREFUL,
    parallelism: int = 8,
    artifacts: ArtifactPlaces = AS_THE_SERVER_SAYS,
    storage_options: Mapping[str, object] | None = None,
    observer: Observer | None = None,
) -> Report:
    """Bring an archive into a database; see `mlflow_archive.api.restore`."""
    from mlflow_archive.tracking.database.addresses import database_address, is_database

    _require_nothing_changed(choices)
    if tracking_uri is None or not is_database(tracking_uri):
        raise UsageError(
            "An exact restore writes a database: give its URI by --tracking-uri (sqlite:///mlflow.db, "
            "postgresql://user:password@host/database, mysql://...)."
        )
    notes = Notes(observer or Silence())
    watcher = SerialisedObserver(notes)
    with ExitStack() as stack:
        source = stack.enter_context(stored_source(src_url, storage_options=storage_options))
        address = database_address(tracking_uri)
        given = _given(source, selection, parallelism)
        sink = _sink(given, stack, address, selection, choices, exact, parallelism, artifacts, watcher)
        both = _with_users(sink, stack, source, given, exact, choices, watcher)
        both.prepare()
        report = transfer(
            given.objects,
            both,
            selection,
            observer=watcher,
            parallelism=parallelism,
            verb="restore",
            dry_run=choices.dry_run,
            target=address.shown,
        )
    return replace(report, notes=tuple(dict.fromkeys(notes.heard)))


def _require_nothing_changed(choices: ServerChoices) -> None:
    if choices.if_exists not in ("skip", "update"):
        raise UsageError(
            f"An exact restore makes nothing beside what is there: --if-exists {choices.if_exists} has no meaning."
        )
    plain = ServerChoices(if_exists=choices.if_exists, activate=choices.activate, dry_run=choices.dry_run)
    if choices != plain:
        raise UsageError("An exact restore changes no name, tag or user: leave these options out, or --exact.")


def _given(source: ArchiveReader | PredecessorSource, selection: Selection, parallelism: int) -> _Given:
    """Choose between tables and objects."""
    from mlflow_archive.tracking.database.exact import schema
    from mlflow_archive.tracking.database.exact.made.rows import MadeRows
    from mlflow_archive.tracking.database.exact.made_rows import ObjectRows
    from mlflow_archive.tracking.database.exact.state import Identity
    from mlflow_archive.tracking.database.exact.stored_rows import StoredRows

    whole = replace(selection, artifacts=True) == Selection()
    if isinstance(source, ArchiveReader):
        tables, made_ms = tracking_tables(source), source.manifest.finished_ms
        archive = Identity(source.marker.archive_id, source.root_digest, MadeRows.REVISION, made=True)
    else:
        tables, made_ms = None, source.exported_ms
        archive = Identity(source.describe().uri, "", MadeRows.REVISION, made=True)
    if tables is not None and whole:
        stored = StoredRows(tables.key, tables.load())
        schema.require(stored.record.revision, made_by=stored.record.mlflow_version)
        return _Given(stored, replace(archive, revision=stored.record.revision, made=False), source)
    if tables is not None and source.kinds() == (Kind.DATABASE,):
        raise UsageError(
            "The archive has tables and no objects, and of tables no part can be restored: leave the selection out."
        )
    schema.require_for_objects(MadeRows.REVISION)
    objects = closed_under(source, selection)
    made = ObjectRows(objects, selection, deleted_ms=made_ms or None, parallelism=parallelism, whole=whole)
    return _Given(made, archive, objects)


def _sink(  # noqa: PLR0913, PLR0917 - everything that one end needs
    given: _Given,
    stack: ExitStack,
    address: DatabaseAddress,
    selection: Selection,
    choices: ServerChoices,
    exact: ExactChoices,
    parallelism: int,
    artifacts: ArtifactPlaces,
    observer: Observer,
) -> ExactSink:
    from mlflow_archive.tracking.database.exact.connection import Target
    from mlflow_archive.tracking.database.exact.files import ExactFiles
    from mlflow_archive.tracking.database.exact.roots import Moves
    from mlflow_archive.tracking.database.exact.sink import ExactOptions, ExactSink

    moves = Moves(exact.moves)
    files = None
    if selection.artifacts:
        files = ExactFiles(
            address,
            moves,
            roots=artifacts.roots or {},
            storage_options=artifacts.storage_options,
            overwrite=choices.if_exists == "update",
            observer=observer,
            parallelism=parallelism,
        )
        stack.enter_context(closing(files))
        _require_ways(given.objects, selection, files)
    options = ExactOptions(moves, choices.activate, exact.start_over, choices.dry_run)
    sink = ExactSink(Target(address), given.archive, given.rows, files, options, observer)
    return stack.enter_context(closing(sink))


def _with_users(
    tracking: ExactSink,
    stack: ExitStack,
    source: ArchiveReader | PredecessorSource,
    given: _Given,
    exact: ExactChoices,
    choices: ServerChoices,
    observer: Observer,
) -> ExactSink | SinkWithUsers:
    """Add the database of users and permissions, if one is given."""
    if exact.auth_uri is None:
        return tracking
    from mlflow_archive.tracking.database.addresses import database_address
    from mlflow_archive.tracking.database.exact import schema
    from mlflow_archive.tracking.database.exact.connection import Target
    from mlflow_archive.tracking.database.exact.families import OF_BASIC_AUTH
    from mlflow_archive.tracking.database.exact.roots import Moves
    from mlflow_archive.tracking.database.exact.sink import ExactOptions, ExactSink
    from mlflow_archive.tracking.database.exact.stored_rows import StoredRows
    from mlflow_archive.tracking.database.exact.with_users import SinkWithUsers, SinkWithUsersInside

    tables = users_tables(source) if isinstance(source, ArchiveReader) else None
    if tables is None or given.archive.made:
        raise UsageError(
            "The archive has no users and permissions (backup --auth-database stores them)."
            if tables is None
            else "Users and permissions come with the whole archive: leave the selection out, or --auth-database."
        )
    rows = StoredRows(tables.key, tables.load(), family=OF_BASIC_AUTH)
    schema.require(rows.record.revision, made_by=rows.record.mlflow_version, family=OF_BASIC_AUTH)
    address = database_address(exact.auth_uri)
    OF_BASIC_AUTH.require_dialect(address.dialect)
    one = address.url == tracking.address.url
    database = tracking.database if one else stack.enter_context(closing(Target(address)))
    options = ExactOptions(Moves({}), choices.activate, exact.start_over, choices.dry_run)
    archive = replace(given.archive, revision=rows.record.revision)
    users = ExactSink(database, archive, rows, None, options, observer)
    return (SinkWithUsersInside if one else SinkWithUsers)(tracking, users)


def _require_ways(source: Source, selection: Selection, files: ExactFiles) -> None:
    """Ask of one object with files in each scope whether there is a way to where they belong."""
    if isinstance(source, ArchiveReader):
        for kind in _WITH_FILES:
            for placed in source.sections(kind):
                entry = next((entry for entry in source.entries(placed.section) if entry.blobs), None)
                if entry is not None:
                    document = source.document(entry)
                    record = parse_record(kind, document.record, entry.descriptor.path)
                    files.require_way(placed.key(entry), record, sorted({blob.role for blob in document.blobs}))
        return
    for kind in _WITH_FILES:
        for _, items in groupby(_items(source, kind, selection), key=lambda item: item.key.scope):
            for item in islice(items, _TRIED):
                try:
                    content = item.load()
                except IntegrityError:
                    # Told when it is loaded again.
                    continue
                blob = next((blob for blob in content.blobs() if isinstance(blob, Blob)), None)
                if blob is not None:
                    files.require_way(item.key, content.record, (blob.role,))
                    break


def _items(source: Source, kind: Kind, selection: Selection) -> Iterator[Item]:
    if kind in source.kinds() and selection.wants(kind):
        yield from (entry for entry in source.read(kind, selection) if isinstance(entry, Item) and not entry.skipped)
