"""`ExactSink`: the end of a transfer that leaves a database with the same ids as the lost one.

`prepare` first, in which every refusal comes and nothing is written unless all is well; then the transfer, in which
rows and files come; then `finish`, with which the database becomes a whole one.
"""

from __future__ import annotations

from contextlib import ExitStack, closing
from dataclasses import dataclass

from mlflow_archive.errors import MlflowArchiveError, UnavailableError
from mlflow_archive.events import BytesMoved, Note, Observer
from mlflow_archive.spec.kinds import Kind
from mlflow_archive.spec.loss import Loss
from mlflow_archive.stream import Account, Item, Outcome, Scope, Status
from mlflow_archive.tracking.database.addresses import DatabaseAddress
from mlflow_archive.tracking.database.dump import TRACKING
from mlflow_archive.tracking.database.exact import checking, foreign_keys, quiet, schema, sequences, state, target
from mlflow_archive.tracking.database.exact.connection import BROKEN, Target
from mlflow_archive.tracking.database.exact.files import ExactFiles
from mlflow_archive.tracking.database.exact.roots import Moves
from mlflow_archive.tracking.database.exact.rows import RowSource
from mlflow_archive.tracking.database.exact.state import Identity, State
from mlflow_archive.tracking.database.exact.target import Holding

_ANEW = (
    "An interrupted exact restore of this archive was cleared: where rows are made from objects, it begins anew, and "
    "only files that are there already are not written again."
)


@dataclass(frozen=True, slots=True)
class ExactOptions:
    """How an exact restore is done.

    Attributes:
        moves: What the addresses in the rows become.
        activate: Leave jobs, webhooks and online scorers as they are.
        start_over: Clear what an interrupted exact restore left, of whichever archive.
        dry_run: Only look.
    """

    moves: Moves
    activate: bool = False
    start_over: bool = False
    dry_run: bool = False


class ExactSink:
    """A `stream.Sink` on one database."""

    def __init__(
        self,
        database: Target,
        archive: Identity,
        rows: RowSource,
        files: ExactFiles | None,
        options: ExactOptions,
        observer: Observer,
    ) -> None:
        """Use a database that is connected.

        Args:
            database: Closed with the sink.
            archive: What is restored.
            rows: Where its rows come from.
            files: Writes its files; None leaves them out. Closed with the sink.
            options: How.
            observer: Told of bytes and notes.
        """
        self._database = database
        self._archive = archive
        self._rows = rows
        self._files = files
        self._options = options
        self._observer = observer
        self._broken: MlflowArchiveError | None = None
        self._finished = False
        self._keys: tuple[tuple[str, str, str], ...] = ()

    @property
    def address(self) -> DatabaseAddress:
        """Where the database is."""
        return self._database.address

    def prepare(self) -> None:
        """Look at the database and at every row; then make the schema.

        Raises:
            ConflictError: The database holds something else.
            UnsupportedError: A row does not fit into it, or the installed MLflow cannot make the schema.
            UnavailableError: The database fails.
        """
        with self._database.transaction() as connection:
            found = target.examine(
                connection,
                self.address,
                self._archive,
                start_over=self._options.start_over,
            )
            self._finished = found.holding is Holding.FINISHED
            if found.anew and not self._options.dry_run:
                self._observer.notify(Note(_ANEW))
            if self._finished:
                return
            if found.state is not None:
                self._go_on(found.state)
            elif self._database.transactional:
                self._begin(state.ROWS)
                self._rows.check_fitness(connection, self._options.moves)
                if self._options.dry_run:
                    connection.rollback()
        if found.state is None and not self._database.transactional:
            self._begin_in_steps()

    def write(self, item: Item) -> Outcome:
        """Take the rows of the database, or the files of an object."""
        key = item.key
        if self._broken is not None:
            raise UnavailableError(str(self._broken), code=BROKEN)
        if key.kind is Kind.DATABASE and key.id != TRACKING:
            return Outcome(key, Status.SKIPPED, reason="only the tracking database is restored exactly")
        if key.kind is Kind.DATABASE and self._rows.needs_objects:
            return Outcome(key, Status.SKIPPED, reason="rows are made from the objects that were asked for")
        if self._options.dry_run:
            return Outcome(key, Status.STORED, target_id=key.id)
        size, losses = 0, list[Loss]()
        try:
            if key.kind is Kind.DATABASE:
                return self._write_database(item)
            content = item.load() if self._files is not None or self._rows.needs_objects else None
            if content is not None and self._rows.needs_objects and not self._finished:
                self._rows.take(self._database, key, content)
        except UnavailableError as error:
            if error.code in (BROKEN, "disk_full"):
                self._broken = error
            raise
        if content is not None and self._files is not None:
            done = self._files.write(key, content)
            size, losses = done.size_bytes, done.losses
        return Outcome(key, Status.STORED, target_id=key.id, size_bytes=size, losses=tuple(losses))

    def close_scope(self, scope: Scope) -> None:
        """Nothing waits for the end of a scope."""

    def finish(self, account: Account) -> tuple[Loss, ...]:  # noqa: ARG002 - the protocol's
        """Check every row, make what is meant to differ, upgrade the schema, and let MLflow in.

        Raises:
            IntegrityError: A table is not what was loaded.
            UnavailableError: Rows are missing because the database failed.
        """
        if self._options.dry_run:
            return ()
        if not self._finished:
            self._complete()
        with self._database.transaction() as connection:
            state.remove(connection)
        return self._rows.losses

    def close(self) -> None:
        """End the connection; without `finish`, the database says that it is not whole."""
        with ExitStack() as stack:
            stack.enter_context(closing(self._database))
            if self._files is not None:
                stack.enter_context(closing(self._files))

    def _begin(self, phase: str) -> None:
        with self._database.transaction() as connection:
            # First, so that no MLflow takes what a clearing leaves that is interrupted, and is no transaction.
            state.begin(connection, self._archive, phase)
            target.clear(connection, but=state.TABLES)
            schema.create(connection, self._archive.revision)
            keys = foreign_keys.set_aside(connection)
            state.set_foreign_keys(connection, keys)
            self._keys = tuple(keys)
            self._rows.take_tables(schema.reflected(connection))
            self._rows.make_room(connection)

    def _go_on(self, left: State) -> None:
        self._keys = left.foreign_keys
        with self._database.transaction() as connection:
            self._rows.take_tables(schema.reflected(connection), left.tables)
            self._rows.check_fitness(connection, self._options.moves)

    def _begin_in_steps(self) -> None:
        """Where the schema is in no transaction: look at the rows beforehand, with the schema in a file of ours."""
        with self._database.transaction() as connection:
            self._rows.check_in_scratch(connection, self._archive.revision, self._options.moves)
        if self._options.dry_run:
            return
        self._begin(state.SCHEMA)
        with self._database.transaction() as connection:
            try:
                self._rows.check_fitness(connection, self._options.moves)
            except MlflowArchiveError:
                target.clear(connection)
                raise
            state.set_phase(connection, state.ROWS)

    def _write_database(self, item: Item) -> Outcome:
        size = 0
        if not self._finished:
            for table, pieces_bytes in self._rows.tables_to_load():
                with self._database.transaction() as connection:
                    self._rows.load(connection, table)
                size += pieces_bytes
                self._observer.notify(BytesMoved(pieces_bytes))
        return Outcome(item.key, Status.STORED, reason="", target_id=item.key.id, size_bytes=size)

    def _complete(self) -> None:
        database, rows = self._database, self._rows
        with database.transaction() as connection:
            rows.finish(connection)
            for note in foreign_keys.put_back(connection, self._keys, rows.loose):
                self._observer.notify(Note(note))
            state.set_foreign_keys(connection, [])
            self._keys = ()
            sequences.set_sequences(connection, rows.tables.values())
        with database.transaction() as connection:
            rows.check(connection, self.address)
            for note in (*checking.dangling(connection, rows.tables, rows.loose), *rows.notes):
                self._observer.notify(Note(note))
        with database.transaction() as connection:
            state.set_phase(connection, state.UPGRADE)
            notes = () if self._options.activate else quiet.switch_off(connection, rows.tables)
            self._options.moves.rewrite(connection, rows.tables)
            schema.upgrade(connection, "heads")
            state.end(connection, schema.head())
        for note in notes:
            self._observer.notify(Note(note))
