"""Rows of an archive that has objects and no tables: made while the objects come, and written many at once.

Each object comes whole or not at all: what is small waits for others, of which many are one transaction; what is large
is a transaction of its own. Nothing tells how far it has come, so that an interrupted one begins anew.
"""

from __future__ import annotations

import threading
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from operator import itemgetter
from typing import Any

import sqlalchemy as sa

from mlflow_archive.errors import MlflowArchiveError, NotAuthorisedError, UnavailableError
from mlflow_archive.spec.canonical import JSONObject
from mlflow_archive.spec.kinds import KIND_ORDER, Kind
from mlflow_archive.spec.loss import Loss
from mlflow_archive.spec.selection import Selection
from mlflow_archive.stream import Content, Item, ObjectKey, Part, Source
from mlflow_archive.tracking.database.exact.connection import Target
from mlflow_archive.tracking.database.exact.fitness import Fitness
from mlflow_archive.tracking.database.exact.loading import Loader, drop_indexes, make_indexes
from mlflow_archive.tracking.database.exact.made.rows import MadeRows
from mlflow_archive.tracking.database.exact.rows import Piece, RowSource, empty
from mlflow_archive.tracking.database.exact.values import Carrier, Row

#: Weight at which rows that wait are written; about the characters in them.
_FULL = 8 << 20
#: Weight from which on an object waits for no others.
_LARGE = 2 << 20
_ROW_WEIGHT = 100
#: Tables whose rows have no long texts.
_NARROW = frozenset({"metrics", "latest_metrics"})
#: Tables with rows that several objects need: they come also if the first of these objects fails.
_SHARED = frozenset({"datasets"})
#: Part of an object -> the tables with its rows.
_OF_PARTS = {"metrics": ("metrics",), "spans": ("spans",), "records": ("evaluation_dataset_records",)}
_MADE = (
    "The archive has no tables of a database: the rows were made from its objects, as MLflow 3.17 would have written "
    "them, and ids that no API shows are new."
)
_PART = (
    "A part of the archive was asked for: the rows were made from its objects, as MLflow 3.17 would have written them, "
    "and ids that no API shows are new."
)


@dataclass
class _Staged:
    """Some rows of one object, by table."""

    pieces: list[Piece] = field(default_factory=list)
    weight: int = 0

    def add(self, piece: Piece) -> None:
        self.pieces.append(piece)
        self.weight += _weight(piece)


class ObjectRows(RowSource):
    """The rows that `MadeRows` makes of the objects of a source."""

    needs_objects = True
    loose = "what they name is not among what was restored"

    def __init__(
        self, source: Source, selection: Selection, *, deleted_ms: int | None, parallelism: int, whole: bool = True
    ) -> None:
        """Read nothing yet.

        Args:
            source: Read before anything is written, where the database might not hold everything; the same objects
                are then given to `take`. Not closed.
            selection: What of it is restored.
            deleted_ms: When the archive was made, milliseconds since the epoch, if that is known.
            parallelism: How many objects are read at once.
            whole: All of the archive is restored.
        """
        super().__init__()
        self._source = source
        self._selection = selection
        self._deleted_ms = deleted_ms
        self._parallelism = parallelism
        self._whole = whole
        self._made = MadeRows(deleted_ms=deleted_ms)
        self._loader = Loader({}, "")
        self._names: dict[str, tuple[str, ...]] = {}
        self._indexes: dict[str, str] = {}
        self._waiting: dict[str, list[Row]] = defaultdict(list)
        self._weight = 0
        self._lock = threading.Lock()

    @property
    def losses(self) -> tuple[Loss, ...]:
        """Parts of objects that are in no row."""
        return self._made.losses

    @property
    def notes(self) -> tuple[str, ...]:
        """What no API tells, and what was put in its place."""
        return (_MADE if self._whole else _PART, *self._made.notes)

    def make_room(self, connection: sa.Connection) -> None:
        """Delete the rows that migrations made, and the indexes that only help to find rows, until `finish`."""
        self._loader = Loader(self.tables, connection.dialect.name)
        empty(connection, self.tables)
        self._indexes = drop_indexes(connection, self.tables)

    def pieces(self, wanted: Fitness | None = None) -> Iterator[Piece]:
        """Yield all rows, made for this alone; of what cannot be made, as much as can."""
        asked = {name for name in self.tables if wanted is None or wanted.asks(name)}
        # Of a history, the first point tells what has to be told: words are the same in all of them, numbers fit.
        yield from self._walk(asked, brief=True)

    def again(self, table: str, names: tuple[str, ...]) -> Iterable[Sequence[Row]]:
        """Yield the rows of a table with only these columns; made once more."""
        for _, there, rows in self._walk({table}, brief=False):
            if set(names) <= set(there):
                places = [there.index(name) for name in names]
                yield [tuple(row[number] for number in places) for row in rows]

    def carrier(self, table: str) -> Carrier:
        """Return how the rows of a table are compared."""
        return self._loader.carrier(table, self._names[table])

    def take(self, database: Target, key: ObjectKey, content: Content) -> None:
        """Make the rows of an object and write them, or let them wait for those of others.

        Raises:
            UnsupportedError: A database cannot hold the object.
            IntegrityError: A part of it is damaged. Nothing of it is written.
        """
        staged, rows = _Staged(), self._made.rows_of(key, content)
        for table, batch in rows:
            piece = self._piece(table, batch)
            if table in _SHARED:
                self._keep(database, [piece], _weight(piece))
            else:
                staged.add(piece)
            if staged.weight >= _LARGE:
                self._write_through(database, staged.pieces, rows)
                return
        self._keep(database, staged.pieces, staged.weight)

    def finish(self, connection: sa.Connection) -> None:
        """Write the rows that wait, and those that only the end can tell."""
        with self._lock:
            for table, batch in self._made.finish():
                self._add(self._piece(table, batch))
            self._flush(connection)
            make_indexes(connection, self._indexes)
            self.loaded = self._loader.loaded

    def _piece(self, table: str, batch: Sequence[Mapping[str, Any]]) -> Piece:
        names = self._names.setdefault(table, tuple(batch[0]))
        return table, names, _tuples(names, batch)

    def _add(self, piece: Piece) -> None:
        self._waiting[piece[0]].extend(piece[2])

    def _keep(self, database: Target, pieces: Iterable[Piece], weight: int) -> None:
        with self._lock:
            for piece in pieces:
                self._add(piece)
            self._weight += weight
            if self._weight >= _FULL:
                with database.transaction() as connection:
                    self._flush(connection)

    def _flush(self, connection: sa.Connection) -> None:
        for table, rows in self._waiting.items():
            self._loader.insert(connection, table, self._names[table], rows)
        self._waiting.clear()
        self._weight = 0

    def _write_through(
        self, database: Target, pieces: Iterable[Piece], rest: Iterator[tuple[str, list[dict[str, Any]]]]
    ) -> None:
        """Write an object that is too large to wait, in a transaction of its own."""
        with self._lock, self._loader.undone_by_errors(), database.transaction() as connection:
            for table, names, rows in pieces:
                self._loader.insert(connection, table, names, rows)
            for table, batch in rest:
                piece = self._piece(table, batch)
                if table in _SHARED:
                    self._add(piece)
                else:
                    self._loader.insert(connection, *piece)

    def _walk(self, asked: set[str], *, brief: bool) -> Iterator[Piece]:
        """Make rows of some tables, several objects at once.

        Raises:
            UnavailableError: The archive does not answer.
            NotAuthorisedError: It refuses to be read.
        """
        if not asked:
            return
        made = MadeRows(deleted_ms=self._deleted_ms)
        with ThreadPoolExecutor(self._parallelism, thread_name_prefix="fitness") as pool:
            try:
                for kind in KIND_ORDER:
                    for item in _in_order(pool, made, self._items(kind), 2 * self._parallelism, asked, brief=brief):
                        yield from item
            finally:
                pool.shutdown(wait=True, cancel_futures=True)
        yield from _asked(made.finish(), asked)

    def _items(self, kind: Kind) -> Iterator[Item]:
        if kind is Kind.DATABASE or kind not in self._source.kinds() or not self._selection.wants(kind):
            return
        for entry in self._source.read(kind, self._selection):
            if isinstance(entry, Item) and not entry.skipped:
                yield entry


def _in_order(
    pool: ThreadPoolExecutor, made: MadeRows, items: Iterator[Item], ahead: int, asked: set[str], *, brief: bool
) -> Iterator[Iterator[Piece]]:
    """Yield the rows of each object; the first of them are made in the pool, a few objects ahead."""
    under_way: deque[Future[Iterator[Piece]]] = deque()
    for item in items:
        under_way.append(pool.submit(_begun, made, item, asked, brief=brief))
        if len(under_way) >= ahead:
            yield under_way.popleft().result()
    while under_way:
        yield under_way.popleft().result()


def _begun(made: MadeRows, item: Item, asked: set[str], *, brief: bool) -> Iterator[Piece]:
    """Make the rows of an object up to some weight, and the others when they are asked for."""
    staged = _Staged()
    rows = _made_of(made, item, asked, brief=brief)
    for piece in rows:
        staged.add(piece)
        if staged.weight >= _LARGE:
            break
    return _chained(staged.pieces, rows)


def _chained(first: list[Piece], rest: Iterator[Piece]) -> Iterator[Piece]:
    yield from first
    yield from rest


def _made_of(made: MadeRows, item: Item, asked: set[str], *, brief: bool) -> Iterator[Piece]:
    """Make rows until something is wrong with the object, which the transfer will tell of."""
    try:
        content = item.load()
        parts = tuple(
            _abridged(part) if brief and part.name == "metrics" else part
            for part in content.parts
            if asked.intersection(_OF_PARTS.get(part.name, (part.name,)))
        )
        yield from _asked(made.rows_of(item.key, replace(content, parts=parts)), asked)
    except (UnavailableError, NotAuthorisedError):
        raise
    except MlflowArchiveError:
        return


def _asked(rows: Iterable[tuple[str, list[dict[str, Any]]]], asked: set[str]) -> Iterator[Piece]:
    for table, batch in rows:
        if table in asked:
            names = tuple(batch[0])
            yield table, names, _tuples(names, batch)


def _abridged(part: Part) -> Part:
    """Return a metric history with the first point of each line alone."""

    def lines() -> Iterator[JSONObject]:
        for line in part.open():
            yield {name: value[:1] if isinstance(value, list) else value for name, value in line.items()}

    return replace(part, open=lines)


def _tuples(names: tuple[str, ...], batch: Sequence[Mapping[str, Any]]) -> list[Row]:
    if len(names) == 1:
        return [(row[names[0]],) for row in batch]
    return list(map(itemgetter(*names), batch))


def _weight(piece: Piece) -> int:
    table, _, rows = piece
    texts = 0 if table in _NARROW else sum(len(value) for row in rows for value in row if type(value) is str)
    return len(rows) * _ROW_WEIGHT + texts
