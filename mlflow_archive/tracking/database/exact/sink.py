"""`ExactSink`: the end of a transfer that leaves a database with the same ids as the lost one.

`prepare` first, in which every refusal comes and nothing is written unless all is well; then the transfer, in which
rows and files come; then `finish`, with which the database becomes a whole one.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass

import sqlalchemy as sa

from mlflow_archive.errors import MlflowArchiveError, UnavailableError
from mlflow_archive.events import BytesMoved, Note, Observer
from mlflow_archive.spec.kinds import Kind
from mlflow_archive.spec.loss import Loss
from mlflow_archive.stream import Account, Item, Outcome, Scope, Status
from mlflow_archive.tracking.database.addresses import DatabaseAddress
from mlflow_archive.tracking.database.exact import checking, foreign_keys, quiet, schema, sequences, state, target
from mlflow_archive.tracking.database.exact.connection import BROKEN, Target
from mlflow_archive.tracking.database.exact.files import ExactFiles
from mlflow_archive.tracking.database.exact.roots import Moves
from mlflow_archive.tracking.database.exact.rows import RowSource
from mlflow_archive.tracking.database.exact.state import Identity, State
from mlflow_archive.tracking.database.exact.target import Found, Holding

_ASKED_APART = "users and permissions, for which --auth-database names the database"
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
    """A `stream.Sink` on one database, for one family of MLflow's tables in it.

    Attributes:
        database: The database.
    """

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
        self.database = database
        self._archive = archive
        self._rows = rows
        self._files = files
        self._options = options
        self._observer = observer
        self._broken: MlflowArchiveError | None = None
        self._finished = False
        self._keys: tuple[tuple[str, str, str], ...] = ()
        self._family = rows.family
        self._names = rows.family.names

    @property
    def address(self) -> DatabaseAddress:
        """Where the database is."""
        return self.database.address

    def prepare(self) -> None:
        """Look at the database and at every row; then make the schema.

        Raises:
            ConflictError: The database holds something else.
            UnsupportedError: A row does not fit into it, or the installed MLflow cannot make the schema.
            UnavailableError: The database fails.
        """
        found = self._prepare(dry_run=self._options.dry_run)
        if found.anew and not self._options.dry_run:
            self._observer.notify(Note(_ANEW))

    def look(self) -> None:
        """Do as `prepare`, and write nothing."""
        self._prepare(dry_run=True)

    def is_done(self) -> bool:
        """Tell whether an earlier restore of the archive came to its end, but for the removal of its state."""
        with self.database.transaction() as connection:
            found = self._examine(connection)
            # SQLite makes something of an empty file even where nothing is written.
            connection.rollback()
        return found.holding is Holding.FINISHED

    def look_only(self) -> None:
        """Look at the database and at every row without making the schema in it, even for a moment.

        Raises:
            MlflowArchiveError: As `prepare`.
        """
        with self.database.transaction() as connection:
            self._examine(connection)
            self._rows.check_in_scratch(connection, self._archive.revision, self._options.moves)
            connection.rollback()

    def do_all(self) -> tuple[Loss, ...]:
        """Prepare, write the rows and finish, all in the transaction that is under way.

        Raises:
            MlflowArchiveError: As each of them.
        """
        self.prepare()
        self._load_tables()
        losses = self.complete()
        self.let_go()
        return losses

    def rest(self) -> None:
        """Take everything for done, in place of `prepare`."""
        self._finished = True

    def write(self, item: Item) -> Outcome:
        """Take the rows of the database, or the files of an object."""
        key = item.key
        if self._broken is not None:
            raise UnavailableError(str(self._broken), code=BROKEN)
        if key.kind is Kind.DATABASE and key.id != self._family.object_id:
            return Outcome(key, Status.SKIPPED, reason=_ASKED_APART)
        if key.kind is Kind.DATABASE and self._rows.needs_objects:
            return Outcome(key, Status.SKIPPED, reason="rows are made from the objects that were asked for")
        if self._options.dry_run:
            return Outcome(key, Status.STORED, target_id=key.id)
        size, losses = 0, list[Loss]()
        try:
            if key.kind is Kind.DATABASE:
                return Outcome(key, Status.STORED, target_id=key.id, size_bytes=self._load_tables())
            content = item.load() if self._files is not None or self._rows.needs_objects else None
            if content is not None and self._rows.needs_objects and not self._finished:
                self._rows.take(self.database, key, content)
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
        losses = self.complete()
        self.let_go()
        return losses

    def complete(self, before_end: Callable[[], None] | None = None) -> tuple[Loss, ...]:
        """Do as `finish`, but leave the state, which then says that all is done.

        Args:
            before_end: Called in the transaction with which the database becomes a whole one.
        """
        if self._options.dry_run or self._finished:
            return ()
        self._complete(before_end)
        return self._rows.losses

    def let_go(self) -> None:
        """Remove the state."""
        if not self._options.dry_run:
            with self.database.transaction() as connection:
                state.remove(connection, self._names)

    def close(self) -> None:
        """End the connection; without `finish`, the database says that it is not whole."""
        with ExitStack() as stack:
            stack.enter_context(closing(self.database))
            if self._files is not None:
                stack.enter_context(closing(self._files))

    def _examine(self, connection: sa.Connection) -> Found:
        over = self._options.start_over
        return target.examine(connection, self.address, self._archive, start_over=over, family=self._family)

    def _prepare(self, *, dry_run: bool) -> Found:
        with self.database.transaction() as connection:
            found = self._examine(connection)
            self._finished = found.holding is Holding.FINISHED
            if self._finished:
                return found
            if found.state is not None:
                self._go_on(found.state)
            elif self.database.transactional:
                self._begin(state.ROWS)
                self._rows.check_fitness(connection, self._options.moves)
                if dry_run:
                    connection.rollback()
        if found.state is None and not self.database.transactional:
            self._begin_in_steps(dry_run=dry_run)
        return found

    def _begin(self, phase: str) -> None:
        with self.database.transaction() as connection:
            # First, so that no MLflow takes what a clearing leaves that is interrupted, and is no transaction.
            state.begin(connection, self._archive, phase, self._names)
            target.clear(connection, self._family, but=self._names.begun)
            schema.create(connection, self._archive.revision, self._family)
            tables = schema.reflected(connection, self._family)
            keys = foreign_keys.set_aside(connection, tables)
            state.set_foreign_keys(connection, keys, self._names)
            self._keys = tuple(keys)
            self._rows.take_tables(tables)
            self._rows.make_room(connection)

    def _go_on(self, left: State) -> None:
        self._keys = left.foreign_keys
        with self.database.transaction() as connection:
            self._rows.take_tables(schema.reflected(connection, self._family), left.tables)
            self._rows.check_fitness(connection, self._options.moves)

    def _begin_in_steps(self, *, dry_run: bool) -> None:
        """Where the schema is in no transaction: look at the rows beforehand, with the schema in a file of ours."""
        with self.database.transaction() as connection:
            self._rows.check_in_scratch(connection, self._archive.revision, self._options.moves)
        if dry_run:
            return
        self._begin(state.SCHEMA)
        with self.database.transaction() as connection:
            try:
                self._rows.check_fitness(connection, self._options.moves)
            except MlflowArchiveError:
                target.clear(connection, self._family)
                raise
            state.set_phase(connection, state.ROWS, self._names)

    def _load_tables(self) -> int:
        """Fill the tables that are not filled; return the bytes of them in the archive."""
        size = 0
        if not self._finished:
            for table, pieces_bytes in self._rows.tables_to_load():
                with self.database.transaction() as connection:
                    self._rows.load(connection, table)
                    state.set_loaded(connection, table, self._rows.loaded[table], self._names)
                size += pieces_bytes
                self._observer.notify(BytesMoved(pieces_bytes))
        return size

    def _complete(self, before_end: Callable[[], None] | None) -> None:
        database, rows = self.database, self._rows
        with database.transaction() as connection:
            rows.finish(connection)
            for note in foreign_keys.put_back(connection, self._keys, rows.loose):
                self._observer.notify(Note(note))
            state.set_foreign_keys(connection, [], self._names)
            self._keys = ()
            sequences.set_sequences(connection, rows.tables.values())
        with database.transaction() as connection:
            rows.check(connection, self.address)
            for note in (*checking.dangling(connection, rows.tables, rows.loose), *rows.notes):
                self._observer.notify(Note(note))
        with database.transaction() as connection:
            state.set_phase(connection, state.UPGRADE, self._names)
            notes = () if self._options.activate else quiet.switch_off(connection, rows.tables)
            self._options.moves.rewrite(connection, rows.tables)
            schema.upgrade(connection, "heads", self._family)
            if before_end is not None:
                before_end()
            state.end(connection, schema.head(self._family), self._names)
        for note in notes:
            self._observer.notify(Note(note))
