"""Exact restore: an archive's tables into an empty database, with every id as it was."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from mlflow_archive.archive.reader import ArchiveReader
from mlflow_archive.errors import UnsupportedError, UsageError
from mlflow_archive.events import Observer, Silence
from mlflow_archive.operations.ends import AS_THE_SERVER_SAYS, CAREFUL, ArtifactPlaces, ServerChoices, stored_source
from mlflow_archive.operations.report import Report
from mlflow_archive.operations.restore import Notes, restore
from mlflow_archive.operations.transfer import SerialisedObserver, transfer
from mlflow_archive.spec.kinds import Kind
from mlflow_archive.spec.loss import Loss
from mlflow_archive.spec.records import parse_record
from mlflow_archive.spec.selection import Selection
from mlflow_archive.stream import Item

if TYPE_CHECKING:
    from mlflow_archive.tracking.database.addresses import DatabaseAddress
    from mlflow_archive.tracking.database.exact.files import ExactFiles
    from mlflow_archive.tracking.database.exact.sink import ExactSink

#: The id of the object that is the tracking database.
_TRACKING = "tracking"
_WITH_FILES = (Kind.RUN, Kind.LOGGED_MODEL, Kind.TRACE, Kind.REGISTERED_MODEL)


@dataclass(frozen=True, slots=True)
class ExactChoices:
    """What an exact restore is asked beyond every restore.

    Attributes:
        moves: Beginnings of artifact addresses in the rows -> what takes their place.
        start_over: Clear what an interrupted exact restore left, of whichever archive.
    """

    moves: Mapping[str, str] = field(default_factory=dict)
    start_over: bool = False


def exact_choices(*, exact: bool, moves: Mapping[str, str] | None, start_over: bool) -> ExactChoices | None:
    """Return what an exact restore is asked; None if none is wanted.

    Raises:
        UsageError: Something is asked that only an exact restore does.
    """
    if exact:
        return ExactChoices(dict(moves or {}), start_over)
    if moves or start_over:
        raise UsageError("Only an exact restore moves artifacts or starts over: add --exact.")
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

    _require_whole(selection, choices)
    if tracking_uri is None or not is_database(tracking_uri):
        raise UsageError(
            "An exact restore writes a database: give its URI by --tracking-uri (sqlite:///mlflow.db, "
            "postgresql://user:password@host/database, mysql://...)."
        )
    notes = Notes(observer or Silence())
    watcher = SerialisedObserver(notes)
    with ExitStack() as stack:
        source = stack.enter_context(stored_source(src_url, storage_options=storage_options))
        if not isinstance(source, ArchiveReader):
            raise UnsupportedError(
                "An exact restore needs an archive of this tool: convert this one by 'mlflow-archive repack' first.",
                code="no_database",
            )
        address = database_address(tracking_uri)
        sink = _sink(source, stack, address, selection, choices, exact, parallelism, artifacts, watcher)
        sink.prepare()
        report = transfer(
            source,
            sink,
            selection,
            observer=watcher,
            parallelism=parallelism,
            verb="restore",
            dry_run=choices.dry_run,
            target=address.shown,
        )
    return replace(report, notes=tuple(dict.fromkeys(notes.heard)))


def _require_whole(selection: Selection, choices: ServerChoices) -> None:
    if replace(selection, artifacts=True) != Selection():
        raise UsageError(
            "An exact restore takes the whole archive: leave the selection out (--without artifacts alone is "
            "possible), or --exact."
        )
    if choices.if_exists not in ("skip", "update"):
        raise UsageError(
            f"An exact restore makes nothing beside what is there: --if-exists {choices.if_exists} has no meaning."
        )
    plain = ServerChoices(if_exists=choices.if_exists, activate=choices.activate, dry_run=choices.dry_run)
    if choices != plain:
        raise UsageError("An exact restore changes no name, tag or user: leave these options out, or --exact.")


def _sink(  # noqa: PLR0913, PLR0917 - everything that one end needs
    source: ArchiveReader,
    stack: ExitStack,
    address: DatabaseAddress,
    selection: Selection,
    choices: ServerChoices,
    exact: ExactChoices,
    parallelism: int,
    artifacts: ArtifactPlaces,
    observer: Observer,
) -> ExactSink:
    from mlflow_archive.tracking.database.exact import schema
    from mlflow_archive.tracking.database.exact.connection import Target
    from mlflow_archive.tracking.database.exact.files import ExactFiles
    from mlflow_archive.tracking.database.exact.roots import Moves
    from mlflow_archive.tracking.database.exact.sink import ExactOptions, ExactSink
    from mlflow_archive.tracking.database.exact.state import Identity
    from mlflow_archive.tracking.database.exact.stored_rows import StoredRows

    tables = _tables(source)
    rows = StoredRows(tables.key, tables.load())
    schema.require(rows.record.revision, made_by=rows.record.mlflow_version)
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
        _require_ways(source, files)
    archive = Identity(source.marker.archive_id, source.root_digest, rows.record.revision, made=False)
    options = ExactOptions(moves, choices.activate, exact.start_over, choices.dry_run)
    return stack.enter_context(closing(ExactSink(Target(address), archive, rows, files, options, observer)))


def _tables(source: ArchiveReader) -> Item:
    for item in source.read(Kind.DATABASE, Selection()):
        if not isinstance(item, Loss) and item.key.id == _TRACKING:
            return item
    raise UnsupportedError(
        "The archive holds no tables, as it was made over the API: restore it without --exact, or back up the database "
        "itself (--tracking-uri postgresql://...).",
        code="no_database",
    )


def _require_ways(source: ArchiveReader, files: ExactFiles) -> None:
    """Ask of one object with files in each section whether there is a way to where they belong."""
    for kind in _WITH_FILES:
        for placed in source.sections(kind):
            entry = next((entry for entry in source.entries(placed.section) if entry.blobs), None)
            if entry is not None:
                document = source.document(entry)
                record = parse_record(kind, document.record, entry.descriptor.path)
                files.require_way(placed.key(entry), record, sorted({blob.role for blob in document.blobs}))
